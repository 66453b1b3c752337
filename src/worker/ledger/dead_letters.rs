//! Inbox records on their way to the dead-letter topic.

use std::time::Duration;

use rdkafka::error::KafkaError;

use crate::config::Kafka;
use crate::domain::dead_letter::{DeadLetter, DeadLetterReason};
use crate::domain::work::InboxPosition;
use crate::domain::work::ReadHistory;
use crate::kafka::inbox::{InboxRecord, read_back};

/// Records that become dead letters with the next transaction.
pub(in crate::worker) struct PendingDeadLetter {
    pub(in crate::worker) reason: DeadLetterReason,
    pub(in crate::worker) detail: String,
    pub(in crate::worker) history: ReadHistory,
    pub(in crate::worker) positions: Vec<InboxPosition>,
    /// The record at the only position, if it is still in memory; otherwise the inbox is read again.
    pub(in crate::worker) record: Option<InboxRecord>,
}

/// Makes the dead letters. Reads originals that are no longer in memory from the inbox; blocks for at most
/// [`READ_BACK_TIMEOUT`] each time.
pub(in crate::worker) fn dead_letters(
    kafka: &Kafka,
    pending_dead_letters: Vec<PendingDeadLetter>,
) -> Result<Vec<DeadLetter>, KafkaError> {
    let mut dead_letters = Vec::new();
    for PendingDeadLetter { reason, detail, history, positions, record } in pending_dead_letters {
        let records = match record {
            Some(record) => vec![Some(record)],
            None => read_back(kafka, &positions, READ_BACK_TIMEOUT)?,
        };
        for (position, record) in positions.into_iter().zip(records) {
            let is_missing = record.is_none();
            let (key, value, headers) =
                record.map(|record| (record.key, record.value, record.headers)).unwrap_or_default();
            let detail =
                if is_missing { format!("{detail}; the inbox no longer holds the original") } else { detail.clone() };
            dead_letters.push(DeadLetter { reason, detail, history: history.clone(), position, key, value, headers });
        }
    }
    Ok(dead_letters)
}

const READ_BACK_TIMEOUT: Duration = Duration::from_secs(10);
