//! Walks through all that is known, a little each round: what may have changed without a word is queued to be read, what has
//! reached its end shrinks and is forgotten.
//!
//! A pass takes a second for few objects and a minute for a million, so that no round is long. Of an operation's objects that
//! are due, those due for longest are queued at a pass's end, no more than its slice of the quota can read in the next two: a
//! million due objects wait here and cost the queue nothing, and each has its turn.

use std::collections::BinaryHeap;
use std::time::Duration;

use super::Ledger;
use crate::domain::events::is_final;
use crate::domain::pay::{ObjectKind, ObjectRef};
use crate::domain::state::Observed;
use crate::domain::state::reconcile_schedule::{self, Look};
use crate::domain::state::retention::RetentionAction;
use crate::domain::timestamp::Timestamp;
use crate::kafka::state_store::RecordView;
use crate::worker::gauges::show_reconciliation;

impl Ledger {
    /// Goes on with the walk.
    pub(in crate::worker) fn reconciler(&mut self, now: Timestamp) {
        if now < self.reconciler.go_on_at {
            return;
        }
        self.reconciler.go_on_at = now.plus(GO_ON_EVERY);
        let (n_slots, pass) = (self.store.n_slots(), pass_time(self.store.len()));
        let part = (now.since(self.reconciler.pass_began).as_secs_f64() / pass.as_secs_f64()).min(1.0);
        let until = ((n_slots as f64 * part) as usize).min(self.reconciler.next_slot + PLACES_AT_ONCE_MAX);
        let mut n_written = 0;
        while self.reconciler.next_slot < until && n_written < RECORDS_AT_ONCE_MAX {
            n_written += usize::from(self.visit(self.reconciler.next_slot, now));
            self.reconciler.next_slot += 1;
        }
        if part >= 1.0 && self.reconciler.next_slot >= n_slots {
            self.end_pass(now, pass);
        }
    }

    /// Whether a record is to be written.
    fn visit(&mut self, slot: usize, now: Timestamp) -> bool {
        let Some(view) = self.store.view_slot(slot) else { return false };
        match view.seen() {
            Some((state, ..)) if !is_final(view.kind(), state) => {
                self.visit_open(slot, now);
                false
            }
            seen => {
                // What was never read stands there for its sequence alone, and has nothing to shrink.
                let fate = self.reconciler.keeping.fate(view.quiet_since(), view.is_stub() || seen.is_none(), now);
                fate != RetentionAction::Kept && self.visit_final(&view.object(), fate)
            }
        }
    }

    /// An object that may still change.
    fn visit_open(&mut self, slot: usize, now: Timestamp) {
        let Some(view) = self.store.view_slot(slot) else { return };
        if view.kind() != ObjectKind::ChargePermission
            && let Some(permission) = view.permission()
            && let Some(above) = self.store.view_at(&permission)
            && above.seen().is_none_or(|(state, ..)| is_final(above.kind(), state))
        {
            self.reconciler.guarded.now.insert(permission);
        }
        let Some(factor) = self.reconciler.period_factor else { return };
        let lane = self.reconciler.lane(&view);
        lane.n_open += 1;
        let Some(due) = due_at(&view, factor).filter(|due| *due <= now) else { return };
        let most = slice(self.queue.reconciliations_per_second(view.account.environment), pass_time(self.store.len()));
        let is_earlier = lane.due.len() < most || lane.due.peek().is_some_and(|latest| (due, slot) < *latest);
        if is_earlier && !self.queue.holds(&view.object()) {
            lane.due.push((due, slot));
            if lane.due.len() > most {
                lane.due.pop();
            }
        }
    }

    /// An object at its end whose time has come. Whether anything is done.
    fn visit_final(&mut self, object: &ObjectRef, fate: RetentionAction) -> bool {
        if self.queue.holds(object) {
            return false;
        }
        let owning_partition = self.owning_partition(object);
        match fate {
            RetentionAction::Kept => return false,
            RetentionAction::Stub => self.store.update(object, owning_partition, |state| {
                state.observed = state.observed.take().map(Observed::stub);
            }),
            RetentionAction::Forgotten if self.reconciler.guarded.keeps(object) => return false,
            RetentionAction::Forgotten => self.store.remove(object),
        }
        let fate = if fate == RetentionAction::Stub { "stub" } else { "deleted" };
        metrics::counter!("ipn_receiver_known_objects_expired_total", "action" => fate).increment(1);
        self.note_changed(object);
        true
    }

    /// Everything was visited: what is due for longest is queued, and the next pass begins.
    fn end_pass(&mut self, now: Timestamp, pass: Duration) {
        let factor = self.reconciler.period_factor;
        for ((account, kind), lane) in &mut self.reconciler.lanes {
            let per_second = self.queue.reconciliations_per_second(account.environment);
            if !self.merchants.has(account) {
                // Without its key nothing can be read, and nobody need hear of that every day.
                (lane.n_open, lane.due) = (0, BinaryHeap::new());
            }
            show_reconciliation(account, *kind, std::mem::take(&mut lane.n_open), per_second);
            lane.queued.retain(|object| self.queue.is_reconciling(object));
            for (due, slot) in std::mem::take(&mut lane.due).into_sorted_vec() {
                // Another may stand there by now, or it was read meanwhile.
                let is_due = |view: &RecordView<'_>| factor.and_then(|factor| due_at(view, factor)) == Some(due);
                let Some(object) = self.store.view_slot(slot).filter(is_due).map(|view| view.object()) else {
                    continue;
                };
                if lane.queued.len() < slice(per_second, pass) && !self.queue.holds(&object) {
                    self.queue.reconcile(&object, due);
                    lane.queued.push(object);
                }
            }
        }
        self.reconciler.guarded.last = Some(std::mem::take(&mut self.reconciler.guarded.now));
        self.reconciler.next_slot = 0;
        self.reconciler.pass_began = now;
    }
}

fn due_at(view: &RecordView<'_>, factor: f64) -> Option<Timestamp> {
    let (state, last_updated, read_started_at) = view.seen()?;
    let look = Look { kind: view.kind(), id: view.id(), state, last_updated, read_started_at };
    reconcile_schedule::due(&look, factor)
}

/// How many reads an operation's slice of the quota has in two laps.
fn slice(per_second: f64, pass: Duration) -> usize {
    (2.0 * pass.as_secs_f64() * per_second).ceil() as usize + 1
}

/// A thousand objects a second, or as many more as it takes for a pass in a minute.
fn pass_time(n_objects: usize) -> Duration {
    Duration::from_millis(n_objects as u64).clamp(Duration::from_secs(1), Duration::from_mins(1))
}

const GO_ON_EVERY: Duration = Duration::from_millis(50);
/// At least forty thousand a second: more than a million in a minute.
const PLACES_AT_ONCE_MAX: usize = 2_000;
/// In a transaction of some tens of milliseconds.
const RECORDS_AT_ONCE_MAX: usize = 200;
