//! The receiver's processes: started, killed, frozen and thawed as a machine or an operator would.

use std::cell::Cell;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// What every process is started with.
pub(crate) struct Fleet {
    config: PathBuf,
    logs: PathBuf,
    settings: Vec<(&'static str, String)>,
    started: Cell<usize>,
}

/// One process; killed when it is dropped.
pub(crate) struct Process {
    /// Such as `worker-3`.
    pub(crate) name: String,
    /// Where it takes notifications, if it does.
    pub(crate) port: u16,
    /// It may kill or freeze itself, also while it leaves.
    is_armed: bool,
    child: Child,
    log: PathBuf,
}

impl Fleet {
    /// Processes with this configuration and, over it, these variables. Logs go to `logs`.
    pub(crate) fn new(config: PathBuf, logs: PathBuf, settings: Vec<(&'static str, String)>) -> Self {
        std::fs::create_dir_all(&logs).unwrap();
        Self { config, logs, settings, started: Cell::new(0) }
    }

    /// Where the processes' logs are.
    pub(crate) fn logs(&self) -> &Path {
        &self.logs
    }

    /// Which processes panicked, killed ones included.
    pub(crate) fn panics(&self) -> Vec<String> {
        let logs = std::fs::read_dir(&self.logs).unwrap().map(|entry| entry.unwrap().path());
        let panicked = logs.filter_map(|log| {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let line = text.lines().find(|line| line.contains("panicked at"))?;
            Some(format!("panic: {}: {line}", log.display()))
        });
        panicked.collect()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
        command.envs(self.settings.iter().map(|(name, value)| (name, value))).env_remove("FAILPOINTS");
        command.env("RUST_LOG", "info,ipn_receiver::worker=debug,librdkafka=off,rdkafka=off,actix_server=warn");
        command
    }

    /// Makes the topics.
    pub(crate) fn make_topics(&self) {
        let output = self.command().args(["topics", "--config"]).arg(&self.config).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A worker, with failpoints such as `after-produce=3*off->return(kill)`.
    pub(crate) fn worker(&self, failpoints: &str) -> Process {
        self.worker_with(failpoints, &[])
    }

    /// The same with more settings.
    pub(crate) fn worker_with(&self, failpoints: &str, more: &[(&str, String)]) -> Process {
        let failpoints = ("FAILPOINTS", failpoints.to_owned());
        self.start("worker", 0, &[&[failpoints], more].concat())
    }

    /// What takes notifications, at this port.
    pub(crate) fn ingest(&self, port: u16) -> Process {
        self.taking("ingest", port, &[])
    }

    /// The same in this role, with more settings.
    pub(crate) fn taking(&self, role: &str, port: u16, more: &[(&str, String)]) -> Process {
        let listen = ("IPN_RECEIVER__INGRESS__LISTEN", format!("127.0.0.1:{port}"));
        self.start(role, port, &[&[listen], more].concat())
    }

    fn start(&self, role: &str, port: u16, more: &[(&str, String)]) -> Process {
        self.started.set(self.started.get() + 1);
        let name = format!("{role}-{}", self.started.get());
        let log = self.logs.join(format!("{name}.log"));
        let is_armed = more.iter().any(|(variable, failpoints)| *variable == "FAILPOINTS" && !failpoints.is_empty());
        let child = self
            .command()
            .args(["--log-format", "json", "serve", "--role", role, "--config"])
            .arg(&self.config)
            .envs(more.iter().map(|(variable, value)| (variable, value)))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Process { name, port, is_armed, child, log }
    }
}

impl Process {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        // It may have ended by itself, which is found out elsewhere.
        let _ = kill_process(pid, signal);
    }

    /// Ends it like a crash. Waits for the end.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Freezes it, as a long pause of its machine does.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to leave, and waits until it has. It must leave well, unless it ended before it was asked (Kafka was away
    /// when it started) or was made to die on its way.
    pub(crate) async fn leave(mut self) {
        if self.has_ended() {
            return;
        }
        let has_said_nothing = std::fs::metadata(&self.log).is_ok_and(|log| log.len() == 0);
        self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_mins(2);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{} did not leave within two minutes", self.name);
            if self.is_armed {
                // It may freeze itself on its way.
                self.thaw();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let has_killed_itself = self.is_armed && status.signal() == Some(Signal::KILL.as_raw());
        // One that had not yet said a word had not yet heard of signals, either.
        assert!(status.success() || has_said_nothing || has_killed_itself, "{} left with {status}", self.name);
    }

    /// Whether it has frozen itself.
    pub(crate) fn is_frozen(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && line.contains('T'))
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Whether its log holds this text.
    pub(crate) fn has_said(&self, text: &str) -> bool {
        std::fs::read_to_string(&self.log).unwrap_or_default().contains(text)
    }

    /// Where it tells whether it is ready. To be asked when it is up.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let started = log.lines().find(|line| line.contains("ipn-receiver started")).expect("it is up");
        let line: serde_json::Value = serde_json::from_str(started).unwrap();
        line["admin"].as_str().unwrap().parse().unwrap()
    }

    /// When it last published something, as its log tells; the empty text if it never did.
    pub(crate) fn said_at(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().rfind(|line| line.contains("\"published")).unwrap_or_default().chars().take(60).collect()
    }

    /// Waits until it owns its partitions (or, if it takes notifications, until it started).
    pub(crate) async fn is_up(&self) {
        let sign = if self.name.starts_with("worker") { "inbox open" } else { "ipn-receiver started" };
        until(&format!("{} is up", self.name), || self.has_said(sign)).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Waits for a fact, two minutes at most.
pub(crate) async fn until(fact: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !holds() {
        assert!(Instant::now() < deadline, "waited two minutes for: {fact}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
