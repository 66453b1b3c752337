//! What an answer of the Amazon Pay API changes: it becomes events and new known state, it is deferred until its parent
//! was read, or its object is read again.

use std::time::Duration;

use super::Ledger;
use super::deferred_reads::{ObjectRead, ReadStart};
use super::older_answers::Verdict;
use super::parent_wait::NamedPermission;
use super::reconcile_walk::is_unchanged;
use crate::amazon::pay_api::Disposition;
use crate::domain::events::{
    self, Attributes, ConfirmingReads, Derivation, Event, PermissionSeen, Reading, confirming_reads, derive,
    retry_awaited,
};
use crate::domain::pay::{Amount, Fetched, ObjectKind, ObjectRef, State};
use crate::domain::state::{InboxMark, Observed, RetryAwaited};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::{Cause, Completed, Origin, Requeue};

/// The events of a read and the state that they lead to.
pub(super) struct Publication {
    pub(super) events: Vec<Event>,
    pub(super) observed: Observed,
}

/// What a read that was compared with known state leads to.
struct Derived {
    /// What was known before.
    known: Option<Observed>,
    publication: Publication,
    /// Only reconciliation asked for the read.
    is_reconciliation: bool,
    /// When the object is read again, if its causes need another read.
    next_read: Option<Timestamp>,
}

impl Ledger {
    /// Applies the outcome of a read.
    pub(in crate::worker) fn apply_read(
        &mut self,
        object: &ObjectRef,
        disposition: Disposition,
        start: ReadStart,
        now: Timestamp,
    ) {
        self.note_outcome(object, &disposition, now);
        if self.store.set_aside.holds_back(object) {
            // Another object, reconciliation or restored work asked for the read. No inbox record waits for it.
            return self.complete(object, now);
        }
        let is_reconciliation = self.queue.causes_of(object).0.is_empty();
        match disposition {
            Disposition::Fetched(fetched) => {
                self.fetched(ObjectRead { object: object.clone(), fetched, start }, now);
            }
            Disposition::NotFound(what) | Disposition::ObjectError(what) if is_reconciliation => {
                self.reconciliation_failed(object, &what, start, now);
                self.publish_without_permission(object, now);
            }
            Disposition::NotFound(what) => {
                self.not_found(object, &what, now);
                self.publish_without_permission(object, now);
            }
            Disposition::ObjectError(what) => {
                self.object_failed(object, &what, now);
                self.publish_without_permission(object, now);
            }
            Disposition::Throttled { retry_after } => {
                let pause = retry_after.unwrap_or(Duration::from_millis(self.settings.systemic_retry_ms));
                self.queue.throttled(object, now, pause);
                self.queue.requeue(object, Requeue::Systemic, now.plus(pause), now);
            }
            Disposition::Systemic(..) => {
                let pause = Duration::from_millis(self.settings.systemic_retry_ms);
                self.queue.requeue(object, Requeue::Systemic, now.plus(pause), now);
            }
        }
    }

    /// Compares the answer with the known state and publishes the difference.
    pub(super) fn derive(&mut self, read: &ObjectRead, named: &NamedPermission, now: Timestamp) {
        let ObjectRead { object, fetched, start } = read;
        let started_at = start.at;
        let permission = &named.permission;
        self.deferred_reads.release(object);
        let causes = self.queue.causes_of(object).0;
        let arrivals = self.queue.arrivals_of(object);
        let distances = self.confirming_distances(object);
        let is_reconciliation = causes.is_empty();
        let reconciliation = [Cause { origin: Origin::Reconciliation, timestamp: started_at }];
        let causes = if is_reconciliation { &reconciliation[..] } else { causes };
        let known_permission = self.store.get(permission);
        let retry_awaited = known_permission.as_ref().and_then(|known| known.retry_awaited);
        let known_permission = known_permission.and_then(|known| known.observed);
        let reading = Reading {
            object,
            fetched,
            permission: permission_facts(permission, known_permission.as_ref(), retry_awaited, read),
            captured: self.captured_of(permission, fetched),
            update_url: self.update_urls.get(&object.account).map_or("", String::as_str),
            notices: self.notices,
            causes,
            hint_is_ripe: arrivals.is_evidence_ripe(started_at, distances[0]),
            read_started_at: started_at,
            observed_at: now,
            accept_stale: false,
            in_charge_since: self.in_charge_since(&object.account, now),
        };
        let known = self.store.observed(object);
        let mut derivation = derive(known.as_ref(), &reading);
        if derivation == Derivation::Stale {
            match self.older_answers.judge(object, fetched.last_updated, now) {
                Verdict::ReadAgain(wait) => return self.read_again_after_older_answer(object, wait, now),
                Verdict::Believe => report_believed(object),
            }
            derivation = derive(known.as_ref(), &Reading { accept_stale: true, ..reading });
        }
        let Derivation::Current { events, observed, attributes } = derivation else {
            unreachable!("an older answer was accepted")
        };
        if attributes == Attributes::Unsettled {
            report_unsettled(object);
        }
        let slack = Duration::from_millis(self.settings.settle_slack_ms);
        let next_read = match (attributes, confirming_reads(&reading, &observed, slack)) {
            (Attributes::Unconfirmed, _) => Some(now.plus(distances[0])),
            (_, ConfirmingReads::None) => None,
            (_, ConfirmingReads::Once) => arrivals.next_read(started_at, &distances[..1]),
            (_, ConfirmingReads::UntilSettled) => arrivals.next_read(started_at, &distances),
        };
        let publication = Publication { events, observed: *observed };
        if let Some(what) = publication.too_large() {
            return self.unwritable(read, &what, now);
        }
        self.settle(read, named, Derived { known, publication, is_reconciliation, next_read }, now);
    }

    /// Publishes what a read changed, and completes its object or schedules its next read.
    fn settle(&mut self, read: &ObjectRead, named: &NamedPermission, derived: Derived, now: Timestamp) {
        let ObjectRead { object, start, .. } = read;
        let Derived { known, publication: Publication { mut events, mut observed }, is_reconciliation, next_read } =
            derived;
        self.older_answers.forget(object);
        if let Some(known) = &known {
            Self::compare_named(object, known, named);
        }
        events.iter_mut().for_each(|event| event.charge_permission_id_source = named.source);
        observed.charge_permission_id_source = named.source;
        observed.read_after = InboxMark::further(observed.read_after, start.after);
        let has_found = is_reconciliation && events.iter().any(|event| event.event_type.trigger.is_notified());
        let is_evidence_settled = observed.hint_settled != known.as_ref().and_then(|known| known.hint_settled);
        if is_reconciliation && is_unchanged(known.as_ref(), &observed) {
            self.note_read(object, *start);
        } else {
            self.publish(object, &named.permission, Publication { events, observed }, now);
        }
        if is_evidence_settled {
            self.queue.evidence_settled(object);
        }
        if let Some(next_read) = next_read {
            self.requeue(object, Requeue::Confirm, next_read.since(now), now);
        } else {
            self.complete(object, now);
            // An IPN that came during the read was late, not lost.
            let is_missed = has_found && !self.queue.holds(object);
            self.outgoing.found.extend(is_missed.then(|| object.clone()));
        }
        self.publish_deferred(object, now);
    }

    /// Amazon Pay returned an older state than in an earlier read.
    fn read_again_after_older_answer(&mut self, object: &ObjectRef, wait: Duration, now: Timestamp) {
        tracing::warn!(
            object_id = %object.id, object_type = %object.kind, merchant = %object.account.merchant_id,
            environment = %object.account.environment, next_read_s = wait.as_secs(),
            "Amazon Pay returned an older state of the object than in an earlier read; the object is read again, nothing is \
             published yet"
        );
        self.requeue(object, Requeue::Waiting, wait, now);
    }

    /// What the charges of a one-time permission that closes have captured, as far as it is known. Needed only if Amazon Pay
    /// itself does not say that the permission is used up.
    fn captured_of(&self, permission: &ObjectRef, fetched: &Fetched) -> Option<Amount> {
        let is_needed = fetched.kind == ObjectKind::ChargePermission
            && fetched.state == State::Closed
            && fetched.charge_permission_type.as_deref() == Some("OneTime")
            && !fetched.is_used_up(None);
        is_needed.then(|| self.store.captured_of(permission))
    }

    fn publish(&mut self, object: &ObjectRef, permission: &ObjectRef, publication: Publication, now: Timestamp) {
        let partition = self.owning_partitions.of(object);
        let Publication { events, observed } = publication;
        for event in events {
            // The permission's record keeps the sequence number, even if the permission itself was never read.
            let sequence = self.store.update(permission, partition, |state| {
                let updated = state.observed.as_ref().and_then(|observed| observed.last_updated);
                state.retry_awaited = retry_awaited(state.retry_awaited, &event, updated);
                state.next_sequence(now)
            });
            self.outgoing.note_changed(permission);
            self.inbox.latency.note_event(&event.causes);
            self.outgoing.events.push((event, sequence));
        }
        self.store.update(object, partition, |state| state.observed = Some(observed));
        self.outgoing.note_changed(object);
    }

    /// Keeps the time of a read that found nothing new. The state record is written only now and then, so that a million
    /// reconciliation reads are not a million records.
    pub(super) fn note_read(&mut self, object: &ObjectRef, start: ReadStart) {
        if self.store.note_read(object, start.at, start.after) {
            self.outgoing.note_changed(object);
        }
    }

    /// Marks the object's causes as answered.
    pub(super) fn complete(&mut self, object: &ObjectRef, now: Timestamp) {
        let completed = self.queue.complete(object, now);
        self.note_completed(object, &completed);
    }

    pub(super) fn note_completed(&mut self, object: &ObjectRef, completed: &Completed) {
        self.deferred_reads.forget(object);
        self.older_answers.forget(object);
        self.inbox.done(&completed.answered);
        if completed.was_pending {
            self.outgoing.note_changed(object);
        }
    }

    /// Reads the object again later. Its work goes into the state record, so that the inbox offsets advance.
    pub(super) fn requeue(&mut self, object: &ObjectRef, why: Requeue, wait: Duration, now: Timestamp) {
        self.queue.requeue(object, why, now.plus(wait), now);
        let released = self.queue.release_one(object);
        self.inbox.done(&released);
        self.outgoing.note_changed(object);
    }

    /// How long after an IPN the confirming reads of an object come. Its id spreads them, so that a burst of IPNs is not
    /// confirmed in a burst.
    fn confirming_distances(&self, object: &ObjectRef) -> Vec<Duration> {
        let spread: u64 = object.id.as_str().bytes().fold(7, |sum, byte| (sum * 31 + u64::from(byte)) % 1000);
        let spread = |after_ms: &u64| Duration::from_millis(after_ms + after_ms * spread / 2000);
        self.settings.confirm_reads_after_ms.iter().map(spread).collect()
    }
}

fn permission_facts<'a>(
    permission: &'a ObjectRef,
    known: Option<&'a Observed>,
    retry_awaited: Option<RetryAwaited>,
    read: &'a ObjectRead,
) -> events::Permission<'a> {
    let known_type = known.and_then(|known| known.charge_permission_type.as_deref());
    let is_child = read.object.kind != ObjectKind::ChargePermission;
    events::Permission {
        id: &permission.id,
        permission_type: read.fetched.charge_permission_type.as_deref().or(known_type),
        seen: known.filter(|_| is_child).map(PermissionSeen::from),
        retry_awaited,
    }
}

fn report_believed(object: &ObjectRef) {
    metrics::counter!("ipn_receiver_older_answers_believed_total").increment(1);
    tracing::warn!(
        object_id = %object.id, object_type = %object.kind, merchant = %object.account.merchant_id,
        environment = %object.account.environment,
        "Amazon Pay returned an older state of the object at each read for about an hour; that state is now published, with \
         unexpectedTransition. Contact Amazon Pay with the object id"
    );
}

fn report_unsettled(object: &ObjectRef) {
    metrics::counter!("ipn_receiver_unsettled_attributes_total").increment(1);
    tracing::warn!(
        object_id = %object.id, object_type = %object.kind, merchant = %object.account.merchant_id,
        environment = %object.account.environment,
        "Amazon Pay returned different attributes of the object at each read; those of the last read are published. If this \
         repeats, contact Amazon Pay with the object id"
    );
}
