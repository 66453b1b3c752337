//! Answers that cannot be told yet: a refund or a dispute names its charge, only the charge names the permission, and only
//! the permission tells its type.

use std::collections::HashMap;

use crate::domain::pay::{Fetched, ObjectRef};
use crate::domain::timestamp::Timestamp;

/// Answers by the object they wait for. What is lost with the process is read again.
#[derive(Debug)]
pub(in crate::worker) struct DeferredReads {
    by_helper: HashMap<ObjectRef, Vec<Deferred>>,
    kept: usize,
    kept_max: usize,
}

/// An answer, and when its read began.
#[derive(Debug)]
pub(in crate::worker) struct Deferred {
    pub(in crate::worker) object: ObjectRef,
    pub(in crate::worker) fetched: Fetched,
    pub(in crate::worker) read_started_at: Timestamp,
}

impl DeferredReads {
    pub(in crate::worker) fn new(kept_max: usize) -> Self {
        Self { by_helper: HashMap::new(), kept: 0, kept_max }
    }

    /// Keeps an answer until the other object was read. Whether there was room; if not, the object is read again.
    pub(in crate::worker) fn keep(&mut self, helper: ObjectRef, kept: Deferred) -> bool {
        let waiting = self.by_helper.entry(helper).or_default();
        if let Some(earlier) = waiting.iter_mut().find(|earlier| earlier.object == kept.object) {
            *earlier = kept;
            return true;
        }
        let has_room = self.kept < self.kept_max;
        if has_room {
            self.kept += 1;
            waiting.push(kept);
        }
        has_room
    }

    /// Whether an answer of this object waits for that one, and so has waited in vain if it is read again.
    pub(in crate::worker) fn holds(&self, helper: &ObjectRef, object: &ObjectRef) -> bool {
        self.by_helper.get(helper).is_some_and(|waiting| waiting.iter().any(|kept| kept.object == *object))
    }

    /// Hands out what waited for this object.
    pub(in crate::worker) fn take(&mut self, helper: &ObjectRef) -> Vec<Deferred> {
        let waiting = self.by_helper.remove(helper).unwrap_or_default();
        self.kept -= waiting.len();
        waiting
    }
}
