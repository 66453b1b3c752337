//! Where the walk through all that is known stands.

use std::collections::{BTreeMap, BinaryHeap, HashSet};

use crate::config::{Reconciliation, Worker as Settings};
use crate::domain::pay::{Account, ObjectKind, ObjectRef};
use crate::domain::state::retention::Retention;
use crate::domain::timestamp::Timestamp;
use crate::kafka::state_store::RecordView;
use crate::worker::gauges::show_reconciliation;

/// Where the walk is, and what this pass has seen.
#[derive(Debug)]
pub(in crate::worker) struct Reconciler {
    /// By what every time between two looks is scaled; nothing, if nothing is to be looked at.
    pub(in crate::worker) period_factor: Option<f64>,
    pub(in crate::worker) keeping: Retention,
    pub(in crate::worker) next_slot: usize,
    pub(in crate::worker) pass_began: Timestamp,
    pub(in crate::worker) go_on_at: Timestamp,
    pub(in crate::worker) lanes: BTreeMap<(Account, ObjectKind), LaneReconciler>,
    pub(in crate::worker) guarded: Guarded,
}

/// One operation of one account.
#[derive(Debug, Default)]
pub(in crate::worker) struct LaneReconciler {
    /// Objects that may still change, seen in this pass.
    pub(in crate::worker) n_open: u64,
    /// Those due for longest, with their slots.
    pub(in crate::worker) due: BinaryHeap<(Timestamp, usize)>,
    /// What was queued and may still be there.
    pub(in crate::worker) queued: Vec<ObjectRef>,
}

/// Permissions at their end that an object below them is not, from the last whole pass and from this one.
#[derive(Debug, Default)]
pub(in crate::worker) struct Guarded {
    pub(in crate::worker) last: Option<HashSet<ObjectRef>>,
    pub(in crate::worker) now: HashSet<ObjectRef>,
}

impl Reconciler {
    pub(in crate::worker) fn new(settings: &Settings, reconciliation: &Reconciliation, now: Timestamp) -> Self {
        Self {
            period_factor: reconciliation.enabled.then_some(reconciliation.period_factor),
            keeping: settings.keeping(),
            next_slot: 0,
            pass_began: now,
            go_on_at: now,
            lanes: BTreeMap::new(),
            guarded: Guarded::default(),
        }
    }

    /// What is no longer ours is not looked at.
    pub(in crate::worker) fn report_gone(&self) {
        for (account, kind) in self.lanes.keys() {
            show_reconciliation(account, *kind, 0, 1.0);
        }
    }

    /// What this pass has seen of the operation.
    pub(in crate::worker) fn lane(&mut self, view: &RecordView<'_>) -> &mut LaneReconciler {
        self.lanes.entry((view.account.clone(), view.kind())).or_default()
    }
}

impl Guarded {
    /// Only a whole pass tells that no object guards it.
    pub(in crate::worker) fn keeps(&self, object: &ObjectRef) -> bool {
        let Some(last) = &self.last else { return true };
        object.kind == ObjectKind::ChargePermission && (last.contains(object) || self.now.contains(object))
    }
}
