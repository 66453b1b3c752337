//! An answer of Amazon Pay whose events or known state are too large for Kafka. That is the object's own trouble: its size is
//! checked before anything of it becomes part of a transaction, so no other object waits for it.

use super::Ledger;
use super::deferred_reads::ObjectRead;
use super::read_failure::Failing;
use super::read_outcome::Publication;
use crate::domain::RECORD_BYTES_MAX;
use crate::domain::dead_letter::DeadLetterReason;
use crate::domain::events::Wire;
use crate::domain::state::OBSERVED_BYTES_MAX;
use crate::domain::timestamp::Timestamp;

impl Publication {
    /// What of it is too large, if anything.
    pub(super) fn too_large(&self) -> Option<String> {
        let of_event = self.events.iter().find_map(|event| {
            let bytes = Wire::record_bytes_max(event);
            (bytes > RECORD_BYTES_MAX).then(|| too_large(event.event_type.name, bytes, RECORD_BYTES_MAX))
        });
        let bytes = self.observed.json_bytes();
        let of_state = (bytes > OBSERVED_BYTES_MAX).then(|| too_large("its known state", bytes, OBSERVED_BYTES_MAX));
        of_event.or(of_state)
    }
}

impl Ledger {
    /// The answer cannot be written: nothing of it is kept, and the object is read again later.
    pub(super) fn unwritable(&mut self, read: &ObjectRead, what: &str, now: Timestamp) {
        let ObjectRead { object, start, .. } = read;
        if self.queue.causes_of(object).0.is_empty() {
            self.reconciliation_failed(object, what, *start, now);
        } else {
            self.object_failed_as(object, Failing { reason: DeadLetterReason::Unwritable, what }, now);
        }
        self.publish_without_permission(object, now);
    }
}

fn too_large(what: &str, bytes: usize, bytes_max: usize) -> String {
    format!("{what} is too large for Kafka: {bytes} bytes, at most {bytes_max}")
}
