//! The committable position of one inbox partition: the offset below which every record is complete.

use std::collections::BTreeSet;

/// The records of one partition that were consumed and are not complete yet.
#[derive(Debug)]
pub struct Offsets {
    open: BTreeSet<i64>,
    next: i64,
    committed: i64,
}

impl Offsets {
    /// Starts at a committed position.
    pub fn starting_at(position: i64) -> Self {
        Self { open: BTreeSet::new(), next: position, committed: position }
    }

    /// A record was consumed.
    pub fn consumed(&mut self, offset: i64) {
        self.open.insert(offset);
        self.next = self.next.max(offset + 1);
    }

    /// A record is complete: by events, by "no change", by pending work or by a dead letter.
    pub fn done(&mut self, offset: i64) {
        self.open.remove(&offset);
    }

    /// The position that may be committed: every record below it is complete.
    pub fn position(&self) -> i64 {
        self.open.first().copied().unwrap_or(self.next)
    }

    /// The offset after the last one consumed.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Whether a commit would advance the position.
    pub fn has_moved(&self) -> bool {
        self.position() > self.committed
    }

    /// The position was committed.
    pub fn committed(&mut self, position: i64) {
        self.committed = position;
    }

    /// How many consumed records are not complete.
    pub fn open(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_never_passes_an_open_record() {
        let mut offsets = Offsets::starting_at(10);
        assert!(!offsets.has_moved());
        for offset in [10, 11, 13] {
            offsets.consumed(offset); // 12 was a transaction marker
        }
        offsets.done(11);
        assert_eq!((offsets.position(), offsets.has_moved(), offsets.open()), (10, false, 2));
        offsets.done(10);
        assert_eq!((offsets.position(), offsets.has_moved()), (13, true));
        offsets.done(13);
        assert_eq!(offsets.position(), 14);
        offsets.committed(14);
        assert!(!offsets.has_moved());
    }
}
