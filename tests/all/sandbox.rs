//! `ipn-receiver sandbox` as the README describes it, as a process.

use std::process::Command;

use serde_json::Value;

use crate::harness::kafka;

fn run_sandbox(more: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"))
        .args(["sandbox", "--once", "--json"])
        .args(more)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), lines)
}

fn check(more: &[&str], is_exactly_once: bool) {
    let (code, lines) = run_sandbox(more);
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(lines[0]["exactlyOnce"], is_exactly_once);
    let events: Vec<&Value> = lines.iter().filter(|line| line["type"] == "event").map(|line| &line["event"]).collect();
    let last = lines.last().unwrap();
    assert_eq!(
        (last["eventsExpected"].as_u64().unwrap() as usize, &last["problems"]),
        (events.len(), &Value::Array(vec![]))
    );
    let naive = lines.iter().find(|line| line["type"] == "naiveWebhook").unwrap();
    let deeds: Vec<&str> =
        naive["steps"].as_array().unwrap().iter().map(|step| step["does"].as_str().unwrap()).collect();
    let n = |deed: &str| deeds.iter().filter(|done| **done == deed).count();
    assert_eq!([n("mailsAgain"), n("believesForgery"), n("missesDecline"), n("fails")], [2, 2, 2, 1], "{naive}");
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    for expected in [
        "amazonpay.ChargeDeclined.v1",
        "amazonpay.PaymentMethodUpdated.v1",
        "amazonpay.RefundCompleted.v1",
        "amazonpay.PermissionClosed.v1",
    ] {
        assert!(types.contains(&expected), "{types:?}");
    }
}

#[test]
fn subscription_succeeds_on_the_mock_broker() {
    check(&[], false);
}

#[test]
fn subscription_succeeds_on_a_real_broker() {
    check(&["--kafka", &kafka()], true);
}

#[test]
fn backlog_is_drained_with_one_event_per_object() {
    let (code, lines) = run_sandbox(&["--scenario", "backlog", "--objects", "24", "--kafka", &kafka()]);
    assert_eq!(code, Some(0), "{lines:#?}");
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["ipns"], &last["objectsPublished"], &last["problems"]),
        (&96.into(), &24.into(), &Value::Array(vec![]))
    );
    let progress: Vec<&Value> = lines.iter().filter(|line| line["what"] == "events").collect();
    let is_complete = progress.iter().all(|line| line["total"] == 24 && line["secondsLeft"].is_u64());
    assert!(is_complete && progress.last().unwrap()["done"] == 24, "{progress:?}");
}

#[test]
fn other_scenarios_succeed() {
    for scenario in ["saved-wallet", "one-order", "declines"] {
        let (code, lines) = run_sandbox(&["--scenario", scenario]);
        assert_eq!(code, Some(0), "{scenario}: {lines:#?}");
        assert!(lines.last().unwrap()["eventsExpected"].as_u64().unwrap() >= 6);
    }
}
