//! One entry per object that is to be read. Notifications about the same object coalesce: ONE read that started
//! after N hints answers all N, and a hint that arrives during a read leads to exactly one more.
//!
//! Amazon's quota is per merchant, environment and operation, and so is a lane of this queue.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::breaker::{Breaker, BreakerChange, BreakerRule};
use super::cause::{Cause, InboxPosition, Pending};
use super::lane::{Class, Lane};
use super::quota::{Quota, TokenBucket};
use crate::domain::pay::{Account, Environment, ObjectKind, ObjectRef};
use crate::domain::timestamp::Timestamp;

/// All objects that are to be read, and those being read.
#[derive(Debug)]
pub struct WorkQueue {
    live: Quota,
    sandbox: Quota,
    rule: BreakerRule,
    aged_after: Duration,
    breakers: BTreeMap<Account, Breaker>,
    lanes: BTreeMap<(Account, ObjectKind), Lane>,
    entries: HashMap<ObjectRef, Entry>,
    in_flight: usize,
}

/// Why a read did not settle its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutBack {
    /// A second read is to confirm the first.
    Confirm,
    /// This object's own trouble: it counts as an attempt.
    ObjectFailed,
    /// Trouble of the merchant's credentials, of the network or of Amazon: nothing is counted.
    Systemic,
}

/// What a read has settled.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The newest causes, oldest first.
    pub causes: Vec<Cause>,
    /// Inbox records that have their answer now.
    pub answered: Vec<InboxPosition>,
}

#[derive(Debug, Default)]
struct Causes {
    newest: Vec<Cause>,
    seen: u64,
    /// Inbox records not yet answered, not even by pending work.
    open: Vec<InboxPosition>,
    /// Whether the state record holds (or is about to hold) these as pending.
    released: bool,
    oldest_open_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Entry {
    causes: Causes,
    /// Causes that came while the object was being read.
    during: Causes,
    in_flight: bool,
    due: Timestamp,
    class: Class,
    attempts: u32,
    failing_since: Option<Timestamp>,
    confirming: bool,
}

/// How many causes are remembered of one object.
const CAUSES_KEPT: usize = 16;

impl WorkQueue {
    /// An empty queue with our part of Amazon's quotas.
    /// What has been due for `aged_after` takes turns with what is new.
    pub fn new(live: Quota, sandbox: Quota, rule: BreakerRule, aged_after: Duration) -> Self {
        let (breakers, lanes, entries) = (BTreeMap::new(), BTreeMap::new(), HashMap::new());
        Self { live, sandbox, rule, aged_after, breakers, lanes, entries, in_flight: 0 }
    }

    /// Adds a cause; the object is due at once, or right after the read that is under way.
    pub fn push(&mut self, object: &ObjectRef, cause: Cause, now: Timestamp) {
        let entry = self.entries.entry(object.clone()).or_insert_with(|| Entry::due_at(now));
        if entry.in_flight {
            entry.during.add(cause, now);
            return;
        }
        let is_new = entry.causes.seen == 0;
        entry.causes.add(cause, now);
        entry.confirming = false; // the next read is the first one that can answer this hint
        // A fresh hint overtakes a back-off, but what is due already keeps its place.
        if is_new || entry.due > now {
            self.schedule(object, now, Class::Fresh, now);
        }
    }

    /// Continues work that an earlier owner of the partition left in the state record.
    pub fn restore(&mut self, object: &ObjectRef, pending: Pending, now: Timestamp) {
        let Pending { causes, causes_seen, due, attempts, failing_since, confirming } = pending;
        let causes =
            Causes { newest: causes, seen: causes_seen, open: Vec::new(), released: true, oldest_open_at: None };
        let entry = Entry { causes, attempts, failing_since, confirming, ..Entry::due_at(due) };
        let class = match (confirming, attempts) {
            (true, _) => Class::Confirming,
            (false, 0) => Class::Fresh,
            (false, _) => Class::Retry,
        };
        self.entries.insert(object.clone(), entry);
        self.schedule(object, due, class, now);
    }

    /// Objects to read now, at most `most` of them in flight at any time.
    pub fn take_due(&mut self, now: Timestamp, most: usize) -> Vec<ObjectRef> {
        let mut taken = Vec::new();
        loop {
            let before = taken.len();
            // One of each lane in turn, so that no lane takes every place.
            for ((account, _), lane) in &mut self.lanes {
                if !lane.has_due(now) || self.in_flight >= most {
                    continue;
                }
                let breaker = self.breakers.entry(account.clone()).or_insert_with(|| Breaker::new(self.rule));
                if !breaker.would_let(now) || !lane.bucket.take(now) {
                    continue;
                }
                breaker.let_out(now);
                let object = lane.pop(now, self.aged_after).expect("something is due");
                let entry = self.entries.get_mut(&object).expect("every due object has an entry");
                entry.in_flight = true;
                self.in_flight += 1;
                taken.push(object);
            }
            if taken.len() == before {
                return taken;
            }
        }
    }

    /// What the read that just ended was for, and whether it was the confirming one.
    pub fn causes_of(&self, object: &ObjectRef) -> (&[Cause], bool) {
        self.entries.get(object).map_or((&[], false), |entry| (&entry.causes.newest, entry.confirming))
    }

    /// Failed reads of this object so far, and since when.
    pub fn failures_of(&self, object: &ObjectRef) -> (u32, Option<Timestamp>) {
        self.entries.get(object).map_or((0, None), |entry| (entry.attempts, entry.failing_since))
    }

    /// The read answered its causes. Causes that came meanwhile make the object due again.
    pub fn settle(&mut self, object: &ObjectRef, now: Timestamp) -> Settled {
        let Some(entry) = self.entries.get_mut(object) else { return Settled::default() };
        self.in_flight -= usize::from(entry.in_flight);
        let causes = std::mem::take(&mut entry.causes);
        let during = std::mem::take(&mut entry.during);
        if during.seen == 0 {
            self.entries.remove(object);
        } else {
            *entry = Entry { causes: during, ..Entry::due_at(now) };
            self.schedule(object, now, Class::Fresh, now);
        }
        Settled { causes: causes.newest, answered: causes.open }
    }

    /// The read answered nothing yet; another is due at `due`, or at once if a cause came meanwhile.
    pub fn put_back(&mut self, object: &ObjectRef, why: PutBack, due: Timestamp, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(object) else { return };
        self.in_flight -= usize::from(entry.in_flight);
        entry.in_flight = false;
        match why {
            PutBack::Confirm => entry.confirming = true,
            PutBack::ObjectFailed => {
                entry.attempts += 1;
                entry.failing_since.get_or_insert(now);
            }
            PutBack::Systemic => {}
        }
        let during = std::mem::take(&mut entry.during);
        let came_meanwhile = during.seen > 0;
        if came_meanwhile && why == PutBack::Confirm {
            entry.confirming = false; // a newer hint: its first read is not a confirming one
        }
        entry.causes.absorb(during);
        let class = match why {
            _ if came_meanwhile => Class::Fresh,
            PutBack::Confirm => Class::Confirming,
            PutBack::ObjectFailed | PutBack::Systemic => Class::Retry,
        };
        let due = if came_meanwhile && why != PutBack::Systemic { now } else { due };
        self.schedule(object, due, class, now);
    }

    /// A read of this account failed for a reason that is not its object's.
    pub fn failed(&mut self, account: &Account, now: Timestamp) -> Option<BreakerChange> {
        self.breakers.get_mut(account)?.failed(now)
    }

    /// A read of this account was answered, whatever the answer.
    pub fn answered(&mut self, account: &Account) -> Option<BreakerChange> {
        self.breakers.get_mut(account)?.answered()
    }

    /// Accounts whose reads are kept back.
    pub fn held_back(&self) -> impl Iterator<Item = &Account> {
        self.breakers.iter().filter(|(_, breaker)| breaker.is_open()).map(|(account, _)| account)
    }

    /// Amazon throttled this operation of this account.
    pub fn throttled(&mut self, object: &ObjectRef, now: Timestamp, pause: Duration) {
        if let Some(lane) = self.lanes.get_mut(&(object.account.clone(), object.kind)) {
            lane.bucket.throttled(now, pause);
        }
    }

    /// Lets go of inbox records that wait for longer than `age_max`, and of all those of the accounts in `too_many`:
    /// their objects' work is to be written as pending ([`WorkQueue::pending_of`]) in the transaction that passes them.
    pub fn release(
        &mut self,
        now: Timestamp,
        age_max: Duration,
        too_many: &[Account],
    ) -> Vec<(ObjectRef, Vec<InboxPosition>)> {
        self.entries
            .iter_mut()
            .filter(|(object, entry)| {
                let age_max = if too_many.contains(&object.account) { Duration::ZERO } else { age_max };
                [&entry.causes, &entry.during]
                    .iter()
                    .any(|causes| causes.oldest_open_at.is_some_and(|at| now.since(at) >= age_max))
            })
            .map(|(object, entry)| (object.clone(), entry.release()))
            .collect()
    }

    /// Accounts with more than `most` inbox records that wait for their answer.
    pub fn with_open_above(&self, most: usize) -> Vec<Account> {
        let mut open: BTreeMap<&Account, usize> = BTreeMap::new();
        for (object, entry) in &self.entries {
            *open.entry(&object.account).or_default() += entry.causes.open.len() + entry.during.open.len();
        }
        open.into_iter().filter(|(_, n)| *n > most).map(|(account, _)| account.clone()).collect()
    }

    /// Lets go of one object's inbox records, because its next read is some time away.
    pub fn release_one(&mut self, object: &ObjectRef) -> Vec<InboxPosition> {
        self.entries.get_mut(object).map(Entry::release).unwrap_or_default()
    }

    /// What the state record must hold of this object's work: nothing unless its inbox records were let go.
    pub fn pending_of(&self, object: &ObjectRef) -> Option<Pending> {
        let entry = self.entries.get(object)?;
        (entry.causes.released || entry.during.released).then(|| {
            let mut causes: Vec<Cause> = entry.causes.newest.iter().chain(&entry.during.newest).cloned().collect();
            causes.drain(..causes.len().saturating_sub(CAUSES_KEPT));
            Pending {
                causes,
                causes_seen: entry.causes.seen + entry.during.seen,
                due: entry.due,
                attempts: entry.attempts,
                failing_since: entry.failing_since,
                confirming: entry.confirming,
            }
        })
    }

    /// How many objects are to be read or being read.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many reads are under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn schedule(&mut self, object: &ObjectRef, due: Timestamp, class: Class, now: Timestamp) {
        let quota = match object.account.environment {
            Environment::Live => self.live,
            Environment::Sandbox => self.sandbox,
        };
        let lane = self
            .lanes
            .entry((object.account.clone(), object.kind))
            .or_insert_with(|| Lane::new(TokenBucket::empty(quota, now)));
        let entry = self.entries.get_mut(object).expect("only objects with an entry are scheduled");
        lane.remove(entry.due, entry.class, object);
        (entry.due, entry.class) = (due, class);
        lane.add(due, class, object.clone());
    }
}

impl Entry {
    fn due_at(due: Timestamp) -> Self {
        Self {
            causes: Causes::default(),
            during: Causes::default(),
            in_flight: false,
            due,
            class: Class::Fresh,
            attempts: 0,
            failing_since: None,
            confirming: false,
        }
    }

    fn release(&mut self) -> Vec<InboxPosition> {
        let mut positions = self.causes.release();
        positions.append(&mut self.during.release());
        positions
    }
}

impl Causes {
    fn add(&mut self, cause: Cause, now: Timestamp) {
        self.seen += 1;
        if let Some(position) = cause.position {
            self.open.push(position);
            self.oldest_open_at.get_or_insert(now);
        }
        // By the sender's time, since the newest is what a read must answer; arrival order says nothing.
        let at = self.newest.partition_point(|known| known.timestamp <= cause.timestamp);
        self.newest.insert(at, cause);
        if self.newest.len() > CAUSES_KEPT {
            self.newest.remove(0);
        }
    }

    fn absorb(&mut self, other: Self) {
        self.seen += other.seen;
        self.open.extend(other.open);
        self.released |= other.released;
        self.oldest_open_at = self.oldest_open_at.or(other.oldest_open_at);
        self.newest.extend(other.newest);
        self.newest.sort_by_key(|cause| cause.timestamp);
        self.newest.drain(..self.newest.len().saturating_sub(CAUSES_KEPT));
    }

    fn release(&mut self) -> Vec<InboxPosition> {
        if self.seen > 0 {
            self.released = true;
        }
        self.oldest_open_at = None;
        std::mem::take(&mut self.open)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
