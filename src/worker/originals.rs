//! The originals of dead letters: the worker keeps positions, so it reads these inbox records again.

use std::time::Duration;

use super::{Error, Worker};
use crate::kafka::read_back::ReadBack;

impl Worker {
    /// Reads the inbox records of dead letters, for a short time in each round. The rest follows in the next rounds.
    pub(super) fn read_back(&mut self) -> Result<(), Error> {
        let now = self.now();
        let Some(ledger) = self.assignment.as_mut().and_then(|assignment| assignment.ledger.as_mut()) else {
            return Ok(());
        };
        if !ledger.is_giving_up() {
            return Ok(());
        }
        let reader = match &mut self.read_back {
            Some(reader) => reader,
            closed => closed.insert(ReadBack::new(&self.context.kafka)?),
        };
        let wanted = ledger.take_originals_wanted();
        if !wanted.is_empty() {
            reader.begin(&wanted)?;
        }
        if let Some(originals) = reader.read_on(READ_BACK_PER_ROUND_MAX)? {
            ledger.originals_read(originals, now);
        }
        Ok(())
    }
}

/// How long a round may wait for the originals of dead letters.
const READ_BACK_PER_ROUND_MAX: Duration = Duration::from_millis(20);
