//! The work of one merchant in one environment: a lane per operation, and limits that isolate it from other merchants.

use std::collections::BTreeMap;
use std::time::Duration;

use super::breaker::{Breaker, BreakerRule};
use super::lane::Lane;
use super::quota::{Quota, TokenBucket};
use crate::domain::pay::{Account, Environment, ObjectId, ObjectKind};
use crate::domain::timestamp::Timestamp;

/// The rules for every account.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The receiver's share of Amazon's quota in live, per operation.
    pub live: Quota,
    /// The same in sandbox.
    pub sandbox: Quota,
    /// The share of the receiver's quota that reconciliation may use.
    pub reconciliation_share: f64,
    /// When the breaker opens.
    pub breaker: BreakerRule,
    /// A read that has been due for this long alternates with new reads.
    pub aged_after: Duration,
    /// Reads of an account in flight.
    pub reads_in_flight_max: usize,
    /// Inbox records of an account that wait for their answer.
    pub records_open_max: usize,
}

impl Rules {
    /// The receiver's share of Amazon's quota, per operation.
    fn of(&self, environment: Environment) -> Quota {
        match environment {
            Environment::Live => self.live,
            Environment::Sandbox => self.sandbox,
        }
    }

    /// The reconciliation share of that quota.
    pub(super) fn reconciliation_of(&self, environment: Environment) -> Quota {
        self.of(environment).share(self.reconciliation_share)
    }
}

/// One account's lanes.
#[derive(Debug)]
pub(super) struct AccountWork {
    pub(super) breaker: Breaker,
    lanes: BTreeMap<ObjectKind, Lane>,
    quota: Quota,
    reconciliation: Quota,
    since: Timestamp,
    /// Index in [`ObjectKind::ALL`] of the lane that goes first.
    first: usize,
}

impl AccountWork {
    /// No work yet. Tokens are counted from `since`, when the partitions were assigned.
    pub(super) fn new(account: &Account, rules: &Rules, since: Timestamp) -> Self {
        let breaker = Breaker::new(rules.breaker);
        Self {
            breaker,
            lanes: BTreeMap::new(),
            quota: rules.of(account.environment),
            reconciliation: rules.reconciliation_of(account.environment),
            since,
            first: 0,
        }
    }

    pub(super) fn lane(&self, kind: ObjectKind) -> Option<&Lane> {
        self.lanes.get(&kind)
    }

    /// The lane of an operation, made if need be.
    pub(super) fn lane_for(&mut self, kind: ObjectKind) -> &mut Lane {
        self.lanes.entry(kind).or_insert_with(|| {
            let bucket = |quota| TokenBucket::empty(quota, self.since);
            Lane::new(bucket(self.quota), bucket(self.reconciliation))
        })
    }

    /// Objects to read now, and whether the limit on reads in flight held any back.
    pub(super) fn take_due(&mut self, now: Timestamp, rules: &Rules) -> (Vec<(ObjectKind, ObjectId)>, bool) {
        let mut taken = Vec::new();
        let mut in_flight = self.in_flight();
        loop {
            let before = taken.len();
            // One of each lane in turn, and the next time from where this time ended: no lane takes every place, nor, while
            // the breaker lets single probes out, every probe.
            let first = self.first;
            for at in (first..first + ObjectKind::ALL.len()).map(|at| at % ObjectKind::ALL.len()) {
                let kind = ObjectKind::ALL[at];
                let Some(lane) = self.lanes.get_mut(&kind).filter(|lane| lane.has_due(now)) else { continue };
                if !self.breaker.allows(now) {
                    continue;
                }
                if in_flight >= rules.reads_in_flight_max {
                    return (taken, true);
                }
                let Some(id) = lane.take_due(now, rules.aged_after) else { continue };
                self.breaker.note_sent(now);
                self.first = (at + 1) % ObjectKind::ALL.len();
                in_flight += 1;
                taken.push((kind, id));
            }
            if taken.len() == before {
                return (taken, false);
            }
        }
    }

    pub(super) fn lanes_mut(&mut self) -> impl Iterator<Item = (ObjectKind, &mut Lane)> {
        self.lanes.iter_mut().map(|(kind, lane)| (*kind, lane))
    }

    pub(super) fn lanes(&self) -> impl Iterator<Item = (ObjectKind, &Lane)> {
        self.lanes.iter().map(|(kind, lane)| (*kind, lane))
    }

    pub(super) fn in_flight(&self) -> usize {
        self.lanes.values().map(Lane::in_flight).sum()
    }

    /// How many inbox records wait for their answer.
    pub(super) fn records_open(&self) -> usize {
        self.lanes.values().map(Lane::records_open).sum()
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.values().map(Lane::len).sum()
    }
}
