//! `trigger FILE.toml`: stories in files, on a running sandbox.

use serde_json::Value;

use super::{Output, Sandbox, trigger_at};
use crate::development::program;

/// The lines that the command prints for a file with this text.
fn play(control: &str, text: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("story.toml");
    std::fs::write(&file, text).unwrap();
    trigger_at(control, &[file.to_str().unwrap()])
}

fn of_type<'a>(lines: &'a [Value], line_type: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == line_type).collect()
}

const HARD_DAY: &str = r#"
timeout = "30s"
steps = [
  { chapter = "The API is down while an IPN arrives twice; the older IPN arrives last" },
  { change = { object = "wallet", state = "Chargeable" } },
  { ipn = { object = "wallet" } },
  { expect = { event = "PermissionChargeable", object = "wallet" } },
  { change = { object = "charge", state = "Authorized", set = ["chargeAmount.amount=14.00"] } },
  { ipn = { object = "charge", name = "authorized", is_held = true } },
  { fault = "status-404" },
  { change = { object = "charge", state = "Captured" } },
  { ipn = { object = "charge", name = "captured" } },
  { again = { ipn = "captured", note = "the same IPN" } },
  { quiet = "1s" },
  { fault = "none" },
  { again = { ipn = "authorized", note = "the older IPN" } },
  { expect = { event = "ChargeCaptured", object = "charge", action = "NONE" } },
  { wait = "100ms" },
  { change = { object = "wallet", set = ["paymentPreferences.0.paymentDescriptor=Visa ****4242"] } },
  { ipn = { object = "wallet", type = "ATTRIBUTE_CHANGE" } },
  { expect = { event = "PaymentMethodUpdated", object = "wallet", action = "RETRY_CHARGE" } },
  { quiet = "1s" },
]
[objects]
wallet = { permission = { type = "PaymentMethodOnFile" } }
charge = { charge = { of = "wallet" } }
"#;

#[test]
fn own_stories_have_faults_duplicates_and_disorder() {
    let sandbox = Sandbox::start(&[]);
    let Output { code, events: lines, err } = play(sandbox.control(), HARD_DAY);
    assert_eq!(code, Some(0), "{lines:#?}{err}");
    let events = of_type(&lines, "event");
    assert_eq!(events.len(), 3);
    assert_eq!(events[1]["event"]["data"]["snapshot"]["captureAmount"]["amount"], "14.00");
    let result = lines.last().unwrap();
    assert_eq!(
        (&result["type"], &result["eventsExpected"], &result["problems"]),
        (&"result".into(), &3.into(), &Value::Array(vec![]))
    );
}

#[test]
fn built_in_stories_can_be_played_twice() {
    let sandbox = Sandbox::start(&[]);
    let text = std::fs::read_to_string("src/sandbox/stories/one-order.toml").unwrap();
    let mut subjects = Vec::new();
    for _ in 0..2 {
        let Output { code, events: lines, err } = play(sandbox.control(), &text);
        assert_eq!(code, Some(0), "{lines:#?}{err}");
        subjects.push(of_type(&lines, "event")[0]["event"]["subject"].clone());
    }
    assert_ne!(subjects[0], subjects[1], "each time with new objects");
}

#[test]
fn story_whose_event_does_not_come_fails() {
    let sandbox = Sandbox::start(&[]);
    let text =
        HARD_DAY.replace("30s", "1s").replace("event = \"PermissionChargeable\"", "event = \"PermissionClosed\"");
    let Output { code, events: lines, .. } = play(sandbox.control(), &text);
    assert_eq!(code, Some(1), "{lines:#?}");
    let problems = lines.last().unwrap()["problems"].to_string();
    assert!(problems.contains("expected PermissionClosed of C01-"), "{problems}");
}

#[test]
fn text_of_a_story_is_for_people() {
    let sandbox = Sandbox::start(&[]);
    let output = program()
        .args(["trigger", "--control", sandbox.control(), "src/sandbox/stories/one-order.toml"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for expected in
        ["1. A buyer places an order", "ChargeCaptured published for S01-", "All 7 expected events were published"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn wrong_story_files_need_no_sandbox() {
    let Output { code, err, .. } = play("127.0.0.1:9", "steps = [{ chapter = 1 }]\n[objects]\n");
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("story.toml: ") && err.contains("line 1"), "{err}");
    let Output { code, err, .. } = trigger_at("127.0.0.1:9", &["story.toml", "--count", "2"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("only --json and --control go with it"), "{err}");
    let Output { code, err, .. } = trigger_at("127.0.0.1:9", &["/nowhere/story.toml"]);
    assert_eq!(code, Some(3));
    assert!(err.contains("cannot read /nowhere/story.toml"), "{err}");
}
