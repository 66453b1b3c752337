//! Whether our clock agrees with Amazon's. Signatures, certificates and ages are judged by it, so a wrong clock keeps
//! genuine messages out: it is told in the log and in `/readyz`, before anyone looks for the fault elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::{AGE, DATE, HeaderMap};

use crate::clock::Clock;
use crate::domain::timestamp::Timestamp;
use crate::http::client::is_about_validity;

/// Whose clock ours is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// Where signing certificates are.
    CertificateHost,
    /// The Amazon Pay API.
    PayApi,
}

/// What the last comparisons said. Cheap to clone; all clones are one.
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

impl ClockWatch {
    /// Nothing compared yet; more than `offset_max` apart is trouble.
    pub fn new(clock: Clock, offset_max: Duration) -> Self {
        Self { clock, offset_max, verdicts: Arc::default() }
    }

    /// What is wrong with our clock, as far as is known; an error where nothing is.
    pub fn verdict(&self) -> Result<&'static str, String> {
        match self.comparison() {
            None => Ok("not compared with Amazon's yet"),
            Some(Ok(())) => Ok("agrees with Amazon's"),
            Some(Err(trouble)) => Err(trouble),
        }
    }

    /// The same, and nothing where nothing was compared.
    pub fn comparison(&self) -> Option<Result<(), String>> {
        let verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = verdicts.values().find(|verdict| verdict.is_err());
        trouble.or_else(|| verdicts.values().next()).cloned()
    }

    /// Learns from what became of a request.
    pub fn note(&self, peer: Peer, outcome: &Result<reqwest::Response, reqwest::Error>) {
        match outcome {
            Ok(answer) => self.note_answer(peer, answer.headers()),
            Err(error) => self.note_failure(peer, error),
        }
    }

    /// Compares with the `Date` of an answer, unless a cache kept it.
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
                Err(format!("our clock shows {ours}, {} s {direction} Amazon's {theirs}", offset.as_secs()))
            },
        );
    }

    /// A request that failed because the other's TLS certificate is not valid by our clock says nothing of the other.
    fn note_failure(&self, peer: Peer, error: &reqwest::Error) {
        if is_about_validity(error) {
            let now = self.clock.now();
            self.keep(
                peer,
                Err(format!("our clock shows {now}, when Amazon's TLS certificate is expired or not valid yet")),
            );
        }
    }

    /// Asks each of `urls` for its time, now and every hour. An idle receiver would otherwise learn of its wrong
    /// clock from the IPNs it does not take.
    pub async fn run(self, peers: Vec<(Peer, reqwest::Client, String)>) {
        loop {
            for (peer, client, url) in &peers {
                let outcome = client.head(url).timeout(ASK_TIMEOUT).send().await;
                self.note(*peer, &outcome);
                if let Err(error) = outcome {
                    tracing::debug!(%error, "a host could not be asked for its time");
                }
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    fn keep(&self, peer: Peer, verdict: Result<(), String>) {
        let before = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner).insert(peer, verdict.clone());
        match (before, verdict) {
            (None | Some(Ok(())), Err(trouble)) => tracing::error!(
                peer = peer.as_str(),
                "{trouble}: set this machine's clock (NTP); until then genuine IPNs may be answered 503, and reads refused"
            ),
            (Some(Err(_)), Ok(())) => tracing::info!(peer = peer.as_str(), "our clock agrees with Amazon's again"),
            (None | Some(Ok(())), Ok(())) | (Some(Err(_)), Err(_)) => {}
        }
    }
}

const ASK_EVERY: Duration = Duration::from_hours(1);
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
