//! Records that are well-formed and untrue, by somebody who may write to one topic: the receiver publishes no state that the
//! Amazon Pay API does not say, and prints nothing raw.

use std::time::Duration;

use ipn_receiver::sandbox::pay_api::ObjectKind;
use serde_json::{Value, json};

use super::{CHARGE, Foreign, OTHER, append, append_state, captures, published_before, put, state_key};
use crate::commands::Operator;
use crate::harness::{Stage, committed_records, events, inbox_records_left, run, silence, until};

const SETTINGS: &str = "worker.unknown_object_retries_ms = []";

/// The newest record with this key ending, changed.
fn untrue(stage: &Stage, topic: &str, key_end: &str, change: impl Fn(&mut Value)) -> Vec<u8> {
    let records = committed_records(&stage.kafka(), topic);
    let record = records.iter().rfind(|record| record.key.ends_with(key_end)).expect(key_end);
    let mut value: Value = serde_json::from_slice(&record.value).unwrap();
    change(&mut value);
    serde_json::to_vec(&value).unwrap()
}

/// A message that Amazon did not sign.
fn forged(stage: &Stage) -> String {
    let mut message: Value = serde_json::from_str(&stage.envelope(ObjectKind::Charge, CHARGE)).unwrap();
    message["Signature"] = format!("AAAA{}", message["Signature"].as_str().unwrap()).into();
    message.to_string()
}

#[test]
fn untrue_message_in_the_inbox_publishes_what_amazon_says() {
    run(async {
        let (stage, mut reader) = published_before(SETTINGS).await;
        let (kafka, topic) = (stage.kafka(), stage.kafka().topics().inbox);
        let merchant = stage.environment.merchants[0].clone();
        let forged = forged(&stage);
        for message in [forged.clone(), forged.replace("STATE_CHANGE", "Captured"), forged.replace(CHARGE, OTHER)] {
            let (key, value) = (Some(merchant.as_bytes()), Some(message.as_bytes()));
            append(&kafka, Foreign { topic: &topic, partition: None, key, value }).await.unwrap();
        }
        let app = stage.receiver().await;
        until("they are read", || inbox_records_left(&kafka) == 0).await;
        silence(&mut reader).await;
        captures(&stage, &app, &mut reader, CHARGE).await;
        app.stop().await;
    });
}

#[test]
fn untrue_known_state_invents_no_change() {
    run(async {
        let (stage, mut reader) = published_before(SETTINGS).await;
        let (topic, key) = (stage.kafka().topics().state, state_key(&stage, CHARGE));
        let value = untrue(&stage, &topic, CHARGE, |state| state["observed"]["state"] = "Captured".into());
        append_state(&stage, &key, Some(&value)).await;
        let app = stage.receiver().await;
        put(&stage, CHARGE, "Declined");
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        let event = events(&mut reader, 1).await.remove(0);
        assert_eq!((&event["subject"], &event["data"]["state"]), (&CHARGE.into(), &"Declined".into()));
        assert_eq!(event["data"]["unexpectedTransition"], true, "the known state cannot be true: {event}");
        captures(&stage, &app, &mut reader, OTHER).await;
        app.stop().await;
    });
}

#[test]
fn untrue_event_is_compared_with_nothing_and_printed_escaped() {
    run(async {
        let (stage, mut reader) = published_before(SETTINGS).await;
        let (kafka, topic) = (stage.kafka(), stage.kafka().topics().events);
        let value = untrue(&stage, &topic, super::PERMISSION, |event| {
            event["subject"] = CHARGE.into();
            event["data"]["objectId"] = CHARGE.into();
            event["data"]["state"] = "Captured\u{1b}]52;c;AAAA\u{7}\n\u{202e}".into();
        });
        let (key, value) = (Some(super::PERMISSION.as_bytes()), Some(&value[..]));
        append(&kafka, Foreign { topic: &topic, partition: None, key, value }).await.unwrap();
        reader.next(Duration::from_secs(40)).await.expect("the untrue event");
        let shown = Operator::of(&stage).ok("inspect", &[CHARGE]);
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
        let app = stage.receiver().await;
        captures(&stage, &app, &mut reader, CHARGE).await;
        app.stop().await;
    });
}

#[test]
fn untrue_dead_letter_becomes_no_more_than_a_read() {
    run(async {
        let (stage, mut reader) = published_before(SETTINGS).await;
        let (kafka, topic) = (stage.kafka(), stage.kafka().topics().dead_letters);
        let letters = [forged(&stage), json!({"MessageId": "\u{1b}[31m", "Message": "{}"}).to_string()];
        for letter in &letters {
            append(&kafka, Foreign { topic: &topic, partition: None, key: None, value: Some(letter.as_bytes()) })
                .await
                .unwrap();
        }
        let app = stage.receiver().await;
        let shown = Operator::of(&stage).ok("redrive", &["--yes"]);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        // The marker of its transaction may be left in each partition.
        until("they are read", || inbox_records_left(&kafka) <= letters.len() as i64).await;
        silence(&mut reader).await;
        captures(&stage, &app, &mut reader, CHARGE).await;
        app.stop().await;
    });
}
