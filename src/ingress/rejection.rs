//! The status table: which answer says whose fault it is, and who is woken.

use std::time::Duration;

use actix_web::http::StatusCode;

use crate::amazon::signing_certs;
use crate::amazon::subscriptions::Unconfirmed;
use crate::domain::sns::{self, MalformedEnvelope};
use crate::kafka::inbox::AppendError;

/// Why a request got no 200.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection {
    #[error("no SNS envelope: {0}")]
    NotAnEnvelope(#[from] MalformedEnvelope),
    #[error(
        "raw message delivery is on for this subscription, so the message bears no signature and cannot be proven genuine; turn RawMessageDelivery off"
    )]
    RawDelivery,
    #[error(transparent)]
    CertificateUrl(#[from] sns::RefusedCertUrl),
    #[error(transparent)]
    Certificate(#[from] signing_certs::Error),
    #[error(transparent)]
    Verification(#[from] sns::Error),
    #[error("body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("body did not arrive within {} ms (ingress.body_timeout_ms)", .0.as_millis())]
    SlowBody(Duration),
    #[error("body broke off")]
    BrokenBody,
    #[error("bodies under way hold all the memory they may (ingress.body_bytes_in_flight_max)")]
    NoRoom,
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("no answer could be given within {0} ms")]
    Deadline(u64),
    #[error(transparent)]
    Confirmation(#[from] Unconfirmed),
}

/// How loudly a rejection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Anyone can cause it, and it is no loss: it is counted, and nobody is woken.
    Info,
    /// Anyone can cause it, as nothing is proven yet; it may be our trouble all the same.
    Warn,
    /// Something genuine was not taken.
    Error,
}

impl Rejection {
    /// Status, problem type and title.
    pub(super) fn answer(&self) -> (StatusCode, &'static str, &'static str) {
        const AGAIN: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        match self {
            Self::NotAnEnvelope(_) => {
                (StatusCode::BAD_REQUEST, "not-an-envelope", "The body is not an Amazon SNS envelope")
            }
            Self::RawDelivery => {
                (StatusCode::BAD_REQUEST, "raw-delivery", "Raw message delivery is on: nothing could prove the message")
            }
            Self::CertificateUrl(_) => {
                (StatusCode::FORBIDDEN, "certificate-url-refused", "The signing certificate URL is refused")
            }
            Self::Verification(sns::Error::Signature | sns::Error::SignatureEncoding) => {
                (StatusCode::FORBIDDEN, "signature-invalid", "The signature does not verify")
            }
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
            Self::Verification(sns::Error::TopicNotAllowed(_)) => {
                (AGAIN, "topic-not-allowed", "The topic is not allowed")
            }
            Self::Verification(sns::Error::SignatureVersionTooLow(_)) => {
                (AGAIN, "signature-version-too-low", "The topic's signature version is lower than allowed")
            }
            Self::Verification(sns::Error::TooOld { .. } | sns::Error::TooNew { .. }) => {
                (AGAIN, "timestamp-out-of-range", "The message is too old, or from the future")
            }
            Self::Verification(sns::Error::SignatureVersion(_)) => {
                (AGAIN, "signature-version-unsupported", "The signature version is not supported")
            }
            Self::Certificate(signing_certs::Error::Unavailable { .. } | signing_certs::Error::Busy) => {
                (AGAIN, "certificate-unavailable", "The signing certificate cannot be fetched")
            }
            Self::Certificate(signing_certs::Error::IssuerUnavailable { .. }) => {
                (AGAIN, "issuer-unavailable", "The signing certificate's issuer cannot be fetched")
            }
            Self::Certificate(signing_certs::Error::Unusable(_)) | Self::Verification(sns::Error::Certificate(_)) => {
                (AGAIN, "certificate-unusable", "The signing certificate cannot be used")
            }
            Self::SlowBody(_) | Self::BrokenBody => (AGAIN, "slow-body", "The body did not arrive in time"),
            Self::NoRoom => (AGAIN, "too-busy", "Too many large bodies at once"),
            Self::Append(_) => (AGAIN, "inbox-unavailable", "The notification could not be stored"),
            Self::Deadline(_) => (AGAIN, "deadline-exceeded", "The notification could not be stored in time"),
            Self::Confirmation(_) => (AGAIN, "confirmation-failed", "The subscription was not confirmed"),
        }
    }

    /// What it is about, where one cause must not hide another: two topics that are not allowed are two lines.
    pub(super) fn subject(&self) -> &str {
        match self {
            Self::Verification(sns::Error::TopicNotAllowed(arn) | sns::Error::SignatureVersionTooLow(arn)) => arn,
            _ => "",
        }
    }

    /// How loudly.
    pub(super) fn told(&self) -> Told {
        match self {
            Self::NotAnEnvelope(_)
            | Self::RawDelivery
            | Self::CertificateUrl(_)
            | Self::TooLarge(_)
            | Self::SlowBody(_)
            | Self::BrokenBody
            | Self::Verification(sns::Error::Signature | sns::Error::SignatureEncoding) => Told::Info,
            Self::NoRoom
            | Self::Certificate(_)
            | Self::Verification(sns::Error::Certificate(_) | sns::Error::SignatureVersion(_)) => Told::Warn,
            Self::Verification(
                sns::Error::TopicNotAllowed(_)
                | sns::Error::SignatureVersionTooLow(_)
                | sns::Error::TooOld { .. }
                | sns::Error::TooNew { .. },
            )
            | Self::Confirmation(_)
            | Self::Append(_)
            | Self::Deadline(_) => Told::Error,
        }
    }
}
