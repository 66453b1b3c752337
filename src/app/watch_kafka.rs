//! Probes Kafka, so that the log and `/readyz` show when it goes away and when it is back.
//!
//! Each change is logged, and a lasting outage once a minute.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web;

use super::admin::Readiness;
use crate::clock::Clock;
use crate::kafka::connection::Connection;
use crate::kafka::inbox::Inbox;
use crate::worker::Status;

/// Probes the inbox topic at this interval, forever: whether Kafka accepts records.
pub(super) async fn watch_inbox(inbox: Arc<Inbox>, readiness: web::Data<Readiness>, interval: Duration) {
    let mut outage = Outage::none(Instant::now());
    loop {
        let probed = inbox.clone();
        let timeout = interval.max(TIMEOUT_MIN);
        let probe = tokio::task::spawn_blocking(move || probed.probe(timeout)).await;
        let outcome = probe.unwrap_or_else(|_| Err("the probe of the inbox panicked".to_owned()));
        let error = outcome.as_ref().err();
        match outage.observe(outcome.is_ok(), Instant::now()) {
            Some(Change::Began) => {
                tracing::error!(error, "not ready: Kafka does not accept records for the inbox; IPNs are answered 503");
            }
            Some(Change::Lasts(duration)) => {
                let duration_ms = duration.as_millis() as u64;
                tracing::error!(error, duration_ms, "still not ready: Kafka does not accept records for the inbox");
            }
            Some(Change::Ended(duration)) => {
                let duration_ms = duration.as_millis() as u64;
                tracing::info!(duration_ms, "ready again: Kafka accepts records for the inbox");
            }
            None => {}
        }
        readiness.set_inbox(outcome);
        tokio::time::sleep(interval).await;
    }
}

/// Probes the cluster at this interval, forever: whether the worker can reach it. The worker itself cannot notice an
/// outage, because its clients wait and reconnect without end.
pub(super) async fn watch_worker(connection: Connection, status: Arc<Status>, clock: Clock, interval: Duration) {
    let connection = Arc::new(connection);
    let mut outage = Outage::none(Instant::now());
    loop {
        let probed = connection.clone();
        let timeout = interval.max(TIMEOUT_MIN);
        // A second attempt: one broker of several may just be restarting.
        let probe = move || probed.probe(timeout).or_else(|_| probed.probe(timeout));
        let outcome = match tokio::task::spawn_blocking(probe).await {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err("the probe of Kafka panicked".to_owned()),
        };
        let error = outcome.as_ref().err();
        match outage.observe(outcome.is_ok(), Instant::now()) {
            Some(Change::Began) => tracing::error!(
                error,
                "Kafka cannot be reached: the worker consumes no IPNs and publishes no events; the IPNs wait in the inbox, \
                 nothing is lost"
            ),
            Some(Change::Lasts(duration)) => tracing::error!(
                error,
                duration_ms = duration.as_millis() as u64,
                "Kafka still cannot be reached: the worker consumes no IPNs and publishes no events"
            ),
            Some(Change::Ended(duration)) => tracing::info!(
                duration_ms = duration.as_millis() as u64,
                "Kafka is reachable again: the worker continues"
            ),
            None => {}
        }
        status.note_kafka(outcome, clock.now());
        tokio::time::sleep(interval).await;
    }
}

/// Whether probes fail, and what to log about it.
struct Outage {
    since: Option<Instant>,
    logged_at: Instant,
}

/// What a probe leads to in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Began,
    Lasts(Duration),
    Ended(Duration),
}

impl Outage {
    fn none(now: Instant) -> Self {
        Self { since: None, logged_at: now }
    }

    fn observe(&mut self, is_ok: bool, now: Instant) -> Option<Change> {
        let change = match (is_ok, self.since) {
            (true, None) => return None,
            (true, Some(since)) => Change::Ended(now - since),
            (false, None) => Change::Began,
            (false, Some(_)) if now - self.logged_at < LOG_EVERY => return None,
            (false, Some(since)) => Change::Lasts(now - since),
        };
        self.since = if is_ok { None } else { self.since.or(Some(now)) };
        self.logged_at = now;
        Some(change)
    }
}

const LOG_EVERY: Duration = Duration::from_mins(1);
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outage_is_logged_at_its_begin_each_minute_and_at_its_end() {
        let start = Instant::now();
        let mut outage = Outage::none(start);
        let mut changes = Vec::new();
        for s in 0..200 {
            let is_ok = !(10..140).contains(&s);
            changes.extend(outage.observe(is_ok, start + Duration::from_secs(s)).map(|change| (s, change)));
        }
        let after = Duration::from_secs;
        let expected = [
            (10, Change::Began),
            (70, Change::Lasts(after(60))),
            (130, Change::Lasts(after(120))),
            (140, Change::Ended(after(130))),
        ];
        assert_eq!(changes, expected);
    }
}
