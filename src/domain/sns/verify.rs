//! The one door between "someone posted this" and "SNS signed this for a topic we know".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};

use super::envelope::Envelope;
use super::signing_cert::{BadSigningCert, SigningCert};
use super::string_to_sign::string_to_sign;
use super::topic_policy::TopicPolicy;

use crate::domain::timestamp::Timestamp;

/// Proof that `T` came through [`verify`]. There is no other way to make one.
#[derive(Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// What was proven genuine.
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// Why an envelope is not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Forged or altered: the poster is at fault.
    #[error("signature does not verify")]
    Signature,
    /// A scheme that AWS may have added since: not the poster's fault.
    #[error("signature version {0:?} is not known; 1 and 2 are")]
    SignatureVersion(String),
    /// Trouble with the certificate: not the poster's fault.
    #[error(transparent)]
    Certificate(#[from] BadSigningCert),
    /// Genuinely signed, but by a topic that no setting allows: the operator may be adding it.
    #[error("topic {0} is not allowed; add its owner to merchants[].topic_owners or the ARN to merchants[].topic_arns")]
    TopicNotAllowed(String),
}

/// Proves that `cert` signed `envelope` and that `policy` allows its topic.
///
/// The signature comes before the topic, so that only genuine messages can say which topic to allow.
pub fn verify(
    envelope: Envelope,
    cert: &SigningCert,
    policy: &TopicPolicy,
    now: Timestamp,
) -> Result<Verified<Envelope>, Error> {
    cert.check_validity(now)?;
    let algorithm = algorithm(&envelope.signature_version)?;
    let signature = STANDARD.decode(&envelope.signature).map_err(|_| Error::Signature)?;
    UnparsedPublicKey::new(algorithm, cert.rsa_public_key_der())
        .verify(string_to_sign(&envelope).as_bytes(), &signature)
        .map_err(|_| Error::Signature)?;
    if policy.owner_of(&envelope.topic_arn).is_none() {
        return Err(Error::TopicNotAllowed(envelope.topic_arn.as_str().to_owned()));
    }
    Ok(Verified(envelope))
}

/// Version 1 is SHA-1, version 2 is SHA-256; the topic's owner chose, and there is no falling back.
fn algorithm(signature_version: &str) -> Result<&'static RsaParameters, Error> {
    match signature_version {
        "1" => Ok(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
        "2" => Ok(&RSA_PKCS1_2048_8192_SHA256),
        other => Err(Error::SignatureVersion(other.chars().take(8).collect())),
    }
}
