//! Inbox records on their way to the dead-letter topic.
//!
//! A record that cannot become work is still in memory, and so is its dead letter at once. The records of an object whose reads
//! have failed for good must be read from the inbox again first. Until their dead letters are part of a transaction, the
//! object stays in the queue with its pending work, and its inbox records stay unanswered, so nothing is lost by a crash.

use std::collections::{HashMap, VecDeque};

use super::Ledger;
use super::intake::IntakeError;
use crate::domain::dead_letter::{DeadLetter, DeadLetterReason};
use crate::domain::pay::ObjectRef;
use crate::domain::timestamp::Timestamp;
use crate::domain::work::{Cause, InboxPosition, OffsetRange, ReadHistory, Uncopied};
use crate::kafka::inbox::InboxRecord;

/// Objects whose reads have failed for good.
#[derive(Default)]
pub(super) struct GivenUpObjects {
    waiting: VecDeque<GivenUp>,
    /// Their inbox records are being read.
    reading: Vec<GivenUp>,
}

struct GivenUp {
    object: ObjectRef,
    reason: DeadLetterReason,
    detail: String,
    history: ReadHistory,
    positions: Vec<InboxPosition>,
}

impl Ledger {
    /// Makes a dead letter of a record that cannot become work.
    pub(super) fn refuse(&mut self, record: InboxRecord, IntakeError { reason, detail }: IntakeError) {
        let InboxRecord { position, appended_at, key, value, headers } = record;
        let history = ReadHistory::of_one(appended_at);
        self.inbox.done(&[position]);
        self.outgoing.dead_letters.push(DeadLetter { reason, detail, history, position, key, value, headers });
    }

    /// Moves the object's IPNs to the dead letters.
    pub(super) fn give_up(&mut self, object: &ObjectRef, reason: DeadLetterReason, detail: &str, now: Timestamp) {
        let (positions, uncopied) = self.queue.records_of(object);
        if positions.is_empty() {
            // A reconciliation read or a parent read has no inbox record.
            return self.complete(object, now);
        }
        let has_chargeback = self.queue.causes_of(object).0.iter().any(Cause::is_chargeback);
        let given_up = GivenUp {
            object: object.clone(),
            reason: if has_chargeback { DeadLetterReason::Chargeback } else { reason },
            detail: uncopied.map_or_else(|| detail.to_owned(), |uncopied| naming(detail, uncopied)),
            history: self.queue.history_of(object, now),
            positions,
        };
        self.queue.set_aside(object);
        self.given_up.waiting.push_back(given_up);
    }

    /// Whether dead letters are not part of a transaction yet.
    pub(in crate::worker) fn is_giving_up(&self) -> bool {
        !(self.given_up.waiting.is_empty() && self.given_up.reading.is_empty())
    }

    /// The inbox records that are to be read next for dead letters: all records of some objects, so that one transaction
    /// writes all dead letters of an object. None while the records of the last call are being read.
    pub(in crate::worker) fn take_originals_wanted(&mut self) -> Vec<InboxPosition> {
        let GivenUpObjects { waiting, reading } = &mut self.given_up;
        if !reading.is_empty() {
            return Vec::new();
        }
        let mut n_letters = 0;
        while let Some(next) = waiting.front() {
            n_letters += next.positions.len();
            if n_letters > DEAD_LETTERS_AT_ONCE_MAX && !reading.is_empty() {
                break;
            }
            reading.extend(waiting.pop_front());
        }
        reading.iter().flat_map(|given_up| given_up.positions.iter().copied()).collect()
    }

    /// Writes the dead letters of the objects whose inbox records were read with the next transaction. A record that is not
    /// among `originals` is gone.
    pub(in crate::worker) fn originals_read(
        &mut self,
        mut originals: HashMap<InboxPosition, InboxRecord>,
        now: Timestamp,
    ) {
        for given_up in std::mem::take(&mut self.given_up.reading) {
            let dead_letters = given_up.positions.iter().map(|at| given_up.dead_letter(*at, originals.remove(at)));
            self.outgoing.dead_letters.extend(dead_letters);
            self.complete(&given_up.object, now);
            // Objects that began to wait for it meanwhile.
            self.publish_without_permission(&given_up.object, now);
        }
    }
}

impl GivenUp {
    fn dead_letter(&self, position: InboxPosition, original: Option<InboxRecord>) -> DeadLetter {
        let is_missing = original.is_none();
        let (key, value, headers) =
            original.map(|original| (original.key, original.value, original.headers)).unwrap_or_default();
        let gone = if is_missing { "; the inbox no longer holds the original" } else { "" };
        let (detail, history) = (format!("{}{gone}", self.detail), self.history.clone());
        DeadLetter { reason: self.reason, detail, history, position, key, value, headers }
    }
}

/// The detail of dead letters of an object that has more IPNs than dead letters.
fn naming(detail: &str, uncopied: Uncopied) -> String {
    let Uncopied { count, range: OffsetRange { partition, first, last } } = uncopied;
    format!(
        "{detail}; {count} more IPNs of this object, between offsets {first} and {last} of inbox partition {partition}, have no \
         dead letter of their own, since any of them leads to the same read"
    )
}

/// With some kilobytes for each, the transaction takes some tens of milliseconds. One object has at most as many.
const DEAD_LETTERS_AT_ONCE_MAX: usize = 256;
