//! The main job of the README, as a process.

use std::process::Command;

use serde_json::Value;

use crate::harness::kafka;

fn story(more: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"))
        .args(["sandbox", "--once", "--json"])
        .args(more)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), lines)
}

fn check(more: &[&str], shows_exactly_once: bool) {
    let (code, lines) = story(more);
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(lines[0]["exactlyOnceShown"], shows_exactly_once);
    let events: Vec<&Value> =
        lines.iter().filter(|line| line["happened"] == "event").map(|line| &line["event"]).collect();
    let last = lines.last().unwrap();
    assert_eq!(
        (last["eventsExpected"].as_u64().unwrap() as usize, &last["problems"]),
        (events.len(), &Value::Array(vec![]))
    );
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    for wanted in [
        "amazonpay.ChargeDeclined.v1",
        "amazonpay.PaymentMethodUpdated.v1",
        "amazonpay.RefundCompleted.v1",
        "amazonpay.PermissionClosed.v1",
    ] {
        assert!(types.contains(&wanted), "{types:?}");
    }
}

#[test]
fn the_story_comes_out_right_on_the_embedded_broker() {
    check(&[], false);
}

#[test]
fn the_story_comes_out_right_on_a_real_broker() {
    check(&["--kafka", &kafka()], true);
}

#[test]
fn a_backlog_is_drained_with_progress_and_one_read_an_object() {
    let (code, lines) = story(&["--scenario", "backlog", "--objects", "24", "--kafka", &kafka()]);
    assert_eq!(code, Some(0), "{lines:#?}");
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["ipns"], &last["objectsTold"], &last["problems"]),
        (&96.into(), &24.into(), &Value::Array(vec![]))
    );
    let progress: Vec<&Value> = lines.iter().filter(|line| line["what"] == "told").collect();
    let of_all = progress.iter().all(|line| line["of"] == 24 && line["secondsLeft"].is_u64());
    assert!(of_all && progress.last().unwrap()["done"] == 24, "{progress:?}");
}

#[test]
fn the_other_lives_come_out_right_each_event_with_its_advice() {
    for scenario in ["saved-wallet", "one-order"] {
        let (code, lines) = story(&["--scenario", scenario]);
        assert_eq!(code, Some(0), "{scenario}: {lines:#?}");
        assert!(lines.last().unwrap()["eventsExpected"].as_u64().unwrap() >= 6);
    }
}
