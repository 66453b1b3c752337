//! [5] The worker: inbox → queue → reads → events, on one thread of its own.
//!
//! The thread polls the consumer, so the rebalance callback runs on it and never during a transaction. Reads run
//! on the async runtime and come back by a channel. Everything in memory ([`ledger::Ledger`]) belongs to one
//! assignment of partitions: a rebalance or a doubtful transaction throws it away and rebuilds it from Kafka.

mod answers;
mod group;
mod ledger;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;

use self::group::{Change, GroupContext};
use self::ledger::{Ledger, Undelivered};
use crate::clock::Clock;
use crate::config::{Config, Kafka, MerchantAccount};
use crate::domain::dead_letter::DeadLetter;
use crate::domain::events::Naming;
use crate::domain::merchants::Merchants;
use crate::domain::pay::{Account, ObjectRef};
use crate::domain::timestamp::Timestamp;
use crate::inbox::{InboxRecord, read_back};
use crate::outbox::{Doubt, Outbox};
use crate::pay_api::{Blame, Disposition, PayApi};
use crate::state_store::{self, restore, starting_positions};

/// What the worker needs of the settings.
pub struct Plan {
    kafka: Kafka,
    settings: crate::config::Worker,
    quotas: (crate::domain::work::Quota, crate::domain::work::Quota),
    naming: Naming,
    merchants: Arc<Merchants>,
    pay_api: PayApi,
    clock: Clock,
}

/// What others may know of a running worker.
#[derive(Debug, Default)]
pub struct Status {
    /// Whether it owns its partitions and has rebuilt their state.
    pub is_working: AtomicBool,
    stop: AtomicBool,
}

/// A worker on its thread.
pub struct Handle {
    thread: std::thread::JoinHandle<()>,
    /// How it is.
    pub status: Arc<Status>,
}

impl Plan {
    /// From the settings; takes the merchants' keys with it.
    pub fn new(config: &mut Config, client: reqwest::Client, clock: Clock) -> Self {
        let accounts = std::mem::take(&mut config.merchants);
        Self {
            kafka: config.kafka.clone(),
            settings: config.worker.clone(),
            quotas: config.quota.ours(),
            naming: Naming { type_prefix: config.events.type_prefix.clone() },
            merchants: Arc::new(MerchantAccount::table(&accounts)),
            pay_api: PayApi::new(client, accounts, &config.pay_api, clock),
            clock,
        }
    }

    /// Starts the thread. Reads run on the runtime this is called in.
    pub fn start(self) -> Result<Handle, KafkaError> {
        let status = Arc::new(Status::default());
        let worker = Worker::new(self, status.clone())?;
        let thread = std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || worker.run())
            .expect("the system lets us start a thread");
        Ok(Handle { thread, status })
    }
}

impl Handle {
    /// Asks it to finish what is under way, commit and leave the group; waits for that. Blocks.
    pub fn stop(self) {
        self.status.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("the worker panicked");
        }
    }

    /// Whether its thread has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

struct Worker {
    plan: Plan,
    status: Arc<Status>,
    runtime: tokio::runtime::Handle,
    consumer: BaseConsumer<GroupContext>,
    transactional_id: String,
    outbox: Option<Outbox>,
    assignment: Option<Assignment>,
    /// Tells answers to reads of this ledger from answers to reads of one that was thrown away.
    epoch: u64,
    answers: (Sender<Answer>, Receiver<Answer>),
    alarms: HashMap<(Account, Blame), Instant>,
    offsets_committed_at: Instant,
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

/// Why the ledger cannot be trusted any more.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Outbox(#[from] Doubt),
    #[error(transparent)]
    Restore(#[from] state_store::Error),
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
}

impl Worker {
    fn new(plan: Plan, status: Arc<Status>) -> Result<Self, KafkaError> {
        let consumer = group::join(&plan.kafka)?;
        let transactional_id = format!("{}-{}", plan.kafka.group(), uuid::Uuid::new_v4());
        Ok(Self {
            plan,
            status,
            runtime: tokio::runtime::Handle::current(),
            consumer,
            transactional_id,
            outbox: None,
            assignment: None,
            epoch: 0,
            answers: channel(),
            alarms: HashMap::new(),
            offsets_committed_at: Instant::now(),
        })
    }

    fn run(mut self) {
        let mut pause = Duration::ZERO;
        while !self.status.stop.load(Ordering::Relaxed) {
            match self.round() {
                Ok(()) => pause = Duration::ZERO,
                Err(trouble) => {
                    self.forget(&trouble);
                    pause = (pause * 2).clamp(Duration::from_millis(100), Duration::from_secs(5));
                    self.wait(pause);
                }
            }
        }
        self.leave();
    }

    /// One turn: take in, read, tell.
    fn round(&mut self) -> Result<(), Trouble> {
        self.consume()?;
        self.take_over()?;
        self.start_reads();
        self.collect_answers();
        self.commit()
    }

    /// Takes records of the inbox, and learns of rebalances on the way.
    fn consume(&mut self) -> Result<(), Trouble> {
        let mut wait = if self.has_reads_in_flight() { Duration::from_millis(2) } else { Duration::from_millis(20) };
        for _ in 0..self.plan.settings.records_per_round_max {
            let message = self.consumer.poll(wait).transpose();
            let changes = self.consumer.context().take_changes();
            if !changes.is_empty() {
                drop(message);
                changes.into_iter().for_each(|change| self.apply(change));
                return Ok(());
            }
            let Some(message) = message? else { return Ok(()) };
            let record = InboxRecord::from_message(&message);
            drop(message);
            let now = self.plan.clock.now();
            if let Some(ledger) = self.ledger() {
                ledger.take_in(record, now);
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    fn apply(&mut self, change: Change) {
        self.epoch += 1;
        self.status.is_working.store(false, Ordering::Relaxed);
        match change {
            Change::Revoked => self.assignment = None,
            Change::Assigned { partitions, group } => {
                tracing::info!(?partitions, "partitions assigned");
                metrics::gauge!("partitions_assigned").set(partitions.len() as f64);
                self.assignment = Some(Assignment { partitions, group, ledger: None });
            }
        }
    }

    /// Makes freshly assigned partitions ours: fences the former owner, rebuilds the state, opens the inbox.
    fn take_over(&mut self) -> Result<(), Trouble> {
        let Some(assignment) = self.assignment.as_mut().filter(|assignment| assignment.ledger.is_none()) else {
            return Ok(());
        };
        let started = Instant::now();
        let topic = self.plan.kafka.topics().inbox;
        let outbox = match self.outbox.take() {
            Some(outbox) => outbox,
            None => Outbox::open(&self.plan.kafka, &self.transactional_id, self.plan.naming.clone())?,
        };
        let positions = starting_positions(&self.consumer, &topic, &assignment.partitions)?;
        let nonce = uuid::Uuid::new_v4().to_string();
        let store = if assignment.partitions.is_empty() {
            state_store::StateStore::default()
        } else {
            outbox.barrier(&nonce, &positions, &assignment.group, &topic)?;
            let context = self.consumer.context();
            // Paused, so polling takes no record; it only keeps the member alive and hears of a rebalance.
            restore(&self.plan.kafka, &assignment.partitions, &nonce, || {
                drop(self.consumer.poll(Duration::ZERO));
                !context.has_changes()
            })?
        };
        group::open_at(&self.consumer, &topic, &positions)?;
        let n_objects = store.len();
        let now = self.plan.clock.now();
        assignment.ledger = Some(Ledger::new(&self.plan, store, &positions, now));
        self.outbox = Some(outbox);
        self.status.is_working.store(true, Ordering::Relaxed);
        metrics::histogram!("state_restore_seconds").record(started.elapsed().as_secs_f64());
        tracing::info!(n_objects, duration_ms = started.elapsed().as_millis() as u64, "state rebuilt, inbox open");
        Ok(())
    }

    /// Starts reads of objects that are due, as far as Amazon's quota and our bound allow.
    fn start_reads(&mut self) {
        let now = self.plan.clock.now();
        let most = self.plan.settings.reads_in_flight_max;
        let due = self.ledger().map(|ledger| ledger.queue.take_due(now, most)).unwrap_or_default();
        for object in due {
            let (pay_api, answers, epoch) = (self.plan.pay_api.clone(), self.answers.0.clone(), self.epoch);
            let read_started_at = self.plan.clock.now();
            self.runtime.spawn(async move {
                let disposition = pay_api.read(&object).await;
                // The worker may be gone by now; then nobody waits for this answer.
                let _ = answers.send(Answer { epoch, object, disposition, read_started_at });
            });
        }
    }

    fn collect_answers(&mut self) {
        while let Ok(answer) = self.answers.1.try_recv() {
            if let Disposition::Systemic(blame, what) = &answer.disposition {
                self.alarm(&answer.object, *blame, what);
            }
            let (now, epoch) = (self.plan.clock.now(), self.epoch);
            if let Some(ledger) = self.ledger().filter(|_| answer.epoch == epoch) {
                ledger.answer(&answer.object, answer.disposition, answer.read_started_at, now);
            }
        }
    }

    /// Publishes what the round brought, in one transaction.
    fn commit(&mut self) -> Result<(), Trouble> {
        let now = self.plan.clock.now();
        let offsets_are_due = self.offsets_committed_at.elapsed() > OFFSETS_ONLY_EVERY;
        let Some(assignment) = &mut self.assignment else { return Ok(()) };
        let (Some(ledger), Some(outbox)) = (&mut assignment.ledger, &self.outbox) else { return Ok(()) };
        ledger.release_overdue(now);
        let is_worth_it = ledger.has_news() || (offsets_are_due && ledger.offsets_moved());
        if !is_worth_it {
            return Ok(());
        }
        let undelivered = ledger.take_undelivered();
        let letters = dead_letters(&self.plan.kafka, undelivered)?;
        let batch = ledger.take_batch(letters);
        let positions = ledger.positions();
        let outcome = outbox.commit(&batch, &ledger.store, &positions, &assignment.group, now);
        metrics::counter!("transactions_total", "outcome" => if outcome.is_ok() { "committed" } else { "doubt" })
            .increment(1);
        outcome?;
        ledger.committed(&positions);
        ledger.report(&batch, now);
        self.offsets_committed_at = Instant::now();
        Ok(())
    }

    /// Throws away what cannot be trusted; the next round rebuilds it from Kafka.
    fn forget(&mut self, trouble: &Trouble) {
        let is_rebalance = matches!(trouble, Trouble::Restore(state_store::Error::Interrupted));
        if !is_rebalance {
            metrics::counter!("worker_resets_total").increment(1);
            tracing::warn!(%trouble, "starting over from what Kafka holds");
        }
        self.epoch += 1;
        self.outbox = None;
        self.status.is_working.store(false, Ordering::Relaxed);
        if let Some(assignment) = &mut self.assignment {
            assignment.ledger = None;
            group::close(&self.consumer, &self.plan.kafka.topics().inbox, &assignment.partitions);
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
            if let Err(trouble) = self.commit() {
                self.forget(&trouble);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.offsets_committed_at = Instant::now().checked_sub(OFFSETS_ONLY_EVERY * 2).unwrap_or_else(Instant::now);
        if let Err(trouble) = self.commit() {
            tracing::warn!(%trouble, "the last transaction failed; the next worker takes the work up");
        }
        let abandoned = self.ledger().map_or(0, |ledger| ledger.queue.in_flight());
        tracing::info!(n_reads_abandoned = abandoned, "worker leaves the group");
        self.outbox = None;
        self.consumer.unsubscribe();
    }

    /// Says once in a while that someone must act; the work itself waits.
    fn alarm(&mut self, object: &ObjectRef, blame: Blame, what: &str) {
        let last = self.alarms.get(&(object.account.clone(), blame));
        if last.is_some_and(|at| at.elapsed() < ALARM_EVERY) {
            return;
        }
        self.alarms.insert((object.account.clone(), blame), Instant::now());
        let account = &object.account;
        match blame {
            Blame::Credentials => {
                tracing::error!(%account, what, "Amazon Pay refuses our credentials; check public_key_id, private_key_file and this machine's clock. Work of this merchant waits, nothing is lost");
            }
            Blame::Amazon => {
                tracing::warn!(%account, what, "Amazon Pay is in trouble; work of this merchant waits, nothing is lost");
            }
            Blame::Network => {
                tracing::warn!(%account, what, "Amazon Pay cannot be reached; work of this merchant waits, nothing is lost");
            }
        }
    }

    fn ledger(&mut self) -> Option<&mut Ledger> {
        self.assignment.as_mut()?.ledger.as_mut()
    }

    fn has_reads_in_flight(&mut self) -> bool {
        self.ledger().is_some_and(|ledger| ledger.queue.in_flight() > 0)
    }
}

/// Fetches the originals of what is to be dead-lettered from the inbox.
fn dead_letters(kafka: &Kafka, undelivered: Vec<Undelivered>) -> Result<Vec<DeadLetter>, Trouble> {
    let mut letters = Vec::new();
    for Undelivered { reason, detail, positions, record } in undelivered {
        let records = match record {
            Some(record) => vec![Some(record)],
            None => read_back(kafka, &positions, READ_BACK_TIMEOUT)?,
        };
        for (position, record) in positions.into_iter().zip(records) {
            let gone = record.is_none();
            let record = record.map(|record| (record.key, record.value, record.headers)).unwrap_or_default();
            let detail =
                if gone { format!("{detail}; the inbox no longer holds the original") } else { detail.clone() };
            letters.push(DeadLetter { reason, detail, position, key: record.0, value: record.1, headers: record.2 });
        }
    }
    Ok(letters)
}

const OFFSETS_ONLY_EVERY: Duration = Duration::from_millis(250);
const ALARM_EVERY: Duration = Duration::from_secs(30);
const DRAIN: Duration = Duration::from_secs(5);
const READ_BACK_TIMEOUT: Duration = Duration::from_secs(10);

type Positions = BTreeMap<i32, i64>;
