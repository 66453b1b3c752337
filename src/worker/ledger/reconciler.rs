//! Where the reconcile walk stands, and what its current pass has found.

use std::collections::{BTreeMap, BinaryHeap, HashSet};

use crate::config::Worker as Settings;
use crate::domain::pay::{Account, ObjectKind, ObjectRef};
use crate::domain::state::reconcile_schedule::{DueNow, Schedule};
use crate::domain::state::retention::Retention;
use crate::domain::timestamp::Timestamp;
use crate::kafka::state_store::RecordView;
use crate::worker::gauges::show_reconciliation;

/// The reconciler of one assignment. It owns no objects: each step of the walk is handed them.
#[derive(Debug)]
pub(in crate::worker) struct Reconciler {
    /// When objects are read; None if reconciliation is off.
    pub(super) schedule: Option<Schedule>,
    pub(super) retention: Retention,
    pub(super) next_slot: usize,
    pub(super) pass_started_at: Timestamp,
    pub(super) next_step_at: Timestamp,
    pub(super) lanes: BTreeMap<(Account, ObjectKind), LaneReconciler>,
    pub(super) guarded: GuardedPermissions,
}

/// One operation of one account.
#[derive(Debug, Default)]
pub(super) struct LaneReconciler {
    /// Objects that may still change, counted in this pass.
    pub(super) n_open: u64,
    /// The objects that are read first, with their slots.
    pub(super) due: BinaryHeap<(DueNow, usize)>,
    /// Objects that were queued for a reconciliation read and may still be queued.
    pub(super) queued: Vec<ObjectRef>,
}

/// Charge permissions in a final state that have an object which may still change.
#[derive(Debug, Default)]
pub(super) struct GuardedPermissions {
    /// From the last complete pass, if there was one.
    pub(super) last_pass: Option<HashSet<ObjectRef>>,
    pub(super) this_pass: HashSet<ObjectRef>,
}

impl Reconciler {
    pub(in crate::worker) fn new(settings: &Settings, schedule: Option<Schedule>, now: Timestamp) -> Self {
        Self {
            schedule,
            retention: settings.keeping(),
            next_slot: 0,
            pass_started_at: now,
            next_step_at: now,
            lanes: BTreeMap::new(),
            guarded: GuardedPermissions::default(),
        }
    }

    /// Sets the gauges to zero: the partitions are no longer assigned.
    pub(in crate::worker) fn report_gone(&self) {
        for (account, kind) in self.lanes.keys() {
            show_reconciliation(account, *kind, 0, 1.0);
        }
    }

    pub(super) fn lane(&mut self, view: &RecordView<'_>) -> &mut LaneReconciler {
        self.lanes.entry((view.account.clone(), view.kind())).or_default()
    }
}

impl GuardedPermissions {
    /// Whether the object must not be deleted. Before the first complete pass that holds for every object.
    pub(super) fn keeps(&self, object: &ObjectRef) -> bool {
        let Some(last_pass) = &self.last_pass else { return true };
        object.kind == ObjectKind::ChargePermission && (last_pass.contains(object) || self.this_pass.contains(object))
    }
}
