//! Amazon Pay's words: ids, the objects its API returns, and how a request to it is signed.

mod ids;
mod object;
mod request_signing;

pub use ids::{Account, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef, Region};
pub use object::{DecodeError, Fetched, Reason, State, digest};
pub use request_signing::{ApiKey, BadApiKey, SIGNED_HEADERS, SignedGet, canonical_request, string_to_sign};
