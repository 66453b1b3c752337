//! Taking over assigned partitions: fence the previous owner, restore the state, resume the inbox.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;

use super::context::Positions;
use super::data_loss::{self, StateWriter};
use super::ledger::Ledger;
use super::{Error, Worker, consumer_group};
use crate::clock::Clock;
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
            None => Outbox::open(&self.context.kafka, &self.transactional_id, self.context.wire.clone())?
                .with_events_partitions(self.context.events_partitions),
        };
        let Some(TakenOver { restored, positions, fenced_at }) = self.fence_and_restore(&mut outbox)? else {
            return Ok(());
        };
        consumer_group::seek_and_resume(&self.consumer, &self.context.kafka.topics().inbox, &positions)?;
        let n_objects = restored.store.len();
        let clock = self.clock_of_assignment(restored.barrier_at, fenced_at);
        let ledger = Ledger::new(self.context.ledger.clone(), restored, &positions, clock.now());
        if let Some(assignment) = &mut self.assignment {
            (assignment.ledger, assignment.clock) = (Some(ledger), clock);
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

    /// The clock of this assignment: the broker's time of the barrier, and the time that has passed since then. A wrong clock
    /// of this machine, or one that is corrected while the worker runs, changes no wait and no retention.
    fn clock_of_assignment(&self, barrier_at: Option<Timestamp>, fenced_at: Instant) -> Clock {
        let own = self.context.clock.now().minus(fenced_at.elapsed());
        let Some(barrier_at) = barrier_at else { return Clock::started(own, fenced_at) };
        let skew = own.since(barrier_at).max(barrier_at.since(own));
        if skew > SKEW_REPORTED {
            tracing::error!(
                skew_ms = skew.as_millis() as u64,
                "the clock of this machine differs from that of the Kafka broker; the worker uses the broker's. SNS messages \
                 and requests to Amazon Pay need the right time: synchronize both clocks (NTP)"
            );
        }
        Clock::started(barrier_at, fenced_at)
    }

    /// Commits the barrier, after which the previous owner can commit nothing, and reads the state up to it. None without an
    /// assignment.
    fn fence_and_restore(&self, outbox: &mut Outbox) -> Result<Option<TakenOver>, Error> {
        let Some(assignment) = &self.assignment else { return Ok(None) };
        let topic = self.context.kafka.topics().inbox;
        let partition_offsets = consumer_group::partition_offsets(&self.consumer, &topic, &assignment.partitions)?;
        let positions = data_loss::positions(&partition_offsets);
        if assignment.partitions.is_empty() {
            let fenced_at = Instant::now();
            return Ok(Some(TakenOver { restored: Restored::default(), positions, fenced_at }));
        }
        let nonce = uuid::Uuid::new_v4().to_string();
        failpoints::reach("before-barrier");
        outbox.barrier(&nonce, &positions, &assignment.group)?;
        failpoints::reach("after-barrier");
        let fenced_at = Instant::now();
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
    /// Right after the barrier was committed.
    fenced_at: Instant,
}

const SKEW_REPORTED: Duration = Duration::from_secs(5);
