//! What Kafka no longer holds although it should: the group's offsets, unread records of the inbox, known state. Found
//! when partitions are taken over, told loudly, and made good as far as it can be.
//!
//! - Without offsets the inbox is read from its start. What is known says what was answered, so nothing is told twice.
//! - Unread records that are gone are gone; how many is told, and the rest is read.
//! - Lost state is rebuilt from the events topic, so nothing is told twice. The inbox is read again from its start, as
//!   work that was owed stood in the lost records and stands in the inbox, too.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::consumer::ConsumerGroupMetadata;

use super::consumer_group::{OffsetsByPartition, PartitionOffsets};
use super::context::{Positions, WorkerContext};
use super::{Error, Worker, consumer_group};
use crate::domain::state::KnownState;
use crate::domain::state::partitioner::owning_partition;
use crate::domain::timestamp::Timestamp;
use crate::domain::work::InboxPosition;
use crate::kafka::Broker;
use crate::kafka::outbox::{Batch, Outbox, StateRecord};
use crate::kafka::state_store::{CompletenessMarker, Restored, StateStore, rebuild_from_events, restore};

/// What was found in one partition of the state topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    log_start: i64,
    mark: Option<CompletenessMarker>,
    n_objects: usize,
    /// What the events topic told that the state topic did not.
    n_rebuilt: usize,
}

/// Something that should be there and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DataLoss {
    /// The group has no offset, and was here before.
    Offsets { start: i64 },
    /// Records were cut off before they were read.
    InboxStart { expected: i64, start: i64 },
    /// The inbox ends before what was read.
    InboxEnd { expected: i64, end: i64 },
    /// Records of the state topic were cut off, or it was made anew.
    State { log_start: i64, n_rebuilt: usize },
}

impl PartitionOffsets {
    /// What the inbox has lost.
    pub(super) fn loss(&self) -> Option<DataLoss> {
        let PartitionOffsets { committed, start, end } = *self;
        let expected = committed?;
        if expected < start {
            return Some(DataLoss::InboxStart { expected, start });
        }
        (expected > end).then_some(DataLoss::InboxEnd { expected, end })
    }
}

impl Found {
    /// Whether everything that was told is known. A partition that does not say so is as good as lost, which costs a new
    /// one a look at the events topic.
    fn is_complete(&self) -> bool {
        self.mark.is_some_and(|mark| mark.is_complete && self.log_start <= mark.log_start)
    }
}

/// What one partition has lost, of inbox, offsets and state.
fn judge(partition_offsets: &PartitionOffsets, found: &Found) -> Vec<DataLoss> {
    let PartitionOffsets { committed, start, .. } = *partition_offsets;
    let Found { log_start, mark, n_objects, n_rebuilt } = *found;
    let was_ours = mark.is_some() || n_objects > 0 || n_rebuilt > 0;
    let offsets = match committed {
        None if was_ours => Some(DataLoss::Offsets { start }),
        None if start > 0 => Some(DataLoss::InboxStart { expected: 0, start }),
        _ => None,
    };
    let had_read = n_objects == 0 && committed.is_some_and(|at| at > start);
    let is_lost = !found.is_complete() && (mark.is_some() || log_start > 0 || n_rebuilt > 0 || had_read);
    let state = is_lost.then_some(DataLoss::State { log_start, n_rebuilt });
    offsets.into_iter().chain(partition_offsets.loss()).chain(state).collect()
}

/// Reads the state of partitions that were taken over, up to the barrier with this nonce; judges each, tells what is lost
/// and rebuilds what can be. Gives the positions to go on from, too.
pub(super) fn restore_complete(
    context: &WorkerContext,
    offsets_by_partition: &OffsetsByPartition,
    nonce: &str,
    (outbox, group): (&Outbox, &ConsumerGroupMetadata),
    mut still_ours: impl FnMut() -> bool,
) -> Result<(Restored, Positions), Error> {
    let partitions: Vec<i32> = offsets_by_partition.keys().copied().collect();
    let mut restored = restore(&context.kafka, &partitions, nonce, &mut still_ours)?;
    // A mock keeps no offsets of transactions, and nothing for long.
    let positions = match context.broker {
        Broker::Real => make_good(context, offsets_by_partition, &mut restored, (outbox, group), still_ours)?,
        Broker::Mock => positions(offsets_by_partition),
    };
    Ok((restored, positions))
}

fn make_good(
    context: &WorkerContext,
    offsets_by_partition: &OffsetsByPartition,
    restored: &mut Restored,
    (outbox, group): (&Outbox, &ConsumerGroupMetadata),
    still_ours: impl FnMut() -> bool,
) -> Result<Positions, Error> {
    let kafka = &context.kafka;
    let mut found = look(offsets_by_partition, restored);
    let broken: BTreeSet<i32> = found.iter().filter(|(_, found)| !found.is_complete()).map(|(at, _)| *at).collect();
    let mut positions = positions(offsets_by_partition);
    let mut records = Vec::new();
    if !broken.is_empty() {
        let told = rebuild_from_events(kafka, &broken, still_ours)?.into_known();
        records = told.into_iter().filter_map(|state| add(&mut restored.store, state, kafka.partitions)).collect();
    }
    for record in &records {
        found.entry(record.partition).and_modify(|found| found.n_rebuilt += 1);
    }
    for (partition, partition_offsets) in offsets_by_partition {
        for loss in judge(partition_offsets, &found[partition]) {
            loss.tell(*partition);
            if let DataLoss::State { .. } = loss {
                positions.insert(*partition, partition_offsets.start);
            }
        }
    }
    if !broken.is_empty() {
        let marks: Vec<(i32, i64)> = broken.iter().map(|at| (*at, found[at].log_start)).collect();
        write(outbox, group, records, &marks, &positions, context.clock.now())?;
    }
    Ok(positions)
}

impl Worker {
    /// Offsets that are left out are transaction markers, or records that were deleted before they were read.
    pub(super) fn notice_gap(&mut self, position: InboxPosition) -> Result<(), Error> {
        let Some(expected) = self.ledger().and_then(|ledger| ledger.expected_instead_of(position)) else {
            return Ok(());
        };
        let InboxPosition { partition, .. } = position;
        let topic = self.context.kafka.topics().inbox;
        match consumer_group::partition_offsets_at(&self.consumer, &topic, partition, expected)?.loss() {
            // Known state says what was answered, and is judged anew with the inbox that there is now.
            Some(DataLoss::InboxEnd { .. }) => return Err(Error::InboxEnd(partition)),
            Some(loss) => loss.tell(partition),
            None => {}
        }
        Ok(())
    }
}

/// The positions to go on from, as far as the inbox alone says.
pub(super) fn positions(offsets_by_partition: &OffsetsByPartition) -> Positions {
    offsets_by_partition
        .iter()
        .map(|(partition, partition_offsets)| (*partition, partition_offsets.position()))
        .collect()
}

fn look(offsets_by_partition: &OffsetsByPartition, restored: &Restored) -> BTreeMap<i32, Found> {
    let counts = restored.store.len_by_partition();
    let found = |partition: &i32| {
        let (log_start, mark) = restored.markers.of(*partition);
        let n_objects = counts.get(partition).copied().unwrap_or(0);
        (*partition, Found { log_start, mark, n_objects, n_rebuilt: 0 })
    };
    offsets_by_partition.keys().map(found).collect()
}

/// Adds what the state topic does not know. Its own records are kept: they are as new as the events, and say more.
fn add(store: &mut StateStore, told: KnownState, partitions: i32) -> Option<StateRecord> {
    let partition = owning_partition(&told.object.account.merchant_id, partitions);
    let key = told.object.state_key();
    let value = store.update(&told.object, partition, |known| {
        let is_news = (known.observed.is_none() && told.observed.is_some()) || told.sequence > known.sequence;
        known.observed = known.observed.take().or(told.observed);
        known.sequence = known.sequence.max(told.sequence);
        is_news.then(|| known.clone())
    })?;
    Some(StateRecord { key, partition, value: Some(value) })
}

/// Writes what was rebuilt, and moves the group's offsets. The last transaction says that it is all there.
fn write(
    outbox: &Outbox,
    group: &ConsumerGroupMetadata,
    records: Vec<StateRecord>,
    log_starts: &[(i32, i64)],
    positions: &Positions,
    now: Timestamp,
) -> Result<(), Error> {
    let mut left = records.into_iter().peekable();
    loop {
        let records: Vec<StateRecord> = left.by_ref().take(RECORDS_AT_ONCE).collect();
        let is_last = left.peek().is_none();
        let mark = |(partition, log_start): &(i32, i64)| (*partition, CompletenessMarker::new(*log_start, is_last));
        let batch = Batch { records, markers: log_starts.iter().map(mark).collect(), ..Batch::default() };
        outbox.commit(&batch, positions, group, now)?;
        if is_last {
            return Ok(());
        }
    }
}

impl DataLoss {
    /// In the log and in a metric.
    pub(super) fn tell(&self, partition: i32) {
        metrics::counter!("ipn_receiver_kafka_data_loss_total", "what" => self.what()).increment(1);
        match self {
            Self::Offsets { start } => tracing::error!(
                partition,
                from = start,
                "the group's offsets are lost (no worker ran for longer than offsets.retention.minutes, or the group was \
                 deleted or renamed): the inbox is read again from its start. Nothing is told twice; dead letters may be \
                 written a second time"
            ),
            Self::InboxStart { expected, start } => tracing::error!(
                partition,
                from = expected,
                to = start,
                n_lost = start - expected,
                "inbox records were deleted before they were read (records deleted by hand, or older than retention.ms): \
                 their IPNs are lost, the rest is read. An object of theirs is put right by its next IPN, or by \
                 `ipn-receiver recheck` with its id"
            ),
            Self::InboxEnd { expected, end } => tracing::error!(
                partition,
                expected,
                end,
                "the inbox ends before what was read (made anew, or its end lost with a broker): it is read again from its \
                 start. IPNs that were acknowledged may be lost; `ipn-receiver recheck` with the ids of objects puts them right"
            ),
            Self::State { log_start, n_rebuilt } => tracing::error!(
                partition,
                log_start,
                n_rebuilt,
                "state records are lost (deleted by hand, a cleanup.policy with delete, or the topic made anew): what was told \
                 is rebuilt from the events topic, and the inbox is read again for work that was owed. Nothing is told twice, \
                 but for objects last told of longer ago than the events topic goes back: they are first sights again"
            ),
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Self::Offsets { .. } => "offsets",
            Self::InboxStart { .. } | Self::InboxEnd { .. } => "inbox",
            Self::State { .. } => "state",
        }
    }
}

const RECORDS_AT_ONCE: usize = 500;

#[cfg(test)]
mod tests;
