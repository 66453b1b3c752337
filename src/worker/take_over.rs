//! Taking over assigned partitions: fence the previous owner, restore the state, resume the inbox.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;

use super::context::Positions;
use super::data_loss::{self, StateWriter};
use super::ledger::Ledger;
use super::{Error, Worker, consumer_group};
use crate::domain::timestamp::Timestamp;
use crate::failpoints;
use crate::kafka::outbox::Outbox;
use crate::kafka::state_store::Restored;

impl Worker {
    /// Takes over the partitions of a new assignment. Does nothing if there is none.
    pub(super) fn take_over(&mut self) -> Result<(), Error> {
        if self.assignment.as_ref().is_none_or(|assignment| assignment.ledger.is_some()) {
            return Ok(());
        }
        let started = Instant::now();
        let mut outbox = match self.outbox.take() {
            Some(outbox) => outbox,
            None => Outbox::open(&self.context.kafka, &self.transactional_id, self.context.wire.clone())?,
        };
        let Some(TakenOver { restored, positions, fenced_at }) = self.fence_and_restore(&mut outbox)? else {
            return Ok(());
        };
        consumer_group::seek_and_resume(&self.consumer, &self.context.kafka.topics().inbox, &positions)?;
        let n_objects = restored.store.len();
        let ledger = Ledger::new(self.context.ledger.clone(), restored, &positions, fenced_at);
        if let Some(assignment) = &mut self.assignment {
            assignment.ledger = Some(ledger);
        }
        self.outbox = Some(outbox);
        self.status.is_working.store(true, Ordering::Relaxed);
        metrics::histogram!("ipn_receiver_state_restore_seconds").record(started.elapsed().as_secs_f64());
        tracing::info!(
            n_objects,
            duration_ms = started.elapsed().as_millis() as u64,
            "state restored from Kafka; the worker consumes the inbox and publishes events"
        );
        #[cfg(feature = "failpoints")]
        self.commit_delayed_batch()?;
        Ok(())
    }

    /// Commits the barrier, after which the previous owner can commit nothing, and reads the state up to it. None without an
    /// assignment.
    fn fence_and_restore(&self, outbox: &mut Outbox) -> Result<Option<TakenOver>, Error> {
        let Some(assignment) = &self.assignment else { return Ok(None) };
        let topic = self.context.kafka.topics().inbox;
        let partition_offsets = consumer_group::partition_offsets(&self.consumer, &topic, &assignment.partitions)?;
        let positions = data_loss::positions(&partition_offsets);
        if assignment.partitions.is_empty() {
            let fenced_at = self.context.clock.now();
            return Ok(Some(TakenOver { restored: Restored::default(), positions, fenced_at }));
        }
        let nonce = uuid::Uuid::new_v4().to_string();
        failpoints::reach("before-barrier");
        outbox.barrier(&nonce, &positions, &assignment.group)?;
        failpoints::reach("after-barrier");
        let fenced_at = self.context.clock.now();
        let (context, status) = (self.consumer.context(), &self.status);
        // The partitions are paused, so the poll returns no record: it keeps the member alive and notices a rebalance.
        let still_assigned = || {
            drop(self.consumer.poll(Duration::ZERO));
            status.note_heartbeat();
            !context.has_changes() && !status.stop.load(Ordering::Relaxed)
        };
        let writer = StateWriter { outbox, group: &assignment.group };
        let (restored, positions) =
            data_loss::restore_complete(&self.context, &partition_offsets, &nonce, &writer, still_assigned)?;
        Ok(Some(TakenOver { restored, positions, fenced_at }))
    }
}

/// What a takeover restored.
struct TakenOver {
    restored: Restored,
    positions: Positions,
    /// Right after the barrier was committed, to compare with the broker's time of the barrier.
    fenced_at: Timestamp,
}
