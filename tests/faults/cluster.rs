//! A Kafka cluster of three nodes, each behind a proxy that injects faults.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::AtomicU64;

use crate::proxy::Proxy;

/// A running cluster. It stops when it is dropped, unless it ran before.
pub(crate) struct Cluster {
    /// The proxy of each node; clients of `proxied` go through them.
    pub(crate) proxies: Vec<Proxy>,
    /// For how long Kafka's console consumer waits for a record before it ends. On a busy machine it may end before the first.
    pub(crate) console_patience_ms: AtomicU64,
    port: u16,
    was_running: bool,
}

const NODES: u16 = 3;
/// The longest time of a command of `scripts/kafka`, which includes the start of three nodes.
const TOOL_TIMEOUT_S: &str = "180";

impl Cluster {
    /// Starts three nodes, or uses those that already run at `FAULTS_KAFKA_PORT` (default 14092).
    pub(crate) async fn start() -> Self {
        let port = std::env::var("FAULTS_KAFKA_PORT").map_or(14092, |port| port.parse().unwrap());
        let was_running = script(port, &["status"]).is_some_and(|status| status.lines().count() == usize::from(NODES));
        script(port, &["up", "3"]).expect("scripts/kafka up 3 succeeds (its output is above)");
        let mut proxies = Vec::new();
        for node in 0..NODES {
            let proxied = local(port + 10 * node + 1);
            let advertised = local(port + 10 * node + 1 + 10_000);
            proxies.push(Proxy::start(advertised, proxied).await.expect("the proxy's port is free"));
        }
        Self { proxies, console_patience_ms: AtomicU64::new(5000), port, was_running }
    }

    /// Bootstrap servers behind the proxies.
    pub(crate) fn proxied(&self) -> String {
        self.servers(10_001)
    }

    /// Bootstrap servers without proxies.
    pub(crate) fn direct(&self) -> String {
        self.servers(0)
    }

    fn servers(&self, more: u16) -> String {
        let servers: Vec<String> = (0..NODES).map(|node| local(self.port + 10 * node + more).to_string()).collect();
        servers.join(",")
    }

    /// `kill`, `pause`, `resume` or `restart` of node 1, 2 or 3. Waits until it is done.
    pub(crate) async fn node(&self, verb: &'static str, node: usize) {
        let port = self.port;
        let done = tokio::task::spawn_blocking(move || script(port, &[verb, &node.to_string()])).await.unwrap();
        assert!(done.is_some(), "scripts/kafka {verb} {node} failed");
    }

    /// Runs one of Kafka's own tools. Returns its output.
    pub(crate) async fn tool(&self, arguments: Vec<String>) -> String {
        let port = self.port;
        let output = tokio::task::spawn_blocking(move || {
            let arguments: Vec<&str> = ["tool"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
            script(port, &arguments)
        });
        output.await.unwrap().expect("Kafka's tool succeeds and ends")
    }

    /// Clears the faults of all proxies.
    pub(crate) fn heal(&self) {
        for proxy in &self.proxies {
            proxy.heal();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.was_running {
            script(self.port, &["down"]);
        }
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The output of `scripts/kafka`; none if it fails.
fn script(port: u16, arguments: &[&str]) -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
    // Kafka's console consumer ends when no record comes for some seconds. If records come for ever, the test must fail.
    let mut command = Command::new("timeout");
    let output = command.arg(TOOL_TIMEOUT_S).arg(script).args(arguments).env("KAFKA_PORT", port.to_string());
    let output = output.output().unwrap();
    if !output.status.success() && arguments[0] != "status" {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
