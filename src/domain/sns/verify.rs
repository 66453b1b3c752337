//! The trust boundary: verifies that SNS signed a message recently, for an allowed topic.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::UnparsedPublicKey;

use super::envelope::Envelope;
use super::policy::Policy;
use super::signature_version::SignatureVersion;
use super::signing_cert::{BadSigningCert, SigningCert};
use super::string_to_sign::string_to_sign;
use crate::domain::timestamp::Timestamp;

/// Proof that `T` came through [`verify`]. There is no other way to make one.
#[derive(Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The verified value.
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// Why an envelope is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Forged or altered: the sender is at fault.
    #[error("signature does not verify")]
    Signature,
    /// Not a signature: the sender is at fault.
    #[error("Signature is not base64")]
    SignatureEncoding,
    /// AWS may have added a version since: the sender is not at fault.
    #[error("signature version {0:?} is not known; 1 and 2 are")]
    SignatureVersion(String),
    /// The certificate cannot be used: the sender is not at fault.
    #[error(transparent)]
    Certificate(#[from] BadSigningCert),
    /// Genuine, but from a topic that no setting allows: the operator may add it later.
    #[error("topic {0} is not allowed; add its owner to merchants[].topic_owners or the ARN to merchants[].topic_arns")]
    TopicNotAllowed(String),
    /// Genuine, from a topic of a configured owner in a region that no setting allows.
    #[error(
        "topic {0} belongs to a configured owner, but its region is not allowed; add the region to merchants[].topic_regions"
    )]
    TopicRegionNotAllowed(String),
    /// Genuine, but with a lower signature version than the setting requires.
    #[error(
        "topic {0} signs with SignatureVersion 1, and merchants[].signature_version_min requires 2: ask the topic's owner to set version 2, or lower the setting"
    )]
    SignatureVersionTooLow(String),
    /// Genuine, but too old by the receiver's clock: a replay, or the clock is wrong.
    #[error(
        "message was sent at {sent_at}, {} h before this machine's clock, {now}: the message is a replay, the clock is wrong, or sns.ipn_age_max_h is too short",
        now.since(*sent_at).as_secs() / 3600
    )]
    TooOld {
        /// The message's Timestamp.
        sent_at: Timestamp,
        /// The receiver's clock.
        now: Timestamp,
    },
    /// Genuine, but from the future by the receiver's clock.
    #[error(
        "message was sent at {sent_at}, {} s after this machine's clock, {now}: the clock is wrong, or sns.ipn_ahead_max_s is too short",
        sent_at.since(*now).as_secs()
    )]
    TooNew {
        /// The message's Timestamp.
        sent_at: Timestamp,
        /// The receiver's clock.
        now: Timestamp,
    },
}

/// Proves that `cert` signed `envelope`, and that `policy` allows its topic and age.
///
/// The signature is checked before topic and age, so that only genuine messages are reported as not allowed.
pub fn verify(
    envelope: Envelope,
    cert: &SigningCert,
    policy: &Policy,
    now: Timestamp,
) -> Result<Verified<Envelope>, Error> {
    cert.check_validity(now)?;
    let version = SignatureVersion::parse(&envelope.signature_version)
        .ok_or_else(|| Error::SignatureVersion(envelope.signature_version.chars().take(8).collect()))?;
    let signature = STANDARD.decode(&envelope.signature).map_err(|_| Error::SignatureEncoding)?;
    UnparsedPublicKey::new(version.algorithm(), cert.rsa_public_key_der())
        .verify(string_to_sign(&envelope).as_bytes(), &signature)
        .map_err(|_| Error::Signature)?;
    check_topic(&envelope, version, policy)?;
    check_age(envelope.timestamp, policy, now)?;
    Ok(Verified(envelope))
}

fn check_topic(envelope: &Envelope, version: SignatureVersion, policy: &Policy) -> Result<(), Error> {
    let arn = || envelope.topic_arn.as_str().to_owned();
    match policy.topics.signature_version_min(&envelope.topic_arn) {
        None if policy.topics.allows_in_another_region(&envelope.topic_arn) => Err(Error::TopicRegionNotAllowed(arn())),
        None => Err(Error::TopicNotAllowed(arn())),
        Some(least) if version < least => Err(Error::SignatureVersionTooLow(arn())),
        Some(_) => Ok(()),
    }
}

fn check_age(sent_at: Timestamp, policy: &Policy, now: Timestamp) -> Result<(), Error> {
    let age_max = policy.age_max.unwrap_or(Duration::MAX);
    if now.since(sent_at) > age_max {
        Err(Error::TooOld { sent_at, now })
    } else if sent_at.since(now) > policy.ahead_max {
        Err(Error::TooNew { sent_at, now })
    } else {
        Ok(())
    }
}
