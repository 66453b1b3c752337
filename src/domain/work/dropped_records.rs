//! Inbox records of causes that a queue entry no longer holds. No read needs these causes, but if the reads of the object fail
//! for good, each of its IPNs must become a dead letter.

use serde::{Deserialize, Serialize};

use super::cause::InboxPosition;

/// Positions of inbox records. A limited number of them is kept one by one; of the others the number is known, and between
/// which offsets they lie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedRecords {
    ranges: Vec<OffsetRange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uncopied: Option<Uncopied>,
}

/// Inbox records that get no dead letter of their own, because their object has too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Uncopied {
    /// How many.
    pub count: u64,
    /// From the first to the last of them. Records of other objects may lie between them.
    #[serde(flatten)]
    pub range: OffsetRange,
}

/// Offsets of one inbox partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OffsetRange {
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub first: i64,
    /// The last offset.
    pub last: i64,
}

impl DroppedRecords {
    /// Adds a record.
    pub(super) fn add(&mut self, position: InboxPosition) {
        if self.positions().count() >= RECORDS_KEPT {
            let new = Uncopied { count: 0, range: OffsetRange::of(position) };
            self.uncopied.get_or_insert(new).add(1, OffsetRange::of(position));
        } else if let Some(last) = self.ranges.last_mut().filter(|last| last.is_followed_by(position)) {
            last.last = position.offset;
        } else {
            self.ranges.push(OffsetRange::of(position));
        }
    }

    /// Adds the records of another.
    pub(super) fn absorb(&mut self, other: &Self) {
        other.positions().for_each(|position| self.add(position));
        if let Some(Uncopied { count, range }) = other.uncopied {
            self.uncopied.get_or_insert(Uncopied { count: 0, range }).add(count, range);
        }
    }

    /// The positions that are kept.
    pub fn positions(&self) -> impl Iterator<Item = InboxPosition> {
        let of = |range: &OffsetRange| {
            let partition = range.partition;
            (range.first..=range.last).map(move |offset| InboxPosition { partition, offset })
        };
        self.ranges.iter().flat_map(of)
    }

    /// The other records.
    pub fn uncopied(&self) -> Option<Uncopied> {
        self.uncopied
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.uncopied.is_none()
    }
}

impl Uncopied {
    /// All IPNs of an object lie in the partition of its merchant.
    fn add(&mut self, count: u64, range: OffsetRange) {
        self.count = self.count.saturating_add(count);
        self.range.first = self.range.first.min(range.first);
        self.range.last = self.range.last.max(range.last);
    }
}

impl OffsetRange {
    fn of(InboxPosition { partition, offset }: InboxPosition) -> Self {
        Self { partition, first: offset, last: offset }
    }

    fn is_followed_by(&self, position: InboxPosition) -> bool {
        self.partition == position.partition && self.last.checked_add(1) == Some(position.offset)
    }
}

/// With the causes that an entry holds at most, an object has 256 dead letters, which fit into one transaction. Each takes
/// about 40 bytes of its state record, or less if its neighbour is of the same object.
const RECORDS_KEPT: usize = 240;

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(offsets: impl IntoIterator<Item = i64>) -> DroppedRecords {
        let mut dropped = DroppedRecords::default();
        offsets.into_iter().for_each(|offset| dropped.add(InboxPosition { partition: 1, offset }));
        dropped
    }

    fn offsets(dropped: &DroppedRecords) -> Vec<i64> {
        dropped.positions().map(|position| position.offset).collect()
    }

    #[test]
    fn records_survive_a_state_record_and_a_merge() {
        let mut all = dropped([3, 4, 5, 9]);
        all.absorb(&dropped([12, 10]));
        assert_eq!((offsets(&all), all.ranges.len()), (vec![3, 4, 5, 9, 12, 10], 4));
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<DroppedRecords>(&json).unwrap(), all, "{json}");
        assert!(dropped([]).is_empty() && !all.is_empty());
    }

    #[test]
    fn records_beyond_the_limit_are_counted() {
        let mut all = dropped((0..1000).map(|n| 2 * n));
        assert_eq!(offsets(&all).len(), RECORDS_KEPT);
        let range = OffsetRange { partition: 1, first: 480, last: 1998 };
        assert_eq!(all.uncopied(), Some(Uncopied { count: 760, range }));
        all.absorb(&all.clone());
        assert_eq!(all.uncopied(), Some(Uncopied { count: 1760, range: OffsetRange { first: 0, ..range } }));
        assert!(serde_json::to_string(&all).unwrap().len() < 12_000);
        assert_eq!(offsets(&dropped(0..241)).len(), RECORDS_KEPT, "one range");
    }
}
