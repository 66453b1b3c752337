//! Retention of known state of objects in a final state: first it shrinks to a stub, then it is deleted.
//!
//! An IPN may be days late and a redrive months. A stub is enough to recognize such an IPN as old. After years, none comes.

use std::time::Duration;

use crate::domain::timestamp::Timestamp;

/// How long known state of an object in a final state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Time without activity after which known state shrinks to a stub.
    pub stub_after: Duration,
    /// Time without activity after which known state is deleted.
    pub delete_after: Duration,
}

/// The facts that date the last activity of an object.
#[derive(Clone, Copy, Debug)]
pub struct LastActivity {
    /// When the state changed, if that is known.
    pub last_updated: Option<Timestamp>,
    /// When the object was read, if it ever was.
    pub read_started_at: Option<Timestamp>,
    /// On permissions: the last sequence number, which is the time of the last event of the permission or of its objects.
    pub sequence: Option<u64>,
}

/// What retention does with a state record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionAction {
    /// Keep the record unchanged.
    Keep,
    /// Shrink the record to a stub.
    Stub,
    /// Delete the record.
    Delete,
}

impl LastActivity {
    /// Time of the last activity; the Unix epoch if there was none.
    pub fn at(self) -> Timestamp {
        let published = self.sequence.and_then(|ms| i64::try_from(ms).ok()).map(Timestamp::from_unix_ms);
        let newest = self.last_updated.max(self.read_started_at).max(published);
        newest.unwrap_or(Timestamp::from_unix_ms(0))
    }
}

impl Retention {
    /// The action for a record of an object in a final state.
    pub fn action(self, quiet_since: Timestamp, is_stub: bool, now: Timestamp) -> RetentionAction {
        let quiet = now.since(quiet_since);
        if quiet >= self.delete_after {
            RetentionAction::Delete
        } else if quiet >= self.stub_after && !is_stub {
            RetentionAction::Stub
        } else {
            RetentionAction::Keep
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
    fn record_becomes_stub_and_is_deleted_later() {
        let retention = Retention { stub_after: Duration::from_secs(30), delete_after: Duration::from_secs(730) };
        for (age_s, is_stub, action) in [
            (29, false, RetentionAction::Keep),
            (30, false, RetentionAction::Stub),
            (30, true, RetentionAction::Keep),
            (729, false, RetentionAction::Stub),
            (729, true, RetentionAction::Keep),
            (730, true, RetentionAction::Delete),
            (730, false, RetentionAction::Delete),
            (-5, false, RetentionAction::Keep),
        ] {
            assert_eq!(retention.action(at(1000), is_stub, at(1000 + age_s)), action, "{age_s} s, stub: {is_stub}");
        }
    }

    #[test]
    fn last_activity_is_newest_of_change_read_and_event() {
        for (read, sequence, since_s) in [
            (Some((10, 20)), None, 20),
            (Some((20, 10)), None, 20),
            (Some((10, 20)), Some(30_000), 30),
            (Some((10, 20)), Some(15_000), 20),
            (None, Some(7_000), 7),
            (None, None, 0),
        ] {
            let (last_updated, read_started_at) =
                (read.map(|(updated, _)| at(updated)), read.map(|(_, read)| at(read)));
            assert_eq!(LastActivity { last_updated, read_started_at, sequence }.at(), at(since_s));
        }
    }
}
