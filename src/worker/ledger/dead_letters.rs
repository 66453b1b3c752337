//! What could not be told, on its way to the dead-letter topic.

use std::time::Duration;

use rdkafka::error::KafkaError;

use crate::config::Kafka;
use crate::domain::dead_letter::{DeadLetter, DeadLetterReason, History};
use crate::domain::work::InboxPosition;
use crate::kafka::inbox::{InboxRecord, read_back};

/// What is to become dead letters: the record itself, or where to read it.
pub(in crate::worker) struct PendingDeadLetter {
    pub(in crate::worker) reason: DeadLetterReason,
    pub(in crate::worker) detail: String,
    pub(in crate::worker) history: History,
    pub(in crate::worker) positions: Vec<InboxPosition>,
    pub(in crate::worker) record: Option<InboxRecord>,
}

/// Fetches the originals of what is to be dead-lettered from the inbox.
pub(in crate::worker) fn dead_letters(
    kafka: &Kafka,
    pending_dead_letters: Vec<PendingDeadLetter>,
) -> Result<Vec<DeadLetter>, KafkaError> {
    let mut letters = Vec::new();
    for PendingDeadLetter { reason, detail, history, positions, record } in pending_dead_letters {
        let records = match record {
            Some(record) => vec![Some(record)],
            None => read_back(kafka, &positions, READ_BACK_TIMEOUT)?,
        };
        for (position, record) in positions.into_iter().zip(records) {
            let gone = record.is_none();
            let record = record.map(|record| (record.key, record.value, record.headers)).unwrap_or_default();
            let detail =
                if gone { format!("{detail}; the inbox no longer holds the original") } else { detail.clone() };
            let (key, value, headers) = record;
            letters.push(DeadLetter { reason, detail, history: history.clone(), position, key, value, headers });
        }
    }
    Ok(letters)
}

const READ_BACK_TIMEOUT: Duration = Duration::from_secs(10);
