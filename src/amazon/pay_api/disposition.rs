//! Classifies the outcome of a read: what it means for the work that asked for it, and who has to act.

use std::time::Duration;

use reqwest::StatusCode;

use crate::domain::pay::{Edge, Fetched, ObjectRef};
use crate::http::client::BadBody;

/// What a read means for the work that asked for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Disposition {
    /// The object was read.
    Fetched(Box<Fetched>),
    /// Amazon does not know the object, or does not know it yet. Carries Amazon's answer.
    NotFound(String),
    /// The answer for this object cannot be used; other objects are not affected. Carries the reason.
    ObjectError(String),
    /// Too many requests of this operation.
    Throttled {
        /// The `Retry-After` of the answer, if it has one.
        retry_after: Option<Duration>,
    },
    /// The failure concerns every object of the merchant: the work waits, and someone may have to act.
    Systemic(Blame, String),
}

/// Who has to act on a systemic failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The network between this process and Amazon.
    Network,
    /// The network or Amazon Pay: no answer came in time.
    Timeout,
    /// Amazon Pay.
    Amazon,
    /// The merchant's key or account, or this machine's clock.
    Credentials,
}

/// The outcome of one request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The merchant is no longer configured.
    NoKey,
    /// No complete answer came within this time.
    TimedOut(Duration),
    /// The connection or TLS failed before an answer came.
    Failed(String),
    /// An answer came.
    Answered(Box<Answer>),
}

/// An answer, whose body may be incomplete.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) request_id: Option<String>,
    pub(super) body: Result<Vec<u8>, BadBody>,
    pub(super) edge: Edge,
}

impl Disposition {
    /// Classifies by the HTTP status before the body: Amazon has answered 500 with a body that says ResourceNotFound.
    pub(super) fn of(object: &ObjectRef, outcome: Outcome) -> Self {
        let Answer { status, retry_after, request_id, body, edge } = *match outcome {
            Outcome::NoKey => {
                let reason = format!("merchant {} is no longer configured", object.account);
                return Self::Systemic(Blame::Credentials, reason);
            }
            Outcome::TimedOut(after) => {
                return Self::Systemic(Blame::Timeout, format!("no answer within {} ms", after.as_millis()));
            }
            Outcome::Failed(error) => return Self::Systemic(Blame::Network, error),
            Outcome::Answered(answer) => answer,
        };
        let body = match body {
            Ok(body) => body,
            Err(BadBody::Incomplete(error)) => return Self::Systemic(Blame::Network, error),
            // An error page that is too long still has its status.
            Err(BadBody::TooLong(_)) if status != StatusCode::OK => Vec::new(),
            Err(too_long) => return Self::ObjectError(too_long.to_string()),
        };
        let summary = || {
            let id = request_id.as_ref().map(|id| format!("{REQUEST_ID}{id}")).unwrap_or_default();
            format!("Amazon Pay answered {status}{}{id}", reason(&body))
        };
        match status.as_u16() {
            200 => match Fetched::decode((object.kind, &object.id), object.account.environment, &edge, &body) {
                Ok(fetched) => {
                    Self::Fetched(Box::new(Fetched { request_id: request_id.map(String::into_boxed_str), ..fetched }))
                }
                Err(error) => Self::ObjectError(format!("{}: {error}", summary())),
            },
            404 | 410 => Self::NotFound(summary()),
            429 => Self::Throttled { retry_after },
            401 | 403 => Self::Systemic(Blame::Credentials, summary()),
            // The API documents neither redirects nor other 2xx codes, so they say nothing about this object.
            408 | 425 | 500..=599 | 100..=399 => Self::Systemic(Blame::Amazon, summary()),
            _ => Self::ObjectError(summary()),
        }
    }

    /// Classifies a complete answer without headers. The fuzz targets need no server then.
    pub fn of_answer(object: &ObjectRef, status: StatusCode, body: Vec<u8>, edge: Edge) -> Self {
        let answer = Answer { status, retry_after: None, request_id: None, body: Ok(body), edge };
        Self::of(object, Outcome::Answered(Box::new(answer)))
    }

    /// The value of the metrics label `outcome`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Fetched(_) => "fetched",
            Self::NotFound(_) => "not_found",
            Self::ObjectError(_) => "object_error",
            Self::Throttled { .. } => "throttled",
            Self::Systemic(Blame::Network | Blame::Timeout, _) => "network",
            Self::Systemic(Blame::Amazon, _) => "amazon",
            Self::Systemic(Blame::Credentials, _) => "credentials",
        }
    }
}

/// The text of a failed read without the id of its request: equal for equal causes, and limited in length.
pub fn cause_of(what: &str) -> String {
    let (before, rest) = what.split_once(REQUEST_ID).unwrap_or((what, ""));
    let after = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-');
    before.chars().chain(after.chars()).take(CAUSE_CHARS_MAX).collect()
}

const REQUEST_ID: &str = ", x-amz-pay-request-id ";
/// Longer texts differ at their begin.
const CAUSE_CHARS_MAX: usize = 200;

/// Amazon's reason code, if the body has one. The body's message may quote the request, so it is left out.
fn reason(body: &[u8]) -> String {
    let code = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|body| body.get("reasonCode")?.as_str().map(str::to_owned))
        .filter(|code| is_word(code));
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

/// Whether an untrusted word is safe in a log line.
pub(super) fn is_word(word: &str) -> bool {
    (1..=64).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pay::{Account, DigestKey, Environment, MerchantId, ObjectId, ObjectKind};

    fn object() -> ObjectRef {
        let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
        ObjectRef { account, kind: ObjectKind::Charge, id: ObjectId::parse("P01-1-2-C3").unwrap() }
    }

    fn answered(status: u16, body: Result<&str, BadBody>) -> Outcome {
        Outcome::Answered(Box::new(Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: Some(Duration::from_secs(7)),
            request_id: Some("5ee0d5f4".to_owned()),
            body: body.map(|body| body.as_bytes().to_vec()),
            edge: Edge::strict(DigestKey::derive(b"test")),
        }))
    }

    const CHARGE: &str = r#"{"chargeId":"P01-1-2-C3","statusDetails":{"state":"Captured","lastUpdatedTimestamp":"20260102T030405Z"},"releaseEnvironment":"Live"}"#;
    const NOT_FOUND: &str = r#"{"reasonCode":"ResourceNotFound","message":"x"}"#;

    #[test]
    fn each_outcome_maps_to_one_disposition() {
        let incomplete = || BadBody::Incomplete("connection reset".to_owned());
        for (outcome, expected, text) in [
            (answered(200, Ok(CHARGE)), "fetched", ""),
            (answered(200, Ok(&CHARGE[..40])), "object_error", "200 OK, x-amz-pay-request-id 5ee0d5f4: answer is not"),
            (answered(200, Ok("<html>")), "object_error", "answer is not a JSON object"),
            (answered(200, Ok("")), "object_error", "answer is not a JSON object"),
            (answered(200, Ok(&CHARGE.replace("C3", "C4"))), "object_error", "another object"),
            (answered(200, Ok(&CHARGE.replace("Live", "Sandbox"))), "object_error", "another environment"),
            (answered(200, Err(BadBody::TooLong(9))), "object_error", "longer than 9 bytes"),
            (answered(200, Err(incomplete())), "network", "connection reset"),
            (
                answered(404, Ok(NOT_FOUND)),
                "not_found",
                "404 Not Found (ResourceNotFound), x-amz-pay-request-id 5ee0d5f4",
            ),
            (answered(404, Ok("")), "not_found", ""),
            (answered(410, Ok("")), "not_found", "410 Gone"),
            (answered(500, Ok(NOT_FOUND)), "amazon", "500 Internal Server Error (ResourceNotFound), x-amz-pay"),
            (answered(408, Ok("")), "amazon", "408"),
            (answered(425, Ok("")), "amazon", "425"),
            (answered(502, Ok("<html>")), "amazon", "502 Bad Gateway, x-amz-pay-request-id 5ee0d5f4"),
            (answered(502, Err(BadBody::TooLong(9))), "amazon", "502"),
            (answered(503, Ok("")), "amazon", "503"),
            (answered(504, Ok("")), "amazon", "504"),
            (answered(429, Ok(r#"{"reasonCode":"TooManyRequests"}"#)), "throttled", "7s"),
            (
                answered(401, Ok(r#"{"reasonCode":"InvalidRequestSignature"}"#)),
                "credentials",
                "(InvalidRequestSignature)",
            ),
            (answered(403, Ok(r#"{"reasonCode":"InvalidAccountStatus"}"#)), "credentials", "(InvalidAccountStatus)"),
            (
                answered(400, Ok(r#"{"reasonCode":"InvalidRequest"}"#)),
                "object_error",
                "400 Bad Request (InvalidRequest)",
            ),
            (answered(405, Ok("")), "object_error", "405"),
            (answered(204, Ok("")), "amazon", "204"),
            (answered(302, Ok("")), "amazon", "302"),
            (Outcome::TimedOut(Duration::from_secs(10)), "network", "no answer within 10000 ms"),
            (Outcome::Failed("connection refused".to_owned()), "network", "connection refused"),
            (Outcome::NoKey, "credentials", "merchant M1/live is no longer configured"),
        ] {
            let input = format!("{outcome:?}");
            let disposition = Disposition::of(&object(), outcome);
            assert_eq!(disposition.as_str(), expected, "{input}");
            assert!(format!("{disposition:?}").contains(text), "{disposition:?} does not contain {text:?}");
        }
    }

    #[test]
    fn fetched_object_keeps_amazons_request_id() {
        let Disposition::Fetched(fetched) = Disposition::of(&object(), answered(200, Ok(CHARGE))) else { panic!() };
        assert_eq!(fetched.request_id.as_deref(), Some("5ee0d5f4"));
    }

    #[test]
    fn reason_is_a_code_and_nothing_else() {
        assert_eq!(
            reason(br#"{"reasonCode":"InvalidRequestSignature","message":"Unable to verify PublicKeyId X"}"#),
            " (InvalidRequestSignature)"
        );
        assert_eq!(reason(br#"{"reasonCode":"with a space and more"}"#), "");
        assert_eq!(reason(b""), "");
    }
}
