//! Figures of one merchant, or of one of its operations.

use crate::domain::pay::{Account, ObjectKind};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::LaneReport;

/// How much work an operation has, how old it is, and how fast it may be done.
pub(super) fn show(account: &Account, kind: ObjectKind, lane: LaneReport, now: Timestamp) {
    let labels = labels(account, kind);
    metrics::gauge!("ipn_receiver_backlog_objects", &labels).set(lane.objects as f64);
    metrics::gauge!("ipn_receiver_backlog_oldest_age_seconds", &labels).set(now.since(lane.first_seen).as_secs_f64());
    metrics::gauge!("ipn_receiver_pay_api_quota_factor", &labels).set(lane.quota_factor);
    metrics::gauge!("ipn_receiver_pay_api_quota_tokens", &labels).set(lane.quota_tokens);
    show_breaker(account, lane.is_held_back);
}

/// How many objects of an operation may still change, and for how long looking at each of them takes.
pub(super) fn show_reconciliation(account: &Account, kind: ObjectKind, objects: u64, per_second: f64) {
    let labels = labels(account, kind);
    metrics::gauge!("ipn_receiver_reconciliation_objects", &labels).set(objects as f64);
    metrics::gauge!("ipn_receiver_reconciliation_period_seconds", &labels).set(objects as f64 / per_second);
}

/// What tells one operation from another.
pub(super) fn labels(account: &Account, kind: ObjectKind) -> [(&'static str, String); 3] {
    [
        ("merchant", account.merchant_id.to_string()),
        ("environment", account.environment.to_string()),
        ("operation", kind.to_string()),
    ]
}

/// Whether a merchant's reads are held back.
pub(super) fn show_breaker(account: &Account, is_open: bool) {
    metrics::gauge!("ipn_receiver_pay_api_breaker_open", "merchant" => account.merchant_id.to_string(), "environment" => account.environment.to_string())
        .set(f64::from(u8::from(is_open)));
}
