//! What makes an SNS message genuine: its envelope, what was signed, who signed it, and from which topic.
//!
//! [`verify`] is the only door: a [`Verified`] value cannot be made elsewhere.

mod envelope;
mod signing_cert;
mod string_to_sign;
mod topic_policy;
mod verify;

pub use envelope::{Confirmation, Envelope, MalformedEnvelope, MessageType};
pub use signing_cert::{BadSigningCert, RefusedCertUrl, SigningCert, SigningCertUrl};
pub use string_to_sign::string_to_sign;
pub use topic_policy::{TopicArn, TopicPolicy, TopicRule};
pub use verify::{Error, Verified, verify};
