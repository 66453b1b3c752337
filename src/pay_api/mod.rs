//! Step 6. Reading objects from the Amazon Pay API: one signed GET, and what its outcome means.

mod keys;

use std::time::Duration;

use reqwest::StatusCode;
use ring::rand::SystemRandom;

pub use self::keys::ApiKeys;
use crate::clock::Clock;
use crate::clock_watch::{ClockWatch, Peer};
use crate::config::PayApi as Settings;
use crate::domain::pay::{Fetched, ObjectRef};
use crate::outbound::{limited_body, told};

/// The API with every merchant's key.
#[derive(Clone)]
pub struct PayApi {
    client: reqwest::Client,
    /// Instead of Amazon's, in development.
    endpoint: Option<String>,
    clock_watch: ClockWatch,
    keys: ApiKeys,
    clock: Clock,
    timeout: Duration,
    answer_bytes_max: usize,
}

/// What a read means for the work that asked for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Disposition {
    /// The object.
    Fetched(Box<Fetched>),
    /// Amazon does not know the object, or not yet.
    NotFound,
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

impl Disposition {
    /// The word in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Fetched(_) => "fetched",
            Self::NotFound => "not_found",
            Self::ObjectTrouble(_) => "object_trouble",
            Self::Throttled { .. } => "throttled",
            Self::Systemic(Blame::Network, _) => "network",
            Self::Systemic(Blame::Amazon, _) => "amazon",
            Self::Systemic(Blame::Credentials, _) => "credentials",
        }
    }
}

impl Disposition {
    /// Amazon's support asks for it first.
    fn with_request_id(self, request_id: String) -> Self {
        match self {
            Self::Fetched(fetched) => {
                Self::Fetched(Box::new(Fetched { request_id: Some(request_id.into()), ..*fetched }))
            }
            Self::Systemic(blame, what) => Self::Systemic(blame, format!("{what}, x-amz-pay-request-id {request_id}")),
            Self::ObjectTrouble(what) => Self::ObjectTrouble(format!("{what}, x-amz-pay-request-id {request_id}")),
            told_of_nothing @ (Self::NotFound | Self::Throttled { .. }) => told_of_nothing,
        }
    }
}

impl PayApi {
    /// The API as these keys may read it.
    pub fn new(
        client: reqwest::Client,
        endpoint: Option<String>,
        keys: ApiKeys,
        settings: &Settings,
        (clock, clock_watch): (Clock, ClockWatch),
    ) -> Self {
        Self {
            client,
            endpoint,
            clock_watch,
            keys,
            clock,
            timeout: Duration::from_millis(settings.timeout_ms),
            answer_bytes_max: settings.answer_bytes_max,
        }
    }

    /// Reads one object.
    pub async fn read(&self, object: &ObjectRef) -> Disposition {
        let disposition = match tokio::time::timeout(self.timeout, self.get(object)).await {
            Ok(disposition) => disposition,
            Err(_) => {
                Disposition::Systemic(Blame::Network, format!("no answer within {} ms", self.timeout.as_millis()))
            }
        };
        metrics::counter!("pay_api_reads_total", "operation" => operation(object), "outcome" => disposition.as_str())
            .increment(1);
        disposition
    }

    async fn get(&self, object: &ObjectRef) -> Disposition {
        let Some((region, key)) = self.keys.get(&object.account) else {
            return Disposition::Systemic(
                Blame::Credentials,
                format!("no merchant {} is configured any more", object.account),
            );
        };
        let signed = key.sign_get(
            region,
            object.account.environment,
            (object.kind, &object.id),
            self.clock.now(),
            &SystemRandom::new(),
        );
        let mut request = match &self.endpoint {
            Some(endpoint) => self.client.get(format!("{endpoint}{}", signed.path)),
            None => self.client.get(format!("https://{}{}", signed.host, signed.path)),
        };
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        let outcome = request.send().await;
        self.clock_watch.note(Peer::PayApi, &outcome);
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => return Disposition::Systemic(Blame::Network, told(error)),
        };
        let request_id = header(&answer, "x-amz-pay-request-id").filter(|id| !id.is_empty() && is_word(id));
        let retry_after = header(&answer, "retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let status = answer.status();
        let body = match limited_body(answer, self.answer_bytes_max).await {
            Ok(body) => body,
            Err(what) => return Disposition::Systemic(Blame::Network, what),
        };
        tracing::debug!(object.id = %object.id, status = status.as_u16(), request_id, "read");
        let disposition = classify(object, status, retry_after, &body);
        match request_id {
            Some(request_id) => disposition.with_request_id(request_id),
            None => disposition,
        }
    }
}

/// By the HTTP status first: Amazon has answered 500 with a body that says ResourceNotFound.
fn classify(object: &ObjectRef, status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Disposition {
    match status.as_u16() {
        200 => match Fetched::decode(object.kind, &object.id, object.account.environment, body) {
            Ok(fetched) => Disposition::Fetched(Box::new(fetched)),
            Err(error) => Disposition::ObjectTrouble(error.to_string()),
        },
        404 => Disposition::NotFound,
        429 => Disposition::Throttled { retry_after },
        401 | 403 => Disposition::Systemic(Blame::Credentials, format!("Amazon Pay answered {status}{}", reason(body))),
        408 | 425 | 500..=599 => {
            Disposition::Systemic(Blame::Amazon, format!("Amazon Pay answered {status}{}", reason(body)))
        }
        // A redirect or another success: not the API we know, so nothing about this object.
        100..=399 => Disposition::Systemic(Blame::Amazon, format!("Amazon Pay answered {status}")),
        _ => Disposition::ObjectTrouble(format!("Amazon Pay answered {status}{}", reason(body))),
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
fn is_word(word: &str) -> bool {
    word.len() <= 64 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn header(answer: &reqwest::Response, name: &str) -> Option<String> {
    answer.headers().get(name)?.to_str().ok().map(str::to_owned)
}

fn operation(object: &ObjectRef) -> &'static str {
    object.kind.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pay::{Account, Environment, MerchantId, ObjectId, ObjectKind};

    #[test]
    fn every_answer_has_its_meaning() {
        let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
        let object = ObjectRef { account, kind: ObjectKind::Charge, id: ObjectId::parse("P01-1-2-C3").unwrap() };
        let charge = r#"{"chargeId":"P01-1-2-C3","statusDetails":{"state":"Captured","lastUpdatedTimestamp":"20260102T030405Z"},"releaseEnvironment":"Live"}"#;
        let not_found = r#"{"reasonCode":"ResourceNotFound","message":"x"}"#;
        for (status, body, meaning) in [
            (200, charge, "fetched"),
            (200, &charge[..40], "object_trouble"),
            (200, "<html>", "object_trouble"),
            (200, r#"{"chargeId":"P01-1-2-C4"}"#, "object_trouble"),
            (404, not_found, "not_found"),
            (500, not_found, "amazon"),
            (408, "", "amazon"),
            (425, "", "amazon"),
            (502, "<html>", "amazon"),
            (503, "", "amazon"),
            (504, "", "amazon"),
            (429, r#"{"reasonCode":"TooManyRequests"}"#, "throttled"),
            (401, r#"{"reasonCode":"InvalidRequestSignature"}"#, "credentials"),
            (403, r#"{"reasonCode":"InvalidAccountStatus"}"#, "credentials"),
            (400, r#"{"reasonCode":"InvalidRequest"}"#, "object_trouble"),
            (405, "", "object_trouble"),
            (204, "", "amazon"),
            (302, "", "amazon"),
        ] {
            let disposition = classify(&object, StatusCode::from_u16(status).unwrap(), None, body.as_bytes());
            assert_eq!(disposition.as_str(), meaning, "{status} {body}");
        }
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
