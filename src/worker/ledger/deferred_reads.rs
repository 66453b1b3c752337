//! Reads whose event needs a parent object that was not read yet.
//!
//! A refund or dispute names its charge, only the charge names the charge permission, and only the charge permission
//! has the type that an event carries. The answer is kept until the parent was read, so that neither is read twice.

use std::collections::HashMap;

use crate::domain::pay::{Fetched, ObjectKind, ObjectRef};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::WorkQueue;
use crate::kafka::state_store::StateStore;

/// Deferred reads by the parent that they need. After a restart their objects are read again.
#[derive(Debug)]
pub(in crate::worker) struct DeferredReads {
    by_parent: HashMap<ObjectRef, Vec<ObjectRead>>,
    len: usize,
    len_max: usize,
}

/// What Amazon Pay answered about an object.
#[derive(Debug)]
pub(in crate::worker) struct ObjectRead {
    pub(in crate::worker) object: ObjectRef,
    pub(in crate::worker) fetched: Box<Fetched>,
    pub(in crate::worker) started_at: Timestamp,
}

/// The charge permission of an object that was read.
pub(in crate::worker) enum Permission {
    /// Its id is known, and its facts are as complete as they can get.
    Known(ObjectRef),
    /// This parent must be read first.
    NeedsParent(ObjectRef),
    /// Neither the answer nor the known state names it.
    Unnamed,
}

impl DeferredReads {
    pub(in crate::worker) fn new(len_max: usize) -> Self {
        Self { by_parent: HashMap::new(), len: 0, len_max }
    }

    /// Finds the charge permission of a read, or the parent that must be read first.
    pub(in crate::worker) fn permission_of(
        &self,
        read: &ObjectRead,
        store: &StateStore,
        queue: &WorkQueue,
    ) -> Permission {
        let ObjectRead { object, fetched, .. } = read;
        let known_id = |object: &ObjectRef| Some(store.observed(object)?.charge_permission_id);
        let own = fetched.charge_permission_id.clone().or_else(|| known_id(object));
        let id = match (own, &fetched.charge_id) {
            (Some(id), _) => id,
            (None, Some(charge)) if object.kind != ObjectKind::Charge => {
                let charge = object.sibling(ObjectKind::Charge, charge.clone());
                match known_id(&charge) {
                    Some(id) => id,
                    None => return Permission::NeedsParent(charge),
                }
            }
            (None, _) => return Permission::Unnamed,
        };
        let permission = object.sibling(ObjectKind::ChargePermission, id);
        if self.needs_permission(object, &permission, store, queue) {
            Permission::NeedsParent(permission)
        } else {
            Permission::Known(permission)
        }
    }

    /// An event of a charge, refund or dispute carries its permission's type and state, so a permission that was never
    /// read is read first. Not if its read fails, if the object has waited for it before, or if only reconciliation
    /// asked for the object.
    fn needs_permission(
        &self,
        object: &ObjectRef,
        permission: &ObjectRef,
        store: &StateStore,
        queue: &WorkQueue,
    ) -> bool {
        let is_known = store.is_observed(permission) || queue.causes_of(object).0.is_empty();
        let is_readable = queue.attempts_of(permission) == 0 && !self.holds(permission, object);
        object.kind != ObjectKind::ChargePermission && !is_known && is_readable
    }

    /// Keeps a read until its parent was read. False if there is no room; the object must then be read again.
    pub(in crate::worker) fn keep(&mut self, parent: ObjectRef, read: ObjectRead) -> bool {
        let deferred = self.by_parent.entry(parent).or_default();
        if let Some(earlier) = deferred.iter_mut().find(|earlier| earlier.object == read.object) {
            *earlier = read;
            return true;
        }
        let has_room = self.len < self.len_max;
        if has_room {
            self.len += 1;
            deferred.push(read);
        }
        has_room
    }

    fn holds(&self, parent: &ObjectRef, object: &ObjectRef) -> bool {
        self.by_parent.get(parent).is_some_and(|deferred| deferred.iter().any(|read| read.object == *object))
    }

    /// Takes the reads that waited for this parent. Drops those whose object has a newer cause: they are read again.
    pub(in crate::worker) fn take(&mut self, parent: &ObjectRef, queue: &WorkQueue) -> Vec<ObjectRead> {
        let mut deferred = self.by_parent.remove(parent).unwrap_or_default();
        self.len -= deferred.len();
        deferred.retain(|read| queue.is_waiting(&read.object));
        deferred
    }
}
