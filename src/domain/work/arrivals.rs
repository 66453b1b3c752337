//! When the causes of an object arrived, and when they need a confirming read.

use std::time::Duration;

use crate::domain::timestamp::Timestamp;

/// When the causes of one object arrived at this process. A million objects have one, so it is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrivals {
    first: Timestamp,
    /// Milliseconds from the first to the newest.
    newest_after_ms: u32,
    /// Milliseconds from the first to the oldest evidence that is neither published nor explained.
    evidence_after_ms: Option<std::num::NonZeroU32>,
}

impl Arrivals {
    /// No cause arrived.
    pub const NONE: Self = Self { first: Timestamp::NEVER, newest_after_ms: 0, evidence_after_ms: None };

    /// From what a state record holds.
    pub(super) fn restored(first: Timestamp, newest: Option<Timestamp>, evidence: Option<Timestamp>) -> Self {
        let mut arrivals = Self { first, ..Self::NONE };
        arrivals.set(newest.unwrap_or(first), evidence);
        arrivals
    }

    /// When the first cause arrived; never, if there is none.
    pub fn first(self) -> Timestamp {
        self.first
    }

    /// When the newest cause arrived; never, if there is none.
    pub fn newest(self) -> Timestamp {
        self.first.plus(Duration::from_millis(u64::from(self.newest_after_ms)))
    }

    /// When the oldest evidence arrived that is neither published nor explained.
    pub fn evidence(self) -> Option<Timestamp> {
        let after_ms = self.evidence_after_ms?.get() - 1;
        Some(self.first.plus(Duration::from_millis(u64::from(after_ms))))
    }

    /// A cause arrived.
    pub(super) fn add(&mut self, is_evidence: bool, now: Timestamp) {
        let newest = if self.first == Timestamp::NEVER { now } else { self.newest().max(now) };
        let evidence = self.evidence().or(is_evidence.then_some(now));
        self.first = self.first.min(now);
        self.set(newest, evidence);
    }

    /// Adds the causes of another.
    pub(super) fn absorb(&mut self, other: Self) {
        if other.first == Timestamp::NEVER {
            return;
        }
        if self.first == Timestamp::NEVER {
            *self = other;
            return;
        }
        let newest = self.newest().max(other.newest());
        let evidence = [self.evidence(), other.evidence()].into_iter().flatten().min();
        self.first = self.first.min(other.first);
        self.set(newest, evidence);
    }

    /// Every evidence was published or explained.
    pub(super) fn evidence_settled(&mut self) {
        self.evidence_after_ms = None;
    }

    /// Whether a read that began at `read_at` began long enough after the oldest open evidence.
    pub fn is_evidence_ripe(self, read_at: Timestamp, after: Duration) -> bool {
        self.evidence().is_none_or(|evidence| evidence.plus(after) <= read_at)
    }

    /// When the next confirming read is due after one that began at `read_at`. The first and the newest cause are confirmed at
    /// these distances from their own arrival; neither puts off the reads of the other. The reads of the newest confirm those
    /// in between, too. `None` if no read is left.
    pub fn next_read(self, read_at: Timestamp, distances: &[Duration]) -> Option<Timestamp> {
        let arrived = [Some(self.first), Some(self.newest()), self.evidence()];
        let reads =
            arrived.into_iter().flatten().flat_map(|at| distances.iter().map(move |distance| at.plus(*distance)));
        reads.filter(|due| *due > read_at).min()
    }

    fn set(&mut self, newest: Timestamp, evidence: Option<Timestamp>) {
        let after_ms = |at: Timestamp| u32::try_from(at.since(self.first).as_millis()).unwrap_or(u32::MAX - 1);
        self.newest_after_ms = after_ms(newest);
        self.evidence_after_ms = evidence.and_then(|at| std::num::NonZeroU32::new(after_ms(at) + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1000)
    }

    const DISTANCES: [Duration; 2] = [Duration::from_secs(30), Duration::from_mins(2)];

    #[test]
    fn newer_causes_do_not_put_off_confirming_reads() {
        let mut arrivals = Arrivals::NONE;
        let mut reads = Vec::new();
        for s in (0..200).step_by(25) {
            arrivals.add(false, at(s));
            reads.push(arrivals.next_read(at(s), &DISTANCES).unwrap());
        }
        let expected = [30, 30, 80, 105, 120, 155, 180, 205];
        assert_eq!(reads, expected.map(at), "30 and 120 s after the first cause, and 30 s after the newest one");
        assert_eq!(arrivals.next_read(at(175 + 120), &DISTANCES), None);
    }

    #[test]
    fn later_causes_do_not_delay_open_evidence() {
        let mut arrivals = Arrivals::NONE;
        arrivals.add(false, at(0));
        for s in (10..60).step_by(10) {
            arrivals.add(true, at(s));
        }
        let is_ripe = |arrivals: Arrivals, s| arrivals.is_evidence_ripe(at(s), DISTANCES[0]);
        assert!(!is_ripe(arrivals, 39) && is_ripe(arrivals, 40));
        arrivals.evidence_settled();
        arrivals.add(true, at(100));
        assert!(!is_ripe(arrivals, 129) && is_ripe(arrivals, 130));
    }

    #[test]
    fn arrivals_survive_a_state_record_and_a_merge() {
        let (mut early, mut late) = (Arrivals::NONE, Arrivals::NONE);
        early.add(false, at(5));
        late.add(true, at(20));
        late.add(false, at(40));
        for (mut one, other) in [(early, late), (late, early)] {
            one.absorb(other);
            assert_eq!((one.first(), one.newest(), one.evidence()), (at(5), at(40), Some(at(20))));
            assert_eq!(Arrivals::restored(one.first(), Some(one.newest()), one.evidence()), one);
        }
        let mut same = late;
        same.absorb(Arrivals::NONE);
        assert_eq!(same, late);
    }
}
