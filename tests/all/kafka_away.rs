//! A worker on a real Kafka that goes away: the log says so, `/readyz` says since when, and the worker continues afterwards.
//!
//! The cluster must be one of `scripts/kafka`: its nodes advertise proxied ports, and the tests put proxies there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ipn_receiver::sandbox::environment::SandboxEnvironment;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::harness::{kafka, run, until};
use crate::process::{Serve, config_file};
use crate::proxy::{Direction, Proxy};

/// Only one test uses the advertised ports at a time.
static PORTS: Mutex<()> = Mutex::const_new(());

const GONE: &str = "Kafka cannot be reached: the worker consumes no IPNs and publishes no events";
const BACK: &str = "Kafka is reachable again";

/// A proxy in front of each node. Ports of another test run are waited for.
async fn proxies(servers: &str) -> Vec<Proxy> {
    let mut proxies = Vec::new();
    for node in servers.split(',') {
        let node: SocketAddr = node.parse().unwrap();
        let [proxied, advertised] = [1, 10_001].map(|more| SocketAddr::new(node.ip(), node.port() + more));
        let deadline = Instant::now() + Duration::from_mins(1);
        let proxy = loop {
            match Proxy::start(advertised, proxied).await {
                Ok(proxy) => break proxy,
                Err(error) => assert!(Instant::now() < deadline, "{advertised}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        proxies.push(proxy);
    }
    proxies
}

fn advertised(servers: &str) -> String {
    let address = |node: &str| {
        let node: SocketAddr = node.parse().unwrap();
        SocketAddr::new(node.ip(), node.port() + 10_001).to_string()
    };
    servers.split(',').map(address).collect::<Vec<_>>().join(",")
}

fn config(environment: &SandboxEnvironment, folder: &tempfile::TempDir, servers: &str) -> PathBuf {
    config_file(folder, environment, servers, "admin.probe_interval_ms = 500")
}

/// The check `worker` of `/readyz`.
async fn worker_check(serve: &Serve) -> Value {
    let page = reqwest::get(format!("http://{}/readyz", serve.address("admin"))).await.unwrap().text().await.unwrap();
    let page: Value = serde_json::from_str(&page).unwrap();
    page["checks"].as_array().unwrap().iter().find(|check| check["name"] == "worker").unwrap().clone()
}

fn count(serve: &Serve, text: &str) -> usize {
    serve.said().lines().filter(|line| line.contains(text)).count()
}

/// Waits for the n-th outage, and checks what the operator sees.
async fn expect_outage(serve: &Serve, n: usize) {
    until("the log says that Kafka is gone", || count(serve, GONE) == n).await;
    let check = worker_check(serve).await;
    let detail = check["detail"].as_str().unwrap();
    assert!(check["ok"] == false && detail.starts_with("cannot reach Kafka since 20"), "{check}");
}

async fn expect_recovery(serve: &Serve, n: usize) {
    until("the log says that Kafka is back", || count(serve, BACK) == n).await;
    let deadline = Instant::now() + Duration::from_mins(1);
    while worker_check(serve).await["detail"] != "owns its partitions" {
        assert!(Instant::now() < deadline, "{}", serve.said());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn worker_reports_an_outage_of_kafka_and_its_end() {
    run(async {
        let _alone = PORTS.lock().await;
        let servers = kafka();
        let environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
        let folder = tempfile::tempdir().unwrap();
        ipn_receiver::kafka::topics::create(&environment.config_with(&servers, "").unwrap().kafka).await.unwrap();
        let nodes = proxies(&servers).await;
        let serve = Serve::start_as("worker", &config(&environment, &folder, &advertised(&servers))).works().await;

        // The connections end, and nothing listens.
        drop(nodes);
        expect_outage(&serve, 1).await;
        let nodes = proxies(&servers).await;
        expect_recovery(&serve, 1).await;

        // The connections stay open, and nothing arrives.
        nodes.iter().for_each(|node| node.blackhole(Direction::ToClient));
        expect_outage(&serve, 2).await;
        nodes.iter().for_each(Proxy::heal);
        expect_recovery(&serve, 2).await;
        assert_eq!((count(&serve, GONE), count(&serve, BACK)), (2, 2), "one line each");
        serve.stop();
    });
}

#[test]
fn sighup_never_ends_the_process() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
        let folder = tempfile::tempdir().unwrap();
        let serve = Serve::start(&config(&environment, &folder, &kafka())).works().await;
        for n in 1..=2 {
            serve.signal("HUP");
            until("the signal is logged", || count(&serve, "SIGHUP ignored") == n).await;
        }
        assert_eq!(worker_check(&serve).await["ok"], true);
        serve.stop();
    });
}
