//! One operation of one account: what waits for its time, and what is due, ranked by what matters first.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::cause::{Cause, InboxPosition, Pending};
use super::entries::{Entries, Place};
use super::entry::{Class, Entry, PutBack, Settled};
use super::quota::TokenBucket;
use crate::domain::pay::ObjectId;
use crate::domain::timestamp::Timestamp;

/// The reads of one lane, and the tokens for them.
#[derive(Debug)]
pub(super) struct Lane {
    entries: Entries,
    bucket: TokenBucket,
    /// The slice of the bucket that reconciliation may use.
    reconciliation: TokenBucket,
    waiting: BTreeSet<(Timestamp, Class, Place)>,
    due: [BTreeSet<(Timestamp, Place)>; CLASSES.len()],
    /// When inbox records began to wait, oldest first. May name what no longer waits.
    open: VecDeque<(Timestamp, Place)>,
    /// How many inbox records wait.
    records_open: usize,
    in_flight: usize,
    /// Which of [`TURNS`] is next.
    turn: usize,
}

impl Lane {
    /// An empty one.
    pub(super) fn new(bucket: TokenBucket, reconciliation: TokenBucket) -> Self {
        Self {
            entries: Entries::default(),
            bucket,
            reconciliation,
            waiting: BTreeSet::new(),
            due: Default::default(),
            open: VecDeque::new(),
            records_open: 0,
            in_flight: 0,
            turn: 0,
        }
    }

    /// Adds a cause; the object is due at once, or right after the read that is under way.
    pub(super) fn push(&mut self, id: &ObjectId, cause: Cause, now: Timestamp) {
        let class = Class::of(std::slice::from_ref(&cause));
        let place = self.place_for(id, now, class);
        self.records_open += usize::from(cause.position().is_some());
        let entry = self.entries.at_mut(place);
        let waits_anew = if entry.in_flight {
            entry.during.get_or_insert_default().add(cause, now)
        } else {
            // The next read is the first one that can answer a hint. An operator is answered by any, a confirming one too.
            entry.confirming &= class != Class::Fresh;
            entry.waiting = false;
            let waits_anew = entry.causes.add(cause, now);
            let (due, class) = match (entry.class, class) {
                (Class::Confirming, Class::Recheck) => (entry.due, entry.class), // soon, and not sooner for a reason
                // It overtakes a back-off and whatever matters less; what is due already keeps its time.
                (before, class) => (entry.due.min(now), before.min(class)),
            };
            if (due, class) != (entry.due, entry.class) {
                self.schedule(place, due, class);
            }
            waits_anew
        };
        if waits_anew {
            self.open.push_back((now, place));
        }
    }

    /// To be read soon, since another object cannot be told without it. A read that is under way or that failed is
    /// not hurried.
    pub(super) fn read_first(&mut self, id: &ObjectId, cause: Cause, now: Timestamp) {
        let Some(place) = self.entries.place_of(id) else {
            let place = self.place_for(id, now, Class::Helper);
            self.entries.at_mut(place).causes.add(cause, now);
            return;
        };
        let entry = self.entries.at_mut(place);
        if !cause.is_seed() && Cause::are_seeds(&entry.causes.newest) {
            // What is told of the other object must not be missing of this one.
            entry.causes.add(cause, now);
        }
        if !entry.in_flight && entry.attempts() == 0 {
            let due = entry.due.min(now);
            self.schedule(place, due, Class::Helper);
        }
    }

    /// To be read although nobody told us anything, unless it is to be read anyway.
    pub(super) fn reconcile(&mut self, id: &ObjectId, due: Timestamp) {
        self.place_for(id, due, Class::Reconcile);
    }

    /// Continues work that an earlier owner of the partition left in the state record.
    pub(super) fn restore(&mut self, id: &ObjectId, pending: Pending) {
        let class = match (pending.confirming, pending.attempts) {
            (true, _) => Class::Confirming,
            (false, 0) => Class::of(&pending.causes),
            (false, _) => Class::Retry,
        };
        let due = pending.due;
        let place = self.entries.insert(Entry::restored(id.clone(), pending, class));
        self.schedule(place, due, class);
    }

    pub(super) fn get(&self, id: &ObjectId) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// Whether anything is due.
    pub(super) fn has_due(&self, now: Timestamp) -> bool {
        self.due.iter().any(|class| !class.is_empty()) || self.waiting.first().is_some_and(|(due, ..)| *due <= now)
    }

    /// The read that is to go out now, if any is due and there is a token for it.
    pub(super) fn take_due(&mut self, now: Timestamp, aged_after: Duration) -> Option<ObjectId> {
        while self.waiting.first().is_some_and(|(due, ..)| *due <= now) {
            let (due, class, place) = self.waiting.pop_first().expect("a first one was just seen");
            self.due[class as usize].insert((due, place));
        }
        let class = self.next_class(now, aged_after)?;
        if !self.bucket.take(now) {
            return None;
        }
        if class == Class::Reconcile {
            self.reconciliation.take(now);
        }
        self.turn = (self.turn + 1) % TURNS.len();
        let (_, place) = self.due[class as usize].pop_first().expect("only a class with something due is chosen");
        self.in_flight += 1;
        let entry = self.entries.at_mut(place);
        entry.in_flight = true;
        entry.waiting = false;
        Some(entry.id.clone())
    }

    /// The class that the next read is of, if anything is due.
    fn next_class(&mut self, now: Timestamp, aged_after: Duration) -> Option<Class> {
        let may_reconcile = self.reconciliation.has(now);
        let due_since = |class: Class| self.due[class as usize].first().map(|(due, _)| *due);
        let mut due = CLASSES
            .into_iter()
            .filter(|class| *class != Class::Reconcile || may_reconcile)
            .filter_map(|class| Some((due_since(class)?, class)));
        let preferred = match TURNS[self.turn] {
            Turn::Aged => due.clone().filter(|(since, _)| since.plus(aged_after) <= now).min(),
            Turn::Helper => due.clone().find(|(_, class)| *class == Class::Helper),
            Turn::Ranked => None,
        };
        preferred.or_else(|| due.next()).map(|(_, class)| class)
    }

    /// The read answered its causes. Causes that came meanwhile make the object due again.
    pub(super) fn settle(&mut self, id: &ObjectId, now: Timestamp) -> Option<Settled> {
        let place = self.entries.place_of(id)?;
        let entry = self.entries.at_mut(place);
        self.in_flight -= usize::from(entry.in_flight);
        let was_pending = entry.is_released();
        let causes = std::mem::take(&mut entry.causes);
        let during = entry.during.take();
        self.unschedule(place);
        match during {
            None => self.entries.remove(place),
            Some(during) => {
                let class = Class::of(&during.newest);
                let mut next = Entry::new(id.clone(), now, class);
                next.causes = *during;
                *self.entries.at_mut(place) = next;
                self.schedule(place, now, class);
            }
        }
        self.records_open -= causes.open.len();
        Some(Settled { causes: causes.newest.into_vec(), answered: causes.open.into_vec(), was_pending })
    }

    /// The read answered nothing yet; another is due at `due`, or at once if a cause came meanwhile.
    pub(super) fn put_back(&mut self, id: &ObjectId, why: PutBack, due: Timestamp, now: Timestamp) {
        let Some(place) = self.entries.place_of(id) else { return };
        let entry = self.entries.at_mut(place);
        self.in_flight -= usize::from(std::mem::take(&mut entry.in_flight));
        match why {
            PutBack::Confirm => entry.confirming = true,
            PutBack::ObjectFailed | PutBack::Vanished => entry.has_failed(now),
            PutBack::Waiting | PutBack::Systemic => {}
        }
        let class = match why {
            _ if entry.causes.seen == 0 => Class::Reconcile,
            PutBack::Confirm => Class::Confirming,
            PutBack::ObjectFailed | PutBack::Waiting | PutBack::Systemic => Class::Retry,
            PutBack::Vanished => Class::Recheck,
        };
        let during = entry.during.take();
        entry.waiting = why == PutBack::Waiting && class == Class::Retry && during.is_none();
        let (due, class) = match during {
            None => (due, class),
            Some(during) => {
                let came = Class::of(&during.newest);
                entry.causes.absorb(*during);
                entry.confirming &= came != Class::Fresh; // a newer hint: its first read is not a confirming one
                let is_in_time = why == PutBack::Systemic || entry.confirming;
                (if is_in_time { due } else { now }, class.min(came))
            }
        };
        self.schedule(place, due, class);
    }

    /// Amazon throttled this operation.
    pub(super) fn throttled(&mut self, now: Timestamp, pause: Duration) {
        self.bucket.throttled(now, pause);
    }

    /// Which part of its quota the lane uses just now.
    pub(super) fn quota_factor(&self) -> f64 {
        self.bucket.factor()
    }

    /// How many reads it could let out at once.
    pub(super) fn quota_tokens(&self, now: Timestamp) -> f64 {
        self.bucket.tokens(now)
    }

    /// Lets go of the records of objects that wait since `then` or longer, of at most so many.
    pub(super) fn release_since(&mut self, then: Timestamp, most: usize) -> Vec<(ObjectId, Vec<InboxPosition>)> {
        let mut released = Vec::new();
        while released.len() < most && self.open.front().is_some_and(|(at, _)| *at <= then) {
            let (_, place) = self.open.pop_front().expect("a first one was just seen");
            if let Some(entry) = self.entries.look_at_mut(place).filter(|entry| entry.is_open_since(then)) {
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

    /// Lets go of one object's records.
    pub(super) fn release(&mut self, id: &ObjectId) -> Vec<InboxPosition> {
        let place = self.entries.place_of(id);
        let positions = place.map(|place| self.entries.at_mut(place).release()).unwrap_or_default();
        self.records_open -= positions.len();
        positions
    }

    /// How many inbox records wait for their answer.
    pub(super) fn records_open(&self) -> usize {
        self.records_open
    }

    /// How many reads are under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// For how long its objects take at the present pace, each read once.
    pub(super) fn time_left(&self) -> Duration {
        Duration::try_from_secs_f64(self.len() as f64 / self.bucket.per_second()).unwrap_or(Duration::MAX)
    }

    /// When the oldest cause was taken in that has no answer yet. Looks at every entry.
    pub(super) fn first_seen(&self) -> Timestamp {
        self.entries.iter().map(Entry::first_seen).min().unwrap_or(Timestamp::NEVER)
    }

    /// How many objects are to be read for a reason. Looks at every entry.
    pub(super) fn owed(&self) -> usize {
        self.entries.iter().filter(|entry| entry.class != Class::Reconcile).count()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn place_for(&mut self, id: &ObjectId, due: Timestamp, class: Class) -> Place {
        self.entries.place_of(id).unwrap_or_else(|| {
            let place = self.entries.insert(Entry::new(id.clone(), due, class));
            self.schedule(place, due, class);
            place
        })
    }

    fn schedule(&mut self, place: Place, due: Timestamp, class: Class) {
        self.unschedule(place);
        let entry = self.entries.at_mut(place);
        (entry.due, entry.class) = (due, class);
        self.waiting.insert((due, class, place));
    }

    fn unschedule(&mut self, place: Place) {
        let Entry { due, class, .. } = *self.entries.at(place);
        if !self.waiting.remove(&(due, class, place)) {
            self.due[class as usize].remove(&(due, place));
        }
    }
}

/// Whose turn it is, if it has anything due.
#[derive(Clone, Copy)]
enum Turn {
    /// What has been due for too long, of whatever class.
    Aged,
    /// What another object waits for.
    Helper,
    /// What matters most.
    Ranked,
}

/// Neither a flood of news nor a heap of old work keeps the other from being read, and what another object waits for is
/// read within four reads.
const TURNS: [Turn; 4] = [Turn::Aged, Turn::Helper, Turn::Aged, Turn::Ranked];
const CLASSES: [Class; 6] =
    [Class::Fresh, Class::Helper, Class::Confirming, Class::Retry, Class::Recheck, Class::Reconcile];
const OPEN_CAPACITY_KEPT: usize = 1024;

#[cfg(test)]
mod tests;
