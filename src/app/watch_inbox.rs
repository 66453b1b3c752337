//! Probes the inbox topic, so that readiness shows whether Kafka accepts records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web;

use super::admin::Readiness;
use crate::kafka::inbox::Inbox;

/// Probes at this interval, forever. Logs each change, and a lasting failure once a minute.
pub(super) async fn watch_inbox(inbox: Arc<Inbox>, readiness: web::Data<Readiness>, interval: Duration) {
    let mut failing_since: Option<Instant> = None;
    let mut logged_at = Instant::now();
    loop {
        let probed = inbox.clone();
        let timeout = interval.max(Duration::from_secs(1));
        let probe = tokio::task::spawn_blocking(move || probed.probe(timeout)).await;
        let outcome = probe.unwrap_or_else(|_| Err("the probe of the inbox panicked".to_owned()));
        match (&outcome, failing_since) {
            (Err(error), None) => {
                tracing::error!(error, "not ready: Kafka does not accept records for the inbox; IPNs are answered 503");
                (failing_since, logged_at) = (Some(Instant::now()), Instant::now());
            }
            (Err(error), Some(since)) if logged_at.elapsed() > LOG_EVERY => {
                let duration_ms = since.elapsed().as_millis() as u64;
                tracing::error!(error, duration_ms, "still not ready: Kafka does not accept records for the inbox");
                logged_at = Instant::now();
            }
            (Ok(()), Some(since)) => {
                let duration_ms = since.elapsed().as_millis() as u64;
                tracing::info!(duration_ms, "ready again: Kafka accepts records for the inbox");
                failing_since = None;
            }
            (Err(_), Some(_)) | (Ok(()), None) => {}
        }
        readiness.set_inbox(outcome);
        tokio::time::sleep(interval).await;
    }
}

const LOG_EVERY: Duration = Duration::from_mins(1);
