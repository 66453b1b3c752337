//! The recorded partition counts: the first record of the state topic, written once. An administrator can add partitions to a
//! topic, and the configuration can be changed with it; this record shows that a count differs from the first one.

use std::time::Duration;

use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::{Deserialize, Serialize};

use crate::config::Kafka;
use crate::domain::schema_version::NewerVersion;
use crate::kafka::connection::cause;
use crate::kafka::topic_reader::{End, ReadRange, ReaderSettings, TopicReader, needs_no_stop};

/// Partition counts that never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    /// Of the inbox and of the state topic.
    pub(super) partitions: i32,
    /// Of the events topic: events are published to this many partitions, also if it has more.
    pub(super) events_partitions: i32,
}

/// The value of the record.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CountsRecord {
    version: u32,
    #[serde(flatten)]
    counts: Counts,
}

/// What a state topic records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordedCounts {
    /// The counts.
    Counts(Counts),
    /// The topic holds no record at all.
    EmptyTopic,
    /// The topic holds records, but not this one.
    Missing,
    /// A later release wrote it.
    NewerVersion(NewerVersion),
}

/// Reads the record. It is normally the very first one of partition 0; if not, all of that partition is read. Blocks.
pub(super) fn read(kafka: &Kafka, timeout: Duration) -> Result<RecordedCounts, KafkaError> {
    let settings = ReaderSettings {
        topic: kafka.topics().state,
        purpose: "start",
        end: End::OfLog,
        properties: &[("fetch.wait.max.ms", "50")],
    };
    let reader = TopicReader::new(kafka, settings)?;
    reader.await_leaders();
    let mut records =
        reader.read(ReadRange { is_temporary: needs_no_stop, ..ReadRange::from_beginning([PARTITION], timeout) })?;
    let mut found = RecordedCounts::EmptyTopic;
    while let Some(message) = records.next_record()? {
        found = RecordedCounts::Missing;
        let record = message.payload().filter(|_| message.key() == Some(KEY.as_bytes()));
        if let Some(count) = record.and_then(parse) {
            return Ok(count);
        }
    }
    Ok(found)
}

fn parse(json: &[u8]) -> Option<RecordedCounts> {
    match NewerVersion::check_json(json, VERSION) {
        Err(newer) => Some(RecordedCounts::NewerVersion(newer)),
        Ok(()) => serde_json::from_slice(json).ok().map(|record: CountsRecord| RecordedCounts::Counts(record.counts)),
    }
}

/// Writes the record.
pub(super) async fn write(kafka: &Kafka, counts: Counts, timeout: Duration) -> Result<(), KafkaError> {
    let mut client = kafka.client();
    client
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("message.timeout.ms", timeout.as_millis().to_string());
    let producer = FutureProducer::<DefaultClientContext>::from_config(&client)?;
    let value = serde_json::to_vec(&CountsRecord { version: VERSION, counts }).expect("numbers are JSON");
    let topic = kafka.topics().state;
    let record = FutureRecord::to(&topic).key(KEY).payload(&value).partition(PARTITION);
    producer.send(record, timeout).await.map(drop).map_err(|(error, _)| cause(&producer, error))
}

/// The version of the record's format.
const VERSION: u32 = 1;
const KEY: &str = "__partition_count";
const PARTITION: i32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_partition_count_differs_from_missing_one() {
        for (json, found) in [
            (
                r#"{"version":1,"partitions":3,"eventsPartitions":6}"#,
                Some(RecordedCounts::Counts(Counts { partitions: 3, events_partitions: 6 })),
            ),
            (r#"{"version":2,"counts":[3]}"#, Some(RecordedCounts::NewerVersion(NewerVersion { found: 2, known: 1 }))),
            ("{}", None),
        ] {
            assert_eq!(parse(json.as_bytes()), found, "{json}");
        }
    }
}
