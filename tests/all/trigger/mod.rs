//! `ipn-receiver trigger` beside a running sandbox, both as processes.

mod story;
mod trouble;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipn_receiver::config::Kafka;
use ipn_receiver::sandbox::recipes::{Variant, variants};
use serde_json::Value;

use crate::contract::check_event;
use crate::development::{Process, lines_until, program};
use crate::harness::{committed_records, kafka};

/// A sandbox without a scenario.
struct Sandbox {
    process: Process,
    /// What it printed first: its addresses.
    started: Value,
    /// What it printed last: the next steps.
    staying: Value,
}

struct Output {
    code: Option<i32>,
    /// Each line of standard output, which is an event.
    events: Vec<Value>,
    err: String,
}

impl Sandbox {
    fn start(more: &[&str]) -> Self {
        let mut sandbox = program()
            .args(["sandbox", "--scenario", "none", "--json", "--control", "127.0.0.1:0"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_until(sandbox.stdout.take().unwrap(), "\"staying\"");
        let line = |line: Option<&String>| serde_json::from_str(line.unwrap()).unwrap();
        Self { process: Process(sandbox), started: line(lines.first()), staying: line(lines.last()) }
    }

    fn control(&self) -> &str {
        self.staying["control"].as_str().unwrap()
    }

    fn trigger(&self, arguments: &[&str]) -> Output {
        trigger_at(self.control(), arguments)
    }

    /// The one event of this command, which must succeed.
    fn event(&self, arguments: &[&str]) -> Value {
        let Output { code, mut events, err } = self.trigger(arguments);
        assert_eq!((code, events.len()), (Some(0), 1), "{arguments:?}: {err}");
        events.remove(0)
    }

    fn events_topic(&self) -> Vec<Value> {
        let kafka = Kafka { bootstrap_servers: self.started["kafka"].as_str().unwrap().to_owned(), ..Kafka::default() };
        let records = committed_records(&kafka, self.started["eventsTopic"].as_str().unwrap());
        records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
    }
}

fn trigger_at(control: &str, arguments: &[&str]) -> Output {
    let output = program().args(["trigger", "--json", "--control", control]).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let events = text(output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Output { code: output.status.code(), events, err: text(output.stderr) }
}

/// Triggers every variant, some at a time.
fn walk(sandbox: &Sandbox) {
    let (variants, next) = (variants(), AtomicUsize::new(0));
    let events: Vec<(Variant, Value)> = std::thread::scope(|scope| {
        let worker = || {
            let mut events = Vec::new();
            while let Some(variant) = variants.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut arguments = vec![variant.event.name, "--permission-type", variant.permission_type];
                arguments.extend(variant.reason.iter().flat_map(|reason| ["--reason", *reason]));
                events.push((*variant, sandbox.event(&arguments)));
            }
            events
        };
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(events.len(), variants.len());
    let mut published: BTreeMap<(String, String), usize> = BTreeMap::new();
    let key = |event: &Value| (event["subject"].to_string(), event["type"].to_string());
    for event in sandbox.events_topic() {
        check_event(&event);
        *published.entry(key(&event)).or_default() += 1;
    }
    for (variant, event) in &events {
        check_event(event);
        let name = variant.name();
        assert_eq!(event["type"], format!("amazonpay.{}.v1", variant.event.name));
        assert_eq!(event["source"], "/amazonpay/A0SANDBOXMERCHANT/sandbox");
        assert_eq!(event["data"]["chargePermissionType"], variant.permission_type, "{name}");
        assert_eq!(event["data"]["reasons"][0]["reasonCode"].as_str(), variant.reason, "{name}");
        assert_eq!(published.get(&key(event)), Some(&1), "{name} was published once: {event}");
    }
}

/// As many processes as a small machine can run without a wait of seconds.
const AT_A_TIME: usize = 16;

#[test]
fn every_event_can_be_triggered_on_the_mock_broker() {
    walk(&Sandbox::start(&[]));
}

#[test]
fn every_event_can_be_triggered_on_a_real_broker() {
    walk(&Sandbox::start(&["--kafka", &kafka()]));
}

#[test]
fn sandbox_prints_next_steps_and_ends_with_sigterm() {
    let mut sandbox = Sandbox::start(&[]);
    let (kafka, control) = (sandbox.started["kafka"].as_str().unwrap().to_owned(), sandbox.control().to_owned());
    let step = |name: &str| sandbox.staying[name].as_str().unwrap().to_owned();
    assert!(step("trigger").ends_with(&format!(" --control {control}")), "{}", step("trigger"));
    for name in ["listen", "consumer"] {
        assert!(step(name).contains(&kafka), "{}", step(name));
    }
    // The line works as it is printed.
    let output = std::process::Command::new("sh").args(["-c", &step("trigger")]).output().unwrap();
    let event: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(event["data"]["nextAction"]["code"], "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD");
    assert_eq!(event["data"]["chargePermissionType"], "PaymentMethodOnFile");

    let child = &mut sandbox.process.0;
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn commands_that_a_person_sees_can_be_pasted() {
    let mut child = program()
        .args(["sandbox", "--scenario", "none", "--control", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_until(child.stdout.take().unwrap(), "Metrics:");
    let _sandbox = Process(child);
    let command = lines.iter().find(|line| line.contains(" trigger ChargeDeclined ")).unwrap();
    let output = std::process::Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    assert!(lines.iter().all(|line| !line.contains('\\')), "{lines:#?}");
}

#[test]
fn trigger_continues_the_story_of_an_object() {
    let sandbox = Sandbox::start(&[]);
    let id = "S01-7654321-1234567-C000009";
    let one_time = ["--permission-type", "OneTime"];
    let authorized = sandbox
        .event(&[&["ChargeAuthorized", "--id", id, "--set", "chargeAmount.amount=14.00"], &one_time[..]].concat());
    assert_eq!(authorized["partitionkey"], "S01-7654321-1234567");
    let captured = sandbox.event(&["ChargeCaptured", "--id", id]);
    for event in [&authorized, &captured] {
        assert_eq!(event["subject"], id);
        assert_eq!(event["data"]["snapshot"]["chargeAmount"]["amount"], "14.00");
        assert_eq!(event["data"]["chargePermissionType"], "OneTime");
    }
    assert_eq!(captured["data"]["previousState"], "Authorized");
    assert_eq!(captured["data"]["snapshot"]["captureAmount"]["amount"], "14.00");
    // Its permission exists, too.
    let closed = sandbox.event(&[
        "PermissionClosed",
        "--reason",
        "AmazonClosed",
        "--id",
        "S01-7654321-1234567",
        "--set",
        "limits.amountBalance.amount=0.00",
    ]);
    assert_eq!(closed["data"]["nextAction"]["text"], "The whole amount was charged. No action required.");
    let names: Vec<String> = crate::harness::names(&sandbox.events_topic());
    assert_eq!(names.iter().filter(|name| *name == "PermissionChargeable").count(), 1, "{names:?}");
}

#[test]
fn trigger_takes_simulation_codes_and_a_count() {
    let sandbox = Sandbox::start(&[]);
    let declined = sandbox.event(&["create-charge", "HardDeclined"]);
    assert_eq!(declined["type"], "amazonpay.ChargeDeclined.v1");
    assert_eq!(declined["data"]["reasons"][0]["reasonCode"], "HardDeclined");
    let began = std::time::Instant::now();
    let Output { code, events, err } = sandbox.trigger(&["RefundCompleted", "--count", "3", "--interval", "200ms"]);
    assert_eq!((code, events.len()), (Some(0), 3), "{err}");
    assert!(began.elapsed() >= std::time::Duration::from_millis(400));
    let subjects: std::collections::BTreeSet<String> =
        events.iter().map(|event| event["subject"].to_string()).collect();
    assert_eq!(subjects.len(), 3);
}
