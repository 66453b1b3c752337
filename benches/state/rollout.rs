//! A rolling update of three workers that know a million objects: for how long no worker owns some of the partitions.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use ipn_receiver::config::{Config, Kafka};
use ipn_receiver::sandbox::environment::SandboxEnvironment;
use tokio::net::TcpListener;

use super::{PARTITIONS, topic};

const WORKERS: usize = 3;

/// Prints what each step of the update did.
pub(super) fn measure(servers: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        // A merchant whose objects are not among the million, so nothing is read at Amazon Pay.
        let environment = SandboxEnvironment::start(1).await.expect("the simulators start").reachable_by_address();
        let folder = tempfile::tempdir().expect("a folder");
        let simulators = environment.config_for_another_process(servers).expect("a configuration");
        let file = folder.path().join("receiver.toml");
        let partitions = format!("partitions = {PARTITIONS}");
        std::fs::write(&file, simulators.replace("partitions = 3", &partitions)).expect("the file is written");
        let kafka = Config::load(&file, []).expect("the configuration is valid").kafka;
        assert_eq!(kafka.partitions, PARTITIONS);
        let created = Command::new(PROGRAM).args(["topics", "--config"]).arg(&file).output().expect("topics runs");
        assert!(created.status.success(), "{created:?}");
        update(&file, &kafka).await;
        environment.stop().await;
    });
}

async fn update(file: &Path, kafka: &Kafka) {
    // The first worker marks the partitions as complete; records that are added then are its own, for all it can see.
    let mut first = vec![Worker::start(file).await];
    watch(&first).await;
    first.remove(0).stop().await;
    topic::fill(kafka, &kafka.topics().state);
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(Worker::start(file).await);
    }
    watch(&workers).await;
    let began = Instant::now();
    for n in 1..=WORKERS {
        workers.push(Worker::start(file).await);
        let joined = watch(&workers).await;
        workers.remove(0).stop().await;
        let left = watch(&workers).await;
        println!(
            "update of worker {n}: without an owner {joined:.2?} while the new one joined, {left:.2?} when the old one left"
        );
    }
    println!("{WORKERS} workers, {PARTITIONS} partitions: updated in {:.1?}", began.elapsed());
    for worker in &workers {
        let count: u32 = worker.metric("ipn_receiver_state_restore_seconds_count").await.expect("it restored");
        let sum: f64 = worker.metric("ipn_receiver_state_restore_seconds_sum").await.expect("it restored");
        println!("a worker restored its partitions {count} times, {:.2} s each", sum / f64::from(count));
    }
    for worker in workers {
        worker.stop().await;
    }
}

/// Waits until these workers own all partitions for two seconds. Returns for how long some partition had no owner until then.
async fn watch(workers: &[Worker]) -> Duration {
    let (began, mut owned_since, mut without) = (Instant::now(), None, Duration::ZERO);
    loop {
        let mut owned = 0;
        for worker in workers {
            if worker.metric("ipn_receiver_worker_ready").await == Some(1) {
                owned += worker.metric("ipn_receiver_assigned_partitions").await.unwrap_or(0);
            }
        }
        match owned_since {
            _ if owned != PARTITIONS => {
                owned_since = None;
                without = began.elapsed();
            }
            None => owned_since = Some(Instant::now()),
            Some(since) if since.elapsed() > SETTLED => return without,
            Some(_) => {}
        }
        assert!(began.elapsed() < Duration::from_mins(3), "{owned} of {PARTITIONS} partitions have an owner");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct Worker {
    process: Child,
    admin: String,
}

impl Worker {
    async fn start(file: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr());
        let admin = free.expect("a free port").to_string();
        let process = Command::new(PROGRAM)
            .args(["serve", "--role", "worker", "--config"])
            .arg(PathBuf::from(file))
            .envs([("IPN_RECEIVER__ADMIN__LISTEN", admin.as_str()), ("IPN_RECEIVER__SHUTDOWN__NOTICE_MS", "0")])
            .stderr(Stdio::null())
            .spawn()
            .expect("the worker starts");
        Self { process, admin }
    }

    /// None while the worker does not answer or has no such metric.
    async fn metric<N: FromStr>(&self, name: &str) -> Option<N> {
        let text = reqwest::get(format!("http://{}/metrics", self.admin)).await.ok()?.text().await.ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    async fn stop(mut self) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGTERM is sent");
        let ended = tokio::task::spawn_blocking(move || self.process.wait());
        assert!(ended.await.expect("no panic").is_ok_and(|status| status.success()), "the worker ends well");
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_ipn-receiver");
const SETTLED: Duration = Duration::from_secs(2);
