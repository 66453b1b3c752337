//! Reads that brought no usable answer: when they are repeated, and when their IPNs become dead letters.

use std::time::Duration;

use super::Ledger;
use super::deferred_reads::ReadStart;
use crate::amazon::pay_api::{Blame, Disposition, cause_of};
use crate::config::Worker as Settings;
use crate::domain::dead_letter::DeadLetterReason;
use crate::domain::pay::{Account, ObjectKind, ObjectRef};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::{BreakerChange, Cause, HoldChange, Requeue, Trouble};

/// A read that failed because of its object.
#[derive(Clone, Copy)]
pub(super) struct Failure<'a> {
    pub(super) why: Requeue,
    /// The error.
    pub(super) what: &'a str,
    pub(super) retry_after: Duration,
}

/// Why nothing can be published of an object.
#[derive(Clone, Copy)]
pub(super) struct Failing<'a> {
    /// The reason of its dead letters.
    pub(super) reason: DeadLetterReason,
    /// The error.
    pub(super) what: &'a str,
}

impl Ledger {
    /// Counts the outcome for the circuit breakers of the operation and of the merchant's connection, and for the quota.
    pub(super) fn note_outcome(&mut self, object: &ObjectRef, disposition: &Disposition, now: Timestamp) {
        let change = match disposition {
            Disposition::Systemic(blame, _) => {
                let trouble = match blame {
                    Blame::Network => Trouble::Connection,
                    Blame::Timeout => Trouble::Timeout,
                    Blame::Amazon | Blame::Credentials => Trouble::Refusal,
                };
                self.queue.failed(object, trouble, now)
            }
            Disposition::Fetched(_) | Disposition::NotFound(_) | Disposition::ObjectError(_) => {
                self.queue.served(object);
                self.queue.answered(object)
            }
            Disposition::Throttled { .. } => self.queue.answered(object),
        };
        if let Some(change) = change {
            report_breaker(&object.account, change, &self.settings);
            self.report_schedule.lanes_at = now;
        }
    }

    /// 404: a test IPN, or an object that cannot be read yet. For a known object it is an error at Amazon Pay.
    pub(super) fn not_found(&mut self, object: &ObjectRef, what: &str, now: Timestamp) {
        let attempts = self.queue.attempts_of(object);
        if self.store.is_observed(object) && !self.reports_chargeback(object) {
            tracing::error!(
                object_id = %object.id, object_type = %object.kind, merchant = %object.account.merchant_id,
                environment = %object.account.environment, attempts,
                "Amazon Pay no longer finds an object that it returned before; it is read again in an hour, and its IPNs \
                 become dead letters after {} h. If it stays missing, contact Amazon Pay with the object id",
                self.settings.pending_age_max_h,
            );
            if self.has_failed_for_too_long(object, now) {
                let detail = format!("{what}, although it was read before");
                return self.give_up(object, DeadLetterReason::Vanished, &detail, now);
            }
            return self.requeue_failed(
                object,
                Failure { why: Requeue::Vanished, what, retry_after: VANISHED_RETRY },
                now,
            );
        }
        if let Some(wait_left) = self.left_of_wait_for_unknown(object, now) {
            return self.requeue(object, Requeue::Waiting, wait_left, now);
        }
        if let Some(wait_ms) = self.settings.unknown_object_retries_ms.get(attempts as usize) {
            let retry_after = Duration::from_millis(*wait_ms);
            return self.requeue_failed(object, Failure { why: Requeue::ObjectFailed, what, retry_after }, now);
        }
        let detail = format!("{what}; read {} of {}", attempts + 1, object.id);
        self.give_up(object, DeadLetterReason::UnknownObject, &detail, now);
    }

    /// What is left of the wait after the last read that did not find the object. A newer IPN leads to a read before that; such
    /// a read does not count, or many IPNs would make dead letters of themselves while Amazon Pay does not show the object yet.
    fn left_of_wait_for_unknown(&self, object: &ObjectRef, now: Timestamp) -> Option<Duration> {
        let last = self.queue.attempts_of(object).checked_sub(1)?;
        let wait_ms = self.settings.unknown_object_retries_ms.get(last as usize)?;
        let failed_at = self.queue.failed_at(object).filter(|failed_at| *failed_at <= now)?;
        let due = failed_at.plus(Duration::from_millis(*wait_ms));
        (now < due).then(|| due.since(now))
    }

    /// Whether an IPN reports a chargeback of this charge. The merchant has days to answer, so such an IPN becomes a
    /// dead letter after the same few reads as an IPN about an unknown object.
    fn reports_chargeback(&self, object: &ObjectRef) -> bool {
        self.queue.causes_of(object).0.iter().any(Cause::is_chargeback)
    }

    fn is_chargeback_overdue(&self, object: &ObjectRef) -> bool {
        let attempts = self.queue.attempts_of(object) as usize;
        attempts >= self.settings.unknown_object_retries_ms.len() && self.reports_chargeback(object)
    }

    /// An answer about the object that cannot be decoded. Other objects are not affected.
    pub(super) fn object_failed(&mut self, object: &ObjectRef, what: &str, now: Timestamp) {
        self.object_failed_as(object, Failing { reason: DeadLetterReason::Undecodable, what }, now);
    }

    /// An answer about the object that cannot be used. Other objects are not affected.
    pub(super) fn object_failed_as(&mut self, object: &ObjectRef, failing: Failing<'_>, now: Timestamp) {
        let Failing { reason, what } = failing;
        let attempts = self.queue.attempts_of(object);
        if let Some(suppressed) = self.object_errors.allow((object.clone(), cause_of(what))) {
            tracing::warn!(
                object_id = %object.id, object_type = %object.kind, merchant = %object.account.merchant_id,
                environment = %object.account.environment, attempts, error = what, suppressed,
                "Amazon Pay's answer about an object {}; the read is retried, and its IPNs become dead letters after {} h of \
                 failures",
                if reason == DeadLetterReason::Unwritable { "cannot be written to Kafka" } else { "cannot be read" },
                self.settings.pending_age_max_h,
            );
        }
        if self.has_failed_for_too_long(object, now) || self.is_chargeback_overdue(object) {
            return self.give_up(object, reason, what, now);
        }
        let retry_after = backoff(OBJECT_RETRY, attempts);
        self.requeue_failed(object, Failure { why: Requeue::ObjectFailed, what, retry_after }, now);
    }

    /// Reads the object again later. Its state record keeps the error, for `inspect`.
    pub(super) fn requeue_failed(&mut self, object: &ObjectRef, failure: Failure<'_>, now: Timestamp) {
        let Failure { why, what, retry_after } = failure;
        self.requeue(object, why, retry_after, now);
        self.queue.note_error(object, what);
    }

    /// A reconciliation read failed, and only this object is affected. No IPN waits for the read, so the object is read
    /// again only in its next reconciliation period.
    pub(super) fn reconciliation_failed(&mut self, object: &ObjectRef, what: &str, start: ReadStart, now: Timestamp) {
        if let Some(suppressed) = self.object_errors.allow((object.clone(), cause_of(what))) {
            tracing::error!(
                object_id = %object.id, object_type = %object.kind, merchant = %object.account.merchant_id,
                environment = %object.account.environment, error = what, suppressed,
                "reconciliation could not read an object that Amazon Pay returned before; it is read again in its next \
                 reconciliation period, nothing is published",
            );
        }
        self.note_read(object, start);
        self.complete(object, now);
    }

    pub(super) fn has_failed_for_too_long(&self, object: &ObjectRef, now: Timestamp) -> bool {
        self.queue.failing_for(object, now) > Duration::from_hours(self.settings.pending_age_max_h)
    }
}

/// Doubles the wait with each attempt, up to an hour.
pub(super) fn backoff(first: Duration, attempts: u32) -> Duration {
    first.saturating_mul(1 << attempts.min(16)).min(BACKOFF_MAX)
}

fn report_breaker(account: &Account, held: HoldChange, settings: &Settings) {
    let Account { merchant_id: merchant, environment } = account;
    let operation = held.operation.map(ObjectKind::as_str);
    let whose = operation.map_or("this merchant", |_| "this operation of this merchant");
    match held.change {
        BreakerChange::Opened => tracing::warn!(
            %merchant, %environment, operation,
            "circuit breaker opened after {} failed reads in a row; reads of {whose} are held back, one probe every {} ms. The \
             work waits, nothing is lost",
            settings.breaker_failures,
            settings.breaker_probe_ms,
        ),
        BreakerChange::Closed => tracing::info!(
            %merchant, %environment, operation,
            "circuit breaker closed: Amazon Pay answers again, reads of {whose} continue"
        ),
    }
}

const OBJECT_RETRY: Duration = Duration::from_secs(10);
const BACKOFF_MAX: Duration = Duration::from_hours(1);
const VANISHED_RETRY: Duration = Duration::from_hours(1);
