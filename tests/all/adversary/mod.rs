//! What somebody can do who has a copy of a genuine message, or nothing but connections.

mod certificates;
mod connections;
mod floods;
mod log_lines;
mod memory_limit;

use std::time::Duration;

use futures_util::future::join_all;
use ipn_receiver::amazon::Clients;
use ipn_receiver::app::App;
use ipn_receiver::clock::Clock;
use ipn_receiver::commands::Exit;
use ipn_receiver::commands::verify::{At, Format, Options, verify_files};
use ipn_receiver::kafka::Broker;
use ipn_receiver::sandbox::pay_api::ObjectKind;
use serde_json::{Value, json};

use crate::harness::{Stage, committed_records, metric, run, until};

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

#[test]
fn copies_of_one_message_are_answered_200_and_stored_once() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let message = stage.envelope(ObjectKind::Charge, CHARGE);
        for _ in 0..10 {
            let copies = join_all((0..100).map(|_| stage.post(&app, &message))).await;
            assert!(copies.iter().all(|answer| answer.status == 200));
        }
        let other = stage.envelope(ObjectKind::Charge, CHARGE);
        assert_eq!(stage.post(&app, &other).await.status, 200);
        let inbox = || committed_records(&stage.kafka(), &stage.kafka().topics().inbox);
        until("the other message is stored", || inbox().len() > 1).await;
        assert_eq!(inbox().len(), 2, "each message once");
        assert!(metric(&app, "ipn_receiver_requests_total").await >= 1001.0);
        app.stop().await;
    });
}

#[test]
fn old_messages_are_stored_at_a_low_rate() {
    run(async {
        let stage = Stage::new(1, "ingress.late_messages_per_s_max = 1").await;
        let clock = Clock::starting_at(Clock::system().now().plus(Duration::from_hours(3)));
        let clients = Clients { clock, ..stage.environment.clients().unwrap() };
        let app = App::start(stage.config(), clients, Broker::Real).await.unwrap();
        let messages: Vec<String> = (0..60).map(|_| stage.envelope(ObjectKind::Charge, CHARGE)).collect();
        let statuses: Vec<u16> =
            join_all(messages.iter().map(|message| stage.post(&app, message))).await.iter().map(|a| a.status).collect();
        let stored = statuses.iter().filter(|status| **status == 200).count();
        // Ten at once, and one a second.
        assert!((10..30).contains(&stored), "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
        app.stop().await;
    });
}
