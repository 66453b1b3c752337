//! Where a worker begins in a partition of the inbox.

use std::collections::BTreeMap;

/// Where the group and the log of one inbox partition stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// What the group committed.
    pub(super) committed: Option<i64>,
    /// The first offset there is.
    pub(super) start: i64,
    /// The offset after the last one.
    pub(super) end: i64,
}

/// By partition.
pub(super) type Standings = BTreeMap<i32, Standing>;

impl Standing {
    /// Where to go on: at what was committed, if that is there.
    pub(super) fn position(&self) -> i64 {
        self.committed.filter(|at| (self.start..=self.end).contains(at)).unwrap_or(self.start)
    }
}
