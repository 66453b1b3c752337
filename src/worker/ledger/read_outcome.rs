//! What a read's outcome does to the books.

use std::time::Duration;

use super::Ledger;
use super::dead_letters::PendingDeadLetter;
use super::deferred_reads::Deferred;
use super::rechecks::finds_nothing;
use crate::amazon::pay_api::Disposition;
use crate::config::Worker as Settings;
use crate::domain::dead_letter::DeadLetterReason;
use crate::domain::events::{self, Derivation, Event, Reading, derive, needs_confirming_read};
use crate::domain::pay::{Account, Amount, Fetched, ObjectId, ObjectKind, ObjectRef, State};
use crate::domain::state::Observed;
use crate::domain::timestamp::Timestamp;
use crate::domain::work::{BreakerChange, Cause, Completed, Origin, Requeue};
use crate::worker::gauges::show_breaker;

fn tell(account: &Account, change: BreakerChange, settings: &Settings) {
    let is_open = change == BreakerChange::Opened;
    show_breaker(account, is_open);
    if is_open {
        tracing::warn!(
            %account,
            "reads are held back after {} failures in a row; one probes every {} ms, the work waits and nothing is lost",
            settings.breaker_failures,
            settings.breaker_probe_ms,
        );
    } else {
        tracing::info!(%account, "Amazon Pay answers again; reads go on");
    }
}

/// Which permission an object belongs to.
enum Owner {
    Known(ObjectId),
    /// Only this charge can tell.
    AskCharge(ObjectId),
    Untold,
}

impl Ledger {
    /// Books the outcome of a read.
    pub(in crate::worker) fn answer(
        &mut self,
        object: &ObjectRef,
        disposition: Disposition,
        read_started_at: Timestamp,
        now: Timestamp,
    ) {
        let change = match disposition {
            Disposition::Systemic(..) => self.queue.failed(&object.account, now),
            _ => self.queue.answered(&object.account),
        };
        if let Some(change) = change {
            tell(&object.account, change, &self.settings);
        }
        let is_recheck = self.queue.causes_of(object).0.is_empty();
        match disposition {
            Disposition::Fetched(fetched) => self.fetched(object, &fetched, read_started_at, now),
            Disposition::NotFound(_) | Disposition::ObjectError(_) if is_recheck => {
                self.recheck_failed(object, &disposition, read_started_at, now);
            }
            Disposition::NotFound(what) => {
                self.not_found(object, &what, now);
                self.tell_without(object, now);
            }
            Disposition::ObjectError(what) => {
                self.object_failed(object, &what, now);
                self.tell_without(object, now);
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

    fn fetched(&mut self, object: &ObjectRef, fetched: &Fetched, read_started_at: Timestamp, now: Timestamp) {
        let kept = || Deferred { object: object.clone(), fetched: fetched.clone(), read_started_at };
        let permission_id = match self.permission_of(object, fetched) {
            Owner::Known(id) => id,
            Owner::AskCharge(id) => return self.wait_for(&object.sibling(ObjectKind::Charge, id), kept(), now),
            Owner::Untold => return self.object_failed(object, "answer has no usable chargePermissionId", now),
        };
        let permission = object.sibling(ObjectKind::ChargePermission, permission_id);
        if self.is_worth_waiting_for(&permission, object) {
            return self.wait_for(&permission, kept(), now);
        }
        self.compare(object, &permission, fetched, read_started_at, now);
    }

    /// What was read against what is known, as far as its permission can be had.
    fn compare(
        &mut self,
        object: &ObjectRef,
        permission: &ObjectRef,
        fetched: &Fetched,
        read_started_at: Timestamp,
        now: Timestamp,
    ) {
        let attempts = self.queue.attempts_of(object);
        let (causes, is_confirming) = self.queue.causes_of(object);
        let is_recheck = causes.is_empty();
        let by_ourselves = [Cause { origin: Origin::Reconciliation, timestamp: read_started_at }];
        let causes = if is_recheck { &by_ourselves[..] } else { causes };
        let known_permission = self.store.observed(permission);
        let reading = Reading {
            object,
            fetched,
            permission: facts_of(permission, known_permission.as_ref(), object, fetched),
            captured: self.captured_of(permission, fetched),
            update_url: self.update_urls.get(&object.account).map_or("", String::as_str),
            causes,
            is_confirming,
            read_started_at,
            observed_at: now,
            believe_older: attempts >= OLDER_ANSWERS_MAX,
        };
        let known = self.store.observed(object);
        match derive(known.as_ref(), &reading) {
            Derivation::Older => {
                tracing::warn!(object.id = %object.id, attempts, "Amazon Pay answered with an older state than it did before; asking again");
                self.requeue(object, Requeue::ObjectFailed, OLDER_AGAIN * (attempts + 1), now);
            }
            Derivation::Told { events, observed, ask_again } => {
                let slack = Duration::from_millis(self.settings.settle_slack_ms);
                let is_lagging = !is_confirming && needs_confirming_read(causes, fetched.last_updated, slack);
                let has_found = is_recheck && !events.is_empty();
                if is_recheck && finds_nothing(known.as_ref(), &observed) {
                    self.note_read(object, read_started_at);
                } else {
                    self.tell(object, permission, events, *observed, now);
                }
                if ask_again || is_lagging {
                    let wait = self.confirm_after(object);
                    self.requeue(object, Requeue::Confirm, wait, now);
                } else {
                    self.complete(object, now);
                    // An IPN that came during the read was late, not lost.
                    self.found.extend((has_found && !self.queue.holds(object)).then(|| object.clone()));
                }
                self.tell_waiting(object, now);
            }
        }
    }

    /// A charge, refund or dispute is told with its permission's type and state. The permission is read first if it
    /// never was, unless it cannot be read itself, or this has waited for it long enough, or nobody told us of anything.
    fn is_worth_waiting_for(&self, permission: &ObjectRef, object: &ObjectRef) -> bool {
        let is_known = self.store.is_observed(permission) || self.queue.causes_of(object).0.is_empty();
        let can_be_had = self.queue.attempts_of(permission) == 0 && !self.waiting.holds(permission, object);
        object.kind != ObjectKind::ChargePermission && !is_known && can_be_had
    }

    /// What the charges of a one-time permission that closes have captured, as far as they are known. Looks at every
    /// object, so only where Amazon itself does not say that nothing is left.
    fn captured_of(&self, permission: &ObjectRef, fetched: &Fetched) -> Option<Amount> {
        let is_asked = fetched.kind == ObjectKind::ChargePermission
            && fetched.state == State::Closed
            && fetched.charge_permission_type.as_deref() == Some("OneTime")
            && !fetched.is_used_up(None);
        is_asked.then(|| self.store.captured_of(permission))
    }

    fn tell(
        &mut self,
        object: &ObjectRef,
        permission: &ObjectRef,
        events: Vec<Event>,
        observed: Observed,
        now: Timestamp,
    ) {
        let owning_partition = self.owning_partition(object);
        for event in events {
            // The permission's record keeps the count, even if the permission itself was never read.
            let sequence = self.store.update(permission, owning_partition, |state| state.next_sequence(now));
            self.note_changed(permission);
            self.inbox_latency.note_told(&event.causes);
            self.events.push((event, sequence));
        }
        self.store.update(object, owning_partition, |state| state.observed = Some(observed));
        self.note_changed(object);
    }

    /// A refund or a dispute names its charge, and only the charge names the permission.
    fn permission_of(&self, object: &ObjectRef, fetched: &Fetched) -> Owner {
        let of = |object: &ObjectRef| Some(self.store.observed(object)?.charge_permission_id);
        let told = fetched.charge_permission_id.clone().or_else(|| of(object));
        match (told, &fetched.charge_id) {
            (Some(id), _) => Owner::Known(id),
            (None, Some(charge)) if object.kind != ObjectKind::Charge => {
                of(&object.sibling(ObjectKind::Charge, charge.clone()))
                    .map_or(Owner::AskCharge(charge.clone()), Owner::Known)
            }
            (None, _) => Owner::Untold,
        }
    }

    /// Its answer is kept until the other object was read, so that neither is read twice.
    fn wait_for(&mut self, helper: &ObjectRef, kept: Deferred, now: Timestamp) {
        let object = kept.object.clone();
        let causes = self.queue.causes_of(&object).0;
        let newest = causes.iter().map(|cause| cause.timestamp).max().unwrap_or(now);
        let origin = Origin::Helper { read_for: object.id.clone(), seed: Cause::are_seeds(causes) };
        let cause = Cause { origin, timestamp: newest };
        self.queue.read_first(helper, cause, now);
        let helper_fails = self.queue.attempts_of(helper) > 0;
        let is_kept = self.waiting.keep(helper.clone(), kept);
        if !is_kept {
            metrics::counter!("ipn_receiver_limit_hits_total", "limit" => "answers_kept_max").increment(1);
        }
        if !helper_fails {
            let wait = if is_kept { HELPER_PATIENCE } else { HELPER_AGAIN };
            return self.requeue(&object, Requeue::Waiting, wait, now);
        }
        if self.has_failed_for_too_long(&object, now) {
            let detail = format!("{} cannot be read, and without it this cannot be told", helper.id);
            return self.give_up(&object, DeadLetterReason::Undecodable, detail, now);
        }
        let attempts = self.queue.attempts_of(&object);
        self.requeue(&object, Requeue::ObjectFailed, backoff(HELPER_AGAIN, attempts, Duration::from_hours(1)), now);
    }

    /// Tells what waited for this object, unless something newer was heard of it: then it is read again.
    fn tell_waiting(&mut self, helper: &ObjectRef, now: Timestamp) {
        for Deferred { object, fetched, read_started_at } in self.take_waiting(helper) {
            self.fetched(&object, &fetched, read_started_at, now);
        }
    }

    /// This object cannot be read. What waited for it as its permission is told without; what waited for it as its
    /// charge goes on waiting, since nothing else names its permission.
    fn tell_without(&mut self, helper: &ObjectRef, now: Timestamp) {
        if helper.kind != ObjectKind::ChargePermission {
            return self.tell_waiting(helper, now);
        }
        for Deferred { object, fetched, read_started_at } in self.take_waiting(helper) {
            self.compare(&object, helper, &fetched, read_started_at, now);
        }
    }

    /// What waited for this object, but for what is read again since there is news of it.
    fn take_waiting(&mut self, helper: &ObjectRef) -> Vec<Deferred> {
        let mut waiting = self.waiting.take(helper);
        waiting.retain(|kept| self.queue.is_waiting(&kept.object));
        waiting
    }

    /// 404: a test IPN or an object that is not readable yet; for an object we know, a riddle.
    fn not_found(&mut self, object: &ObjectRef, what: &str, now: Timestamp) {
        let attempts = self.queue.attempts_of(object);
        if self.store.is_observed(object) {
            tracing::error!(object.id = %object.id, "Amazon Pay no longer knows an object that it showed before; asking again every hour");
            if self.has_failed_for_too_long(object, now) {
                return self.give_up(
                    object,
                    DeadLetterReason::Vanished,
                    format!("{what}, although it was read before"),
                    now,
                );
            }
            return self.requeue(object, Requeue::Vanished, VANISHED_AGAIN, now);
        }
        match self.settings.unknown_object_retries_ms.get(attempts as usize) {
            Some(wait_ms) => self.requeue(object, Requeue::ObjectFailed, Duration::from_millis(*wait_ms), now),
            None => self.give_up(
                object,
                DeadLetterReason::UnknownObject,
                format!("{what}; read {} of {}", attempts + 1, object.id),
                now,
            ),
        }
    }

    fn object_failed(&mut self, object: &ObjectRef, what: &str, now: Timestamp) {
        let attempts = self.queue.attempts_of(object);
        // If it is the answer to every read, one line in a while is enough.
        if let Some(n_before) = self.object_troubles.allow(object.account.clone()) {
            tracing::warn!(
                account = %object.account, object.id = %object.id, attempts, what, n_before,
                "an object cannot be read; it is asked for again, and becomes a dead letter if that lasts for {} h",
                self.settings.pending_age_max_h,
            );
        }
        if self.has_failed_for_too_long(object, now) {
            return self.give_up(object, DeadLetterReason::Undecodable, what.to_owned(), now);
        }
        self.requeue(
            object,
            Requeue::ObjectFailed,
            backoff(Duration::from_secs(10), attempts, Duration::from_hours(1)),
            now,
        );
    }

    fn has_failed_for_too_long(&self, object: &ObjectRef, now: Timestamp) -> bool {
        self.queue.failing_for(object, now) > Duration::from_hours(self.settings.pending_age_max_h)
    }

    /// Its own trouble keeps it from being told: the originals become dead letters.
    fn give_up(&mut self, object: &ObjectRef, reason: DeadLetterReason, detail: String, now: Timestamp) {
        let history = self.queue.history_of(object, now);
        let completed = self.queue.complete(object, now);
        let positions: Vec<_> = completed.causes.iter().filter_map(Cause::position).collect();
        // What we looked at by ourselves has no original to keep.
        if !positions.is_empty() {
            self.dead_letter(PendingDeadLetter { reason, detail, history, positions, record: None });
        }
        self.book(object, &completed);
    }

    pub(in crate::worker) fn complete(&mut self, object: &ObjectRef, now: Timestamp) {
        let completed = self.queue.complete(object, now);
        self.book(object, &completed);
    }

    fn book(&mut self, object: &ObjectRef, completed: &Completed) {
        self.done(&completed.answered);
        if completed.was_pending {
            self.note_changed(object);
        }
    }

    /// The next read is some time away, so its work is written down and the inbox moves on.
    fn requeue(&mut self, object: &ObjectRef, why: Requeue, wait: Duration, now: Timestamp) {
        self.queue.requeue(object, why, now.plus(wait), now);
        let released = self.queue.release_one(object);
        self.done(&released);
        self.note_changed(object);
    }

    /// Spread by the object's id, so that a burst is not confirmed in a burst.
    fn confirm_after(&self, object: &ObjectRef) -> Duration {
        let base = self.settings.confirm_after_ms;
        let spread: u64 = object.id.as_str().bytes().fold(7, |sum, byte| (sum * 31 + u64::from(byte)) % 1000);
        Duration::from_millis(base + base * spread / 1000)
    }
}

fn facts_of<'a>(
    permission: &'a ObjectRef,
    known: Option<&'a Observed>,
    object: &ObjectRef,
    fetched: &'a Fetched,
) -> events::Permission<'a> {
    let known_type = known.and_then(|known| known.charge_permission_type.as_deref());
    let is_another = object.kind != ObjectKind::ChargePermission;
    events::Permission {
        id: &permission.id,
        permission_type: fetched.charge_permission_type.as_deref().or(known_type),
        seen: known.filter(|_| is_another).map(|known| (&known.state, known.read_started_at)),
    }
}

fn backoff(first: Duration, attempts: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << attempts.min(16)).min(most)
}

/// Five older answers within about an hour, then Amazon is believed: 4, 8, 12, 16 and 20 minutes.
const OLDER_ANSWERS_MAX: u32 = 5;
const OLDER_AGAIN: Duration = Duration::from_mins(4);
const VANISHED_AGAIN: Duration = Duration::from_hours(1);
/// What another object waits for is read within seconds, in a backlog within minutes; if not, that object is read again.
const HELPER_PATIENCE: Duration = Duration::from_mins(15);
const HELPER_AGAIN: Duration = Duration::from_mins(1);
