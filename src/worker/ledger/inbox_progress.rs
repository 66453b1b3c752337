//! How far the inbox is answered, by partition, and how long its records have waited.

use std::collections::HashMap;

use super::inbox_latency::InboxLatency;
use crate::domain::state::InboxMark;
use crate::domain::timestamp::Timestamp;
use crate::domain::work::{InboxPosition, Offsets};
use crate::worker::context::Positions;

/// The inbox partitions of one assignment.
#[derive(Debug)]
pub(in crate::worker) struct InboxProgress {
    offsets: HashMap<i32, Offsets>,
    /// The last consumed record of each partition.
    newest: HashMap<i32, InboxMark>,
    pub(in crate::worker) latency: InboxLatency,
}

impl InboxProgress {
    pub(in crate::worker) fn starting_at(positions: &Positions) -> Self {
        let start = |(partition, position): (&i32, &i64)| (*partition, Offsets::starting_at(*position));
        Self {
            offsets: positions.iter().map(start).collect(),
            newest: HashMap::new(),
            latency: InboxLatency::default(),
        }
    }

    /// Whether this partition is assigned.
    pub(in crate::worker) fn has_partition(&self, partition: i32) -> bool {
        self.offsets.contains_key(&partition)
    }

    /// Notes that a record was consumed. False if its partition is not assigned.
    pub(in crate::worker) fn consumed(&mut self, position: InboxPosition, appended_at: Timestamp) -> bool {
        let Some(offsets) = self.offsets.get_mut(&position.partition) else { return false };
        offsets.consumed(position.offset);
        self.newest.insert(position.partition, InboxMark { offset: position.offset, appended_at });
        self.latency.note(position, appended_at);
        true
    }

    /// The last consumed record of this partition, if there is one in this assignment.
    pub(in crate::worker) fn newest(&self, partition: i32) -> Option<InboxMark> {
        self.newest.get(&partition).copied()
    }

    /// Marks records as answered: the committed offset may pass them.
    pub(in crate::worker) fn done(&mut self, positions: &[InboxPosition]) {
        for position in positions {
            self.latency.forget(*position);
            if let Some(offsets) = self.offsets.get_mut(&position.partition) {
                offsets.done(position.offset);
            }
        }
    }

    /// The offset that the next record of this partition should have had, if it differs from the record's own.
    pub(in crate::worker) fn expected_instead_of(&self, position: InboxPosition) -> Option<i64> {
        self.offsets.get(&position.partition).map(Offsets::next).filter(|next| *next != position.offset)
    }

    /// Whether an offset moved since the last commit.
    pub(in crate::worker) fn has_moved(&self) -> bool {
        self.offsets.values().any(Offsets::has_moved)
    }

    /// The offset to commit for every assigned partition, whether it moved or not.
    pub(in crate::worker) fn positions(&self) -> Positions {
        self.offsets.iter().map(|(partition, offsets)| (*partition, offsets.position())).collect()
    }

    /// Notes that a transaction committed these offsets.
    pub(in crate::worker) fn committed(&mut self, positions: &Positions) {
        for (partition, position) in positions {
            if let Some(offsets) = self.offsets.get_mut(partition) {
                offsets.committed(*position);
            }
        }
    }
}
