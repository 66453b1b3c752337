//! The queue entry of one object: the causes of its next read, and the inbox records that wait for it.
//!
//! A million entries with their orderings take 325 MB, so rare fields are boxed and the usual single cause is inline.

use std::collections::BTreeSet;
use std::time::Duration;

use smallvec::SmallVec;

use super::arrivals::Arrivals;
use super::cause::{Cause, InboxPosition, Origin, Pending};
use super::dropped_records::{DroppedRecords, Uncopied};
use crate::domain::pay::{ObjectId, ObjectRef};
use crate::domain::printable;
use crate::domain::timestamp::Timestamp;

/// One object that is to be read, or is being read.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: ObjectId,
    pub(super) causes: Causes,
    /// Causes that came while the object was being read.
    pub(super) during: Option<Box<Causes>>,
    pub(super) due: Timestamp,
    /// Set while reads fail because of this object.
    failing: Option<Box<Failing>>,
    pub(super) priority: Priority,
    pub(super) progress: Progress,
    pub(super) confirming: bool,
    /// The object waits for a parent read, and no newer cause has arrived.
    pub(super) waiting: bool,
}

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It waits for its next read.
    Queued,
    /// It is being read.
    InFlight,
    /// Its reads have failed for good: it is not read again, and it completes when its dead letters are written.
    SetAside,
}

/// Reads that failed for a reason that is the object's own.
#[derive(Clone, Debug)]
struct Failing {
    attempts: u32,
    /// Time between failures, each counted for no more than the longest wait, so that an outage between two of them, at
    /// Amazon or in the receiver, does not count.
    lasting: Duration,
    failed_at: Timestamp,
    /// The last error, shortened; empty before it is noted.
    error: Box<str>,
}

/// The priority of a read, highest first. Within a priority the read that has been due longest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    /// A new IPN.
    Fresh,
    /// A parent read that another object waits for.
    ParentRead,
    /// A confirming read.
    Confirming,
    /// A read that failed before.
    Retry,
    /// An operator's recheck, or a known object that Amazon Pay no longer returns.
    Recheck,
    /// Reconciliation, which has its own share of the quota.
    Reconcile,
}

/// Why a read did not complete its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// A confirming read follows.
    Confirm,
    /// The read failed because of this object: it counts as an attempt.
    ObjectFailed,
    /// Amazon Pay no longer returns a known object: it counts as an attempt and is retried at low priority.
    Vanished,
    /// The object waits for a parent read: no attempt is counted.
    Waiting,
    /// The credentials, the network or Amazon Pay failed: no attempt is counted.
    Systemic,
}

/// What a read has completed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Completed {
    /// The newest causes, oldest first.
    pub causes: Vec<Cause>,
    /// Inbox records that have their answer now.
    pub answered: Vec<InboxPosition>,
    /// Whether the state record held the work as pending.
    pub was_pending: bool,
}

/// Reasons for one read.
#[derive(Debug)]
pub(super) struct Causes {
    /// The newest, oldest first.
    pub(super) newest: SmallVec<[Cause; 1]>,
    /// Inbox records not yet answered, not even by pending work.
    pub(super) open: SmallVec<[InboxPosition; 1]>,
    /// Inbox records of causes that are no longer among the newest.
    dropped: Option<Box<DroppedRecords>>,
    pub(super) arrivals: Arrivals,
    pub(super) seen: u32,
    /// Whether the state record holds (or is about to hold) these as pending.
    pub(super) released: bool,
}

/// How many causes are remembered of one object.
pub(super) const CAUSES_KEPT: usize = 16;
/// Enough for a status, a request id and the name of a field; the log has the whole error.
const ERROR_CHARS_MAX: usize = 200;
/// An object that fails is read again within an hour; twice that allows for a queue.
const FAILING_COUNTED_MAX: Duration = Duration::from_hours(2);

impl Entry {
    pub(super) fn new(id: ObjectId, due: Timestamp, priority: Priority) -> Self {
        Self {
            id,
            causes: Causes::default(),
            during: None,
            due,
            failing: None,
            priority,
            progress: Progress::Queued,
            confirming: false,
            waiting: false,
        }
    }

    pub(super) fn restored(id: ObjectId, pending: Pending, priority: Priority) -> Self {
        let arrivals = Arrivals::restored(pending.first_seen, pending.newest_seen, pending.evidence_seen);
        let Pending { causes, causes_seen, due, attempts, failing_ms, failed_at, last_error, confirming, .. } = pending;
        let dropped = (!pending.dropped.is_empty()).then(|| Box::new(pending.dropped));
        let newest = causes.into();
        let causes = Causes { newest, dropped, seen: causes_seen, arrivals, released: true, ..Causes::default() };
        let lasting = Duration::from_millis(failing_ms);
        let error = last_error.unwrap_or_default();
        let failing = failed_at.map(|failed_at| Box::new(Failing { attempts, lasting, failed_at, error }));
        Self { causes, failing, confirming, ..Self::new(id, due, priority) }
    }

    /// Whether it is being read, or is not to be read again. Causes that come meanwhile wait for what becomes of it.
    pub(super) fn is_taken(&self) -> bool {
        self.progress != Progress::Queued
    }

    /// How often it failed.
    pub(super) fn attempts(&self) -> u32 {
        self.failing.as_ref().map_or(0, |failing| failing.attempts)
    }

    /// When it failed last.
    pub(super) fn failed_at(&self) -> Option<Timestamp> {
        self.failing.as_ref().map(|failing| failing.failed_at)
    }

    /// For how long it has been failing.
    pub(super) fn failing_for(&self, now: Timestamp) -> Duration {
        self.failing.as_ref().map_or(Duration::ZERO, |failing| failing.until(now))
    }

    pub(super) fn has_failed(&mut self, now: Timestamp) {
        let first = || Failing { attempts: 0, lasting: Duration::ZERO, failed_at: now, error: Box::default() };
        let failing = self.failing.get_or_insert_with(|| Box::new(first()));
        (failing.attempts, failing.lasting, failing.failed_at) =
            (failing.attempts.saturating_add(1), failing.until(now), now);
    }

    /// Keeps the error of the failure that was just counted.
    pub(super) fn note_error(&mut self, what: &str) {
        if let Some(failing) = &mut self.failing {
            failing.error = printable(what, ERROR_CHARS_MAX).into();
        }
    }

    /// The pending work for the state record; `None` while its inbox records are still open.
    pub(super) fn pending(&self) -> Option<Pending> {
        if !self.is_released() {
            return None;
        }
        // Only this process knows the deferred answer, so the next owner must read the object at once.
        let newest = self.causes.newest.last().filter(|_| self.waiting);
        let due = newest.map_or(self.due, |newest| newest.timestamp);
        let during = self.during.iter().flat_map(|during| &during.newest);
        let mut causes: Vec<Cause> = self.causes.newest.iter().chain(during).cloned().collect();
        let mut dropped = self.causes.dropped.as_deref().cloned().unwrap_or_default();
        if let Some(during) = self.during.as_ref().and_then(|during| during.dropped.as_ref()) {
            dropped.absorb(during);
        }
        while causes.len() > CAUSES_KEPT {
            causes.remove(dropped_first(&causes)).position().into_iter().for_each(|position| dropped.add(position));
        }
        let arrivals = self.arrivals();
        Some(Pending {
            causes,
            dropped,
            causes_seen: self.causes.seen.saturating_add(self.during.as_ref().map_or(0, |during| during.seen)),
            first_seen: arrivals.first(),
            newest_seen: (arrivals.newest() != arrivals.first()).then(|| arrivals.newest()),
            evidence_seen: arrivals.evidence(),
            due,
            attempts: self.attempts(),
            failing_ms: self.failing.as_ref().map_or(0, |failing| failing.lasting.as_millis() as u64),
            failed_at: self.failing.as_ref().map(|failing| failing.failed_at),
            last_error: self.failing.as_ref().map(|failing| failing.error.clone()).filter(|error| !error.is_empty()),
            confirming: self.confirming,
        })
    }

    /// Each inbox record of the causes of its last read, in order.
    pub(super) fn records(&self) -> BTreeSet<InboxPosition> {
        let dropped = self.causes.dropped.iter().flat_map(|dropped| dropped.positions());
        self.causes.newest.iter().filter_map(Cause::position).chain(dropped).collect()
    }

    /// Further inbox records of these causes, of which only the number is known.
    pub(super) fn uncopied(&self) -> Option<Uncopied> {
        self.causes.dropped.as_ref()?.uncopied()
    }

    /// Releases its inbox records, so that their offsets can be committed; its work must be written as pending.
    pub(super) fn release(&mut self) -> Vec<InboxPosition> {
        let mut positions = self.causes.release().into_vec();
        positions.extend(self.during.iter_mut().flat_map(|during| during.release()));
        positions
    }

    /// When the oldest cause was taken in that has no answer yet; never, if there is none.
    pub(super) fn first_seen(&self) -> Timestamp {
        self.arrivals().first()
    }

    /// When the causes arrived that have no answer yet.
    fn arrivals(&self) -> Arrivals {
        let mut arrivals = self.causes.arrivals;
        arrivals.absorb(self.during.as_ref().map_or(Arrivals::NONE, |during| during.arrivals));
        arrivals
    }

    /// Whether it was read, its events were published, and its confirming read is not due yet: no backlog.
    pub(super) fn waits_for_confirmation(&self, now: Timestamp) -> bool {
        self.priority == Priority::Confirming && now < self.due
    }

    /// Whether an inbox record has been waiting since `then` or longer.
    pub(super) fn is_open_since(&self, then: Timestamp) -> bool {
        let is_open = |causes: &Causes| !causes.open.is_empty() && causes.arrivals.first() <= then;
        is_open(&self.causes) || self.during.as_deref().is_some_and(is_open)
    }

    /// Whether the state record holds its work as pending.
    pub(super) fn is_released(&self) -> bool {
        self.causes.released || self.during.as_ref().is_some_and(|during| during.released)
    }
}

impl Priority {
    /// The one of objects that are to be read for these reasons.
    pub(super) fn of(causes: &[Cause]) -> Self {
        let priority = |cause: &Cause| match cause.origin {
            Origin::Ipn { .. } => Self::Fresh,
            Origin::ParentRead { .. } => Self::ParentRead,
            Origin::Recheck { .. } => Self::Recheck,
            Origin::Reconciliation => Self::Reconcile,
        };
        causes.iter().map(priority).min().unwrap_or(Self::Reconcile)
    }
}

/// The oldest cause that is no evidence: a chargeback, each of which has an event, or the newest change of attributes, which
/// answers the older ones too.
fn dropped_first(oldest_first: &[Cause]) -> usize {
    let newest_change = oldest_first.iter().rposition(Cause::is_attribute_change);
    let is_needed = |n: usize, cause: &Cause| cause.is_chargeback() || Some(n) == newest_change;
    oldest_first.iter().enumerate().position(|(n, cause)| !is_needed(n, cause)).unwrap_or(0)
}

impl Failing {
    fn until(&self, now: Timestamp) -> Duration {
        self.lasting + now.since(self.failed_at).min(FAILING_COUNTED_MAX)
    }
}

impl Default for Causes {
    fn default() -> Self {
        let (newest, open) = (SmallVec::new(), SmallVec::new());
        Self { newest, open, dropped: None, arrivals: Arrivals::NONE, seen: 0, released: false }
    }
}

impl Causes {
    /// Whether this is the first inbox record that waits.
    pub(super) fn add(&mut self, cause: Cause, now: Timestamp) -> bool {
        self.seen = self.seen.saturating_add(1);
        let is_first_open = self.open.is_empty() && cause.position().is_some();
        if let Some(position) = cause.position() {
            self.open.push(position);
        }
        self.arrivals.add(cause.is_attribute_change(), now);
        // By the sender's time, since the newest is what a read must answer; arrival order says nothing.
        let at = self.newest.partition_point(|known| known.timestamp <= cause.timestamp);
        self.newest.insert(at, cause);
        self.drop_oldest();
        is_first_open
    }

    pub(super) fn absorb(&mut self, other: Self) {
        self.seen = self.seen.saturating_add(other.seen);
        self.open.extend(other.open);
        self.released |= other.released;
        self.arrivals.absorb(other.arrivals);
        if let Some(dropped) = &other.dropped {
            self.dropped.get_or_insert_default().absorb(dropped);
        }
        self.newest.extend(other.newest);
        self.newest.sort_by_key(|cause| cause.timestamp);
        self.drop_oldest();
    }

    fn drop_oldest(&mut self) {
        while self.newest.len() > CAUSES_KEPT {
            let cause = self.newest.remove(dropped_first(&self.newest));
            if let Some(position) = cause.position() {
                self.dropped.get_or_insert_default().add(position);
            }
        }
    }

    fn release(&mut self) -> SmallVec<[InboxPosition; 1]> {
        if self.seen > 0 {
            self.released = true;
        }
        self.newest.shrink_to_fit();
        std::mem::take(&mut self.open)
    }
}
/// What happened to an object so far. A dead letter carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadHistory {
    /// The object, if the record was understood.
    pub object: Option<ObjectRef>,
    /// When the object's first cause arrived.
    pub first_seen: Option<Timestamp>,
    /// Number of causes: IPNs, rechecks and parent reads.
    pub causes_seen: u32,
    /// Number of reads that failed for a reason of the object's own.
    pub attempts: u32,
    /// How long these reads failed.
    pub failing_for: Duration,
}

impl ReadHistory {
    /// ReadHistory of a record whose object was never read.
    pub fn of_one(first_seen: Timestamp) -> Self {
        Self { first_seen: Some(first_seen), causes_seen: 1, ..Self::default() }
    }
}
