//! When what is known of an object that has reached its end shrinks, and when it is forgotten.
//!
//! Amazon's notifications may be late by days and a redrive by months. A stub is enough to know such a one for old news;
//! after years nothing of the kind comes any more.

use std::time::Duration;

use crate::domain::timestamp::Timestamp;

/// For how long what is known of a terminal object is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Quiet for this long, it shrinks to a stub.
    pub stub_after: Duration,
    /// Quiet for this long, it is forgotten.
    pub forget_after: Duration,
}

/// What tells since when nothing was heard of an object.
#[derive(Clone, Copy, Debug)]
pub struct Quiet {
    /// When its state changed, and when it was read, if it ever was.
    pub read: Option<(Timestamp, Timestamp)>,
    /// On permissions: the last sequence number, which is the time of the last event of it or of an object below it.
    pub sequence: Option<u64>,
}

/// What is to become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionAction {
    /// It stays as it is.
    Kept,
    /// It shrinks to a stub.
    Stub,
    /// It is forgotten.
    Forgotten,
}

impl Quiet {
    /// The latest of these; the beginning of time, if there is none.
    pub fn since(self) -> Timestamp {
        let (updated, read) = self.read.unwrap_or((Timestamp::from_unix_ms(0), Timestamp::from_unix_ms(0)));
        let told = self.sequence.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0);
        updated.max(read).max(Timestamp::from_unix_ms(told))
    }
}

impl Keeping {
    /// What is to become, now, of the record of an object that will not change any more.
    pub fn fate(self, quiet_since: Timestamp, is_stub: bool, now: Timestamp) -> RetentionAction {
        let quiet = now.since(quiet_since);
        if quiet >= self.forget_after {
            RetentionAction::Forgotten
        } else if quiet >= self.stub_after && !is_stub {
            RetentionAction::Stub
        } else {
            RetentionAction::Kept
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1000)
    }

    #[test]
    fn a_record_shrinks_after_the_first_time_and_goes_after_the_second() {
        let keeping = Keeping { stub_after: Duration::from_secs(30), forget_after: Duration::from_secs(730) };
        for (age_s, is_stub, fate) in [
            (29, false, RetentionAction::Kept),
            (30, false, RetentionAction::Stub),
            (30, true, RetentionAction::Kept),
            (729, false, RetentionAction::Stub),
            (729, true, RetentionAction::Kept),
            (730, true, RetentionAction::Forgotten),
            (730, false, RetentionAction::Forgotten),
            (-5, false, RetentionAction::Kept),
        ] {
            assert_eq!(keeping.fate(at(1000), is_stub, at(1000 + age_s)), fate, "{age_s} s, stub: {is_stub}");
        }
    }

    #[test]
    fn whatever_came_last_counts_the_change_the_read_or_an_event_below_it() {
        for (read, sequence, since_s) in [
            (Some((10, 20)), None, 20),
            (Some((20, 10)), None, 20),
            (Some((10, 20)), Some(30_000), 30),
            (Some((10, 20)), Some(15_000), 20),
            (None, Some(7_000), 7),
            (None, None, 0),
        ] {
            let read = read.map(|(updated, read)| (at(updated), at(read)));
            assert_eq!(Quiet { read, sequence }.since(), at(since_s));
        }
    }
}
