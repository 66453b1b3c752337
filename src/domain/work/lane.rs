//! One operation of one account: reads that wait until they are due, and due reads by priority.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::breaker::Breaker;
use super::cause::{Cause, InboxPosition, Pending};
use super::entries::{Entries, Slot};
use super::entry::{Completed, Entry, Priority, Progress, Requeue};
use super::quota::TokenBucket;
use crate::domain::pay::ObjectId;
use crate::domain::timestamp::Timestamp;

/// The reads of one lane, and the tokens for them.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) breaker: Breaker,
    entries: Entries,
    bucket: TokenBucket,
    /// The slice of the bucket that reconciliation may use.
    reconciliation: TokenBucket,
    waiting: BTreeSet<(Timestamp, Priority, Slot)>,
    due: [BTreeSet<(Timestamp, Slot)>; PRIORITIES.len()],
    /// When inbox records began to wait, oldest first. It may contain records that no longer wait.
    open: VecDeque<(Timestamp, Slot)>,
    /// How many inbox records wait.
    records_open: usize,
    in_flight: usize,
    /// Counts reads up to [`ROUND_ROBIN`].
    next_round_robin: usize,
}

impl Lane {
    /// An empty lane.
    pub(super) fn new(breaker: Breaker, bucket: TokenBucket, reconciliation: TokenBucket) -> Self {
        Self {
            breaker,
            entries: Entries::default(),
            bucket,
            reconciliation,
            waiting: BTreeSet::new(),
            due: Default::default(),
            open: VecDeque::new(),
            records_open: 0,
            in_flight: 0,
            next_round_robin: 0,
        }
    }

    /// Adds a cause; the object is due at once, or right after the read that is under way.
    pub(super) fn push(&mut self, id: &ObjectId, cause: Cause, now: Timestamp) {
        let priority = Priority::of(std::slice::from_ref(&cause));
        let slot = self.slot_for(id, now, priority);
        self.records_open += usize::from(cause.position().is_some());
        let entry = self.entries.at_mut(slot);
        let waits_anew = if entry.is_taken() {
            entry.during.get_or_insert_default().add(cause, now)
        } else {
            // Only the next read can answer a hint. Any read answers a recheck, a confirming read too.
            entry.confirming &= priority != Priority::Fresh;
            entry.waiting = false;
            let waits_anew = entry.causes.add(cause, now);
            let (due, priority) = match (entry.priority, priority) {
                (Priority::Confirming, Priority::Recheck) => (entry.due, entry.priority), // soon, and not sooner for a reason
                // A new cause ends a back-off and raises the priority. A read that is already due keeps its time.
                (before, priority) => (entry.due.min(now), before.min(priority)),
            };
            if (due, priority) != (entry.due, entry.priority) {
                self.schedule(slot, due, priority);
            }
            waits_anew
        };
        if waits_anew {
            self.open.push_back((now, slot));
        }
    }

    /// Schedules a parent read. A read that is in flight or that failed keeps its schedule.
    pub(super) fn read_first(&mut self, id: &ObjectId, cause: Cause, now: Timestamp) {
        let Some(slot) = self.entries.slot_of(id) else {
            let slot = self.slot_for(id, now, Priority::ParentRead);
            self.entries.at_mut(slot).causes.add(cause, now);
            return;
        };
        let entry = self.entries.at_mut(slot);
        if !cause.is_seed() && Cause::are_seeds(&entry.causes.newest) {
            // If events of the other object are published, events of its parent must be published too.
            entry.causes.add(cause, now);
        }
        if !entry.is_taken() && entry.attempts() == 0 {
            let due = entry.due.min(now);
            self.schedule(slot, due, Priority::ParentRead);
        }
    }

    /// Schedules a reconciliation read, unless a read is already queued.
    pub(super) fn reconcile(&mut self, id: &ObjectId, due: Timestamp) {
        self.slot_for(id, due, Priority::Reconcile);
    }

    /// Continues work that an earlier owner of the partition left in the state record.
    pub(super) fn restore(&mut self, id: &ObjectId, pending: Pending) {
        let priority = match (pending.confirming, pending.attempts) {
            (true, _) => Priority::Confirming,
            (false, 0) => Priority::of(&pending.causes),
            (false, _) => Priority::Retry,
        };
        let due = pending.due;
        let slot = self.entries.insert(Entry::restored(id.clone(), pending, priority));
        self.schedule(slot, due, priority);
    }

    pub(super) fn get(&self, id: &ObjectId) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// Whether anything is due.
    pub(super) fn has_due(&self, now: Timestamp) -> bool {
        self.due.iter().any(|priority| !priority.is_empty())
            || self.waiting.first().is_some_and(|(due, ..)| *due <= now)
    }

    /// The next read, if one is due and there is a token for it.
    pub(super) fn take_due(&mut self, now: Timestamp, aged_after: Duration) -> Option<ObjectId> {
        while self.waiting.first().is_some_and(|(due, ..)| *due <= now) {
            let (due, priority, slot) = self.waiting.pop_first().expect("a first one was just seen");
            self.due[priority as usize].insert((due, slot));
        }
        let priority = self.next_priority(now, aged_after)?;
        if !self.bucket.take(now) {
            return None;
        }
        if priority == Priority::Reconcile {
            self.reconciliation.take(now);
        }
        self.next_round_robin = (self.next_round_robin + 1) % ROUND_ROBIN;
        let (_, slot) = self.due[priority as usize].pop_first().expect("only a priority with something due is chosen");
        self.in_flight += 1;
        let entry = self.entries.at_mut(slot);
        entry.progress = Progress::InFlight;
        entry.waiting = false;
        Some(entry.id.clone())
    }

    /// The priority of the next read, if one is due.
    fn next_priority(&mut self, now: Timestamp, aged_after: Duration) -> Option<Priority> {
        let may_reconcile = self.reconciliation.has(now);
        let due_since = |priority: Priority| self.due[priority as usize].first().map(|(due, _)| *due);
        let mut due = PRIORITIES
            .into_iter()
            .filter(|priority| *priority != Priority::Reconcile || may_reconcile)
            .filter_map(|priority| Some((due_since(priority)?, priority)));
        let preferred = match self.next_round_robin {
            at if at > 0 && due_since(Priority::ParentRead).is_some() => Some((now, Priority::ParentRead)),
            at if at % 2 == 0 => due.clone().filter(|(since, _)| since.plus(aged_after) <= now).min(),
            _ => None,
        };
        preferred.or_else(|| due.next()).map(|(_, priority)| priority)
    }

    /// The read answered its causes. Causes that arrived during the read make the object due again.
    pub(super) fn complete(&mut self, id: &ObjectId, now: Timestamp) -> Option<Completed> {
        let slot = self.entries.slot_of(id)?;
        let entry = self.entries.at_mut(slot);
        self.in_flight -= usize::from(entry.progress == Progress::InFlight);
        let was_pending = entry.is_released();
        let causes = std::mem::take(&mut entry.causes);
        let during = entry.during.take();
        self.unschedule(slot);
        match during {
            None => self.entries.remove(slot),
            Some(during) => {
                let priority = Priority::of(&during.newest);
                let mut next = Entry::new(id.clone(), now, priority);
                next.causes = *during;
                *self.entries.at_mut(slot) = next;
                self.schedule(slot, now, priority);
            }
        }
        self.records_open -= causes.open.len();
        Some(Completed { causes: causes.newest.into_vec(), answered: causes.open.into_vec(), was_pending })
    }

    /// The read did not answer its causes. The next one is due at `due`, or at once if a cause arrived during the read.
    pub(super) fn requeue(&mut self, id: &ObjectId, why: Requeue, due: Timestamp, now: Timestamp) {
        let Some(slot) = self.entries.slot_of(id) else { return };
        let entry = self.entries.at_mut(slot);
        self.in_flight -= usize::from(std::mem::replace(&mut entry.progress, Progress::Queued) == Progress::InFlight);
        match why {
            Requeue::Confirm => entry.confirming = true,
            Requeue::ObjectFailed | Requeue::Vanished => entry.has_failed(now),
            Requeue::Waiting | Requeue::Systemic => {}
        }
        let priority = match why {
            _ if entry.causes.seen == 0 => Priority::Reconcile,
            Requeue::Confirm => Priority::Confirming,
            Requeue::ObjectFailed | Requeue::Waiting | Requeue::Systemic => Priority::Retry,
            Requeue::Vanished => Priority::Recheck,
        };
        let during = entry.during.take();
        entry.waiting = why == Requeue::Waiting && priority == Priority::Retry && during.is_none();
        let (due, priority) = match during {
            None => (due, priority),
            Some(during) => {
                let came = Priority::of(&during.newest);
                entry.causes.absorb(*during);
                entry.confirming &= came != Priority::Fresh; // the first read after a newer hint is not a confirming read
                let is_in_time = why == Requeue::Systemic || entry.confirming;
                (if is_in_time { due } else { now }, priority.min(came))
            }
        };
        self.schedule(slot, due, priority);
    }

    /// The reads of an object have failed for good. It is not read until it completes.
    pub(super) fn set_aside(&mut self, id: &ObjectId) {
        let Some(slot) = self.entries.slot_of(id) else { return };
        self.unschedule(slot);
        let entry = self.entries.at_mut(slot);
        self.in_flight -= usize::from(std::mem::replace(&mut entry.progress, Progress::SetAside) == Progress::InFlight);
        entry.waiting = false;
    }

    /// Keeps the error of the read that has just failed because of its object.
    pub(super) fn note_error(&mut self, id: &ObjectId, what: &str) {
        if let Some(slot) = self.entries.slot_of(id) {
            self.entries.at_mut(slot).note_error(what);
        }
    }

    /// Amazon throttled this operation.
    pub(super) fn throttled(&mut self, now: Timestamp, pause: Duration) {
        self.bucket.throttled(now, pause);
    }

    /// Amazon answered a read of this operation, and not with 429.
    pub(super) fn served(&mut self) {
        self.bucket.served();
    }

    /// The part of its quota that the lane uses at present.
    pub(super) fn quota_factor(&self) -> f64 {
        self.bucket.factor()
    }

    /// How many reads could start at once.
    pub(super) fn quota_tokens(&self, now: Timestamp) -> f64 {
        self.bucket.tokens(now)
    }

    /// Releases the records of objects that have waited since `then` or longer, of a limited number of objects.
    pub(super) fn release_since(&mut self, then: Timestamp, most: usize) -> Vec<(ObjectId, Vec<InboxPosition>)> {
        let mut released = Vec::new();
        while released.len() < most && self.open.front().is_some_and(|(at, _)| *at <= then) {
            let (_, slot) = self.open.pop_front().expect("a first one was just seen");
            if let Some(entry) = self.entries.get_mut(slot).filter(|entry| entry.is_open_since(then)) {
                let positions = entry.release();
                self.records_open -= positions.len();
                released.push((entry.id.clone(), positions));
            }
        }
        if self.open.is_empty() {
            self.open.shrink_to(OPEN_CAPACITY_KEPT);
        }
        released
    }

    /// Releases the records of one object.
    pub(super) fn release(&mut self, id: &ObjectId) -> Vec<InboxPosition> {
        let slot = self.entries.slot_of(id);
        let positions = slot.map(|slot| self.entries.at_mut(slot).release()).unwrap_or_default();
        self.records_open -= positions.len();
        positions
    }

    /// How many inbox records wait for their answer.
    pub(super) fn records_open(&self) -> usize {
        self.records_open
    }

    /// How many reads are in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How long it takes at the current rate to read each object once.
    pub(super) fn time_left(&self) -> Duration {
        Duration::try_from_secs_f64(self.len() as f64 / self.bucket.per_second()).unwrap_or(Duration::MAX)
    }

    /// The evidence among the causes of the read that just ended was published or explained.
    pub(super) fn evidence_settled(&mut self, id: &ObjectId) {
        if let Some(slot) = self.entries.slot_of(id) {
            self.entries.at_mut(slot).causes.arrivals.evidence_settled();
        }
    }

    /// When the oldest unanswered cause arrived. Visits every entry.
    pub(super) fn first_seen(&self, now: Timestamp) -> Timestamp {
        let late = self.entries.iter().filter(|entry| !entry.waits_for_confirmation(now));
        late.map(Entry::first_seen).min().unwrap_or(Timestamp::NEVER)
    }

    /// How many objects are queued for a reason other than reconciliation, and not read yet. Visits every entry.
    pub(super) fn owed(&self, now: Timestamp) -> usize {
        let is_owed = |entry: &&Entry| entry.priority != Priority::Reconcile && !entry.waits_for_confirmation(now);
        self.entries.iter().filter(is_owed).count()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn slot_for(&mut self, id: &ObjectId, due: Timestamp, priority: Priority) -> Slot {
        self.entries.slot_of(id).unwrap_or_else(|| {
            let slot = self.entries.insert(Entry::new(id.clone(), due, priority));
            self.schedule(slot, due, priority);
            slot
        })
    }

    fn schedule(&mut self, slot: Slot, due: Timestamp, priority: Priority) {
        self.unschedule(slot);
        let entry = self.entries.at_mut(slot);
        (entry.due, entry.priority) = (due, priority);
        self.waiting.insert((due, priority, slot));
    }

    fn unschedule(&mut self, slot: Slot) {
        let Entry { due, priority, .. } = *self.entries.at(slot);
        if !self.waiting.remove(&(due, priority, slot)) {
            self.due[priority as usize].remove(&(due, slot));
        }
    }
}

/// Of this many reads, one is not a parent read even if parent reads are due. They need the rest: other lanes ask for them as fast
/// as they read themselves, and their objects wait only for minutes. While no parent read is due, every second read is an aged one,
/// so new and old reads never starve each other.
const ROUND_ROBIN: usize = 8;
const PRIORITIES: [Priority; 6] = [
    Priority::Fresh,
    Priority::ParentRead,
    Priority::Confirming,
    Priority::Retry,
    Priority::Recheck,
    Priority::Reconcile,
];
const OPEN_CAPACITY_KEPT: usize = 1024;

#[cfg(test)]
mod tests;
