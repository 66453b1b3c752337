//! What becomes of a read that nobody asked for and that finds nothing.

use super::Ledger;
use crate::amazon::pay_api::Disposition;
use crate::domain::pay::ObjectRef;
use crate::domain::state::Observed;
use crate::domain::timestamp::Timestamp;

impl Ledger {
    /// Nothing is new but the time of the read, which is written now and then, so that a million re-checks are no million
    /// records.
    pub(in crate::worker) fn note_read(&mut self, object: &ObjectRef, read_started_at: Timestamp) {
        if self.store.note_read(object, read_started_at) {
            self.note_changed(object);
        }
    }

    /// Nobody told us of anything and nothing can be seen, so it is left alone until its next turn.
    pub(in crate::worker) fn recheck_failed(
        &mut self,
        object: &ObjectRef,
        what: &Disposition,
        read_started_at: Timestamp,
        now: Timestamp,
    ) {
        if let Some(n_before) = self.object_troubles.allow(object.account.clone()) {
            tracing::error!(
                account = %object.account, object.id = %object.id, ?what, n_before,
                "Amazon Pay no longer shows an object that it showed before; asking again when it is its turn",
            );
        }
        self.note_read(object, read_started_at);
        self.complete(object, now);
    }
}

/// Whether nothing is new but the time of the read.
pub(in crate::worker) fn finds_nothing(known: Option<&Observed>, observed: &Observed) -> bool {
    known.is_some_and(|known| Observed { read_started_at: known.read_started_at, ..observed.clone() } == *known)
}
