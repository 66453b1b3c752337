//! Step 5. The worker turns inbox records into reads of the Amazon Pay API and their answers into events, on a thread of
//! its own. Each round: poll → take over → fetch → collect → read back → maintain → commit.
//!
//! The thread polls the consumer, so the rebalance callback runs on it and never during a transaction. Reads run on the
//! async runtime and return their answers through a channel. Everything in memory (`Ledger`) belongs to one partition
//! assignment: after a rebalance or a transaction in doubt the worker drops it and restores it from Kafka.

mod consumer_group;
mod context;
mod data_loss;
mod error;
#[cfg(feature = "failpoints")]
mod fault_injection;
mod gauges;
mod handle;
mod ledger;
mod originals;
mod take_over;
mod throttled_alerts;
mod traces;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;

use self::consumer_group::{Change, GroupContext};
pub use self::context::{Dependencies, WorkerContext};
use self::error::Error;
pub use self::handle::{Handle, KafkaOutage, Status};
pub use self::ledger::intake;
use self::ledger::{Ledger, ReadStart};
use self::throttled_alerts::ThrottledAlerts;
use crate::amazon::pay_api::Disposition;
use crate::clock::Clock;
use crate::domain::pay::{Account, ObjectKind, ObjectRef};
use crate::domain::timestamp::Timestamp;
use crate::failpoints;
use crate::kafka::acls::is_refusal;
use crate::kafka::inbox::InboxRecord;
use crate::kafka::outbox::Outbox;
use crate::kafka::read_back::ReadBack;
use crate::kafka::state_store;

struct Worker {
    context: WorkerContext,
    status: Arc<Status>,
    runtime: tokio::runtime::Handle,
    consumer: BaseConsumer<GroupContext>,
    transactional_id: String,
    outbox: Option<Outbox>,
    /// Reads the originals of dead letters; opened for the first one.
    read_back: Option<ReadBack>,
    assignment: Option<Assignment>,
    /// Counts the ledgers: an answer to a read of an earlier ledger is dropped.
    epoch: u64,
    answers: (Sender<Answer>, Receiver<Answer>),
    alerts: ThrottledAlerts,
    offsets_committed_at: Instant,
    #[cfg(feature = "failpoints")]
    delayed: Option<fault_injection::DelayedBatch>,
}

struct Assignment {
    partitions: Vec<i32>,
    /// Captured once when the partitions were assigned. With metadata taken later, a member that was removed from the
    /// group and rejoined could commit work of its earlier assignment.
    group: ConsumerGroupMetadata,
    ledger: Option<Ledger>,
    /// What `ledger` takes for the time.
    clock: Clock,
}

struct Answer {
    epoch: u64,
    object: ObjectRef,
    disposition: Disposition,
    start: ReadStart,
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
            read_back: None,
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
            self.status.note_heartbeat();
            match self.round() {
                Ok(()) => pause = Duration::ZERO,
                Err(error @ Error::Consumer(_)) => {
                    // The thread ends, `app` notices, and the process exits so that it is restarted.
                    tracing::error!(%error, "the worker stops, and the process exits with an error so that its supervisor restarts it; nothing is lost");
                    break;
                }
                Err(error) => {
                    self.start_over(&error);
                    pause = (pause * 2).clamp(Duration::from_millis(100), Duration::from_secs(5));
                    self.wait(pause);
                }
            }
        }
        self.leave();
    }

    fn round(&mut self) -> Result<(), Error> {
        self.poll()?;
        self.take_over()?;
        self.fetch();
        self.collect();
        self.read_back()?;
        self.maintain();
        self.commit(OFFSETS_ONLY_EVERY)
    }

    /// Consumes inbox records. A rebalance ends the poll early and is applied.
    fn poll(&mut self) -> Result<(), Error> {
        let mut wait = if self.is_busy() { Duration::from_millis(2) } else { Duration::from_millis(20) };
        for _ in 0..self.context.ledger.settings.records_per_round_max {
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
                        ledger.inbox.latency.note_end(partition);
                    }
                    continue;
                }
                Err(error) => return consumer_error(error),
            };
            let record = InboxRecord::from_message(&message);
            drop(message);
            let now = self.now();
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
                tracing::info!(?partitions, "partitions assigned; the worker restores their state");
                metrics::gauge!("ipn_receiver_assigned_partitions").set(partitions.len() as f64);
                self.assignment = Some(Assignment { partitions, group, ledger: None, clock: self.context.clock });
            }
        }
    }

    /// Starts reads of objects that are due, within Amazon Pay's quota and the limit of reads in flight.
    fn fetch(&mut self) {
        let now = self.now();
        let spans = self.context.spans.clone();
        let Some(ledger) = self.ledger() else { return };
        let due = ledger.take_due(now).into_iter();
        let due: Vec<_> =
            due.map(|(object, start)| (traces::read(&spans, &ledger.queue, &object), object, start)).collect();
        for (span, object, start) in due {
            let (pay_api, answers, epoch) = (self.context.pay_api.clone(), self.answers.0.clone(), self.epoch);
            self.runtime.spawn(async move {
                let disposition = pay_api.read_within(span, &object).await;
                // Fails if the worker has ended; its work is pending in Kafka.
                let _ = answers.send(Answer { epoch, object, disposition, start });
            });
        }
    }

    /// Applies the answers that have arrived.
    fn collect(&mut self) {
        let mut has_answers = false;
        while let Ok(answer) = self.answers.1.try_recv() {
            has_answers = true;
            match &answer.disposition {
                Disposition::Systemic(blame, what) => self.alerts.read_failed(&answer.object.account, *blame, what),
                Disposition::Throttled { retry_after } => self.alerts.throttled(&answer.object, *retry_after),
                Disposition::Fetched(_) | Disposition::NotFound(_) | Disposition::ObjectError(_) => {}
            }
            let (now, epoch) = (self.now(), self.epoch);
            if let Some(ledger) = self.ledger().filter(|_| answer.epoch == epoch) {
                ledger.apply_read(&answer.object, answer.disposition, answer.start, now);
            }
        }
        // Only an answer opens or closes a circuit breaker.
        if let Some(ledger) = self.ledger().filter(|_| has_answers) {
            let name = |(account, operation): (&Account, Option<ObjectKind>)| match operation {
                Some(operation) => format!("{account} {operation}"),
                None => account.to_string(),
            };
            let held_back = ledger.queue.held_back().map(name).collect();
            self.status.note_held_back(held_back);
        }
    }

    /// Releases overdue work, continues the reconcile walk and reports the backlog.
    fn maintain(&mut self) {
        let now = self.now();
        if self.outbox.is_none() {
            return;
        }
        let Some(ledger) = self.ledger() else { return };
        ledger.maintain(now);
        ledger.report_lanes(now);
    }

    /// Writes the output of the round in one transaction. If only offsets moved, waits until the last commit is
    /// `offsets_only_after` ago.
    fn commit(&mut self, offsets_only_after: Duration) -> Result<(), Error> {
        let now = self.now();
        let offsets_are_due = self.offsets_committed_at.elapsed() >= offsets_only_after;
        let Some(assignment) = &mut self.assignment else { return Ok(()) };
        let (Some(ledger), Some(outbox)) = (&mut assignment.ledger, &self.outbox) else { return Ok(()) };
        let is_due = ledger.has_output() || (offsets_are_due && ledger.inbox.has_moved());
        if !is_due {
            return Ok(());
        }
        let dead_letters = ledger.take_dead_letters();
        let batch = ledger.take_batch(dead_letters);
        let positions = ledger.inbox.positions();
        #[cfg(feature = "failpoints")]
        let Some(batch) = fault_injection::Tamper {
            consumer: &self.consumer,
            kafka: &self.context.kafka,
            positions: &positions,
            epoch: self.epoch,
        }
        .apply(batch, &mut self.delayed)?
        else {
            return Ok(());
        };
        failpoints::reach("before-transaction");
        if !batch.events.is_empty() {
            failpoints::reach("before-event-transaction");
        }
        let mut batch = batch;
        let spans = traces::sending(&self.context.spans, &mut batch, &self.context.kafka.topics(), &self.context.wire);
        let outcome = outbox.commit(&batch, &positions, &assignment.group, now);
        let is_committed = outcome.as_ref().is_err_and(|in_doubt| in_doubt.is_committed) || outcome.is_ok();
        traces::sent(spans, is_committed);
        let label = if is_committed { "committed" } else { "in_doubt" };
        metrics::counter!("ipn_receiver_transactions_total", "outcome" => label).increment(1);
        if is_committed {
            ledger.inbox.committed(&positions);
            ledger.report(&batch, now);
            self.offsets_committed_at = Instant::now();
        }
        Ok(outcome?)
    }

    /// Drops the ledger and the producer; the next round restores the state from Kafka with a new producer.
    fn start_over(&mut self, error: &Error) {
        let is_rebalance = matches!(error, Error::Restore(state_store::Error::Interrupted));
        if !is_rebalance {
            self.alerts.started_over(error);
            self.status.note_started_over(&error.to_string(), Instant::now());
        }
        self.outbox = None;
        self.read_back = None;
        self.reset();
        if let Some(assignment) = &self.assignment {
            consumer_group::pause(&self.consumer, &self.context.kafka.topics().inbox, &assignment.partitions);
        }
    }

    /// Drops the ledger. Answers to its reads are dropped as they arrive.
    fn reset(&mut self) {
        self.epoch += 1;
        self.status.note_reset();
        if let Some(reader) = &mut self.read_back {
            reader.cancel();
        }
        if let Some(ledger) = self.assignment.as_mut().and_then(|assignment| assignment.ledger.take()) {
            ledger.report_gone();
        }
    }

    /// Waits while polling, so that the worker stays in the group.
    fn wait(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.status.stop.load(Ordering::Relaxed) {
            drop(self.consumer.poll(Duration::from_millis(50)));
            for change in self.consumer.context().take_changes() {
                self.apply(change);
            }
        }
    }

    /// Shuts down: waits for reads in flight and dead letters up to [`DRAIN`], commits their output and leaves the group.
    fn leave(mut self) {
        let deadline = Instant::now() + DRAIN;
        while self.is_busy() && Instant::now() < deadline {
            self.collect();
            self.maintain();
            if let Err(error) = self.read_back().and_then(|()| self.commit(OFFSETS_ONLY_EVERY)) {
                self.start_over(&error);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.maintain();
        if let Err(error) = self.commit(Duration::ZERO)
            && !error.is_committed()
        {
            tracing::warn!(%error, "the last transaction before the shutdown failed; the next owner of the partitions repeats its work");
        }
        let abandoned = self.ledger().map_or(0, |ledger| ledger.queue.in_flight());
        tracing::info!(
            n_reads_abandoned = abandoned,
            "worker leaves the consumer group; the next owner of its partitions repeats the abandoned reads"
        );
        self.outbox = None;
        self.consumer.unsubscribe();
    }

    /// The time of the current assignment.
    fn now(&self) -> Timestamp {
        self.assignment.as_ref().map_or(self.context.clock, |assignment| assignment.clock).now()
    }

    fn ledger(&mut self) -> Option<&mut Ledger> {
        self.assignment.as_mut()?.ledger.as_mut()
    }

    /// Whether reads are in flight or dead letters are being made.
    fn is_busy(&mut self) -> bool {
        self.ledger().is_some_and(|ledger| ledger.queue.in_flight() > 0 || ledger.is_giving_up())
    }
}

/// Returns an error if only a restart of the process helps. librdkafka recovers from all others without losing a position.
fn consumer_error(error: KafkaError) -> Result<(), Error> {
    let is_fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
    if is_fatal || error.rdkafka_error_code().is_some_and(is_refusal) {
        return Err(Error::Consumer(error));
    }
    tracing::debug!(%error, "error of the inbox consumer; it recovers by itself");
    Ok(())
}

const OFFSETS_ONLY_EVERY: Duration = Duration::from_millis(250);
const DRAIN: Duration = Duration::from_secs(5);
