//! One entry per object to read. IPNs about the same object coalesce: one read that started after N hints answers all N,
//! and a hint that arrives during a read causes exactly one more read.
//!
//! Amazon's quota is per merchant, environment and operation, and so is a lane of this queue. Limits are per merchant
//! and environment, so that the failures of one merchant never delay another merchant.

use std::collections::BTreeMap;
use std::time::Duration;

use super::account_work::{AccountWork, Rules};
use super::arrivals::Arrivals;
use super::breaker::{HoldChange, Trouble};
use super::cause::{Cause, InboxPosition, Pending};
use super::dropped_records::Uncopied;
use super::entry::{Completed, Entry, Priority, ReadHistory, Requeue};
use super::lane::Lane;
use crate::domain::pay::{Account, Environment, ObjectKind, ObjectRef};
use crate::domain::timestamp::Timestamp;

/// All objects that are queued or being read.
#[derive(Debug)]
pub struct WorkQueue {
    rules: Rules,
    /// When the partitions were assigned to this process. Tokens are counted from then on.
    since: Timestamp,
    accounts: BTreeMap<Account, AccountWork>,
    hits: BoundHits,
}

/// How often limits were hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoundHits {
    /// [`Rules::reads_in_flight_max`], counted once for each call in which it delayed reads.
    pub reads_in_flight: u64,
    /// [`Rules::records_open_max`].
    pub records_open: u64,
}

/// One operation of one account.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneReport {
    /// Objects queued or in flight, without reconciliation.
    pub objects: usize,
    /// When the oldest unanswered cause arrived; [`Timestamp::NEVER`] if there is none.
    pub first_seen: Timestamp,
    /// The part of the receiver's quota in use: 1 unless Amazon throttled recently.
    pub quota_factor: f64,
    /// How many reads the receiver's quota allows at once.
    pub quota_tokens: f64,
    /// How long that many reads take at the current rate.
    pub time_left: Duration,
    /// Whether the operation's reads are held back.
    pub is_held_back: bool,
}

impl LaneReport {
    /// Nothing to do.
    pub const IDLE: Self = Self {
        objects: 0,
        first_seen: Timestamp::NEVER,
        quota_factor: 1.0,
        quota_tokens: 0.0,
        time_left: Duration::ZERO,
        is_held_back: false,
    };
}

/// Inbox records that were released, by their objects.
pub type Released = Vec<(ObjectRef, Vec<InboxPosition>)>;

impl WorkQueue {
    /// An empty queue.
    pub fn new(rules: Rules, now: Timestamp) -> Self {
        Self { rules, since: now, accounts: BTreeMap::new(), hits: BoundHits::default() }
    }

    /// Adds a cause; the object is due at once, or right after the read that is under way.
    pub fn push(&mut self, object: &ObjectRef, cause: Cause, now: Timestamp) {
        self.lane_for(object).push(&object.id, cause, now);
    }

    /// Schedules a parent read, which another object needs.
    pub fn read_first(&mut self, object: &ObjectRef, cause: Cause, now: Timestamp) {
        self.lane_for(object).read_first(&object.id, cause, now);
    }

    /// Schedules a reconciliation read at `due`, unless a read is already queued.
    pub fn reconcile(&mut self, object: &ObjectRef, due: Timestamp) {
        self.lane_for(object).reconcile(&object.id, due);
    }

    /// Whether the object is queued or being read.
    pub fn holds(&self, object: &ObjectRef) -> bool {
        self.entry(object).is_some()
    }

    /// Whether the object is being read, or is to be read now.
    pub fn is_due(&self, object: &ObjectRef, now: Timestamp) -> bool {
        self.entry(object).is_some_and(|entry| entry.is_taken() || entry.due <= now)
    }

    /// Whether a reconciliation read is queued or in flight.
    pub fn is_reconciling(&self, object: &ObjectRef) -> bool {
        self.entry(object).is_some_and(|entry| entry.priority == Priority::Reconcile)
    }

    /// The reconciliation reads per second of an operation.
    pub fn reconciliations_per_second(&self, environment: Environment) -> f64 {
        self.rules.reconciliation_of(environment).per_second
    }

    /// Continues work that an earlier owner of the partition left in the state record.
    pub fn restore(&mut self, object: &ObjectRef, pending: Pending) {
        self.lane_for(object).restore(&object.id, pending);
    }

    /// Objects to read now.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<ObjectRef> {
        let mut due = Vec::new();
        for (account, work) in &mut self.accounts {
            let (taken, was_bounded) = work.take_due(now, &self.rules);
            self.hits.reads_in_flight += u64::from(was_bounded);
            due.extend(taken.into_iter().map(|(kind, id)| ObjectRef { account: account.clone(), kind, id }));
        }
        due
    }

    /// What the read that just ended was for, and whether it was the confirming one.
    pub fn causes_of(&self, object: &ObjectRef) -> (&[Cause], bool) {
        self.entry(object).map_or((&[], false), |entry| (&entry.causes.newest, entry.confirming))
    }

    /// When the causes arrived that the read which just ended was for.
    pub fn arrivals_of(&self, object: &ObjectRef) -> Arrivals {
        self.entry(object).map_or(Arrivals::NONE, |entry| entry.causes.arrivals)
    }

    /// The evidence among the causes of the read that just ended was published or explained.
    pub fn evidence_settled(&mut self, object: &ObjectRef) {
        self.lane_for(object).evidence_settled(&object.id);
    }

    /// Reads of this object that failed so far for a reason of its own.
    pub fn attempts_of(&self, object: &ObjectRef) -> u32 {
        self.entry(object).map_or(0, Entry::attempts)
    }

    /// When the last of them failed.
    pub fn failed_at(&self, object: &ObjectRef) -> Option<Timestamp> {
        self.entry(object).and_then(Entry::failed_at)
    }

    /// For how long it has been failing so. Trouble of another kind in between does not count.
    pub fn failing_for(&self, object: &ObjectRef, now: Timestamp) -> Duration {
        self.entry(object).map_or(Duration::ZERO, |entry| entry.failing_for(now))
    }

    /// What became of the causes of an object whose read has just failed for good.
    pub fn history_of(&self, object: &ObjectRef, now: Timestamp) -> ReadHistory {
        self.entry(object).map_or_else(ReadHistory::default, |entry| ReadHistory {
            object: Some(object.clone()),
            first_seen: Some(entry.first_seen()),
            causes_seen: entry.causes.seen,
            attempts: entry.attempts().saturating_add(1),
            failing_for: entry.failing_for(now),
        })
    }

    /// Each inbox record of the causes of the read that just ended, in order, and those of which only the number is known.
    pub fn records_of(&self, object: &ObjectRef) -> (Vec<InboxPosition>, Option<Uncopied>) {
        let of = |entry: &Entry| (entry.records().into_iter().collect(), entry.uncopied());
        self.entry(object).map(of).unwrap_or_default()
    }

    /// The reads of this object have failed for good. It is not read again, and keeps its pending work, until
    /// [`WorkQueue::complete`] in the transaction that writes its dead letters. It takes no place among the reads in flight.
    pub fn set_aside(&mut self, object: &ObjectRef) {
        self.lane_for(object).set_aside(&object.id);
    }

    /// Whether the object waits for a parent read, and no newer cause has arrived.
    pub fn is_waiting(&self, object: &ObjectRef) -> bool {
        self.entry(object).is_some_and(|entry| entry.waiting)
    }

    /// The read answered its causes. Causes that came meanwhile make the object due again.
    pub fn complete(&mut self, object: &ObjectRef, now: Timestamp) -> Completed {
        self.lane_for(object).complete(&object.id, now).unwrap_or_default()
    }

    /// The read answered nothing yet; another is due at `due`, or at once if a cause came meanwhile.
    pub fn requeue(&mut self, object: &ObjectRef, why: Requeue, due: Timestamp, now: Timestamp) {
        self.lane_for(object).requeue(&object.id, why, due, now);
    }

    /// Keeps the error of the read that has just failed because of its object.
    pub fn note_error(&mut self, object: &ObjectRef, what: &str) {
        self.lane_for(object).note_error(&object.id, what);
    }

    /// A read of this object failed for a reason that is not its own.
    pub fn failed(&mut self, object: &ObjectRef, trouble: Trouble, now: Timestamp) -> Option<HoldChange> {
        self.accounts.get_mut(&object.account)?.failed(object.kind, trouble, now)
    }

    /// A read of this object was answered, if only with 429.
    pub fn answered(&mut self, object: &ObjectRef) -> Option<HoldChange> {
        self.accounts.get_mut(&object.account)?.answered(object.kind)
    }

    /// The operations whose reads are held back; `None` is all of the account.
    pub fn held_back(&self) -> impl Iterator<Item = (&Account, Option<ObjectKind>)> {
        self.accounts.iter().flat_map(|(account, work)| work.held_back().into_iter().map(move |of| (account, of)))
    }

    /// Amazon answered a read of this operation of this account, and not with 429.
    pub fn served(&mut self, object: &ObjectRef) {
        self.lane_for(object).served();
    }

    /// Amazon throttled this operation of this account.
    pub fn throttled(&mut self, object: &ObjectRef, now: Timestamp, pause: Duration) {
        self.lane_for(object).throttled(now, pause);
    }

    /// Releases inbox records that have waited longer than `age_max`, and all records of accounts with too many. The caller
    /// writes the work of their objects as pending ([`WorkQueue::pending_of`]) in the transaction that moves the offsets. A call
    /// releases at most `objects_max` objects, so that this transaction is short; the next call continues.
    pub fn release(&mut self, now: Timestamp, age_max: Duration, objects_max: usize) -> Released {
        let mut released = Vec::new();
        for (account, work) in &mut self.accounts {
            let has_too_many = work.records_open() > self.rules.records_open_max;
            self.hits.records_open += u64::from(has_too_many);
            let then = if has_too_many { now } else { now.minus(age_max) };
            for (kind, lane) in work.lanes_mut() {
                let of_lane = lane.release_since(then, objects_max - released.len()).into_iter();
                released.extend(
                    of_lane.map(|(id, positions)| (ObjectRef { account: account.clone(), kind, id }, positions)),
                );
            }
        }
        released
    }

    /// Releases the inbox records of one object, because its next read is some time away.
    pub fn release_one(&mut self, object: &ObjectRef) -> Vec<InboxPosition> {
        self.lane_for(object).release(&object.id)
    }

    /// The pending work for the object's state record; `None` while its inbox records are still open.
    pub fn pending_of(&self, object: &ObjectRef) -> Option<Pending> {
        self.entry(object)?.pending()
    }

    /// How often limits were hit since the last call.
    pub fn take_hits(&mut self) -> BoundHits {
        std::mem::take(&mut self.hits)
    }

    /// How each operation of each account is. Looks at every entry.
    pub fn lanes(&self, now: Timestamp) -> Vec<(&Account, ObjectKind, LaneReport)> {
        let of = |lane: &Lane, work: &AccountWork| LaneReport {
            objects: lane.owed(now),
            first_seen: lane.first_seen(now),
            quota_factor: lane.quota_factor(),
            quota_tokens: lane.quota_tokens(now),
            time_left: lane.time_left(),
            is_held_back: work.is_held_back(lane),
        };
        let of_account =
            |(account, work)| AccountWork::lanes(work).map(move |(kind, lane)| (account, kind, of(lane, work)));
        self.accounts.iter().flat_map(of_account).collect()
    }

    /// How many objects are to be read or being read.
    pub fn len(&self) -> usize {
        self.accounts.values().map(AccountWork::len).sum()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many reads are under way.
    pub fn in_flight(&self) -> usize {
        self.accounts.values().map(AccountWork::in_flight).sum()
    }

    /// The lane of this object, made if need be.
    fn lane_for(&mut self, object: &ObjectRef) -> &mut Lane {
        let ObjectRef { account, kind, .. } = object;
        // Looked up twice, since a key is cloned only where it is new.
        if !self.accounts.contains_key(account) {
            self.accounts.insert(account.clone(), AccountWork::new(account, &self.rules, self.since));
        }
        self.accounts.get_mut(account).expect("it was just seen to").lane_for(*kind)
    }

    fn entry(&self, object: &ObjectRef) -> Option<&Entry> {
        self.accounts.get(&object.account)?.lane(object.kind)?.get(&object.id)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod properties;
