//! Deliberate errors for the fault tests: a batch that is committed after its partitions were revoked and assigned again,
//! and offsets that are committed outside the transaction. The worker's single thread cannot make them; a design that
//! commits on another thread could, and the tests show whether the broker rejects them.

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
    /// The group metadata of the time when the batch was made.
    group: ConsumerGroupMetadata,
}

/// A commit that a test tampers with.
pub(super) struct Tamper<'a> {
    pub(super) consumer: &'a BaseConsumer<GroupContext>,
    pub(super) kafka: &'a Kafka,
    pub(super) positions: &'a Positions,
    pub(super) epoch: u64,
}

impl Tamper<'_> {
    /// Makes the errors that the active failpoints name. Returns the batch, or delays it.
    pub(super) fn apply(self, batch: Batch, delayed: &mut Option<DelayedBatch>) -> Result<Option<Batch>, Error> {
        let Tamper { consumer, kafka, positions, epoch } = self;
        if failpoints::breaks("offsets-in-transaction") {
            let mut offsets = TopicPartitionList::new();
            for (partition, position) in positions {
                offsets.add_partition_offset(&kafka.topics().inbox, *partition, Offset::Offset(*position))?;
            }
            consumer.commit(&offsets, CommitMode::Sync)?;
        }
        // A duplicate needs an event; the first batch on new topics may have none.
        let is_delayed = !batch.events.is_empty() && failpoints::breaks("batch-in-time");
        let group = is_delayed.then(|| consumer.group_metadata()).flatten();
        let Some(group) = group else { return Ok(Some(batch)) };
        *delayed = Some(DelayedBatch { batch, positions: positions.clone(), epoch, group });
        failpoints::reach("batch-delayed");
        Ok(None)
    }
}

impl Worker {
    /// Commits the delayed batch under the next assignment.
    pub(super) fn commit_delayed_batch(&mut self) -> Result<(), Error> {
        let is_working = self.assignment.as_ref().is_some_and(|assignment| assignment.ledger.is_some());
        let (Some(outbox), Some(delayed)) = (&self.outbox, &self.delayed) else { return Ok(()) };
        if !is_working || self.epoch == delayed.epoch {
            return Ok(());
        }
        let fresh = failpoints::breaks("group-metadata").then(|| self.consumer.group_metadata()).flatten();
        let group = fresh.as_ref().unwrap_or(&delayed.group);
        tracing::warn!(
            is_fresh = fresh.is_some(),
            "fault injection: a batch of an earlier assignment is committed late"
        );
        let outcome = outbox.commit(&delayed.batch, &delayed.positions, group, self.now());
        self.delayed = None;
        Ok(outcome?)
    }
}
