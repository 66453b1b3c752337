//! Everything that takes part: Amazon, three Kafka nodes behind proxies, and the receiver's processes.

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
use crate::observe::{self, Observed};
use crate::shop::Shop;

/// One run.
pub(crate) struct Stage {
    pub(crate) shop: Shop,
    pub(crate) fleet: Fleet,
    pub(crate) cluster: Cluster,
    /// The cluster without proxies, for those who observe.
    pub(crate) kafka: Kafka,
    pub(crate) ingest_ports: Vec<u16>,
    _files: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// The cluster is hurt by one test at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
static PORTS_TRIED: AtomicU16 = AtomicU16::new(0);
const PARTITIONS: i32 = 6;

impl Stage {
    /// So many merchants and ports for notifications. The group waits `session` for a silent member.
    pub(crate) async fn new(name: &str, merchants: usize, ingests: usize, session: Duration) -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
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
        fleet.make_topics();
        let ingest_ports: Vec<u16> = (0..ingests).map(|_| free_port()).collect();
        let shop = Shop::new(Arc::new(environment), &ingest_ports);
        Self { shop, fleet, cluster, kafka, ingest_ports, _files: files, _alone: alone }
    }

    /// Starts what takes notifications.
    pub(crate) async fn ingests(&self) -> Vec<Process> {
        let ingests: Vec<Process> = self.ingest_ports.iter().map(|port| self.fleet.ingest(*port)).collect();
        for ingest in &ingests {
            ingest.is_up().await;
        }
        ingests
    }

    /// A worker that has its partitions.
    pub(crate) async fn worker(&self, failpoints: &str) -> Process {
        let worker = self.fleet.worker(failpoints);
        worker.is_up().await;
        worker
    }

    /// Waits until every message was answered, and then until the checker finds nothing or `patience` is over. Returns
    /// what it finds.
    pub(crate) async fn settle(&self, patience: Duration) -> (Observed, Vec<String>) {
        self.settle_until(patience, <[String]>::is_empty).await
    }

    /// The same until it finds what is expected.
    pub(crate) async fn settle_until(
        &self,
        patience: Duration,
        is_as_expected: impl Fn(&[String]) -> bool,
    ) -> (Observed, Vec<String>) {
        until("every message is answered", || self.shop.sns.record().under_way == 0).await;
        let deadline = Instant::now() + patience;
        loop {
            let observed = self.observe().await;
            let mut findings = check(&observed);
            findings.extend(self.fleet.panics());
            if is_as_expected(&findings) || Instant::now() > deadline {
                return (observed, findings);
            }
        }
    }

    async fn observe(&self) -> Observed {
        let mut observed = Observed { histories: self.shop.histories(), ..Observed::default() };
        {
            let record = self.shop.sns.record();
            observed.accepted.clone_from(&record.accepted);
            observed.refused.clone_from(&record.refused);
            observed.hopeless.clone_from(&record.hopeless);
        }
        let seen = observe::positions(&self.kafka, &mut observed);
        observed.unseen = seen.err().map(|error| error.to_string());
        let topics = self.kafka.topics();
        let read = |topic: &'static str| {
            let topics = topics.clone();
            let name = match topic {
                "events" => topics.events,
                "state" => topics.state,
                "inbox" => topics.inbox,
                _ => topics.dead_letters,
            };
            async move { observe::read(&self.cluster, &name).await }
        };
        let (events, state, inbox, dead_letters) =
            tokio::join!(read("events"), read("state"), read("inbox"), read("dead letters"));
        let message_id = |record: &observe::Record| record.headers.get("ipn-sns-message-id").cloned();
        Observed { events, state, dead_letters, inbox: inbox.iter().filter_map(message_id).collect(), ..observed }
    }
}

fn settings(session: Duration) -> Vec<(&'static str, String)> {
    let text = |value: &str| value.to_owned();
    vec![
        ("IPN_RECEIVER__ADMIN__LISTEN", text("127.0.0.1:0")),
        ("IPN_RECEIVER__KAFKA__PARTITIONS", PARTITIONS.to_string()),
        ("IPN_RECEIVER__KAFKA__REPLICATION_FACTOR", text("3")),
        ("IPN_RECEIVER__KAFKA__SESSION_TIMEOUT_MS", session.as_millis().to_string()),
        ("IPN_RECEIVER__KAFKA__TRANSACTION_TIMEOUT_MS", text("6000")),
        ("IPN_RECEIVER__SHUTDOWN__NOTICE_MS", text("0")),
        ("IPN_RECEIVER__QUOTA__SHARE", text("1.0")),
        ("IPN_RECEIVER__QUOTA__SANDBOX", text("{ burst = 50.0, per_second = 50.0 }")),
        ("IPN_RECEIVER__WORKER__BREAKER_PROBE_MS", text("1000")),
        ("IPN_RECEIVER__WORKER__CONFIRM_AFTER_MS", text("500")),
        ("IPN_RECEIVER__WORKER__PENDING_AFTER_MS", text("2000")),
        ("IPN_RECEIVER__WORKER__SYSTEMIC_RETRY_MS", text("500")),
        ("IPN_RECEIVER__WORKER__UNKNOWN_OBJECT_RETRIES_MS", text("[200, 200]")),
    ]
}

/// Where a run's logs stay.
fn logs(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// A port that was free a moment ago, below those that the system gives to clients.
pub(crate) fn free_port() -> u16 {
    let first = 10_000 + (std::process::id() % 3000) as u16;
    let mut tried = std::iter::repeat_with(|| first + PORTS_TRIED.fetch_add(1, Ordering::Relaxed));
    tried.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("one of many ports is free")
}
