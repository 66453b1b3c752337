//! Step 6. Reads objects from the Amazon Pay API: sends one signed GET and classifies its outcome.

mod disposition;
mod keys;
mod unreadable;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::rand::SystemRandom;

use self::disposition::{Answer, Outcome, is_word};
pub use self::disposition::{Blame, Disposition, cause_of};
pub use self::keys::ApiKeys;
use self::unreadable::UnreadableValues;
use crate::amazon::clock_skew::{ClockWatch, Peer};
use crate::config::PayApi as Settings;
use crate::domain::pay::{Edge, FreeText, ObjectRef};
use crate::domain::timestamp::Timestamp;
use crate::http::client::{error_chain, limited_body};
use crate::telemetry::spans::Open;

/// A client of the Amazon Pay API with every merchant's key.
#[derive(Clone)]
pub struct PayApi {
    client: reqwest::Client,
    /// Replaces Amazon's host, in development.
    endpoint: Option<String>,
    clock_watch: ClockWatch,
    keys: ApiKeys,
    timeout: Duration,
    answer_bytes_max: usize,
    free_text: FreeText,
    unreadable_values: Arc<UnreadableValues>,
}

impl PayApi {
    /// A client that signs with `keys` and takes the time from the clock of `clock_watch`.
    pub fn new(
        client: reqwest::Client,
        endpoint: Option<String>,
        keys: ApiKeys,
        settings: &Settings,
        free_text: FreeText,
        clock_watch: ClockWatch,
    ) -> Self {
        Self {
            client,
            endpoint,
            clock_watch,
            keys,
            timeout: Duration::from_millis(settings.timeout_ms),
            answer_bytes_max: settings.answer_bytes_max,
            free_text,
            unreadable_values: Arc::default(),
        }
    }

    /// Reads one object.
    pub async fn read(&self, object: &ObjectRef) -> Disposition {
        self.read_within(Open::default(), object).await
    }

    /// Reads one object and records the read as `span`.
    pub async fn read_within(&self, mut span: Open, object: &ObjectRef) -> Disposition {
        let started = Instant::now();
        let outcome = tokio::time::timeout(self.timeout, self.get(object, &mut span)).await;
        let disposition = Disposition::of(object, outcome.unwrap_or(Outcome::TimedOut(self.timeout)));
        match &disposition {
            Disposition::Fetched(fetched) => {
                self.unreadable_values.report(object, &fetched.unreadable);
                span.end();
            }
            other => span.fail(other.as_str()),
        }
        metrics::histogram!("ipn_receiver_pay_api_read_seconds", "operation" => object.kind.as_str())
            .record(started.elapsed().as_secs_f64());
        let labels = [
            ("merchant", object.account.merchant_id.to_string()),
            ("environment", object.account.environment.to_string()),
            ("operation", object.kind.to_string()),
            ("outcome", disposition.as_str().to_owned()),
        ];
        metrics::counter!("ipn_receiver_pay_api_reads_total", &labels).increment(1);
        disposition
    }

    async fn get(&self, object: &ObjectRef, span: &mut Open) -> Outcome {
        let Some((region, key)) = self.keys.get(&object.account) else { return Outcome::NoKey };
        let signed = key.sign_get(
            region,
            object.account.environment,
            (object.kind, &object.id),
            self.clock_watch.clock().now(),
            &SystemRandom::new(),
        );
        let mut request = match &self.endpoint {
            Some(endpoint) => self.client.get(format!("{endpoint}{}", signed.path)),
            None => self.client.get(format!("https://{}{}", signed.host, signed.path)),
        };
        span.note("server.address", signed.host);
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        let outcome = request.send().await;
        self.clock_watch.note(Peer::PayApi, &outcome);
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => return Outcome::Failed(error_chain(error)),
        };
        let status = answer.status();
        let request_id = header(&answer, "x-amz-pay-request-id").filter(|id| is_word(id));
        let retry_after =
            header(&answer, "retry-after").and_then(|text| retry_after(&text, self.clock_watch.clock().now()));
        span.note("http.response.status_code", i64::from(status.as_u16()));
        if let Some(request_id) = &request_id {
            span.note("amazon_pay.request_id", request_id.clone());
        }
        tracing::debug!(
            merchant = %object.account.merchant_id, environment = %object.account.environment,
            object_id = %object.id, object_type = %object.kind, status = status.as_u16(), amazon_request_id = request_id,
            "Amazon Pay API answered a read"
        );
        let body = limited_body(answer, self.answer_bytes_max).await;
        let edge = Edge { digests: key.digest_key().clone(), free_text: self.free_text };
        Outcome::Answered(Box::new(Answer { status, retry_after, request_id, body, edge }))
    }
}

fn header(answer: &reqwest::Response, name: &str) -> Option<String> {
    answer.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// `Retry-After` in seconds or as a date (RFC 9110), limited to one hour.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let wait = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let date = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Timestamp::from_unix_ms(date.as_millis() as i64).since(now)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_up_to_an_hour() {
        let now = Timestamp::from_unix_ms(1_767_323_045_000); // 2026-01-02T03:04:05Z
        for (text, wait_s) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("Fri, 02 Jan 2026 03:04:15 GMT", Some(10)),
            ("Fri, 02 Jan 2026 03:00:00 GMT", Some(0)),
            ("86400", Some(3600)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(retry_after(text, now), wait_s.map(Duration::from_secs), "{text}");
        }
    }
}
