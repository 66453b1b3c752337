//! The program as a process of its own, with all that it says.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A receiver as a process, and all that it ever said.
pub(crate) struct Serve {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Serve {
    pub(crate) fn start(config: &std::path::Path) -> Self {
        Self::start_with(config, &[])
    }

    /// With these environment variables.
    pub(crate) fn start_with(config: &std::path::Path, variables: &[(&str, &str)]) -> Self {
        let program = env!("CARGO_BIN_EXE_ipn-receiver");
        let made = Command::new(program).args(["topics", "--config"]).arg(config).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        Self::spawn("all", config, variables)
    }

    /// In this role, with topics that are there.
    pub(crate) fn start_as(role: &str, config: &std::path::Path) -> Self {
        Self::spawn(role, config, &[])
    }

    fn spawn(role: &str, config: &std::path::Path, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"))
            .args(["--log-format", "json", "serve", "--role", role, "--config"])
            .arg(config)
            .env("RUST_LOG", "ipn_receiver=trace,info")
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, lines) = (Arc::new(Mutex::new(String::new())), BufReader::new(child.stderr.take().unwrap()).lines());
        let heard = said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut heard = heard.lock().unwrap();
                heard.push_str(&line);
                heard.push('\n');
            }
        });
        Self { child, said }
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Where it said that it listens.
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
}

impl Serve {
    /// Waits until it owns its partitions.
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

    /// What a counter's line that begins so says; 0 where there is none.
    pub(crate) async fn count(&self, line: &str) -> u64 {
        let text =
            reqwest::get(format!("http://{}/metrics", self.address("admin"))).await.unwrap().text().await.unwrap();
        let value = text.lines().find(|found| found.starts_with(line)).and_then(|found| found.rsplit(' ').next());
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Asks it to leave, and waits for that.
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
