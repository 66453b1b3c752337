//! Where the walk through all that is known stands.

use std::collections::{BTreeMap, BinaryHeap, HashSet};

use super::gauges::show_reconciliation;
use crate::config::{Reconciliation, Worker as Settings};
use crate::domain::forgetting::Keeping;
use crate::domain::pay::{Account, ObjectKind, ObjectRef};
use crate::domain::timestamp::Timestamp;
use crate::state_store::Glance;

/// Where the walk is, and what this lap has seen.
#[derive(Debug)]
pub(super) struct Sweep {
    /// By what every time between two looks is scaled; nothing, if nothing is to be looked at.
    pub(super) period_factor: Option<f64>,
    pub(super) keeping: Keeping,
    pub(super) next_place: usize,
    pub(super) lap_began: Timestamp,
    pub(super) go_on_at: Timestamp,
    pub(super) lanes: BTreeMap<(Account, ObjectKind), LaneSweep>,
    pub(super) guarded: Guarded,
}

/// One operation of one account.
#[derive(Debug, Default)]
pub(super) struct LaneSweep {
    /// Objects that may still change, seen in this lap.
    pub(super) n_open: u64,
    /// Those due for longest, with their places.
    pub(super) due: BinaryHeap<(Timestamp, usize)>,
    /// What was queued and may still be there.
    pub(super) queued: Vec<ObjectRef>,
}

/// Permissions at their end that an object below them is not, from the last whole lap and from this one.
#[derive(Debug, Default)]
pub(super) struct Guarded {
    pub(super) last: Option<HashSet<ObjectRef>>,
    pub(super) now: HashSet<ObjectRef>,
}

impl Sweep {
    pub(super) fn new(settings: &Settings, reconciliation: &Reconciliation, now: Timestamp) -> Self {
        Self {
            period_factor: reconciliation.enabled.then_some(reconciliation.period_factor),
            keeping: settings.keeping(),
            next_place: 0,
            lap_began: now,
            go_on_at: now,
            lanes: BTreeMap::new(),
            guarded: Guarded::default(),
        }
    }

    /// What is no longer ours is not looked at.
    pub(super) fn report_gone(&self) {
        for (account, kind) in self.lanes.keys() {
            show_reconciliation(account, *kind, 0, 1.0);
        }
    }

    /// What this lap has seen of the operation.
    pub(super) fn lane(&mut self, glance: &Glance<'_>) -> &mut LaneSweep {
        self.lanes.entry((glance.account.clone(), glance.kind())).or_default()
    }
}

impl Guarded {
    /// Only a whole lap tells that no object guards it.
    pub(super) fn keeps(&self, object: &ObjectRef) -> bool {
        let Some(last) = &self.last else { return true };
        object.kind == ObjectKind::ChargePermission && (last.contains(object) || self.now.contains(object))
    }
}
