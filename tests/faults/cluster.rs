//! Three real nodes of Apache Kafka, each behind a proxy that can hurt it.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use crate::proxy::Proxy;

/// Runs as long as it is held.
pub(crate) struct Cluster {
    /// The proxy before each node; what talks to `proxied` goes through them.
    pub(crate) proxies: Vec<Proxy>,
    port: u16,
    was_running: bool,
}

const NODES: u16 = 3;

impl Cluster {
    /// Starts three nodes, or takes those that run already at `FAULTS_KAFKA_PORT` (default 14092).
    pub(crate) async fn start() -> Self {
        let port = std::env::var("FAULTS_KAFKA_PORT").map_or(14092, |port| port.parse().unwrap());
        let was_running = script(port, &["status"]).is_some_and(|status| status.lines().count() == usize::from(NODES));
        script(port, &["up", "3"]).expect("scripts/kafka up 3 (its words are above)");
        let mut proxies = Vec::new();
        for node in 0..NODES {
            let proxied = local(port + 10 * node + 1);
            let advertised = local(port + 10 * node + 1 + 10_000);
            proxies.push(Proxy::start(advertised, proxied).await.expect("the proxy's port is free"));
        }
        Self { proxies, port, was_running }
    }

    /// Bootstrap servers by way of the proxies.
    pub(crate) fn proxied(&self) -> String {
        self.servers(10_001)
    }

    /// Bootstrap servers that nothing stands before.
    pub(crate) fn direct(&self) -> String {
        self.servers(0)
    }

    fn servers(&self, more: u16) -> String {
        let servers: Vec<String> = (0..NODES).map(|node| local(self.port + 10 * node + more).to_string()).collect();
        servers.join(",")
    }

    /// `kill`, `pause`, `resume` or `restart` of node 1, 2 or 3. Blocks until it is done.
    pub(crate) async fn node(&self, verb: &'static str, node: usize) {
        let port = self.port;
        let done = tokio::task::spawn_blocking(move || script(port, &[verb, &node.to_string()])).await.unwrap();
        assert!(done.is_some(), "scripts/kafka {verb} {node} failed");
    }

    /// What one of Kafka's own tools prints.
    pub(crate) async fn tool(&self, arguments: Vec<String>) -> String {
        let port = self.port;
        let said = tokio::task::spawn_blocking(move || {
            let arguments: Vec<&str> = ["tool"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
            script(port, &arguments)
        });
        said.await.unwrap().expect("Kafka's tool does its work")
    }

    /// All nodes run and nothing is in the way.
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

/// What `scripts/kafka` prints; nothing if it fails.
fn script(port: u16, arguments: &[&str]) -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
    let output = Command::new(script).args(arguments).env("KAFKA_PORT", port.to_string()).output().unwrap();
    if !output.status.success() && arguments[0] != "status" {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
