//! Gauges of a merchant and of its operations.

use crate::domain::pay::{Account, ObjectKind};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::LaneReport;

/// Sets the gauges of an operation's backlog and quota.
pub(super) fn show(account: &Account, kind: ObjectKind, lane: LaneReport, now: Timestamp) {
    let labels = labels(account, kind);
    metrics::gauge!("ipn_receiver_backlog_objects", &labels).set(lane.objects as f64);
    metrics::gauge!("ipn_receiver_backlog_oldest_age_seconds", &labels).set(now.since(lane.first_seen).as_secs_f64());
    metrics::gauge!("ipn_receiver_pay_api_quota_factor", &labels).set(lane.quota_factor);
    metrics::gauge!("ipn_receiver_pay_api_quota_tokens", &labels).set(lane.quota_tokens);
    metrics::gauge!("ipn_receiver_pay_api_breaker_open", &labels).set(f64::from(u8::from(lane.is_held_back)));
}

/// Sets the gauges of reconciliation: objects that may still change, and how long one read of each takes.
pub(super) fn show_reconciliation(account: &Account, kind: ObjectKind, objects: u64, per_second: f64) {
    let labels = labels(account, kind);
    metrics::gauge!("ipn_receiver_reconciliation_objects", &labels).set(objects as f64);
    metrics::gauge!("ipn_receiver_reconciliation_period_seconds", &labels).set(objects as f64 / per_second);
}

/// The labels of an operation.
pub(super) fn labels(account: &Account, kind: ObjectKind) -> [(&'static str, String); 3] {
    [
        ("merchant", account.merchant_id.to_string()),
        ("environment", account.environment.to_string()),
        ("operation", kind.to_string()),
    ]
}
