//! Walks through all known objects, a few in each round. Queues a read of objects that may have changed without an IPN;
//! shrinks objects in a final state to stubs and deletes them later.
//!
//! A pass takes a second for few objects and a minute for a million, so that each round stays short. At the end of a
//! pass the objects of an operation that are due at a known date, and then those that are due for longest, are queued, at
//! most as many as its slice of the quota can read during the next two passes. A million due objects therefore cost the queue nothing, and each gets its turn.

use std::collections::BinaryHeap;
use std::time::Duration;

use super::OwningPartitions;
use super::reconciler::Reconciler;
use crate::domain::ipn::routing::Merchants;
use crate::domain::pay::{ObjectKind, ObjectRef};
use crate::domain::state::Observed;
use crate::domain::state::reconcile_schedule::{self, DueNow, Schedule};
use crate::domain::state::retention::RetentionAction;
use crate::domain::timestamp::Timestamp;
use crate::domain::work::WorkQueue;
use crate::kafka::state_store::{RecordView, StateStore};
use crate::worker::gauges::show_reconciliation;

/// What a step of the walk reads and changes.
pub(super) struct Known<'a> {
    pub(super) store: &'a mut StateStore,
    pub(super) queue: &'a mut WorkQueue,
    pub(super) merchants: &'a Merchants,
    pub(super) owning_partitions: &'a OwningPartitions,
}

impl Reconciler {
    /// Continues the walk. Returns the objects whose state records must be written.
    pub(super) fn walk(&mut self, mut known: Known<'_>, now: Timestamp) -> Vec<ObjectRef> {
        let mut changed = Vec::new();
        if now < self.next_step_at {
            return changed;
        }
        self.next_step_at = now.plus(STEP_EVERY);
        let (n_slots, pass) = (known.store.n_slots(), pass_time(known.store.len()));
        let part = (now.since(self.pass_started_at).as_secs_f64() / pass.as_secs_f64()).min(1.0);
        let until = ((n_slots as f64 * part) as usize).min(self.next_slot + SLOTS_PER_STEP_MAX);
        while self.next_slot < until && changed.len() < RECORDS_PER_STEP_MAX {
            changed.extend(self.visit(&mut known, self.next_slot, now));
            self.next_slot += 1;
        }
        if part >= 1.0 && self.next_slot >= n_slots {
            self.end_pass(&mut known, now, pass);
        }
        changed
    }

    /// Returns the object if its state record must be written.
    fn visit(&mut self, known: &mut Known<'_>, slot: usize, now: Timestamp) -> Option<ObjectRef> {
        let view = known.store.view_slot(slot)?;
        match view.last_read() {
            Some(read) if !read.state.is_final(view.kind()) => {
                self.visit_open(known, slot, now);
                None
            }
            // The work of a merchant that is no longer configured; that of the others is in the queue.
            _ if view.has_pending() => None,
            read => {
                // A record that was never read only holds a sequence number: there is nothing to shrink.
                let action = self.retention.action(view.quiet_since(), view.is_stub() || read.is_none(), now);
                let object = (action != RetentionAction::Keep).then(|| view.object())?;
                self.expire(known, &object, action).then_some(object)
            }
        }
    }

    /// An object that may still change.
    fn visit_open(&mut self, known: &Known<'_>, slot: usize, now: Timestamp) {
        let Some(view) = known.store.view_slot(slot) else { return };
        if view.kind() != ObjectKind::ChargePermission
            && let Some(permission) = view.permission()
            && let Some(parent) = known.store.view_at(&permission)
            && parent.last_read().is_none_or(|read| read.state.is_final(parent.kind()))
        {
            self.guarded.this_pass.insert(permission);
        }
        let Some(schedule) = self.schedule else { return };
        let lane = self.lane(&view);
        lane.n_open += 1;
        let Some(due) = due_now(&view, &schedule, now) else { return };
        let per_second = known.queue.reconciliations_per_second(view.account.environment);
        let most = reads_max(per_second, pass_time(known.store.len()));
        let is_earlier = lane.due.len() < most || lane.due.peek().is_some_and(|latest| (due, slot) < *latest);
        if is_earlier && !known.queue.holds(&view.object()) {
            lane.due.push((due, slot));
            if lane.due.len() > most {
                lane.due.pop();
            }
        }
    }

    /// Shrinks or deletes an object in a final state. False if it stays as it is.
    fn expire(&self, known: &mut Known<'_>, object: &ObjectRef, action: RetentionAction) -> bool {
        if known.queue.holds(object) {
            return false;
        }
        let label = match action {
            RetentionAction::Keep => return false,
            RetentionAction::Stub => {
                let partition = known.owning_partitions.of(object);
                known.store.update(object, partition, |state| {
                    state.observed = state.observed.take().map(Observed::stub);
                });
                "stub"
            }
            RetentionAction::Delete if self.guarded.keeps(object) => return false,
            RetentionAction::Delete => {
                known.store.remove(object);
                "deleted"
            }
        };
        metrics::counter!("ipn_receiver_known_objects_expired_total", "action" => label).increment(1);
        true
    }

    /// Queues the objects that are due for longest and starts the next pass.
    fn end_pass(&mut self, known: &mut Known<'_>, now: Timestamp, pass: Duration) {
        let schedule = self.schedule;
        for ((account, kind), lane) in &mut self.lanes {
            let per_second = known.queue.reconciliations_per_second(account.environment);
            if !known.merchants.has(account) {
                // The merchant is no longer configured, so there is no key to read its objects with.
                (lane.n_open, lane.due) = (0, BinaryHeap::new());
            }
            show_reconciliation(account, *kind, std::mem::take(&mut lane.n_open), per_second);
            lane.queued.retain(|object| known.queue.is_reconciling(object));
            for (due, slot) in std::mem::take(&mut lane.due).into_sorted_vec() {
                // Since the visit the slot may have been reused, or its object may have been read.
                let due_now = |view: &RecordView<'_>| schedule.and_then(|schedule| due_now(view, &schedule, now));
                let is_due = |view: &RecordView<'_>| due_now(view) == Some(due);
                let Some(object) = known.store.view_slot(slot).filter(is_due).map(|view| view.object()) else {
                    continue;
                };
                if lane.queued.len() < reads_max(per_second, pass) && !known.queue.holds(&object) {
                    known.queue.reconcile(&object, due.since());
                    lane.queued.push(object);
                }
            }
        }
        self.guarded.last_pass = Some(std::mem::take(&mut self.guarded.this_pass));
        self.next_slot = 0;
        self.pass_started_at = now;
    }
}

/// Whether a read found nothing new but the time of the read itself.
pub(super) fn is_unchanged(known: Option<&Observed>, observed: &Observed) -> bool {
    known.is_some_and(|known| {
        let (read_started_at, read_after) = (known.read_started_at, known.read_after);
        Observed { read_started_at, read_after, ..observed.clone() } == *known
    })
}

fn due_now(view: &RecordView<'_>, schedule: &Schedule, now: Timestamp) -> Option<DueNow> {
    let last_read = view.last_read()?;
    let due = reconcile_schedule::due(&last_read, schedule)?;
    // A clock that was ahead dated the read. The object is due like one that was never read.
    let is_in_future = last_read.read_started_at > now.plus(AHEAD_MAX);
    if is_in_future { Some(DueNow::Periodic(Timestamp::from_unix_ms(0))) } else { due.by(now) }
}

/// How many reads an operation's slice of the quota allows during two passes.
fn reads_max(per_second: f64, pass: Duration) -> usize {
    (2.0 * pass.as_secs_f64() * per_second).ceil() as usize + 1
}

/// One millisecond for each object, between a second and a minute.
fn pass_time(n_objects: usize) -> Duration {
    Duration::from_millis(n_objects as u64).clamp(Duration::from_secs(1), Duration::from_mins(1))
}

/// More than the clocks of two brokers differ.
const AHEAD_MAX: Duration = Duration::from_mins(10);
const STEP_EVERY: Duration = Duration::from_millis(50);
/// At least 40,000 a second, so more than a million in a minute.
const SLOTS_PER_STEP_MAX: usize = 2_000;
/// Keeps the transaction at some tens of milliseconds.
const RECORDS_PER_STEP_MAX: usize = 200;
