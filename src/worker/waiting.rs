//! Answers that cannot be told yet: a refund or a dispute names its charge, and only the charge names the permission.

use std::collections::HashMap;

use crate::domain::pay::{Fetched, ObjectRef};
use crate::domain::timestamp::Timestamp;

/// Answers by the charge they wait for. What is lost with the process is read again.
#[derive(Debug)]
pub(super) struct Waiting {
    by_charge: HashMap<ObjectRef, Vec<Kept>>,
    kept: usize,
    kept_max: usize,
}

/// An answer, and when its read began.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) object: ObjectRef,
    pub(super) fetched: Fetched,
    pub(super) read_started_at: Timestamp,
}

impl Waiting {
    pub(super) fn new(kept_max: usize) -> Self {
        Self { by_charge: HashMap::new(), kept: 0, kept_max }
    }

    /// Keeps an answer until its charge was read. Whether there was room; if not, the object is read again.
    pub(super) fn keep(&mut self, charge: ObjectRef, kept: Kept) -> bool {
        let waiting = self.by_charge.entry(charge).or_default();
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

    /// Hands out what waited for this charge.
    pub(super) fn take(&mut self, charge: &ObjectRef) -> Vec<Kept> {
        let waiting = self.by_charge.remove(charge).unwrap_or_default();
        self.kept -= waiting.len();
        waiting
    }
}
