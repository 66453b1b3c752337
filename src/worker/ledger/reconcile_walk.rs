//! Walks through all that is known, a little each round: what may have changed without a word is queued to be read, what has
//! reached its end shrinks and is forgotten.
//!
//! A lap takes a second for few objects and a minute for a million, so that no round is long. Of an operation's objects that
//! are due, those due for longest are queued at a lap's end, no more than its slice of the quota can read in the next two: a
//! million due objects wait here and cost the queue nothing, and each has its turn.

use std::collections::BinaryHeap;
use std::time::Duration;

use super::Ledger;
use crate::domain::events::is_final;
use crate::domain::pay::{ObjectKind, ObjectRef};
use crate::domain::state::Observed;
use crate::domain::state::reconcile_schedule::{self, Look};
use crate::domain::state::retention::Fate;
use crate::domain::timestamp::Timestamp;
use crate::kafka::state_store::Glance;
use crate::worker::gauges::show_reconciliation;

impl Ledger {
    /// Goes on with the walk.
    pub(in crate::worker) fn sweep(&mut self, now: Timestamp) {
        if now < self.sweep.go_on_at {
            return;
        }
        self.sweep.go_on_at = now.plus(GO_ON_EVERY);
        let (n_places, lap) = (self.store.n_places(), lap_time(self.store.len()));
        let part = (now.since(self.sweep.lap_began).as_secs_f64() / lap.as_secs_f64()).min(1.0);
        let until = ((n_places as f64 * part) as usize).min(self.sweep.next_place + PLACES_AT_ONCE_MAX);
        let mut n_written = 0;
        while self.sweep.next_place < until && n_written < RECORDS_AT_ONCE_MAX {
            n_written += usize::from(self.visit(self.sweep.next_place, now));
            self.sweep.next_place += 1;
        }
        if part >= 1.0 && self.sweep.next_place >= n_places {
            self.end_lap(now, lap);
        }
    }

    /// Whether a record is to be written.
    fn visit(&mut self, place: usize, now: Timestamp) -> bool {
        let Some(glance) = self.store.look_at(place) else { return false };
        match glance.seen() {
            Some((state, ..)) if !is_final(glance.kind(), state) => {
                self.visit_open(place, now);
                false
            }
            seen => {
                // What was never read stands there for its sequence alone, and has nothing to shrink.
                let fate = self.sweep.keeping.fate(glance.quiet_since(), glance.is_stub() || seen.is_none(), now);
                fate != Fate::Kept && self.visit_final(&glance.object(), fate)
            }
        }
    }

    /// An object that may still change.
    fn visit_open(&mut self, place: usize, now: Timestamp) {
        let Some(glance) = self.store.look_at(place) else { return };
        if glance.kind() != ObjectKind::ChargePermission
            && let Some(permission) = glance.permission()
            && let Some(above) = self.store.glance_at(&permission)
            && above.seen().is_none_or(|(state, ..)| is_final(above.kind(), state))
        {
            self.sweep.guarded.now.insert(permission);
        }
        let Some(factor) = self.sweep.period_factor else { return };
        let lane = self.sweep.lane(&glance);
        lane.n_open += 1;
        let Some(due) = due_at(&glance, factor).filter(|due| *due <= now) else { return };
        let most = slice(self.queue.reconciliations_per_second(glance.account.environment), lap_time(self.store.len()));
        let is_earlier = lane.due.len() < most || lane.due.peek().is_some_and(|latest| (due, place) < *latest);
        if is_earlier && !self.queue.holds(&glance.object()) {
            lane.due.push((due, place));
            if lane.due.len() > most {
                lane.due.pop();
            }
        }
    }

    /// An object at its end whose time has come. Whether anything is done.
    fn visit_final(&mut self, object: &ObjectRef, fate: Fate) -> bool {
        if self.queue.holds(object) {
            return false;
        }
        let home = self.home(object);
        match fate {
            Fate::Kept => return false,
            Fate::Stub => self.store.update(object, home, |state| {
                state.observed = state.observed.take().map(Observed::stub);
            }),
            Fate::Forgotten if self.sweep.guarded.keeps(object) => return false,
            Fate::Forgotten => self.store.remove(object),
        }
        let fate = if fate == Fate::Stub { "stub" } else { "forgotten" };
        metrics::counter!("known_objects_aged_total", "to" => fate).increment(1);
        self.note_changed(object);
        true
    }

    /// Everything was visited: what is due for longest is queued, and the next lap begins.
    fn end_lap(&mut self, now: Timestamp, lap: Duration) {
        let factor = self.sweep.period_factor;
        for ((account, kind), lane) in &mut self.sweep.lanes {
            let per_second = self.queue.reconciliations_per_second(account.environment);
            if !self.merchants.has(account) {
                // Without its key nothing can be read, and nobody need hear of that every day.
                (lane.n_open, lane.due) = (0, BinaryHeap::new());
            }
            show_reconciliation(account, *kind, std::mem::take(&mut lane.n_open), per_second);
            lane.queued.retain(|object| self.queue.is_reconciling(object));
            for (due, place) in std::mem::take(&mut lane.due).into_sorted_vec() {
                // Another may stand there by now, or it was read meanwhile.
                let is_due = |glance: &Glance<'_>| factor.and_then(|factor| due_at(glance, factor)) == Some(due);
                let Some(object) = self.store.look_at(place).filter(is_due).map(|glance| glance.object()) else {
                    continue;
                };
                if lane.queued.len() < slice(per_second, lap) && !self.queue.holds(&object) {
                    self.queue.reconcile(&object, due);
                    lane.queued.push(object);
                }
            }
        }
        self.sweep.guarded.last = Some(std::mem::take(&mut self.sweep.guarded.now));
        self.sweep.next_place = 0;
        self.sweep.lap_began = now;
    }
}

fn due_at(glance: &Glance<'_>, factor: f64) -> Option<Timestamp> {
    let (state, last_updated, read_started_at) = glance.seen()?;
    let look = Look { kind: glance.kind(), id: glance.id(), state, last_updated, read_started_at };
    reconcile_schedule::due(&look, factor)
}

/// How many reads an operation's slice of the quota has in two laps.
fn slice(per_second: f64, lap: Duration) -> usize {
    (2.0 * lap.as_secs_f64() * per_second).ceil() as usize + 1
}

/// A thousand objects a second, or as many more as it takes for a lap in a minute.
fn lap_time(n_objects: usize) -> Duration {
    Duration::from_millis(n_objects as u64).clamp(Duration::from_secs(1), Duration::from_mins(1))
}

const GO_ON_EVERY: Duration = Duration::from_millis(50);
/// At least forty thousand a second: more than a million in a minute.
const PLACES_AT_ONCE_MAX: usize = 2_000;
/// In a transaction of some tens of milliseconds.
const RECORDS_AT_ONCE_MAX: usize = 200;
