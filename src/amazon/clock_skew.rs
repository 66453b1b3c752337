//! Compares this machine's clock with Amazon's.
//!
//! The receiver checks signatures, certificates and message ages by its clock, so clock skew makes it reject genuine
//! messages. Skew is reported in the log, in `/readyz` and in a metric.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::Mutex;
use reqwest::header::{AGE, DATE, HeaderMap};

use crate::clock::Clock;
use crate::domain::timestamp::Timestamp;
use crate::http::client::is_about_validity;

/// A host whose clock is compared with this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// The host of signing certificates.
    CertificateHost,
    /// The Amazon Pay API.
    PayApi,
}

/// The results of the last comparisons. Clones share them.
#[derive(Clone, Debug)]
pub struct ClockWatch {
    clock: Clock,
    offset_max: Duration,
    verdicts: Arc<Mutex<BTreeMap<Peer, Result<(), String>>>>,
}

impl Peer {
    fn as_str(self) -> &'static str {
        match self {
            Self::CertificateHost => "certificate_host",
            Self::PayApi => "pay_api",
        }
    }
}

/// A host of Amazon whose clock is compared with this machine's.
pub struct ClockSource {
    /// What the host is for.
    pub peer: Peer,
    /// The HTTP client that reaches it.
    pub client: reqwest::Client,
    /// The URL to request; any answer has a `Date`.
    pub url: String,
}

impl ClockWatch {
    /// A watch without comparisons yet; a difference of more than `offset_max` is an error.
    pub fn new(clock: Clock, offset_max: Duration) -> Self {
        Self { clock, offset_max, verdicts: Arc::default() }
    }

    /// The clock that is compared.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The state of the clock in words; an error if it differs from Amazon's.
    pub fn verdict(&self) -> Result<&'static str, String> {
        match self.comparison() {
            None => Ok("not compared with Amazon's clock yet"),
            Some(Ok(())) => Ok("agrees with Amazon's clock"),
            Some(Err(error)) => Err(error),
        }
    }

    /// The result of the last comparisons: an error if any peer's clock differs; `None` before the first comparison.
    pub fn comparison(&self) -> Option<Result<(), String>> {
        let verdicts = self.verdicts.lock();
        let first_error = verdicts.values().find(|verdict| verdict.is_err());
        first_error.or_else(|| verdicts.values().next()).cloned()
    }

    /// Records the outcome of a request to `peer`.
    pub fn note(&self, peer: Peer, outcome: &Result<reqwest::Response, reqwest::Error>) {
        match outcome {
            Ok(answer) => self.note_answer(peer, answer.headers()),
            Err(error) => self.note_failure(peer, error),
        }
    }

    /// Compares the clock with the `Date` of an answer. An answer with `Age` comes from a cache and is not compared.
    fn note_answer(&self, peer: Peer, headers: &HeaderMap) {
        if headers.contains_key(AGE) {
            return;
        }
        let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let Some(since_epoch) = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()) else { return };
        let theirs = Timestamp::from_unix_ms(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        let ours = self.clock.now();
        let offset = ours.since(theirs).max(theirs.since(ours));
        let signed_s = (ours.unix_ms() - theirs.unix_ms()) / 1000;
        metrics::gauge!("ipn_receiver_clock_offset_seconds", "peer" => peer.as_str()).set(signed_s as f64);
        let direction = if ours > theirs { "ahead of" } else { "behind" };
        self.keep(
            peer,
            if offset <= self.offset_max {
                Ok(())
            } else {
                Err(format!("this machine's clock shows {ours}, {} s {direction} Amazon's {theirs}", offset.as_secs()))
            },
        );
    }

    /// A TLS certificate of Amazon that is not valid at this time indicates a wrong clock of this machine.
    fn note_failure(&self, peer: Peer, error: &reqwest::Error) {
        if is_about_validity(error) {
            let now = self.clock.now();
            self.keep(
                peer,
                Err(format!(
                    "this machine's clock shows {now}, at which Amazon's TLS certificate is expired or not valid yet"
                )),
            );
        }
    }

    /// Asks each source for its time, now and every hour, so that an idle receiver notices clock skew before it rejects
    /// an IPN.
    pub async fn run(self, sources: Vec<ClockSource>) {
        loop {
            for ClockSource { peer, client, url } in &sources {
                let outcome = client.head(url).timeout(REQUEST_TIMEOUT).send().await;
                self.note(*peer, &outcome);
                if let Err(error) = outcome {
                    tracing::debug!(%error, url, "the clock was not compared: the host did not answer");
                }
            }
            tokio::time::sleep(COMPARE_EVERY).await;
        }
    }

    fn keep(&self, peer: Peer, verdict: Result<(), String>) {
        let before = self.verdicts.lock().insert(peer, verdict.clone());
        match (before, verdict) {
            (None | Some(Ok(())), Err(error)) => tracing::error!(
                peer = peer.as_str(),
                error,
                "clock skew: set this machine's clock (NTP); until then genuine IPNs may be answered 503 and Amazon Pay may refuse reads"
            ),
            (Some(Err(_)), Ok(())) => {
                tracing::info!(peer = peer.as_str(), "this machine's clock agrees with Amazon's clock again");
            }
            (None | Some(Ok(())), Ok(())) | (Some(Err(_)), Err(_)) => {}
        }
    }
}

const COMPARE_EVERY: Duration = Duration::from_hours(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
