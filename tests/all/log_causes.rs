//! One cause never hides another: equal lines are suppressed, and each cause and each object gets a line of its own.

use std::collections::BTreeSet;

use ipn_receiver::sandbox::environment::{Hint, SandboxEnvironment};
use ipn_receiver::sandbox::pay_api::{Fault, ObjectKind};
use ipn_receiver::sandbox::sns::SignatureVersion;
use serde_json::{Value, json};

use crate::harness::{kafka, post_to, run, until};
use crate::process::{Serve, config_file};

/// A receiver in a process of its own, for its log.
struct Stage {
    environment: SandboxEnvironment,
    serve: Serve,
    url: String,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn of(environment: SandboxEnvironment) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let serve = Serve::start(&config_file(&folder, &environment, &kafka(), ""));
        let url = format!("http://{}/ipn", serve.address("ingress"));
        Self { environment, serve, url, _folder: folder }
    }

    /// The values of a field in the lines with this message, above level debug.
    fn logged(&self, message: &str, field: &str) -> Vec<String> {
        let said = self.serve.said();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines = lines.filter(|line| line["level"] != "DEBUG" && line["level"] != "TRACE");
        let texts = lines.filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with(message)));
        texts.map(|line| line[field].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// Seven bodies that are malformed in seven ways.
fn malformed(genuine: &str) -> Vec<String> {
    let change = |key: &str, value: Value| {
        let mut body: Value = serde_json::from_str(genuine).unwrap();
        body[key] = value;
        body.to_string()
    };
    let mut without_topic: Value = serde_json::from_str(genuine).unwrap();
    without_topic.as_object_mut().unwrap().remove("TopicArn");
    let many: Vec<String> = (0..40).map(|n| format!("\"x{n}\":1,")).collect();
    vec![
        "<xml/>".to_owned(),
        genuine.replacen('{', "{\"Type\":\"Notification\",", 1),
        genuine.replacen('{', &format!("{{{}", many.concat()), 1),
        change("Message", json!(1)),
        without_topic.to_string(),
        change("Type", json!("Other")),
        change("MessageId", json!("7")),
    ]
}

#[test]
fn each_kind_of_malformed_body_gets_a_line() {
    run(async {
        let stage = Stage::of(SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address());
        let genuine = crate::mock_stage::envelope(&stage.environment);
        for _ in 0..3 {
            for body in malformed(&genuine) {
                assert_eq!(post_to(&stage.environment, &stage.url, &body).await.status, 400);
            }
        }
        until("each is logged", || stage.logged("request rejected", "error").len() >= 7).await;
        let errors = stage.logged("request rejected", "error");
        assert_eq!((errors.len(), errors.iter().collect::<BTreeSet<_>>().len()), (7, 7), "{errors:#?}");
        stage.serve.stop();
    });
}

#[test]
fn each_unreadable_object_gets_a_line() {
    run(async {
        let stage = Stage::of(SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address());
        stage.environment.pay_api.set_fault(Some(Fault::Truncated));
        let ids: Vec<String> = (0..10).map(|n| format!("S02-0000001-2222222-C00000{n}")).collect();
        for id in &ids {
            stage.environment.put(
                ObjectKind::Charge,
                ipn_receiver::sandbox::pay_api::charge(id, "C02-0000001-1111111", "1.00", "EUR"),
                "Captured",
                &[],
            );
            let hint = Hint {
                merchant: &stage.environment.merchants[0],
                kind: ObjectKind::Charge,
                id,
                notification_type: "STATE_CHANGE",
            };
            let body = stage.environment.envelope(&hint, SignatureVersion::V2);
            assert_eq!(post_to(&stage.environment, &stage.url, &body).await.status, 200);
        }
        let named = || stage.logged("Amazon Pay's answer about an object cannot be read", "object_id");
        until("each object is named", || named().into_iter().collect::<BTreeSet<_>>().len() == ids.len()).await;
        stage.serve.stop();
    });
}
