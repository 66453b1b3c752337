//! The receiver's processes, which tests start, kill, freeze and shut down.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The end of the log line of each published event.
pub(crate) const EVENT_PUBLISHED: &str = " published\"";

/// The program and settings of every process.
pub(crate) struct Fleet {
    config: PathBuf,
    logs: PathBuf,
    settings: Vec<(&'static str, String)>,
    started: Cell<usize>,
    /// Another configuration for workers.
    worker_config: RefCell<Option<PathBuf>>,
    removed_merchants: RefCell<BTreeSet<String>>,
}

/// One process; killed when it is dropped.
pub(crate) struct Process {
    /// Such as `worker-3`.
    pub(crate) name: String,
    /// The ingress port, if it has one.
    pub(crate) port: u16,
    /// It has failpoints and may kill or freeze itself, also while it shuts down.
    is_armed: bool,
    child: Child,
    log: PathBuf,
}

impl Fleet {
    /// Processes with this configuration, overridden by these environment variables. Logs go to `logs`.
    pub(crate) fn new(config: PathBuf, logs: PathBuf, settings: Vec<(&'static str, String)>) -> Self {
        std::fs::create_dir_all(&logs).unwrap();
        Self {
            config,
            logs,
            settings,
            started: Cell::new(0),
            worker_config: RefCell::default(),
            removed_merchants: RefCell::default(),
        }
    }

    /// The folder of the logs.
    pub(crate) fn logs(&self) -> &Path {
        &self.logs
    }

    /// The panics in the logs of all processes.
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

    /// Creates the topics.
    pub(crate) fn create_topics(&self) {
        let output = self.command().args(["topics", "--config"]).arg(&self.config).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Workers that start from now on do not have this merchant in their configuration.
    pub(crate) fn remove_merchant(&self, id: &str) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        let tables = text.split_inclusive("[[merchants]]\n");
        let of_merchant = |table: &&str| table.starts_with(&format!("id = \"{id}\"\n"));
        let without: String = tables.filter(|table| !of_merchant(table)).collect();
        let without = without.strip_suffix("[[merchants]]\n").unwrap_or(&without);
        let path = self.config.with_file_name(format!("without-{id}.toml"));
        std::fs::write(&path, without).unwrap();
        *self.worker_config.borrow_mut() = Some(path);
        self.removed_merchants.borrow_mut().insert(id.to_owned());
    }

    /// Workers that start from now on have all merchants.
    pub(crate) fn add_merchant_back(&self) {
        *self.worker_config.borrow_mut() = None;
    }

    /// The merchants that were removed for a while.
    pub(crate) fn removed_merchants(&self) -> BTreeSet<String> {
        self.removed_merchants.borrow().clone()
    }

    /// Appends the dead letters of merchants that were removed to the inbox again.
    pub(crate) fn redrive_for_removed_merchants(&self) {
        let mut command = self.command();
        command.args(["redrive", "--yes", "--filter", "reason=unknown_merchant", "--per-second", "1000", "--config"]);
        let output = command.arg(&self.config).output().unwrap();
        println!("{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A worker, with failpoints such as `after-produce=3*off->return(kill)`.
    pub(crate) fn worker(&self, failpoints: &str) -> Process {
        self.worker_with(failpoints, &[])
    }

    /// A worker with failpoints and more settings.
    pub(crate) fn worker_with(&self, failpoints: &str, more: &[(&str, String)]) -> Process {
        let failpoints = ("FAILPOINTS", failpoints.to_owned());
        self.start("worker", 0, &[&[failpoints], more].concat())
    }

    /// A process of role ingest at this port.
    pub(crate) fn ingest(&self, port: u16) -> Process {
        self.start_role("ingest", port, &[])
    }

    /// A process of this role, with more settings.
    pub(crate) fn start_role(&self, role: &str, port: u16, more: &[(&str, String)]) -> Process {
        let listen = ("IPN_RECEIVER__INGRESS__LISTEN", format!("127.0.0.1:{port}"));
        self.start(role, port, &[&[listen], more].concat())
    }

    fn start(&self, role: &str, port: u16, more: &[(&str, String)]) -> Process {
        self.started.set(self.started.get() + 1);
        let name = format!("{role}-{}", self.started.get());
        let log = self.logs.join(format!("{name}.log"));
        let is_armed = more.iter().any(|(variable, failpoints)| *variable == "FAILPOINTS" && !failpoints.is_empty());
        let worker_config = self.worker_config.borrow();
        let config = worker_config.as_ref().filter(|_| role == "worker").unwrap_or(&self.config);
        let child = self
            .command()
            .args(["--log-format", "json", "serve", "--role", role, "--config"])
            .arg(config)
            .envs(more.iter().map(|(variable, value)| (variable, value)))
            .env("FAILPOINTS_CLOCK", log.with_extension("clock"))
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
        // The process may have ended already.
        let _ = kill_process(pid, signal);
    }

    /// Kills the process with SIGKILL and waits until it has ended.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Sets the clock of the process ahead of the true time, or back if negative, while it runs.
    pub(crate) fn set_clock(&self, ahead_ms: i64) {
        std::fs::write(self.log.with_extension("clock"), ahead_ms.to_string()).unwrap();
    }

    /// Freezes the process with SIGSTOP.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends SIGTERM and waits for the exit, which must have code 0. Exceptions: the process had ended before (Kafka was
    /// down when it started), or a failpoint killed it.
    pub(crate) async fn shut_down(mut self) {
        if self.has_ended() {
            return;
        }
        let has_empty_log = std::fs::metadata(&self.log).is_ok_and(|log| log.len() == 0);
        self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_mins(2);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{} did not exit within two minutes", self.name);
            if self.is_armed {
                // A failpoint may freeze it while it shuts down.
                self.thaw();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let was_killed_by_failpoint = self.is_armed && status.signal() == Some(Signal::KILL.as_raw());
        // A process with an empty log had not installed its signal handlers yet.
        assert!(status.success() || has_empty_log || was_killed_by_failpoint, "{} exited with {status}", self.name);
    }

    /// Whether it is frozen.
    pub(crate) fn is_frozen(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && line.contains('T'))
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Whether its log holds this text.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        std::fs::read_to_string(&self.log).unwrap_or_default().contains(text)
    }

    /// The address of the admin port. The process must be up.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let started = log.lines().find(|line| line.contains("ipn-receiver started")).expect("the process is up");
        let line: serde_json::Value = serde_json::from_str(started).unwrap();
        line["admin"].as_str().unwrap().parse().unwrap()
    }

    /// The start of the log line of its last published event; empty if there is none.
    pub(crate) fn last_published_at(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().rfind(|line| line.contains(EVENT_PUBLISHED)).unwrap_or_default().chars().take(60).collect()
    }

    /// Waits until a worker owns its partitions, or another process has started.
    pub(crate) async fn is_up(&self) {
        let log_line =
            if self.name.starts_with("worker") { "state restored from Kafka" } else { "ipn-receiver started" };
        until(&format!("{} is up", self.name), || self.has_logged(log_line)).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Waits up to two minutes until a condition holds.
pub(crate) async fn until(fact: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !holds() {
        assert!(Instant::now() < deadline, "waited two minutes for: {fact}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
