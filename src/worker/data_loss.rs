//! Data that Kafka should hold and has lost: committed offsets, unread inbox records, known state. The worker detects
//! each loss when it takes over partitions, logs it as an error, and recovers what can be recovered.
//!
//! - Lost offsets: the inbox is read from its beginning. The known state says what was published, so nothing is published
//!   twice.
//! - Lost unread records: their number is logged, and the remaining records are read.
//! - Lost state: it is rebuilt from the events topic, so nothing is published twice. The inbox is read again from its
//!   start, because the lost records also held pending work.
//! - A damaged state record: the same for its object alone.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use rdkafka::consumer::ConsumerGroupMetadata;

use super::consumer_group::{OffsetsByPartition, PartitionOffsets};
use super::context::{Positions, WorkerContext};
use super::{Error, Worker, consumer_group};
use crate::config::Kafka;
use crate::domain::state::KnownState;
use crate::domain::state::in_charge::InCharge;
use crate::domain::state::partitioner::owning_partition;
use crate::domain::timestamp::Timestamp;
use crate::domain::work::InboxPosition;
use crate::kafka::Broker;
use crate::kafka::outbox::{Batch, Outbox, StateRecord};
use crate::kafka::state_store::{
    CompletenessMarker, DamagedRecord, Restored, StateStore, rebuild_from_events, restore,
};

/// What one partition of the state topic holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    log_start: i64,
    marker: Option<CompletenessMarker>,
    n_objects: usize,
    /// Objects that the events topic knows and the state topic does not.
    n_rebuilt: usize,
}

/// Something that Kafka should hold and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DataLoss {
    /// The group has no offset, although it worked on the partition before.
    Offsets { start: i64 },
    /// Records were deleted before they were read.
    InboxStart { expected: i64, start: i64 },
    /// The committed offset is beyond the end of the inbox.
    InboxEnd { expected: i64, end: i64 },
    /// Records of the state topic were deleted, or the topic was recreated.
    State { log_start: i64, n_rebuilt: usize },
}

/// Writes rebuilt state in transactions of the assignment.
pub(super) struct StateWriter<'a> {
    pub(super) outbox: &'a Outbox,
    /// The metadata captured when the partitions were assigned.
    pub(super) group: &'a ConsumerGroupMetadata,
}

impl PartitionOffsets {
    /// The loss that the offsets of the inbox show.
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
    /// Whether a completeness marker covers all of the partition. Without one the state counts as lost: for a new
    /// partition that costs one read of the events topic.
    fn is_complete(&self) -> bool {
        self.marker.is_some_and(|marker| marker.is_complete && self.log_start <= marker.log_start)
    }
}

/// Finds the losses of one partition: inbox, offsets and state.
fn judge(partition_offsets: &PartitionOffsets, found: &Found) -> Vec<DataLoss> {
    let PartitionOffsets { committed, start, .. } = *partition_offsets;
    let Found { log_start, marker, n_objects, n_rebuilt } = *found;
    let was_owned = marker.is_some() || n_objects > 0 || n_rebuilt > 0;
    let offsets = match committed {
        None if was_owned => Some(DataLoss::Offsets { start }),
        None if start > 0 => Some(DataLoss::InboxStart { expected: 0, start }),
        _ => None,
    };
    let had_read = n_objects == 0 && committed.is_some_and(|at| at > start);
    let is_lost = !found.is_complete() && (marker.is_some() || log_start > 0 || n_rebuilt > 0 || had_read);
    let state = is_lost.then_some(DataLoss::State { log_start, n_rebuilt });
    offsets.into_iter().chain(partition_offsets.loss()).chain(state).collect()
}

/// Restores the state of the assigned partitions up to the barrier with this nonce. Logs what is lost and rebuilds what
/// can be rebuilt. Returns the state and the positions to continue from.
pub(super) fn restore_complete(
    context: &WorkerContext,
    offsets_by_partition: &OffsetsByPartition,
    nonce: &str,
    writer: &StateWriter<'_>,
    mut still_assigned: impl FnMut() -> bool,
) -> Result<(Restored, Positions), Error> {
    let partitions: Vec<i32> = offsets_by_partition.keys().copied().collect();
    let mut restored = restore(&context.kafka, &partitions, nonce, &mut still_assigned)?;
    // The mock broker keeps no transactional offsets and drops old records.
    let positions = match context.broker {
        Broker::Real => recover(context, offsets_by_partition, &mut restored, writer, still_assigned)?,
        Broker::Mock => positions(offsets_by_partition),
    };
    Ok((restored, positions))
}

fn recover(
    context: &WorkerContext,
    offsets_by_partition: &OffsetsByPartition,
    restored: &mut Restored,
    writer: &StateWriter<'_>,
    still_assigned: impl FnMut() -> bool,
) -> Result<Positions, Error> {
    let mut found = inspect(offsets_by_partition, restored);
    let broken: BTreeSet<i32> = found.iter().filter(|(_, found)| !found.is_complete()).map(|(at, _)| *at).collect();
    let damaged = restored.store.set_aside.take_damaged();
    let mut positions = positions(offsets_by_partition);
    let mut rebuilt = Rebuilt::default();
    if !broken.is_empty() || !damaged.is_empty() {
        let lost = Lost { broken: &broken, damaged: &damaged };
        rebuilt = lost.rebuild(&context.kafka, &mut restored.store, still_assigned)?;
    }
    for record in rebuilt.records.iter().filter(|record| record.value.is_some()) {
        found.entry(record.partition).and_modify(|found| found.n_rebuilt += 1);
    }
    // A damaged record may have held pending work.
    for partition in damaged.values().map(|record| record.partition) {
        positions.extend(offsets_by_partition.get(&partition).map(|offsets| (partition, offsets.start)));
    }
    for (partition, partition_offsets) in offsets_by_partition {
        for loss in judge(partition_offsets, &found[partition]) {
            loss.report(*partition);
            if let DataLoss::State { .. } = loss {
                positions.insert(*partition, partition_offsets.start);
            }
        }
    }
    if !broken.is_empty() || !damaged.is_empty() {
        rebuilt.log_starts = broken.iter().map(|at| (*at, found[at].log_start)).collect();
        writer.write(rebuilt, &positions, context.clock.now())?;
    }
    Ok(positions)
}

/// What the state topic does not hold.
struct Lost<'a> {
    /// Partitions that lost records.
    broken: &'a BTreeSet<i32>,
    /// Records that cannot be read, by key.
    damaged: &'a BTreeMap<String, DamagedRecord>,
}

impl Lost<'_> {
    /// Adds to the state what the events topic knows. The records that say so, and a tombstone for each damaged record of
    /// which no event is left.
    fn rebuild(
        &self,
        kafka: &Kafka,
        store: &mut StateStore,
        still_assigned: impl FnMut() -> bool,
    ) -> Result<Rebuilt, Error> {
        let of_damaged = self.damaged.values().map(|record| record.partition);
        let partitions = self.broken.iter().copied().chain(of_damaged).collect();
        let published = rebuild_from_events(kafka, &partitions, still_assigned)?;
        let lacks = |partition: i32, key: &str| self.broken.contains(&partition) || self.damaged.contains_key(key);
        let mut in_charge = published.in_charge();
        in_charge.retain(|found| {
            let account = &found.account;
            let partition = owning_partition(&account.merchant_id, kafka.partitions);
            lacks(partition, &InCharge::key_of(account)) && !store.set_aside.holds_back_account(account)
        });
        let in_charge = add_in_charge(store, in_charge, kafka.partitions);
        let mut records = Vec::new();
        for state in published.into_known() {
            let partition = owning_partition(&state.object.account.merchant_id, kafka.partitions);
            let is_lost = lacks(partition, &state.object.state_key()) && !store.set_aside.holds_back(&state.object);
            if is_lost && state.is_writable() {
                records.extend(add(store, state, partition));
            }
        }
        let mut tombstones = self.damaged.clone();
        records.iter().for_each(|record| _ = tombstones.remove(&record.key));
        in_charge.iter().for_each(|(_, found)| _ = tombstones.remove(&InCharge::key_of(&found.account)));
        let tombstone =
            |(key, record): (String, DamagedRecord)| StateRecord { key, partition: record.partition, value: None };
        records.extend(tombstones.into_iter().map(tombstone));
        Ok(Rebuilt { records, in_charge, log_starts: Vec::new() })
    }
}

impl Worker {
    /// Checks skipped offsets: they are transaction markers, or records that were deleted before they were read.
    pub(super) fn notice_gap(&mut self, position: InboxPosition) -> Result<(), Error> {
        let Some(expected) = self.ledger().and_then(|ledger| ledger.inbox.expected_instead_of(position)) else {
            return Ok(());
        };
        let InboxPosition { partition, .. } = position;
        let topic = self.context.kafka.topics().inbox;
        match consumer_group::partition_offsets_at(&self.consumer, &topic, partition, expected)?.loss() {
            // The known state refers to the former inbox: take the partitions over again.
            Some(DataLoss::InboxEnd { .. }) => return Err(Error::InboxEnd(partition)),
            Some(loss) => loss.report(partition),
            None => {}
        }
        Ok(())
    }
}

/// The positions to continue from by the inbox alone.
pub(super) fn positions(offsets_by_partition: &OffsetsByPartition) -> Positions {
    offsets_by_partition
        .iter()
        .map(|(partition, partition_offsets)| (*partition, partition_offsets.position()))
        .collect()
}

fn inspect(offsets_by_partition: &OffsetsByPartition, restored: &Restored) -> BTreeMap<i32, Found> {
    let counts = restored.store.len_by_partition();
    let found = |partition: &i32| {
        let (log_start, marker) = restored.markers.of(*partition);
        let n_objects = counts.get(partition).copied().unwrap_or(0);
        (*partition, Found { log_start, marker, n_objects, n_rebuilt: 0 })
    };
    offsets_by_partition.keys().map(found).collect()
}

/// Adds what the state topic does not know. Its own records stay: they are as recent as the events and hold more.
fn add(store: &mut StateStore, published: KnownState, partition: i32) -> Option<StateRecord> {
    let key = published.object.state_key();
    let value = store.update(&published.object, partition, |known| {
        let is_new = (known.observed.is_none() && published.observed.is_some()) || published.sequence > known.sequence;
        known.observed = known.observed.take().or(published.observed);
        known.sequence = known.sequence.max(published.sequence);
        is_new.then(|| known.clone())
    })?;
    Some(StateRecord { key, partition, value: Some(value) })
}

/// Adds since when merchants have been in our charge, of accounts of which the state topic does not know it.
fn add_in_charge(store: &mut StateStore, published: Vec<InCharge>, partitions: i32) -> Vec<(i32, InCharge)> {
    let mut added = Vec::new();
    for in_charge in published {
        if let Entry::Vacant(vacant) = store.in_charge.entry(in_charge.account.clone()) {
            added.push((owning_partition(&in_charge.account.merchant_id, partitions), in_charge.clone()));
            vacant.insert(in_charge);
        }
    }
    added
}

/// What the events topic gave back, and the log start of each partition that had lost it.
#[derive(Default)]
struct Rebuilt {
    records: Vec<StateRecord>,
    in_charge: Vec<(i32, InCharge)>,
    log_starts: Vec<(i32, i64)>,
}

impl StateWriter<'_> {
    /// Writes rebuilt records and commits the group's offsets. Only the last transaction marks the state as complete.
    fn write(&self, rebuilt: Rebuilt, positions: &Positions, now: Timestamp) -> Result<(), Error> {
        let Rebuilt { records, mut in_charge, log_starts } = rebuilt;
        let mut left = records.into_iter().peekable();
        loop {
            let records: Vec<StateRecord> = left.by_ref().take(RECORDS_AT_ONCE_MAX).collect();
            let is_last = left.peek().is_none();
            let marker =
                |(partition, log_start): &(i32, i64)| (*partition, CompletenessMarker::new(*log_start, is_last));
            let (markers, in_charge) = (log_starts.iter().map(marker).collect(), std::mem::take(&mut in_charge));
            let batch = Batch { records, in_charge, markers, ..Batch::default() };
            self.outbox.commit(&batch, positions, self.group, now)?;
            if is_last {
                return Ok(());
            }
        }
    }
}

impl DataLoss {
    /// Logs the loss and counts it.
    pub(super) fn report(&self, partition: i32) {
        metrics::counter!("ipn_receiver_kafka_data_loss_total", "what" => self.what()).increment(1);
        match self {
            Self::Offsets { start } => tracing::error!(
                partition,
                from = start,
                "the committed offsets of the consumer group are missing (no worker ran for longer than \
                 offsets.retention.minutes, or the group was deleted or renamed): the inbox is read again from its beginning. \
                 Nothing is published twice; dead letters may be written a second time"
            ),
            Self::InboxStart { expected, start } => tracing::error!(
                partition,
                from = expected,
                to = start,
                n_lost = start - expected,
                "inbox records were deleted before they were read (records deleted by hand, or older than retention.ms): \
                 their IPNs are lost, later ones are read. To publish the changes now, run `ipn-receiver recheck` with the ids \
                 of the affected objects; otherwise they are published with the next IPN or reconciliation of each object"
            ),
            Self::InboxEnd { expected, end } => tracing::error!(
                partition,
                expected,
                end,
                "the committed offset is beyond the end of the inbox (topic recreated, or log truncated after a broker \
                 failure): the inbox is read again from its beginning. Acknowledged IPNs may be lost; run `ipn-receiver recheck` \
                 with the ids of their objects"
            ),
            Self::State { log_start, n_rebuilt } => tracing::error!(
                partition,
                log_start,
                n_rebuilt,
                "state records are lost (deleted by hand, a cleanup.policy with delete, or the topic recreated): the state is \
                 rebuilt from the events topic, and the inbox is read again for pending work. Nothing is published twice, \
                 except that objects whose last event is no longer in the events topic are published as first sight again"
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

const RECORDS_AT_ONCE_MAX: usize = 500;

#[cfg(test)]
mod tests;
