//! The status table: the response to each rejected request, and the level of its log line.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;

use super::topic_limits::TooMany;
use crate::amazon::signing_certs;
use crate::amazon::subscriptions::Unconfirmed;
use crate::domain::sns::{self, AwsRegion, MalformedEnvelope, RefusedCertUrl};
use crate::kafka::inbox::AppendError;

/// Why a request was not answered 200.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection {
    #[error("the body is not an Amazon SNS message: {0}")]
    NotAnEnvelope(#[from] MalformedEnvelope),
    #[error(
        "raw message delivery is enabled for this subscription, so the message has no signature and cannot be verified; disable RawMessageDelivery"
    )]
    RawDelivery,
    #[error("the request asks for another protocol on its connection (Upgrade: websocket), so its body has no end")]
    Upgrade,
    #[error("{refused}")]
    CertificateUrl { refused: RefusedCertUrl, topic_arn: String },
    #[error(transparent)]
    Certificate(#[from] signing_certs::Error),
    #[error(transparent)]
    Verification(#[from] sns::Error),
    #[error("the body is larger than {0} bytes (ingress.body_bytes_max)")]
    TooLarge(usize),
    #[error("the body did not arrive within {} ms (ingress.body_timeout_ms)", .0.as_millis())]
    SlowBody(Duration),
    #[error("the connection ended before the body was complete")]
    IncompleteBody,
    #[error("the bodies in progress use all their memory (ingress.body_bytes_in_flight_max)")]
    NoMemory,
    /// Copies of a message share the outcome of one append.
    #[error(transparent)]
    NotStored(#[from] Arc<NotStored>),
    #[error("the request was not finished within {0} ms (ingress.deadline_ms)")]
    Deadline(u64),
    #[error(transparent)]
    Confirmation(#[from] Unconfirmed),
}

/// Why a verified message was not stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotStored {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// The level of the log line of a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// Anyone can cause it, and no genuine message is affected. It raises no alert.
    Info,
    /// Anyone can cause it before the message is verified, but the fault may be the receiver's.
    Warn,
    /// A genuine message was not stored.
    Error,
}

/// The response to a rejected request.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The problem type, which is also the outcome in metrics.
    pub(super) slug: &'static str,
    pub(super) title: &'static str,
}

impl Rejection {
    /// The response: a 4xx only if a repetition of the message can never succeed.
    pub(super) fn answer(&self) -> Answer {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
        const RETRY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        use sns::Error as Sns;
        let (status, slug, title) = match self {
            Self::NotAnEnvelope(_) => (BAD, "not-an-envelope", "The body is not an Amazon SNS message"),
            Self::RawDelivery => {
                (BAD, "raw-delivery", "Raw message delivery is enabled, so the message has no signature")
            }
            Self::Upgrade => (BAD, "upgrade-refused", "The connection cannot be upgraded"),
            Self::CertificateUrl { refused: RefusedCertUrl::Region(_) | RefusedCertUrl::Partition(_), .. } => {
                (RETRY, "region-not-allowed", "The region of the SigningCertURL is not allowed")
            }
            Self::CertificateUrl { .. } => (FORBIDDEN, "certificate-url-refused", "The SigningCertURL is not allowed"),
            Self::Verification(Sns::Signature | Sns::SignatureEncoding) => {
                (FORBIDDEN, "signature-invalid", "The signature is invalid")
            }
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
            Self::Verification(Sns::TopicNotAllowed(_) | Sns::TopicRegionNotAllowed(_)) => {
                (RETRY, "topic-not-allowed", "The topic is not allowed")
            }
            Self::Verification(Sns::SignatureVersionTooLow(_)) => {
                (RETRY, "signature-version-too-low", "The signature version is lower than the topic requires")
            }
            Self::Verification(Sns::TooOld { .. } | Sns::TooNew { .. }) => {
                (RETRY, "timestamp-out-of-range", "The message is too old, or its timestamp is in the future")
            }
            Self::Verification(Sns::SignatureVersion(_)) => {
                (RETRY, "signature-version-unsupported", "The signature version is not supported")
            }
            Self::Certificate(signing_certs::Error::Unavailable { .. } | signing_certs::Error::Busy) => {
                (RETRY, "certificate-unavailable", "The signing certificate cannot be fetched")
            }
            Self::Certificate(signing_certs::Error::IssuerUnavailable { .. }) => {
                (RETRY, "issuer-unavailable", "The certificate of the signing certificate's issuer cannot be fetched")
            }
            Self::Certificate(signing_certs::Error::Unusable(_)) | Self::Verification(Sns::Certificate(_)) => {
                (RETRY, "certificate-unusable", "The signing certificate is not valid")
            }
            Self::SlowBody(_) | Self::IncompleteBody => (RETRY, "slow-body", "The body did not arrive in time"),
            Self::NoMemory => (RETRY, "too-busy", "Too many large bodies are in progress"),
            Self::NotStored(why) => match **why {
                NotStored::Append(_) => (RETRY, "inbox-unavailable", "The message could not be stored"),
                NotStored::TooMany(_) => (RETRY, "too-many-messages", "Too many messages of the topic"),
            },
            Self::Deadline(_) => (RETRY, "deadline-exceeded", "The message could not be stored in time"),
            Self::Confirmation(_) => (RETRY, "confirmation-failed", "The subscription could not be confirmed"),
        };
        Answer { status, slug, title }
    }

    /// The topic that the message names, where it matters for the remedy. The signature may not be checked yet.
    pub(super) fn topic(&self) -> Option<&str> {
        match self {
            Self::CertificateUrl { topic_arn, .. } => Some(topic_arn),
            Self::Verification(
                sns::Error::TopicNotAllowed(arn)
                | sns::Error::TopicRegionNotAllowed(arn)
                | sns::Error::SignatureVersionTooLow(arn),
            ) => Some(arn),
            Self::NotStored(why) => match &**why {
                NotStored::TooMany(too_many) => Some(too_many.topic().as_str()),
                NotStored::Append(_) => None,
            },
            _ => None,
        }
    }

    /// What equal rejections have in common besides the outcome, so that one cause suppresses no line of another. Never a
    /// text that the sender of an unverified message chooses: such texts would fill the throttle. So of all names of
    /// regions, only the known ones count.
    pub(super) fn cause(&self) -> Option<String> {
        use sns::Error as Sns;
        match self {
            Self::NotAnEnvelope(MalformedEnvelope::Json(_))
            | Self::Verification(Sns::SignatureVersion(_))
            | Self::RawDelivery
            | Self::Upgrade
            | Self::TooLarge(_)
            | Self::NoMemory
            | Self::Deadline(_) => None,
            Self::NotAnEnvelope(malformed) => Some(malformed.to_string()),
            Self::CertificateUrl {
                refused: RefusedCertUrl::Region(name) | RefusedCertUrl::Partition(name), ..
            } => AwsRegion::parse(name).filter(|region| region.is_known()).map(|region| region.as_str().to_owned()),
            Self::CertificateUrl { refused, .. } => Some(refused.to_string()),
            Self::Certificate(
                signing_certs::Error::Unavailable { reason, .. }
                | signing_certs::Error::IssuerUnavailable { reason, .. },
            ) => Some(reason.clone()),
            Self::Certificate(signing_certs::Error::Unusable(bad)) | Self::Verification(Sns::Certificate(bad)) => {
                Some(bad.to_string())
            }
            Self::Certificate(busy @ signing_certs::Error::Busy) => Some(busy.to_string()),
            Self::Verification(Sns::TooOld { .. }) => Some("too old".to_owned()),
            Self::Verification(Sns::TooNew { .. }) => Some("too new".to_owned()),
            Self::Verification(unsigned @ (Sns::Signature | Sns::SignatureEncoding)) => Some(unsigned.to_string()),
            Self::NotStored(why) => Some(why.to_string()),
            Self::SlowBody(_) | Self::IncompleteBody => Some(self.to_string()),
            Self::Verification(
                Sns::TopicNotAllowed(arn) | Sns::TopicRegionNotAllowed(arn) | Sns::SignatureVersionTooLow(arn),
            ) => Some(arn.clone()),
            Self::Confirmation(unconfirmed) => Some(unconfirmed.topic().to_owned()),
        }
    }

    pub(super) fn severity(&self) -> Severity {
        match self {
            Self::CertificateUrl { refused: RefusedCertUrl::Region(_) | RefusedCertUrl::Partition(_), .. } => {
                Severity::Warn
            }
            Self::NotAnEnvelope(_)
            | Self::RawDelivery
            | Self::Upgrade
            | Self::CertificateUrl { .. }
            | Self::TooLarge(_)
            | Self::SlowBody(_)
            | Self::IncompleteBody
            | Self::Verification(sns::Error::Signature | sns::Error::SignatureEncoding) => Severity::Info,
            Self::NoMemory
            | Self::Certificate(_)
            | Self::Verification(sns::Error::Certificate(_) | sns::Error::SignatureVersion(_)) => Severity::Warn,
            Self::Verification(
                sns::Error::TopicNotAllowed(_)
                | sns::Error::TopicRegionNotAllowed(_)
                | sns::Error::SignatureVersionTooLow(_)
                | sns::Error::TooOld { .. }
                | sns::Error::TooNew { .. },
            )
            | Self::Confirmation(_)
            | Self::NotStored(_)
            | Self::Deadline(_) => Severity::Error,
        }
    }
}
