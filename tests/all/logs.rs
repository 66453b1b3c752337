//! The log lines of one IPN: one id finds them, and the trace id leads from the POST to the event.

use ipn_receiver::sandbox::environment::{Hint, SandboxEnvironment};
use ipn_receiver::sandbox::pay_api::{ObjectKind, charge_permission};
use ipn_receiver::sandbox::sns::SignatureVersion;
use serde_json::Value;

use crate::harness::{committed_records, kafka, run, until};
use crate::layering::rust_files;
use crate::mock_stage::envelope;
use crate::process::{Serve, config_file};

const PERMISSION: &str = "C02-0000001-1111111";
const STORED: &str = "IPN stored in inbox, answered 200";
const CONSUMED: &str = "IPN consumed from inbox";
const READ: &str = "Amazon Pay API answered a read";
const PUBLISHED: &str = "PermissionChargeable published";
const DEAD_LETTER: &str = "IPN moved to the dead-letter topic; fix the cause, then run `ipn-receiver redrive`";

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The log lines that contain `word`.
fn grep(serve: &Serve, word: &str) -> Vec<Value> {
    let said = serve.said();
    said.lines().filter(|line| line.contains(word)).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same without the debug lines of suppressed ones.
fn grep_logged(serve: &Serve, word: &str) -> Vec<Value> {
    grep(serve, word).into_iter().filter(|line| line["level"] != "DEBUG").collect()
}

/// The messages of the lines, sorted: the worker may log before the ingress.
fn messages(lines: &[Value]) -> Vec<&str> {
    let mut messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    messages.sort_unstable();
    messages
}

#[test]
fn one_id_finds_the_log_lines_of_an_ipn_and_its_trace() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
        let folder = tempfile::tempdir().unwrap();
        let settings = "worker.unknown_object_retries_ms = []";
        let serve = Serve::start(&config_file(&folder, &environment, &kafka(), settings));
        let url = format!("http://{}/ipn", serve.address("ingress"));
        environment.put(ObjectKind::ChargePermission, charge_permission(PERMISSION, "Recurring"), "Chargeable", &[]);
        let hint = |id: &'static str| Hint {
            merchant: &environment.merchants[0],
            kind: ObjectKind::ChargePermission,
            id,
            notification_type: "STATE_CHANGE",
        };
        let body = environment.envelope(&hint(PERMISSION), SignatureVersion::V2);
        let message_id = serde_json::from_str::<Value>(&body).unwrap()["MessageId"].as_str().unwrap().to_owned();
        // As a tracing proxy sends it.
        let request = reqwest::Client::new().post(&url).header("traceparent", TRACEPARENT).body(body);
        assert_eq!(request.send().await.unwrap().status(), 200);
        until("it is published", || serve.said().contains(PUBLISHED)).await;

        let by_message = grep(&serve, &message_id);
        assert_eq!(messages(&by_message), [CONSUMED, STORED, PUBLISHED]);
        for line in &by_message {
            assert_eq!(line["object_id"], PERMISSION, "{line}");
            assert_eq!(line["trace_id"], TRACEPARENT[3..35], "{line}");
        }
        let by_object = grep(&serve, PERMISSION);
        assert_eq!(messages(&by_object), [READ, CONSUMED, STORED, PUBLISHED]);
        let request_id = |message: &str| {
            let line = by_object.iter().find(|line| line["message"] == message).unwrap();
            line["amazon_request_id"].as_str().unwrap_or_else(|| panic!("{line}"))
        };
        assert_eq!(request_id(READ), request_id(PUBLISHED), "Amazon's id of the request");

        // Without a tracing proxy the trace id is derived from the message id, also for an IPN without an event.
        let lost = environment.envelope(&hint("C02-0000009-1111111"), SignatureVersion::V2);
        let lost_id = serde_json::from_str::<Value>(&lost).unwrap()["MessageId"].as_str().unwrap().to_owned();
        crate::harness::post_to(&environment, &url, &lost).await;
        until("it is a dead letter", || serve.said().contains(DEAD_LETTER)).await;
        let lines = grep(&serve, &lost_id);
        assert_eq!(messages(&lines), [CONSUMED, DEAD_LETTER, STORED]);
        let stored = lines.iter().find(|line| line["message"] == STORED).unwrap();
        assert_eq!(stored["trace_id"], lost_id.replace('-', ""));

        let config = environment.config_with(&kafka(), "").unwrap().kafka;
        let inbox = committed_records(&config, &config.topics().inbox);
        let of = |id: &str| inbox.iter().find(|record| record.headers["ipn-sns-message-id"] == id).unwrap();
        assert_eq!(of(&message_id).headers["traceparent"], TRACEPARENT);
        assert!(of(&lost_id).headers["traceparent"].contains(&lost_id.replace('-', "")));
        let event: Value =
            serde_json::from_slice(&committed_records(&config, &config.topics().events)[0].value).unwrap();
        assert_eq!(event["traceparent"], TRACEPARENT);
        serve.stop();
    });
}

#[test]
fn requests_for_which_no_setting_fits_are_logged_with_the_remedy() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
        let folder = tempfile::tempdir().unwrap();
        let serve = Serve::start(&config_file(&folder, &environment, &kafka(), ""));
        let (client, address) = (reqwest::Client::new(), serve.address("ingress"));
        let genuine: Value = serde_json::from_str(&envelope(&environment)).unwrap();
        let post = async |path: &str, region: &str| {
            let mut body = genuine.clone();
            let cert = "SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";
            body["SigningCertURL"] = Value::from(format!("https://sns.{region}.amazonaws.com/{cert}"));
            let request = client.post(format!("http://{address}{path}")).body(body.to_string());
            request.header("x-amz-sns-message-type", "Notification").send().await.unwrap().status().as_u16()
        };
        // The names that nobody knows share one line, so the line of a real region is never suppressed.
        for n in 0..300_u32 {
            let word: String = format!("{n:03}").bytes().map(|b| char::from(b - b'0' + b'a')).collect();
            assert_eq!(post("/ipn", &format!("eu-{word}-1")).await, 503);
        }
        for region in ["eu-central-1", "sa-east-1", "eu-central-1"] {
            assert_eq!(post("/ipn", region).await, 503);
        }
        for path in ["/shop/ipn", "/IPN", "/shop/ipn"] {
            assert_eq!(post(path, "eu-central-1").await, 404);
        }
        assert_eq!(client.get(format!("http://{address}/%0a/ipn")).send().await.unwrap().status(), 404);
        until("the last is logged", || serve.said().contains("\"sender\":\"other\"")).await;

        let refused = grep_logged(&serve, "\"outcome\":\"region-not-allowed\"");
        assert!(refused.len() <= 4, "{refused:#?}");
        for region in ["eu-central-1", "sa-east-1"] {
            let of_region: Vec<_> = refused.iter().filter(|line| line["error"].to_string().contains(region)).collect();
            assert!(of_region.len() == 1 && of_region[0]["level"] == "WARN", "{region}: {refused:#?}");
            assert!(of_region[0]["error"].as_str().unwrap().contains("merchants[].topic_regions"), "{of_region:#?}");
            assert_eq!(of_region[0]["topic_arn"], genuine["TopicArn"], "{of_region:#?}");
        }
        let elsewhere = grep_logged(&serve, "\"sender\":\"sns\"");
        assert!(elsewhere.len() == 1 && elsewhere[0]["level"] == "WARN", "{elsewhere:#?}");
        assert_eq!(elsewhere[0]["path"], "/shop/ipn");
        assert!(elsewhere[0]["message"].as_str().unwrap().contains("Seller Central"), "{elsewhere:#?}");
        let others = grep_logged(&serve, "\"sender\":\"other\"");
        assert!(others.len() == 1 && others[0]["level"] == "INFO" && others[0]["path"] == "/%0a/ipn", "{others:#?}");
        serve.stop();
    });
}

/// A text that goes on in the next line of the source needs a backslash there; without it the text contains the indentation.
#[test]
fn no_text_contains_the_indentation_of_its_source() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for folder in ["amazon", "app", "ingress", "kafka", "worker"] {
        for file in rust_files(&source.join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            for (at, line) in text.lines().enumerate() {
                let code = line.trim_start();
                let is_text = code.contains('"') && !code.starts_with("//");
                assert!(!(is_text && code.contains("     ")), "{}:{}: {code}", file.display(), at + 1);
            }
        }
    }
}
