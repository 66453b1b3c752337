//! Which charge permission an answer belongs to, and how long its object waits for the parents that say so.
//!
//! No object waits without bound for another one. When the wait ends, its event is published with what is known: under the
//! permission that an answer or the known state names, or else under the one that the IPN names.

use std::time::Duration;

use super::Ledger;
use super::deferred_reads::ObjectRead;
use super::read_failure::{Failure, backoff};
use crate::domain::dead_letter::DeadLetterReason;
use crate::domain::pay::{ObjectId, ObjectKind, ObjectRef, State};
use crate::domain::state::PermissionIdSource;
use crate::domain::timestamp::Timestamp;
use crate::domain::work::{Cause, Origin, Requeue};

/// The charge permission of an object, and what names it.
pub(super) struct NamedPermission {
    pub(super) permission: ObjectRef,
    /// None if Amazon Pay named it.
    pub(super) source: Option<PermissionIdSource>,
}

enum Lookup {
    /// Its id is known, and its facts are as complete as they can get.
    Found(NamedPermission),
    /// This parent must be read first.
    NeedsParent(ObjectRef),
    /// Nothing names it.
    Unnamed,
    /// A later release wrote its record.
    HeldBack,
}

impl Ledger {
    pub(super) fn fetched(&mut self, read: ObjectRead, now: Timestamp) {
        match self.permission_of(&read, now) {
            Lookup::Found(named) => self.derive(&read, &named, now),
            Lookup::NeedsParent(parent) => self.defer(&parent, read, now),
            Lookup::HeldBack => self.hold_back(&read, now),
            Lookup::Unnamed => self.object_failed(&read.object, "answer has no usable chargePermissionId", now),
        }
    }

    fn permission_of(&self, read: &ObjectRead, now: Timestamp) -> Lookup {
        let is_over = self.deferred_reads.is_over(&read.object, now);
        let charge = charge_of(read);
        let named = match (self.named_by_amazon(read), charge) {
            (Some(named), _) => named,
            (None, Some(charge)) if !is_over => return Lookup::NeedsParent(charge),
            (None, charge) => match (self.named_by_ipn(&read.object), charge) {
                (Some(named), _) => named,
                (None, Some(charge)) => return Lookup::NeedsParent(charge),
                (None, None) => return Lookup::Unnamed,
            },
        };
        if self.store.set_aside.holds_back(&named.permission) {
            return Lookup::HeldBack;
        }
        if !is_over && self.needs_permission(read, &named.permission, now) {
            return Lookup::NeedsParent(named.permission);
        }
        Lookup::Found(named)
    }

    /// Nothing is published under a permission whose record a later release wrote: only that record has the last sequence
    /// number. The object is read again from time to time, and at once when its partition is assigned again.
    fn hold_back(&mut self, read: &ObjectRead, now: Timestamp) {
        if self.queue.causes_of(&read.object).0.is_empty() {
            self.note_read(&read.object, read.start);
            return self.complete(&read.object, now);
        }
        self.requeue(&read.object, Requeue::Waiting, UNANSWERED_RETRY, now);
    }

    /// What the answer names, else what is known of the charge or of the object itself.
    fn named_by_amazon(&self, read: &ObjectRead) -> Option<NamedPermission> {
        let ObjectRead { object, fetched, .. } = read;
        let named = |id: ObjectId, source| NamedPermission {
            permission: object.sibling(ObjectKind::ChargePermission, id),
            source,
        };
        if let Some(id) = &fetched.charge_permission_id {
            return Some(named(id.clone(), None));
        }
        let known = |object: &ObjectRef| {
            let observed = self.store.observed(object)?;
            Some(named(observed.charge_permission_id, observed.charge_permission_id_source))
        };
        let of_charge = charge_of(read).and_then(|charge| known(&charge));
        let found = [of_charge, known(object)];
        found.into_iter().flatten().min_by_key(|named| named.source.is_some())
    }

    fn named_by_ipn(&self, object: &ObjectRef) -> Option<NamedPermission> {
        let claimed = Cause::claimed_permission(self.queue.causes_of(object).0, &object.id)?;
        let permission = object.sibling(ObjectKind::ChargePermission, claimed);
        Some(NamedPermission { permission, source: Some(PermissionIdSource::Ipn) })
    }

    /// An event of a charge, refund or dispute carries its permission's type and state, so a permission that was never
    /// read is read first. So is one whose own read is due where a charge failed, since the advice depends on its state.
    /// Not if its read fails, or if only reconciliation asked for the object.
    fn needs_permission(&self, read: &ObjectRead, permission: &ObjectRef, now: Timestamp) -> bool {
        let ObjectRead { object, fetched, .. } = read;
        if object.kind == ObjectKind::ChargePermission || self.queue.causes_of(object).0.is_empty() {
            return false;
        }
        let is_failed_charge =
            object.kind == ObjectKind::Charge && matches!(fetched.state, State::Declined | State::Canceled);
        let is_outdated = is_failed_charge && self.queue.is_due(permission, now);
        self.queue.attempts_of(permission) == 0 && (!self.store.is_observed(permission) || is_outdated)
    }

    /// Keeps the answer and queues a read of the parent.
    fn defer(&mut self, parent: &ObjectRef, read: ObjectRead, now: Timestamp) {
        let object = read.object.clone();
        let causes = self.queue.causes_of(&object).0;
        let newest = causes.iter().map(|cause| cause.timestamp).max().unwrap_or(now);
        let origin = Origin::parent_read(object.id.clone(), causes);
        self.queue.read_first(parent, Cause { origin, timestamp: newest }, now);

        let ends_at = self.deferred_reads.ends_at(&object, now);
        let is_kept = self.deferred_reads.keep(parent, read, now);
        if !is_kept {
            metrics::counter!("ipn_receiver_limit_hits_total", "limit" => "answers_kept_max").increment(1);
        }
        if now < ends_at {
            // The end of the wait publishes an answer that is kept. Without one, the object is read again then.
            let later = if is_kept { UNANSWERED_RETRY } else { Duration::ZERO };
            return self.requeue(&object, Requeue::Waiting, ends_at.since(now) + later, now);
        }
        // Nothing but the parent names the permission.
        if self.queue.attempts_of(parent) == 0 {
            return self.requeue(&object, Requeue::Waiting, UNANSWERED_RETRY, now);
        }
        if self.has_failed_for_too_long(&object, now) {
            let detail = format!("{} cannot be read, and no event can be published without it", parent.id);
            return self.give_up(&object, DeadLetterReason::Undecodable, &detail, now);
        }
        let wait = backoff(PARENT_READ_RETRY, self.queue.attempts_of(&object));
        let what = format!("{} cannot be read, and no event can be published without it", parent.id);
        self.requeue_failed(&object, Failure { why: Requeue::ObjectFailed, what: &what, retry_after: wait }, now);
    }

    /// Publishes the answers that waited for this object. A newer cause makes an answer void: its object is read again.
    pub(super) fn publish_deferred(&mut self, parent: &ObjectRef, now: Timestamp) {
        for deferred in self.deferred_reads.take(parent) {
            if !self.queue.is_waiting(&deferred.object) {
                continue;
            }
            match deferred.answer {
                Some(read) => self.fetched(read, now),
                None => self.requeue(&deferred.object, Requeue::Waiting, Duration::ZERO, now),
            }
        }
    }

    /// This object cannot be read. Answers that waited for it as their permission are published without its facts. Answers
    /// that waited for it as their charge wait until the end: it may become readable and name the permission.
    pub(super) fn publish_without_permission(&mut self, permission: &ObjectRef, now: Timestamp) {
        if permission.kind != ObjectKind::ChargePermission {
            return;
        }
        for deferred in self.deferred_reads.take(permission) {
            let Some(read) = deferred.answer.filter(|read| self.queue.is_waiting(&read.object)) else { continue };
            match self.named_by_amazon(&read).or_else(|| self.named_by_ipn(&read.object)) {
                Some(named) => self.derive(&read, &named, now),
                None => self.fetched(read, now),
            }
        }
    }

    /// Publishes the answers that have waited for as long as they may.
    pub(super) fn end_waits(&mut self, now: Timestamp) {
        for deferred in self.deferred_reads.take_ended(now) {
            if let Some(read) = deferred.answer.filter(|read| self.queue.is_waiting(&read.object)) {
                self.fetched(read, now);
            }
        }
    }
}

/// The charge of a refund or dispute.
fn charge_of(read: &ObjectRead) -> Option<ObjectRef> {
    let charge = read.fetched.charge_id.as_ref().filter(|_| read.object.kind != ObjectKind::Charge)?;
    Some(read.object.sibling(ObjectKind::Charge, charge.clone()))
}

/// A waiting object that nothing else wakes is read again after this time.
const UNANSWERED_RETRY: Duration = Duration::from_mins(15);
const PARENT_READ_RETRY: Duration = Duration::from_mins(1);
