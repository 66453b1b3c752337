//! What the outcome of a request means for the work that asked for it: one function, and who has to act.

use std::time::Duration;

use reqwest::StatusCode;

use crate::domain::pay::{Edge, Fetched, ObjectRef};
use crate::http::client::BadBody;

/// What a read means for the work that asked for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Disposition {
    /// The object.
    Fetched(Box<Fetched>),
    /// Amazon does not know the object, or not yet; what it said.
    NotFound(String),
    /// What is wrong with this object alone.
    ObjectTrouble(String),
    /// Too many requests of this operation.
    Throttled {
        /// Amazon's wish, if it gave one.
        retry_after: Option<Duration>,
    },
    /// Nothing about the object: it waits, and someone may have to act.
    Systemic(Blame, String),
}

/// Who has to act on systemic trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The network between us.
    Network,
    /// Amazon Pay.
    Amazon,
    /// Our key, our account or our clock.
    Credentials,
}

/// What became of one request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Its merchant is not configured any more.
    NoKey,
    /// No whole answer came in this time.
    TimedOut(Duration),
    /// No answer came: refused, cut off, or not over this TLS.
    Failed(String),
    /// An answer came.
    Answered(Box<Answer>),
}

/// An answer, whole or not.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) request_id: Option<String>,
    pub(super) body: Result<Vec<u8>, BadBody>,
    pub(super) edge: Edge,
}

impl Disposition {
    /// By the HTTP status first: Amazon has answered 500 with a body that says ResourceNotFound.
    pub(super) fn of(object: &ObjectRef, outcome: Outcome) -> Self {
        let Answer { status, retry_after, request_id, body, edge } = *match outcome {
            Outcome::NoKey => {
                let what = format!("no merchant {} is configured any more", object.account);
                return Self::Systemic(Blame::Credentials, what);
            }
            Outcome::TimedOut(after) => {
                return Self::Systemic(Blame::Network, format!("no answer within {} ms", after.as_millis()));
            }
            Outcome::Failed(what) => return Self::Systemic(Blame::Network, what),
            Outcome::Answered(answer) => answer,
        };
        let body = match body {
            Ok(body) => body,
            Err(BadBody::BrokeOff(what)) => return Self::Systemic(Blame::Network, what),
            // An error page of whatever length still has its status.
            Err(BadBody::TooLong(_)) if status != StatusCode::OK => Vec::new(),
            Err(too_long) => return Self::ObjectTrouble(too_long.to_string()),
        };
        let told = || {
            let id = request_id.as_ref().map(|id| format!(", x-amz-pay-request-id {id}")).unwrap_or_default();
            format!("Amazon Pay answered {status}{}{id}", reason(&body))
        };
        match status.as_u16() {
            200 => match Fetched::decode((object.kind, &object.id), object.account.environment, &edge, &body) {
                Ok(fetched) => {
                    Self::Fetched(Box::new(Fetched { request_id: request_id.map(String::into_boxed_str), ..fetched }))
                }
                Err(error) => Self::ObjectTrouble(format!("{}: {error}", told())),
            },
            404 | 410 => Self::NotFound(told()),
            429 => Self::Throttled { retry_after },
            401 | 403 => Self::Systemic(Blame::Credentials, told()),
            // A redirect or another success is not the API we know, so it says nothing about this object.
            408 | 425 | 500..=599 | 100..=399 => Self::Systemic(Blame::Amazon, told()),
            _ => Self::ObjectTrouble(told()),
        }
    }

    /// The word in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Fetched(_) => "fetched",
            Self::NotFound(_) => "not_found",
            Self::ObjectTrouble(_) => "object_trouble",
            Self::Throttled { .. } => "throttled",
            Self::Systemic(Blame::Network, _) => "network",
            Self::Systemic(Blame::Amazon, _) => "amazon",
            Self::Systemic(Blame::Credentials, _) => "credentials",
        }
    }
}

/// Amazon's reason code, if the body has one; its message may quote what we sent, so it stays out.
fn reason(body: &[u8]) -> String {
    let code = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|body| body.get("reasonCode")?.as_str().map(str::to_owned))
        .filter(|code| is_word(code));
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

/// Whether a stranger's word is fit for a log line.
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
    fn every_outcome_has_its_meaning_and_says_what_came() {
        let broke_off = || BadBody::BrokeOff("connection reset".to_owned());
        for (outcome, meaning, says) in [
            (answered(200, Ok(CHARGE)), "fetched", ""),
            (
                answered(200, Ok(&CHARGE[..40])),
                "object_trouble",
                "200 OK, x-amz-pay-request-id 5ee0d5f4: answer is not",
            ),
            (answered(200, Ok("<html>")), "object_trouble", "answer is not a JSON object"),
            (answered(200, Ok("")), "object_trouble", "answer is not a JSON object"),
            (answered(200, Ok(&CHARGE.replace("C3", "C4"))), "object_trouble", "another object"),
            (answered(200, Ok(&CHARGE.replace("Live", "Sandbox"))), "object_trouble", "another environment"),
            (answered(200, Err(BadBody::TooLong(9))), "object_trouble", "longer than 9 bytes"),
            (answered(200, Err(broke_off())), "network", "connection reset"),
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
                "object_trouble",
                "400 Bad Request (InvalidRequest)",
            ),
            (answered(405, Ok("")), "object_trouble", "405"),
            (answered(204, Ok("")), "amazon", "204"),
            (answered(302, Ok("")), "amazon", "302"),
            (Outcome::TimedOut(Duration::from_secs(10)), "network", "no answer within 10000 ms"),
            (Outcome::Failed("connection refused".to_owned()), "network", "connection refused"),
            (Outcome::NoKey, "credentials", "no merchant M1/live is configured any more"),
        ] {
            let told = format!("{outcome:?}");
            let disposition = Disposition::of(&object(), outcome);
            assert_eq!(disposition.as_str(), meaning, "{told}");
            assert!(format!("{disposition:?}").contains(says), "{disposition:?} does not say {says:?}");
        }
    }

    #[test]
    fn what_was_fetched_keeps_amazons_request_id() {
        let Disposition::Fetched(fetched) = Disposition::of(&object(), answered(200, Ok(CHARGE))) else { panic!() };
        assert_eq!(fetched.request_id.as_deref(), Some("5ee0d5f4"));
    }

    #[test]
    fn a_reason_is_a_code_and_nothing_else() {
        assert_eq!(
            reason(br#"{"reasonCode":"InvalidRequestSignature","message":"Unable to verify PublicKeyId X"}"#),
            " (InvalidRequestSignature)"
        );
        assert_eq!(reason(br#"{"reasonCode":"with a space and more"}"#), "");
        assert_eq!(reason(b""), "");
    }
}
