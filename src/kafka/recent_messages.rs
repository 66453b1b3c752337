//! Reads the newest records of the inbox: they name the signing certificates that are in use, and some hold one.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::error::KafkaError;

use crate::config::Kafka;
use crate::kafka::inbox::InboxRecord;
use crate::kafka::topic_reader::{End, ReadRange, ReaderSettings, TopicReader, needs_no_stop};

/// Up to `per_partition` newest records of each partition. Blocks for up to `patience` without a record.
pub fn newest(kafka: &Kafka, per_partition: i64, patience: Duration) -> Result<Vec<InboxRecord>, KafkaError> {
    let settings = ReaderSettings {
        topic: kafka.topics().inbox,
        purpose: "recent-messages",
        end: End::OfLog,
        // A fetch brings more records than are wanted.
        properties: &[("fetch.message.max.bytes", "131072"), ("queued.max.messages.kbytes", "1024")],
    };
    let reader = TopicReader::new(kafka, settings)?;
    let partitions = reader.partitions(patience)?;
    reader.await_leaders();
    let from = partitions.into_iter().map(|partition| (partition, Offset::OffsetTail(per_partition))).collect();
    let mut records = reader.read(ReadRange { from, to: BTreeMap::new(), patience, is_temporary: needs_no_stop })?;
    let mut messages = Vec::new();
    while let Some(record) = records.next_record()? {
        messages.push(InboxRecord::from_message(&record));
    }
    Ok(messages)
}
