//! The consumer group: who owns which partitions of the inbox.
//!
//! Classic protocol and range assignor, so that all partitions go and come together. Assigned partitions start
//! paused: nothing is taken from them before their state is rebuilt.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use crate::config::Kafka;

/// Where the group and the log of one inbox partition stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartitionOffsets {
    /// What the group committed.
    pub(super) committed: Option<i64>,
    /// The first offset there is.
    pub(super) start: i64,
    /// The offset after the last one.
    pub(super) end: i64,
}

/// By partition.
pub(super) type OffsetsByPartition = BTreeMap<i32, PartitionOffsets>;

impl PartitionOffsets {
    /// Where to go on: at what was committed, if that is there.
    pub(super) fn position(&self) -> i64 {
        self.committed.filter(|at| (self.start..=self.end).contains(at)).unwrap_or(self.start)
    }
}

/// What happened in the group, in order.
pub(super) enum Change {
    /// These partitions are ours now, with the group's metadata of that very moment.
    Assigned { partitions: Vec<i32>, group: ConsumerGroupMetadata },
    /// None is ours any more.
    Revoked,
}

/// Notes changes; they are applied by the thread that polls, right after the poll.
#[derive(Default)]
pub(super) struct GroupContext {
    changes: Mutex<Vec<Change>>,
}

impl GroupContext {
    pub(super) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock().expect("no panic under this lock"))
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.changes.lock().expect("no panic under this lock").is_empty()
    }

    fn note(&self, change: Change) {
        self.changes.lock().expect("no panic under this lock").push(change);
    }
}

impl ClientContext for GroupContext {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "inbox consumer");
    }
}

impl ConsumerContext for GroupContext {
    // The poll that runs this is never within a transaction: one thread does both.
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Revoke(_) | Rebalance::Error(_)) {
            self.note(Change::Revoked);
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(assigned) = rebalance else { return };
        if let Err(error) = consumer.pause(assigned) {
            tracing::error!(%error, "assigned partitions could not be paused");
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
        // The inbox never skips: where an offset is gone it goes on at the start, and the gap is noticed.
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        // Tells when all of a partition is read; else how old unread records are could not be told.
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

/// Where the group and the log of each of these partitions stand.
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

/// The same for one partition, as if this offset were committed.
pub(super) fn partition_offsets_at(
    consumer: &BaseConsumer<GroupContext>,
    topic: &str,
    partition: i32,
    expected: i64,
) -> Result<PartitionOffsets, KafkaError> {
    let (start, end) = consumer.fetch_watermarks(topic, partition, ANSWER_TIMEOUT)?;
    Ok(PartitionOffsets { committed: Some(expected), start, end })
}

/// Lets records flow from these positions.
pub(super) fn open_at(
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
    // After a doubtful transaction the consumer is ahead of what was committed.
    let sought = consumer.seek_partitions(partitions.clone(), ANSWER_TIMEOUT)?;
    for element in sought.elements() {
        element.error()?;
    }
    consumer.resume(&partitions)
}

/// Stops the flow.
pub(super) fn close(consumer: &BaseConsumer<GroupContext>, topic: &str, partitions: &[i32]) {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, *partition);
    }
    if let Err(error) = consumer.pause(&list) {
        tracing::debug!(%error, "partitions could not be paused; a rebalance has taken them");
    }
}

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
