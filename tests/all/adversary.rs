//! What somebody can do who has a copy of a genuine message.

use ipn_receiver::commands::Exit;
use ipn_receiver::commands::verify::{At, Format, Options, verify_files};
use ipn_receiver::sandbox::pay_api::ObjectKind;
use serde_json::{Value, json};

use crate::harness::{Stage, committed_records, run, until};

const CHARGE: &str = "S02-0000001-2222222-C000001";

/// The signature covers some keys; others, and white space, can be added to a genuine message.
#[test]
fn what_is_added_to_a_genuine_message_is_not_stored() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let mut message: Value = serde_json::from_str(&stage.envelope(ObjectKind::Charge, CHARGE)).unwrap();
        let plain = serde_json::to_vec(&message).unwrap();
        message["UnsubscribeURL"] = json!(format!("https://x/{}", "u".repeat(100_000)));
        message["pad"] = json!("p".repeat(100_000));
        let padded = format!("{}{message}", " ".repeat(50_000));
        assert_eq!(stage.post(&app, &padded).await.status, 200);
        let inbox = || committed_records(&stage.kafka(), &stage.kafka().topics().inbox);
        until("it is stored", || !inbox().is_empty()).await;
        let stored = inbox().remove(0).value;
        assert!(stored.len() <= plain.len(), "{} bytes of {}", stored.len(), padded.len());
        app.stop().await;

        // The record verifies as the message did.
        let folder = tempfile::tempdir().unwrap();
        let stored = String::from_utf8(stored).unwrap();
        for (name, message, expected) in [
            ("stored.json", stored.clone(), Exit::Success),
            ("altered.json", stored.replace("STATE_CHANGE", "STATE_CHANGF"), Exit::No),
        ] {
            let file = folder.path().join(name);
            std::fs::write(&file, message).unwrap();
            let options = Options { files: vec![file], at: At::Now, cert: None, policy: None, format: Format::Text };
            let authorities = stage.environment.cert_authorities().unwrap();
            let mut out = Vec::new();
            let exit = verify_files(&options, authorities, &mut out).await.unwrap();
            assert_eq!(exit, expected, "{}", String::from_utf8_lossy(&out));
        }
    });
}
