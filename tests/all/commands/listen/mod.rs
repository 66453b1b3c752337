//! `listen` as a process: what it prints, and what it forwards to endpoints that fail.

mod forwarding;
mod reading;
mod target;

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ipn_receiver::config::Kafka;
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::Stage;

/// A topic of events that only this test writes.
struct Events {
    servers: String,
    topic: String,
    producer: FutureProducer<DefaultClientContext>,
}

impl Events {
    async fn new() -> Self {
        let stage = Stage::new(1, "").await;
        Self::on(&stage.kafka())
    }

    fn on(kafka: &Kafka) -> Self {
        Self {
            servers: kafka.bootstrap_servers.clone(),
            topic: kafka.topics().events,
            producer: kafka.client().create().unwrap(),
        }
    }

    /// Publishes an event; gives its id.
    async fn publish(&self, permission: &str, number: usize) -> String {
        self.publish_at(permission, number, None).await
    }

    /// The same, with a time of publication in milliseconds since 1970.
    async fn publish_at(&self, permission: &str, number: usize, time: Option<i64>) -> String {
        let event = event(permission, number);
        let payload = event.to_string();
        let mut record = FutureRecord::to(&self.topic).key(permission).payload(&payload);
        record.timestamp = time;
        self.producer.send(record, Duration::from_secs(30)).await.unwrap();
        event["id"].as_str().unwrap().to_owned()
    }

    /// Publishes an event in binary mode.
    async fn publish_binary(&self, permission: &str, number: usize) -> Value {
        let event = event(permission, number);
        let headers =
            event.as_object().unwrap().iter().filter(|(name, _)| !["data", "datacontenttype"].contains(&name.as_str()));
        let headers = headers.fold(OwnedHeaders::new(), |headers, (name, value)| {
            headers.insert(Header { key: &format!("ce_{name}"), value: value.as_str() })
        });
        let payload = event["data"].to_string();
        let record = FutureRecord::to(&self.topic).key(permission).payload(&payload).headers(headers);
        self.producer.send(record, Duration::from_secs(30)).await.unwrap();
        event
    }

    fn listen(&self, arguments: &[&str]) -> Listen {
        Listen::start(&[&["--kafka", &self.servers, "--topic", &self.topic], arguments].concat())
    }
}

/// An event with the number in its subject.
fn event(permission: &str, number: usize) -> Value {
    json!({
        "specversion": "1.0", "id": Uuid::new_v4(), "source": "/amazonpay/A0SANDBOXMERCHANT/sandbox",
        "type": if number.is_multiple_of(2) { "amazonpay.ChargeCaptured.v1" } else { "amazonpay.ChargeDeclined.v1" },
        "subject": format!("{permission}-C{number:06}"), "time": "2026-01-02T03:04:05.000Z",
        "datacontenttype": "application/json", "partitionkey": permission, "sequence": format!("{number:020}"),
        "data": {
            "objectType": "Charge", "state": "Declined", "previousState": "AuthorizationInitiated",
            "reasons": [{"reasonCode": "HardDeclined", "reasonDescription": "é"}],
            "nextAction": {"code": "RETRY_CHARGE", "text": "Charge again."},
            "snapshot": {"chargeAmount": {"amount": "9.99", "currencyCode": "EUR"}},
        },
    })
}

/// A running `listen`.
struct Listen {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
}

impl Listen {
    fn start(arguments: &[&str]) -> Self {
        let (mut listen, stdout) = Self::start_unread(arguments);
        listen.out = collect(stdout);
        listen
    }

    /// The same; the caller reads standard output.
    fn start_unread(arguments: &[&str]) -> (Self, ChildStdout) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
        command.env_remove("RUST_LOG").env_remove("IPN_RECEIVER_CONFIG").arg("listen").args(arguments);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> (Self, ChildStdout) {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        (Self { child, out: Arc::default(), err: collect(stderr) }, stdout)
    }

    fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    fn err(&self) -> String {
        self.err.lock().unwrap().clone()
    }

    /// Waits until standard output has this many lines.
    fn lines(&self, n: usize) -> Vec<String> {
        self.wait_for(&format!("{n} lines"), |listen| listen.out().lines().count() >= n);
        self.out().lines().map(str::to_owned).collect()
    }

    /// Waits until it has connected and knows where it starts.
    fn is_listening(&self) {
        self.wait_for("it listens", |listen| listen.err().contains("Listening to"));
    }

    fn wait_for(&self, fact: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_mins(2);
        while !holds(self) {
            assert!(Instant::now() < deadline, "waited 2 min for: {fact}\n{}\n{}", self.out(), self.err());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal, and waits for the end. Gives the exit code and standard error.
    fn end(&mut self, signal: &str) -> (i32, String) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        self.ended()
    }

    /// Waits for the end. Gives the exit code and standard error.
    fn ended(&mut self) -> (i32, String) {
        let deadline = Instant::now() + Duration::from_mins(1);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it did not end\n{}\n{}", self.out(), self.err());
            std::thread::sleep(Duration::from_millis(20));
        };
        // The last lines may still be in the pipe.
        std::thread::sleep(Duration::from_millis(100));
        (status.code().unwrap_or(-1), self.err())
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects lines on a thread.
fn collect(stream: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let collected: Arc<Mutex<String>> = Arc::default();
    let written = collected.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut written = written.lock().unwrap();
            written.push_str(&line);
            written.push('\n');
        }
    });
    collected
}
