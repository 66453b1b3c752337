//! Answers that are older than what is known, by object: how many, and until when the next one does not count.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::pay::ObjectRef;
use crate::domain::timestamp::Timestamp;

/// Objects about which Amazon Pay gave an older answer. An object is in it for as long as its work is queued.
#[derive(Debug, Default)]
pub(in crate::worker) struct OlderAnswers(HashMap<ObjectRef, OlderAnswer>);

#[derive(Debug)]
struct OlderAnswer {
    n_counted: u32,
    /// Amazon's time of the newest of these answers.
    newest: Option<Timestamp>,
    /// An answer before this time, after a newer IPN, does not count.
    next_counts_at: Timestamp,
}

/// What becomes of an older answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) enum Verdict {
    /// The object is read again after this time.
    ReadAgain(Duration),
    /// It is taken as the truth.
    Believe,
}

impl OlderAnswers {
    /// Counts an older answer with this time of Amazon's.
    pub(in crate::worker) fn judge(
        &mut self,
        object: &ObjectRef,
        updated: Option<Timestamp>,
        now: Timestamp,
    ) -> Verdict {
        let first = OlderAnswer { n_counted: 0, newest: None, next_counts_at: now };
        let older = self.0.entry(object.clone()).or_insert(first);
        let is_newest = updated >= older.newest;
        older.newest = older.newest.max(updated);
        if now < older.next_counts_at {
            return Verdict::ReadAgain(older.next_counts_at.since(now));
        }
        let is_enough = older.n_counted >= REPEATED_MAX && is_newest;
        if is_enough || older.n_counted >= 2 * REPEATED_MAX {
            return Verdict::Believe;
        }
        older.n_counted += 1;
        let wait = RETRY * older.n_counted.min(REPEATED_MAX);
        older.next_counts_at = now.plus(wait);
        Verdict::ReadAgain(wait)
    }

    /// The object gave a current answer, or its work is complete.
    pub(in crate::worker) fn forget(&mut self, object: &ObjectRef) {
        self.0.remove(object);
    }
}

/// Five older answers within about an hour (4, 8, 12, 16 and 20 minutes apart), then the newest of them is believed: the next
/// answer that is not older than any of them, or the eleventh.
const REPEATED_MAX: u32 = 5;
const RETRY: Duration = Duration::from_mins(4);
