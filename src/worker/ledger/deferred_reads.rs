//! Objects that wait for a read of their parent, with the answers about them.
//!
//! A refund or dispute names its charge, only the charge names the charge permission, and only the charge permission
//! has the type that an event carries. An answer is kept until the parent was read, so that neither is read twice. The wait is
//! bounded: the time from the first deferral of an object counts, whatever it waits for meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::domain::pay::{Fetched, ObjectRef};
use crate::domain::state::InboxMark;
use crate::domain::timestamp::Timestamp;

/// Waiting objects. Each is in the work queue, too, which decides whether its answer is still the newest. After a restart
/// these objects are read again.
#[derive(Debug)]
pub(in crate::worker) struct DeferredReads {
    waits: HashMap<ObjectRef, Wait>,
    by_parent: HashMap<ObjectRef, Vec<ObjectRef>>,
    ends: BTreeSet<(Timestamp, ObjectRef)>,
    n_kept: usize,
    kept_max: usize,
    wait_max: Duration,
}

#[derive(Debug)]
struct Wait {
    since: Timestamp,
    /// What it waits for at present.
    parent: Option<ObjectRef>,
    /// None if there was no room for it.
    answer: Option<ObjectRead>,
}

/// What Amazon Pay answered about an object.
#[derive(Debug)]
pub(in crate::worker) struct ObjectRead {
    pub(in crate::worker) object: ObjectRef,
    pub(in crate::worker) fetched: Box<Fetched>,
    pub(in crate::worker) start: ReadStart,
}

/// When a read began.
#[derive(Clone, Copy, Debug)]
pub(in crate::worker) struct ReadStart {
    pub(in crate::worker) at: Timestamp,
    /// The newest record of the object's inbox partition that was consumed before. The read answers it and all earlier ones.
    pub(in crate::worker) after: Option<InboxMark>,
}

/// An object that no longer waits. Its answer, if there was room for it.
#[derive(Debug)]
pub(in crate::worker) struct Deferred {
    pub(in crate::worker) object: ObjectRef,
    pub(in crate::worker) answer: Option<ObjectRead>,
}

#[cfg(test)]
impl From<Timestamp> for ReadStart {
    fn from(at: Timestamp) -> Self {
        Self { at, after: None }
    }
}

impl DeferredReads {
    pub(in crate::worker) fn new(kept_max: usize, wait_max: Duration) -> Self {
        let (waits, by_parent, ends) = (HashMap::new(), HashMap::new(), BTreeSet::new());
        Self { waits, by_parent, ends, n_kept: 0, kept_max, wait_max }
    }

    /// When the wait of this object ends, if it begins now or has begun before.
    pub(in crate::worker) fn ends_at(&self, object: &ObjectRef, now: Timestamp) -> Timestamp {
        self.waits.get(object).map_or(now, |wait| wait.since).plus(self.wait_max)
    }

    /// Whether this object has waited for as long as it may.
    pub(in crate::worker) fn is_over(&self, object: &ObjectRef, now: Timestamp) -> bool {
        self.ends_at(object, now) <= now
    }

    /// Keeps a read until its parent was read. False if there is no room for the answer.
    pub(in crate::worker) fn keep(&mut self, parent: &ObjectRef, read: ObjectRead, now: Timestamp) -> bool {
        self.release(&read.object);
        let object = read.object.clone();
        let has_room = self.n_kept < self.kept_max;
        self.n_kept += usize::from(has_room);
        self.by_parent.entry(parent.clone()).or_default().push(object.clone());
        if !self.waits.contains_key(&object) {
            self.ends.insert((now.plus(self.wait_max), object.clone()));
        }
        let wait = self.waits.entry(object).or_insert(Wait { since: now, parent: None, answer: None });
        wait.parent = Some(parent.clone());
        wait.answer = has_room.then_some(read);
        has_room
    }

    /// Takes the objects that wait for this parent.
    pub(in crate::worker) fn take(&mut self, parent: &ObjectRef) -> Vec<Deferred> {
        let waiting = self.by_parent.get(parent).cloned().unwrap_or_default();
        waiting.into_iter().map(|object| self.release(&object)).collect()
    }

    /// Takes the objects whose wait has ended.
    pub(in crate::worker) fn take_ended(&mut self, now: Timestamp) -> Vec<Deferred> {
        let mut ended = Vec::new();
        while self.ends.first().is_some_and(|(at, _)| *at <= now) {
            let (_, object) = self.ends.pop_first().expect("a first one was just seen");
            ended.push(self.release(&object));
        }
        ended
    }

    /// Ends the wait for the current parent. How long the object has waited is still known.
    pub(in crate::worker) fn release(&mut self, object: &ObjectRef) -> Deferred {
        let mut deferred = Deferred { object: object.clone(), answer: None };
        let Some(wait) = self.waits.get_mut(object) else { return deferred };
        deferred.answer = wait.answer.take();
        self.n_kept -= usize::from(deferred.answer.is_some());
        if let Some(parent) = wait.parent.take()
            && let Some(waiting) = self.by_parent.get_mut(&parent)
        {
            waiting.retain(|other| other != object);
            if waiting.is_empty() {
                self.by_parent.remove(&parent);
            }
        }
        deferred
    }

    /// The work of this object is complete.
    pub(in crate::worker) fn forget(&mut self, object: &ObjectRef) {
        self.release(object);
        if let Some(wait) = self.waits.remove(object) {
            self.ends.remove(&(wait.since.plus(self.wait_max), object.clone()));
        }
    }

    /// How many objects wait, and how many answers are kept.
    #[cfg(test)]
    pub(in crate::worker) fn len(&self) -> (usize, usize) {
        assert!(self.by_parent.len() <= self.waits.len() && self.ends.len() <= self.waits.len());
        (self.waits.len(), self.n_kept)
    }
}
