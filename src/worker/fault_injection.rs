//! Mistakes that the worker's single thread cannot make, made on purpose: a batch that is committed only after its
//! partitions were taken away and others assigned, and offsets committed beside the transaction. What a design that
//! commits on another thread could do must be stopped by the broker, and the fault tests show that it is, or is not.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerGroupMetadata};
use rdkafka::{Offset, TopicPartitionList};

use super::consumer_group::GroupContext;
use super::context::Positions;
use super::{Error, Worker};
use crate::config::Kafka;
use crate::failpoints;
use crate::kafka::outbox::Batch;

/// A batch of an assignment that may be gone by the time it is committed.
pub(super) struct DelayedBatch {
    batch: Batch,
    positions: Positions,
    epoch: u64,
    /// As it was when the batch was made.
    group: ConsumerGroupMetadata,
}

/// Makes the mistakes that a test wants with a batch that is about to be committed. Gives it back, or keeps it for later.
pub(super) fn tamper(
    consumer: &BaseConsumer<GroupContext>,
    kafka: &Kafka,
    delayed: &mut Option<DelayedBatch>,
    (batch, positions, epoch): (Batch, &Positions, u64),
) -> Result<Option<Batch>, Error> {
    if failpoints::breaks("offsets-in-transaction") {
        let mut offsets = TopicPartitionList::new();
        for (partition, position) in positions {
            offsets.add_partition_offset(&kafka.topics().inbox, *partition, Offset::Offset(*position))?;
        }
        consumer.commit(&offsets, CommitMode::Sync)?;
    }
    let group = failpoints::breaks("batch-in-time").then(|| consumer.group_metadata()).flatten();
    let Some(group) = group else { return Ok(Some(batch)) };
    *delayed = Some(DelayedBatch { batch, positions: positions.clone(), epoch, group });
    failpoints::reach("batch-delayed");
    Ok(None)
}

impl Worker {
    /// Commits the delayed batch as soon as there is another assignment.
    pub(super) fn commit_delayed_batch(&mut self) -> Result<(), Error> {
        let is_working = self.assignment.as_ref().is_some_and(|assignment| assignment.ledger.is_some());
        let (Some(outbox), Some(delayed)) = (&self.outbox, &self.delayed) else { return Ok(()) };
        if !is_working || self.epoch == delayed.epoch {
            return Ok(());
        }
        let fresh = failpoints::breaks("group-metadata").then(|| self.consumer.group_metadata()).flatten();
        let group = fresh.as_ref().unwrap_or(&delayed.group);
        tracing::warn!(is_fresh = fresh.is_some(), "a batch of an earlier assignment is committed late");
        let outcome = outbox.commit(&delayed.batch, &delayed.positions, group, self.context.clock.now());
        self.delayed = None;
        Ok(outcome?)
    }
}
