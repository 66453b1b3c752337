//! The consumer group, which assigns the inbox partitions to workers.
//!
//! Classic protocol and range assignor, so that all partitions are revoked and assigned together. Assigned partitions
//! start paused: no record is consumed before the state is restored.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use crate::config::Kafka;

/// The committed offset and the log of one inbox partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartitionOffsets {
    /// The offset that the group committed.
    pub(super) committed: Option<i64>,
    /// The first offset of the log.
    pub(super) start: i64,
    /// The offset after the last one.
    pub(super) end: i64,
}

pub(super) type OffsetsByPartition = BTreeMap<i32, PartitionOffsets>;

impl PartitionOffsets {
    /// Where to continue: at the committed offset if it is in the range of the log, otherwise at the log start.
    pub(super) fn position(&self) -> i64 {
        self.committed.filter(|at| (self.start..=self.end).contains(at)).unwrap_or(self.start)
    }
}

/// A change of the partition assignment.
pub(super) enum Change {
    /// These partitions were assigned, with the group metadata of that moment.
    Assigned { partitions: Vec<i32>, group: ConsumerGroupMetadata },
    /// All partitions were revoked.
    Revoked,
}

/// Collects changes during a poll. The polling thread applies them right after it.
#[derive(Default)]
pub(super) struct GroupContext {
    changes: Mutex<Vec<Change>>,
}

impl GroupContext {
    pub(super) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock())
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.changes.lock().is_empty()
    }

    fn note(&self, change: Change) {
        self.changes.lock().push(change);
    }
}

impl ClientContext for GroupContext {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the inbox consumer reported an error; librdkafka retries by itself");
    }
}

impl ConsumerContext for GroupContext {
    // Never runs during a transaction: the same thread polls and commits.
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Revoke(_) | Rebalance::Error(_)) {
            self.note(Change::Revoked);
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(assigned) = rebalance else { return };
        if let Err(error) = consumer.pause(assigned) {
            tracing::error!(
                %error,
                "the assigned partitions could not be paused; inbox records that arrive before the state is restored are \
                 dropped and consumed again afterwards, nothing is lost"
            );
        }
        if let Some(group) = consumer.group_metadata() {
            let partitions = assigned
                .elements()
                .iter()
                .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
                .collect();
            self.note(Change::Assigned { partitions, group });
        }
    }
}

/// Joins the group of this inbox.
pub(super) fn join(kafka: &Kafka) -> Result<BaseConsumer<GroupContext>, KafkaError> {
    let mut client = kafka.client();
    client
        .set("group.id", kafka.group())
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "range")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Never skip records: if the offset is out of range, continue at the log start; the gap is detected.
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        // Signals the end of a partition, which the age of unread records needs.
        .set("enable.partition.eof", "true")
        .set("session.timeout.ms", kafka.session_timeout_ms.to_string())
        .set("heartbeat.interval.ms", (kafka.session_timeout_ms / 10).max(100).to_string())
        .set("max.poll.interval.ms", kafka.poll_interval_max().as_millis().to_string())
        .set("queued.min.messages", "500")
        .set("queued.max.messages.kbytes", "4096")
        .set("fetch.wait.max.ms", "100");
    let consumer = BaseConsumer::from_config_and_context(&client, GroupContext::default())?;
    consumer.subscribe(&[&kafka.topics().inbox])?;
    Ok(consumer)
}

/// Reads the committed offset and the log bounds of each partition.
pub(super) fn partition_offsets(
    consumer: &BaseConsumer<GroupContext>,
    topic: &str,
    partitions: &[i32],
) -> Result<OffsetsByPartition, KafkaError> {
    let mut wanted = TopicPartitionList::new();
    for partition in partitions {
        wanted.add_partition(topic, *partition);
    }
    let committed = consumer.committed_offsets(wanted, ANSWER_TIMEOUT)?;
    let offsets = |partition: &i32| {
        let found = committed.find_partition(topic, *partition).map(|element| element.offset());
        let committed = if let Some(Offset::Offset(offset)) = found { Some(offset) } else { None };
        let (start, end) = consumer.fetch_watermarks(topic, *partition, ANSWER_TIMEOUT)?;
        Ok((*partition, PartitionOffsets { committed, start, end }))
    };
    partitions.iter().map(offsets).collect()
}

/// The same for one partition, with `expected` in place of the committed offset.
pub(super) fn partition_offsets_at(
    consumer: &BaseConsumer<GroupContext>,
    topic: &str,
    partition: i32,
    expected: i64,
) -> Result<PartitionOffsets, KafkaError> {
    let (start, end) = consumer.fetch_watermarks(topic, partition, ANSWER_TIMEOUT)?;
    Ok(PartitionOffsets { committed: Some(expected), start, end })
}

/// Seeks to these positions and resumes the partitions.
pub(super) fn seek_and_resume(
    consumer: &BaseConsumer<GroupContext>,
    topic: &str,
    positions: &BTreeMap<i32, i64>,
) -> Result<(), KafkaError> {
    if positions.is_empty() {
        return Ok(());
    }
    let mut partitions = TopicPartitionList::new();
    for (partition, position) in positions {
        partitions.add_partition_offset(topic, *partition, Offset::Offset(*position))?;
    }
    // After a transaction in doubt the consumer is ahead of the committed offsets.
    let sought = consumer.seek_partitions(partitions.clone(), ANSWER_TIMEOUT)?;
    for element in sought.elements() {
        element.error()?;
    }
    consumer.resume(&partitions)
}

/// Pauses the partitions.
pub(super) fn pause(consumer: &BaseConsumer<GroupContext>, topic: &str, partitions: &[i32]) {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, *partition);
    }
    if let Err(error) = consumer.pause(&list) {
        tracing::debug!(%error, "partitions could not be paused, because a rebalance has revoked them");
    }
}

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
