//! The parts of a fault test: simulated Amazon, three Kafka nodes behind proxies, and the receiver's processes.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use ipn_receiver::config::{Config, Kafka};
use ipn_receiver::sandbox::environment::SandboxEnvironment;
use tokio::sync::{Mutex, MutexGuard};

use crate::checker::check;
use crate::cluster::Cluster;
use crate::fleet::{Fleet, Process, until};
use crate::foreign_records::ForeignProducer;
use crate::merchant_simulator::MerchantSimulator;
use crate::observations::{self, Observed, Record, Topic};

/// One test run.
pub(crate) struct Stage {
    pub(crate) merchants: MerchantSimulator,
    pub(crate) fleet: Fleet,
    pub(crate) cluster: Cluster,
    /// The cluster without proxies, for the checker.
    pub(crate) kafka: Kafka,
    pub(crate) foreign: ForeignProducer,
    pub(crate) ingest_ports: Vec<u16>,
    _files: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// Only one test uses the cluster at a time.
static CLUSTER_LOCK: Mutex<()> = Mutex::const_new(());
static PORTS_TRIED: AtomicU16 = AtomicU16::new(0);
const PARTITIONS: i32 = 6;
const LOOKS_MIN: usize = 3;

impl Stage {
    /// Creates the topics and simulators. `session` is the session time-out of the consumer group.
    pub(crate) async fn new(name: &str, merchants: usize, ingests: usize, session: Duration) -> Self {
        let alone = CLUSTER_LOCK.lock().await;
        let cluster = Cluster::start().await;
        let environment = SandboxEnvironment::start_fast(merchants).await.unwrap().reachable_by_address();
        let files = tempfile::tempdir().unwrap();
        let config = files.path().join("receiver.toml");
        std::fs::write(&config, environment.config_for_another_process(&cluster.proxied()).unwrap()).unwrap();
        let settings = settings(session);
        let direct = ("IPN_RECEIVER__KAFKA__BOOTSTRAP_SERVERS", cluster.direct());
        let variables = settings.iter().cloned().chain([direct]).map(|(name, value)| (name.to_owned(), value));
        let kafka = Config::load(&config, variables).unwrap().kafka;
        let fleet = Fleet::new(config, logs(name), settings);
        fleet.create_topics();
        let ingest_ports: Vec<u16> = (0..ingests).map(|_| free_port()).collect();
        let merchants = MerchantSimulator::new(Arc::new(environment), &ingest_ports);
        let foreign = ForeignProducer::new(&kafka);
        Self { merchants, fleet, cluster, kafka, foreign, ingest_ports, _files: files, _alone: alone }
    }

    /// Starts the ingest processes.
    pub(crate) async fn ingests(&self) -> Vec<Process> {
        let ingests: Vec<Process> = self.ingest_ports.iter().map(|port| self.fleet.ingest(*port)).collect();
        for ingest in &ingests {
            ingest.is_up().await;
        }
        ingests
    }

    /// Starts a worker and waits until it owns its partitions.
    pub(crate) async fn worker(&self, failpoints: &str) -> Process {
        let worker = self.fleet.worker(failpoints);
        worker.is_up().await;
        worker
    }

    /// Waits until every message is answered, and then until the checker finds nothing or `timeout` has passed. Returns
    /// the observations and findings.
    pub(crate) async fn settle(&self, timeout: Duration) -> (Observed, Vec<String>) {
        self.settle_until(timeout, <[String]>::is_empty).await
    }

    /// Like [`Self::settle`], until the findings are as expected.
    pub(crate) async fn settle_until(
        &self,
        timeout: Duration,
        is_as_expected: impl Fn(&[String]) -> bool,
    ) -> (Observed, Vec<String>) {
        until("every message is answered", || self.merchants.sns.record().in_flight == 0).await;
        let deadline = Instant::now() + timeout;
        // On a busy machine a look takes longer than a killed worker's open transaction, which hides later records.
        let mut n_looks = 0;
        loop {
            n_looks += 1;
            let observed = self.observe().await;
            let mut findings = check(&observed);
            findings.extend(self.fleet.panics());
            if is_as_expected(&findings) || (Instant::now() > deadline && n_looks >= LOOKS_MIN) {
                return (observed, findings);
            }
            self.cluster.console_patience_ms.store(15_000, Ordering::Relaxed);
        }
    }

    async fn observe(&self) -> Observed {
        let mut observed = Observed { histories: self.merchants.histories(), ..Observed::default() };
        {
            let record = self.merchants.sns.record();
            observed.accepted.clone_from(&record.accepted);
            observed.refused.clone_from(&record.refused);
            observed.undeliverable.clone_from(&record.undeliverable);
        }
        let seen = observations::positions(&self.kafka, &mut observed);
        observed.unreadable = seen.err().map(|error| error.to_string());
        let topics = self.kafka.topics();
        let read = |topic: Topic| observations::read(&self.cluster, topic.name(&topics));
        let (events, state, inbox, dead_letters) =
            tokio::join!(read(Topic::Events), read(Topic::State), read(Topic::Inbox), read(Topic::DeadLetters));
        let message_id = |record: &Record| record.header("ipn-sns-message-id").map(str::to_owned);
        for record in &inbox {
            observed.inbox_positions.entry(record.partition).and_modify(|(_, end)| *end = record.offset + 1);
        }
        let redriven = inbox.iter().filter(|record| record.header("ipn-redriven-from").is_some());
        Observed {
            events,
            state,
            dead_letters,
            redriven: redriven.filter_map(message_id).collect(),
            inbox: inbox.iter().filter_map(message_id).collect(),
            foreign: self.foreign.appended(),
            removed_merchants: self.fleet.removed_merchants(),
            ..observed
        }
    }
}

fn settings(session: Duration) -> Vec<(&'static str, String)> {
    let text = |value: &str| value.to_owned();
    vec![
        ("IPN_RECEIVER__ADMIN__LISTEN", text("127.0.0.1:0")),
        // Every copy reaches the worker.
        ("IPN_RECEIVER__INGRESS__MESSAGES_REMEMBERED_MAX", text("0")),
        ("IPN_RECEIVER__KAFKA__PARTITIONS", PARTITIONS.to_string()),
        ("IPN_RECEIVER__KAFKA__REPLICATION_FACTOR", text("3")),
        ("IPN_RECEIVER__KAFKA__SESSION_TIMEOUT_MS", session.as_millis().to_string()),
        ("IPN_RECEIVER__KAFKA__TRANSACTION_TIMEOUT_MS", text("6000")),
        ("IPN_RECEIVER__SHUTDOWN__NOTICE_MS", text("0")),
        ("IPN_RECEIVER__QUOTA__SHARE", text("1.0")),
        ("IPN_RECEIVER__QUOTA__SANDBOX", text("{ burst = 50.0, per_second = 50.0 }")),
        ("IPN_RECEIVER__WORKER__BREAKER_PROBE_MS", text("1000")),
        ("IPN_RECEIVER__WORKER__CONFIRM_READS_AFTER_MS", text("[500, 2000, 8000]")),
        ("IPN_RECEIVER__WORKER__PENDING_AFTER_MS", text("2000")),
        ("IPN_RECEIVER__WORKER__SYSTEMIC_RETRY_MS", text("500")),
        ("IPN_RECEIVER__WORKER__UNKNOWN_OBJECT_RETRIES_MS", text("[200, 6000]")),
    ]
}

/// The folder of the logs of a run; old logs are deleted.
fn logs(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// A free port below the ephemeral range of the system.
pub(crate) fn free_port() -> u16 {
    let first = 10_000 + (std::process::id() % 3000) as u16;
    let mut tried = std::iter::repeat_with(|| first + PORTS_TRIED.fetch_add(1, Ordering::Relaxed));
    tried.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("one of many ports is free")
}
