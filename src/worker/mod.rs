//! Step 5. The worker: inbox → queue → reads → events, on one thread of its own.
//!
//! The thread polls the consumer, so the rebalance callback runs on it and never during a transaction. Reads run
//! on the async runtime and come back by a channel. Everything in memory (`Ledger`) belongs to one
//! assignment of partitions: a rebalance or a doubtful transaction throws it away and rebuilds it from Kafka.

mod consumer_group;
mod context;
mod data_loss;
mod error;
#[cfg(feature = "failpoints")]
mod fault_injection;
mod gauges;
mod handle;
mod ledger;
mod throttled_alerts;
mod traces;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;

use self::consumer_group::{Change, GroupContext};
pub use self::context::WorkerContext;
use self::error::Error;
pub use self::handle::{Handle, Status};
use self::ledger::Ledger;
use self::throttled_alerts::ThrottledAlerts;
use crate::amazon::pay_api::Disposition;
use crate::domain::pay::ObjectRef;
use crate::domain::timestamp::Timestamp;
use crate::failpoints;
use crate::kafka::acls::is_refusal;
use crate::kafka::inbox::InboxRecord;
use crate::kafka::outbox::Outbox;
use crate::kafka::state_store::{self, Restored};

struct Worker {
    context: WorkerContext,
    status: Arc<Status>,
    runtime: tokio::runtime::Handle,
    consumer: BaseConsumer<GroupContext>,
    transactional_id: String,
    outbox: Option<Outbox>,
    assignment: Option<Assignment>,
    /// Tells answers to reads of this ledger from answers to reads of one that was thrown away.
    epoch: u64,
    answers: (Sender<Answer>, Receiver<Answer>),
    alerts: ThrottledAlerts,
    offsets_committed_at: Instant,
    #[cfg(feature = "failpoints")]
    delayed: Option<fault_injection::DelayedBatch>,
}

struct Assignment {
    partitions: Vec<i32>,
    /// Captured once when the partitions were assigned: metadata taken later would let a member that was thrown
    /// out and came back commit work of its former life.
    group: ConsumerGroupMetadata,
    ledger: Option<Ledger>,
}

struct Answer {
    epoch: u64,
    object: ObjectRef,
    disposition: Disposition,
    read_started_at: Timestamp,
}

impl Worker {
    fn new(context: WorkerContext, status: Arc<Status>) -> Result<Self, KafkaError> {
        let consumer = consumer_group::join(&context.kafka)?;
        let transactional_id = format!("{}-{}", context.kafka.group(), uuid::Uuid::new_v4());
        Ok(Self {
            context,
            status,
            runtime: tokio::runtime::Handle::current(),
            consumer,
            transactional_id,
            outbox: None,
            assignment: None,
            epoch: 0,
            answers: channel(),
            alerts: ThrottledAlerts::default(),
            offsets_committed_at: Instant::now(),
            #[cfg(feature = "failpoints")]
            delayed: None,
        })
    }

    fn run(mut self) {
        let mut pause = Duration::ZERO;
        while !self.status.stop.load(Ordering::Relaxed) {
            self.status.note_alive();
            match self.round() {
                Ok(()) => pause = Duration::ZERO,
                Err(error @ Error::Consumer(_)) => {
                    // The thread ends, `app` sees it, and the process leaves to be started anew.
                    tracing::error!(%error, "the worker cannot go on");
                    break;
                }
                Err(error) => {
                    self.forget(&error);
                    pause = (pause * 2).clamp(Duration::from_millis(100), Duration::from_secs(5));
                    self.wait(pause);
                }
            }
        }
        self.leave();
    }

    /// One turn: take in, read, tell.
    fn round(&mut self) -> Result<(), Error> {
        self.consume()?;
        self.take_over()?;
        #[cfg(feature = "failpoints")]
        self.commit_delayed_batch()?;
        self.start_reads();
        self.collect_answers();
        self.commit(OFFSETS_ONLY_EVERY)
    }

    /// Takes records of the inbox, and learns of rebalances on the way.
    fn consume(&mut self) -> Result<(), Error> {
        let mut wait = if self.has_reads_in_flight() { Duration::from_millis(2) } else { Duration::from_millis(20) };
        for _ in 0..self.context.settings.records_per_round_max {
            let message = self.consumer.poll(wait).transpose();
            let changes = self.consumer.context().take_changes();
            if !changes.is_empty() {
                drop(message);
                changes.into_iter().for_each(|change| self.apply(change));
                return Ok(());
            }
            let message = match message {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(()),
                Err(KafkaError::PartitionEOF(partition)) => {
                    if let Some(ledger) = self.ledger() {
                        ledger.inbox_latency.note_end(partition);
                    }
                    continue;
                }
                Err(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(Error::Consumer(error)),
                // Nobody mends that by waiting.
                Err(error) if error.rdkafka_error_code().is_some_and(is_refusal) => {
                    return Err(Error::Consumer(error));
                }
                Err(error) => {
                    // The consumer goes on by itself; no position is lost.
                    tracing::debug!(%error, "inbox consumer");
                    return Ok(());
                }
            };
            let record = InboxRecord::from_message(&message);
            drop(message);
            let now = self.context.clock.now();
            self.notice_gap(record.position)?;
            if let Some(ledger) = self.ledger() {
                ledger.take_in(record, now);
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    fn apply(&mut self, change: Change) {
        self.reset();
        match change {
            Change::Revoked => {
                failpoints::reach("during-revoke");
                metrics::gauge!("ipn_receiver_assigned_partitions").set(0.0);
                self.assignment = None;
            }
            Change::Assigned { partitions, group } => {
                tracing::info!(?partitions, "partitions assigned");
                metrics::gauge!("ipn_receiver_assigned_partitions").set(partitions.len() as f64);
                self.assignment = Some(Assignment { partitions, group, ledger: None });
            }
        }
    }

    /// Makes freshly assigned partitions ours: fences the former owner, rebuilds the state, opens the inbox.
    fn take_over(&mut self) -> Result<(), Error> {
        let Some(assignment) = self.assignment.as_mut().filter(|assignment| assignment.ledger.is_none()) else {
            return Ok(());
        };
        let started = Instant::now();
        let topic = self.context.kafka.topics().inbox;
        let mut outbox = match self.outbox.take() {
            Some(outbox) => outbox,
            None => Outbox::open(&self.context.kafka, &self.transactional_id, self.context.wire.clone())?,
        };
        let partition_offsets = consumer_group::partition_offsets(&self.consumer, &topic, &assignment.partitions)?;
        let mut positions = data_loss::positions(&partition_offsets);
        let nonce = uuid::Uuid::new_v4().to_string();
        let mut now = self.context.clock.now();
        let restored = if assignment.partitions.is_empty() {
            Restored::default()
        } else {
            failpoints::reach("before-barrier");
            outbox.barrier(&nonce, &positions, &assignment.group)?;
            failpoints::reach("after-barrier");
            now = self.context.clock.now();
            let (context, status) = (self.consumer.context(), &self.status);
            // Paused, so polling takes no record; it only keeps the member alive and hears of a rebalance.
            let still_ours = || {
                drop(self.consumer.poll(Duration::ZERO));
                status.note_alive();
                !context.has_changes() && !status.stop.load(Ordering::Relaxed)
            };
            let writer = (&outbox, &assignment.group);
            let restored;
            (restored, positions) =
                data_loss::restore_complete(&self.context, &partition_offsets, &nonce, writer, still_ours)?;
            restored
        };
        consumer_group::open_at(&self.consumer, &topic, &positions)?;
        let n_objects = restored.store.len();
        assignment.ledger = Some(Ledger::new(&self.context, restored, &positions, now));
        self.outbox = Some(outbox);
        self.status.is_working.store(true, Ordering::Relaxed);
        metrics::histogram!("ipn_receiver_state_restore_seconds").record(started.elapsed().as_secs_f64());
        tracing::info!(n_objects, duration_ms = started.elapsed().as_millis() as u64, "state rebuilt, inbox open");
        Ok(())
    }

    /// Starts reads of objects that are due, as far as Amazon's quota and our bound allow.
    fn start_reads(&mut self) {
        let now = self.context.clock.now();
        let spans = self.context.spans.clone();
        let Some(ledger) = self.ledger() else { return };
        let due = ledger.queue.take_due(now).into_iter();
        let due: Vec<_> = due.map(|object| (traces::read(&spans, &ledger.queue, &object), object)).collect();
        for (span, object) in due {
            let (pay_api, answers, epoch) = (self.context.pay_api.clone(), self.answers.0.clone(), self.epoch);
            let read_started_at = self.context.clock.now();
            self.runtime.spawn(async move {
                let disposition = pay_api.read_within(span, &object).await;
                // The worker may be gone by now; then nobody waits for this answer.
                let _ = answers.send(Answer { epoch, object, disposition, read_started_at });
            });
        }
    }

    fn collect_answers(&mut self) {
        let mut came = false;
        while let Ok(answer) = self.answers.1.try_recv() {
            came = true;
            match &answer.disposition {
                Disposition::Systemic(blame, what) => self.alerts.raise(&answer.object.account, *blame, what),
                Disposition::Throttled { retry_after } => self.alerts.tell_throttled(&answer.object, *retry_after),
                Disposition::Fetched(_) | Disposition::NotFound(_) | Disposition::ObjectError(_) => {}
            }
            let (now, epoch) = (self.context.clock.now(), self.epoch);
            if let Some(ledger) = self.ledger().filter(|_| answer.epoch == epoch) {
                ledger.answer(&answer.object, answer.disposition, answer.read_started_at, now);
            }
        }
        // Only an answer changes whose reads are held back.
        if let Some(ledger) = self.ledger().filter(|_| came) {
            let held_back = ledger.queue.held_back().map(ToString::to_string).collect();
            self.status.note_held_back(held_back);
        }
    }

    /// Publishes what the round brought, in one transaction. Offsets alone wait until the last one is this long ago.
    fn commit(&mut self, offsets_only_after: Duration) -> Result<(), Error> {
        let now = self.context.clock.now();
        let offsets_are_due = self.offsets_committed_at.elapsed() >= offsets_only_after;
        let Some(assignment) = &mut self.assignment else { return Ok(()) };
        let (Some(ledger), Some(outbox)) = (&mut assignment.ledger, &self.outbox) else { return Ok(()) };
        ledger.release_overdue(now);
        ledger.reconciler(now);
        ledger.report_lanes(now);
        let is_worth_it = ledger.has_news() || (offsets_are_due && ledger.offsets_moved());
        if !is_worth_it {
            return Ok(());
        }
        let pending_dead_letters = ledger.take_pending_dead_letters();
        let letters = ledger::dead_letters::dead_letters(&self.context.kafka, pending_dead_letters)?;
        let batch = ledger.take_batch(letters);
        let positions = ledger.positions();
        #[cfg(feature = "failpoints")]
        let Some(batch) = fault_injection::tamper(
            &self.consumer,
            &self.context.kafka,
            &mut self.delayed,
            (batch, &positions, self.epoch),
        )?
        else {
            return Ok(());
        };
        failpoints::reach("before-transaction");
        let mut batch = batch;
        let sending =
            traces::sending(&self.context.spans, &mut batch, &self.context.kafka.topics(), &self.context.wire);
        let outcome = outbox.commit(&batch, &positions, &assignment.group, now);
        let is_committed = outcome.as_ref().is_err_and(|doubt| doubt.is_committed) || outcome.is_ok();
        traces::sent(sending, is_committed);
        metrics::counter!("ipn_receiver_transactions_total", "outcome" => if is_committed { "committed" } else { "in_doubt" })
            .increment(1);
        if is_committed {
            ledger.committed(&positions);
            ledger.report(&batch, now);
            self.offsets_committed_at = Instant::now();
        }
        Ok(outcome?)
    }

    /// Throws away what cannot be trusted; the next round rebuilds it from Kafka.
    fn forget(&mut self, error: &Error) {
        let is_rebalance = matches!(error, Error::Restore(state_store::Error::Interrupted));
        if !is_rebalance {
            metrics::counter!("ipn_receiver_worker_resets_total").increment(1);
            self.alerts.tell_reset(error);
        }
        self.outbox = None;
        self.reset();
        if let Some(assignment) = &self.assignment {
            consumer_group::close(&self.consumer, &self.context.kafka.topics().inbox, &assignment.partitions);
        }
    }

    /// Nothing in memory counts any more, nor do answers to reads that it began.
    fn reset(&mut self) {
        self.epoch += 1;
        self.status.note_reset();
        if let Some(ledger) = self.assignment.as_mut().and_then(|assignment| assignment.ledger.take()) {
            ledger.report_gone();
        }
    }

    /// Waits without leaving the group.
    fn wait(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.status.stop.load(Ordering::Relaxed) {
            drop(self.consumer.poll(Duration::from_millis(50)));
            for change in self.consumer.context().take_changes() {
                self.apply(change);
            }
        }
    }

    /// The last round: reads under way may end, what they brought is committed, the group is left.
    fn leave(mut self) {
        let deadline = Instant::now() + DRAIN;
        while self.has_reads_in_flight() && Instant::now() < deadline {
            self.collect_answers();
            if let Err(error) = self.commit(OFFSETS_ONLY_EVERY) {
                self.forget(&error);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        if let Err(error) = self.commit(Duration::ZERO)
            && !error.is_committed()
        {
            tracing::warn!(%error, "the last transaction failed; the next worker takes the work up");
        }
        let abandoned = self.ledger().map_or(0, |ledger| ledger.queue.in_flight());
        tracing::info!(n_reads_abandoned = abandoned, "worker leaves the group");
        self.outbox = None;
        self.consumer.unsubscribe();
    }

    fn ledger(&mut self) -> Option<&mut Ledger> {
        self.assignment.as_mut()?.ledger.as_mut()
    }

    fn has_reads_in_flight(&mut self) -> bool {
        self.ledger().is_some_and(|ledger| ledger.queue.in_flight() > 0)
    }
}

const OFFSETS_ONLY_EVERY: Duration = Duration::from_millis(250);
const DRAIN: Duration = Duration::from_secs(5);
