//! The receiver as a separate process, with its log.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ipn_receiver::sandbox::environment::SandboxEnvironment;
use serde_json::Value;
use tempfile::TempDir;

/// Writes the configuration of a receiver on ports of its own, beside these simulators and this Kafka.
pub(crate) fn config_file(
    folder: &TempDir,
    environment: &SandboxEnvironment,
    servers: &str,
    settings: &str,
) -> PathBuf {
    let file = folder.path().join("receiver.toml");
    let own = "ingress.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\nshutdown.notice_ms = 0\n";
    let simulators = environment.config_for_another_process(servers).unwrap();
    std::fs::write(&file, format!("{own}{settings}\n{simulators}")).unwrap();
    file
}

/// The receiver: the debug build of these tests, or what `scripts/adversary` names.
fn program() -> String {
    std::env::var("IPN_RECEIVER_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_ipn-receiver").to_owned())
}

/// A running `serve`, and its log.
pub(crate) struct Serve {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Serve {
    pub(crate) fn start(config: &std::path::Path) -> Self {
        Self::start_with(config, &[])
    }

    /// Creates the topics, and starts a receiver with these environment variables.
    pub(crate) fn start_with(config: &std::path::Path, variables: &[(&str, &str)]) -> Self {
        let created = Command::new(program()).args(["topics", "--config"]).arg(config).output().unwrap();
        assert!(created.status.success(), "{created:?}");
        Self::spawn("all", config, variables)
    }

    /// Starts one role; the topics must exist.
    pub(crate) fn start_as(role: &str, config: &std::path::Path) -> Self {
        Self::spawn(role, config, &[])
    }

    fn spawn(role: &str, config: &std::path::Path, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program())
            .args(["--log-format", "json", "serve", "--role", role, "--config"])
            .arg(config)
            .env("RUST_LOG", "ipn_receiver=trace,info")
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (log, lines) = (Arc::new(Mutex::new(String::new())), BufReader::new(child.stderr.take().unwrap()).lines());
        let written = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut written = written.lock().unwrap();
                written.push_str(&line);
                written.push('\n');
            }
        });
        Self { child, log }
    }

    pub(crate) fn said(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The address of a port, as the log names it.
    pub(crate) fn address(&self, name: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let started = self.said().lines().find(|line| line.contains("ipn-receiver started")).map(str::to_owned);
            if let Some(line) = started {
                return serde_json::from_str::<Value>(&line).unwrap()[name].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < deadline, "{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the worker owns its partitions.
    pub(crate) async fn works(self) -> Self {
        let readyz = format!("http://{}/readyz", self.address("admin"));
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let page = reqwest::get(&readyz).await.unwrap().text().await.unwrap();
            if page.contains("\"ready\":true") && page.contains("owns its partitions") {
                return self;
            }
            assert!(Instant::now() < deadline, "{page}\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The value of the first metric line with this prefix; 0 without such a line.
    pub(crate) async fn count(&self, line: &str) -> u64 {
        let text =
            reqwest::get(format!("http://{}/metrics", self.address("admin"))).await.unwrap().text().await.unwrap();
        let value = text.lines().find(|found| found.starts_with(line)).and_then(|found| found.rsplit(' ').next());
        value.map_or(0, |value| value.parse().unwrap())
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that the process has had so far.
    pub(crate) fn memory_peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Sends the signal with this name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Sends SIGTERM and waits for a successful exit.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert!(self.child.wait().unwrap().success(), "{}", self.said());
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
