//! Verifies SNS messages: the envelope, the string to sign, the signing certificate and the topic.
//!
//! [`verify`] is the only way to make a [`Verified`] value.

mod envelope;
mod fields;

mod cert_url;
mod chain;
mod signing_cert;

mod development_origin;
mod policy;
mod region;
mod signature_version;
mod string_to_sign;
mod topic_policy;
mod verify;

pub use cert_url::{CertSource, IssuerUrl, RefusedCertUrl, SigningCertUrl};
pub use chain::{Intermediate, NotACertificate, TrustAnchors};
pub use development_origin::DevelopmentOrigin;
pub use envelope::{Confirmation, Envelope, MessageType};
pub use fields::MalformedEnvelope;
pub use policy::Policy;
pub use region::{AwsRegion, Partition};
pub use signature_version::SignatureVersion;
pub use signing_cert::{BadSigningCert, CertFile, SigningCert};
pub use string_to_sign::string_to_sign;
pub use topic_policy::{TopicArn, TopicPolicy, TopicRule};
pub use verify::{Error, Verified, verify};
