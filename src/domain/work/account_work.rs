//! The work of one merchant in one environment: a lane per operation, and limits that isolate it from other merchants.

use std::collections::BTreeMap;
use std::time::Duration;

use super::breaker::{Breaker, BreakerChange, BreakerRule, HoldChange, Trouble};
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
    /// Holds back all operations.
    connection: Breaker,
    breaker_rule: BreakerRule,
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
        Self {
            connection: Breaker::new(rules.breaker),
            breaker_rule: rules.breaker,
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
            Lane::new(Breaker::new(self.breaker_rule), bucket(self.quota), bucket(self.reconciliation))
        })
    }

    /// A read of this operation failed for a reason that is not its object's.
    pub(super) fn failed(&mut self, kind: ObjectKind, trouble: Trouble, now: Timestamp) -> Option<HoldChange> {
        let of_connection = match trouble {
            Trouble::Connection => self.connection.failed(now).map(HoldChange::of_account),
            Trouble::Timeout => None,
            Trouble::Refusal => self.connected(),
        };
        let of_lane = self.lane_for(kind).breaker.failed(now);
        of_connection.or(of_lane.map(|change| HoldChange { change, operation: Some(kind) }))
    }

    /// A read of this operation was answered, if only with 429.
    pub(super) fn answered(&mut self, kind: ObjectKind) -> Option<HoldChange> {
        let of_connection = self.connected();
        let of_lane = self.lane_for(kind).breaker.answered();
        of_connection.or(of_lane.map(|change| HoldChange { change, operation: Some(kind) }))
    }

    /// Amazon was reached. If it was not before, no operation is held back for that any more.
    fn connected(&mut self) -> Option<HoldChange> {
        let change = self.connection.answered()?;
        for lane in self.lanes.values_mut() {
            lane.breaker.answered();
        }
        Some(HoldChange::of_account(change))
    }

    /// Whether the reads of an operation are held back.
    pub(super) fn is_held_back(&self, lane: &Lane) -> bool {
        self.connection.is_open() || lane.breaker.is_open()
    }

    /// The operations that are held back; a single `None` if all are.
    pub(super) fn held_back(&self) -> Vec<Option<ObjectKind>> {
        if self.connection.is_open() {
            return vec![None];
        }
        self.lanes().filter(|(_, lane)| lane.breaker.is_open()).map(|(kind, _)| Some(kind)).collect()
    }

    /// Objects to read now, and whether the limit on reads in flight held any back.
    pub(super) fn take_due(&mut self, now: Timestamp, rules: &Rules) -> (Vec<(ObjectKind, ObjectId)>, bool) {
        let mut taken = Vec::new();
        let mut in_flight = self.in_flight();
        loop {
            let before = taken.len();
            // One of each lane in turn, and the next time from where this time ended: no lane takes every place, nor, while
            // the connection is probed, every probe.
            let first = self.first;
            for at in (first..first + ObjectKind::ALL.len()).map(|at| at % ObjectKind::ALL.len()) {
                let kind = ObjectKind::ALL[at];
                let Some(lane) = self.lanes.get_mut(&kind).filter(|lane| lane.has_due(now)) else { continue };
                if !(self.connection.allows(now) && lane.breaker.allows(now)) {
                    continue;
                }
                if in_flight >= rules.reads_in_flight_max {
                    return (taken, true);
                }
                let Some(id) = lane.take_due(now, rules.aged_after) else { continue };
                self.connection.note_sent(now);
                lane.breaker.note_sent(now);
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

impl HoldChange {
    fn of_account(change: BreakerChange) -> Self {
        Self { change, operation: None }
    }
}
