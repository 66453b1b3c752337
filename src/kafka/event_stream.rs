//! The events topic as a stream: a thread reads, an async task takes what it read.
//!
//! A bounded number of records waits in between. Until they are taken the thread stops reading, so memory stays bounded.

use rdkafka::error::KafkaError;
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::inbox::InboxRecord;
use super::topic_reader::{ReadRange, Step, TopicReader};
use crate::domain::events::decode;
use crate::domain::timestamp::Timestamp;

/// Reads events. Dropping it ends the thread.
pub struct EventStream {
    records: Receiver<Result<EventRecord, KafkaError>>,
}

/// A record of the events topic.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    /// The event, whatever its content mode; null if the record holds none.
    pub event: Value,
    /// The partition that holds it.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// When the worker sent it.
    pub published_at: Timestamp,
}

impl EventStream {
    /// Reads this range on a thread of its own.
    pub fn start(reader: TopicReader, range: ReadRange) -> std::io::Result<Self> {
        let (sender, records) = channel(RECORDS_READ_AHEAD);
        let thread = std::thread::Builder::new().name("event-reader".to_owned());
        thread.spawn(move || {
            if let Err(error) = read(&reader, range, &sender) {
                let _ = sender.blocking_send(Err(error));
            }
        })?;
        Ok(Self { records })
    }

    /// The next record; none after an error, which ends the stream.
    pub async fn next(&mut self) -> Option<Result<EventRecord, KafkaError>> {
        self.records.recv().await
    }
}

impl EventRecord {
    /// Copies a record.
    pub fn new(record: &InboxRecord) -> Self {
        Self {
            event: decode(&record.headers, &record.value),
            partition: record.position.partition,
            offset: record.position.offset,
            published_at: record.appended_at,
        }
    }
}

fn read(
    reader: &TopicReader,
    range: ReadRange,
    sender: &Sender<Result<EventRecord, KafkaError>>,
) -> Result<(), KafkaError> {
    let mut records = reader.read(range)?;
    while !sender.is_closed() {
        match records.step()? {
            Step::Record(message) => {
                let record = EventRecord::new(&InboxRecord::from_message(&message));
                if sender.blocking_send(Ok(record)).is_err() {
                    return Ok(());
                }
            }
            Step::Tick => {}
            Step::End => return Ok(()),
        }
    }
    Ok(())
}

const RECORDS_READ_AHEAD: usize = 64;
