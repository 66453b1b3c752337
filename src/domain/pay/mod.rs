//! Amazon Pay's words: ids, the objects its API returns, and how a request to it is signed.

mod object;
mod private_details;
mod request_signing;

mod amount;
mod canonical_json;
mod ids;
mod values;

pub use amount::Amount;
pub use canonical_json::digest;
pub use ids::{Account, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef, Region};
pub use object::{DecodeError, FIELD_NAMES, Fetched, Reason, State, captured, published_fields};
pub use private_details::{DigestKey, Edge, FreeText, PrivateChanges, PrivateDigests};
pub use request_signing::{ApiKey, BadApiKey, SIGNED_HEADERS, SignedGet, canonical_request, string_to_sign};
pub use values::{Field, Form, PRICE_FIELDS, Shape, Unreadable};
