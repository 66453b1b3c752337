//! Records of the inbox and of the dead-letter topic that the receiver did not write.

use std::collections::BTreeMap;

use super::raw_producer::append_with_header_name;
use super::{CHARGE, Foreign, PERMISSION, append, captures, dead_letters, garbage, owner, publish_first, state_key};
use crate::commands::Operator;
use crate::harness::{Stage, alter_topic, inbox_records_left, run, silence, until};
use ipn_receiver::sandbox::pay_api::ObjectKind;

#[test]
fn foreign_inbox_records_become_dead_letters_and_stop_nothing() {
    run(async {
        let stage = Stage::new(1, "worker.confirm_reads_after_ms = [100]").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        publish_first(&stage, &app, &mut reader).await;
        let (kafka, topic, merchant) =
            (stage.kafka(), stage.kafka().topics().inbox, stage.environment.merchants[0].clone());
        let mut n = 0;
        for value in garbage().iter().map(|value| Some(&value[..])).chain([None]) {
            for key in [Some(merchant.as_bytes()), None, Some(b"\xff\xfe"), Some(b"")] {
                append(&kafka, Foreign { topic: &topic, partition: Some(owner(&stage)), key, value }).await.unwrap();
                n += 1;
            }
        }
        // A genuine message where another worker may read it.
        let elsewhere = (owner(&stage) + 1) % kafka.partitions;
        let genuine = stage.envelope(ObjectKind::Charge, CHARGE);
        let record = Foreign {
            topic: &topic,
            partition: Some(elsewhere),
            key: Some(merchant.as_bytes()),
            value: Some(genuine.as_bytes()),
        };
        append(&kafka, record).await.unwrap();
        captures(&stage, &app, &mut reader, CHARGE).await;
        until("all are dead letters", || dead_letters(&stage).len() > n).await;
        until("the inbox is processed", || inbox_records_left(&kafka) == 0).await;
        let mut reasons = BTreeMap::new();
        for letter in dead_letters(&stage) {
            *reasons.entry(letter.headers["ipn-dlq-reason"].clone()).or_default() += 1;
        }
        assert_eq!(reasons, BTreeMap::from([("not_understood".to_owned(), n + 1)]));
        silence(&mut reader).await;
        app.stop().await;
    });
}

#[test]
fn header_whose_name_is_no_text_stops_nothing() {
    run(async {
        let stage = Stage::new(1, "worker.confirm_reads_after_ms = [100]").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        publish_first(&stage, &app, &mut reader).await;
        let topics = stage.kafka().topics();
        append_with_header_name(&stage.servers, &topics.inbox, owner(&stage), b"\xff\xfe");
        captures(&stage, &app, &mut reader, CHARGE).await;
        until("it is a dead letter", || dead_letters(&stage).len() == 1).await;
        app.stop().await;
        drop(reader);
        // The next worker reads the events topic.
        append_with_header_name(&stage.servers, &topics.events, 0, b"\xff\xfe");
        let topic = &topics.state;
        let key = state_key(&stage, PERMISSION);
        let damaged = Foreign { topic, partition: Some(owner(&stage)), key: Some(key.as_bytes()), value: Some(b"abc") };
        append(&stage.kafka(), damaged).await.unwrap();
        let app = stage.receiver().await;
        until("the inbox is read again", || inbox_records_left(&stage.kafka()) == 0).await;
        app.stop().await;
    });
}

/// The inbox may take larger records than the dead-letter topic.
#[test]
fn inbox_record_larger_than_a_dead_letter_stops_nothing() {
    run(async {
        let stage = Stage::new(1, "worker.confirm_reads_after_ms = [100]").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        publish_first(&stage, &app, &mut reader).await;
        let (kafka, topic) = (stage.kafka(), stage.kafka().topics().inbox);
        alter_topic(&kafka, &topic, &[("max.message.bytes", "4000000")]).await;
        let large: Vec<u8> = [garbage()[2].clone(), garbage()[2].clone()].concat();
        for (key, value) in [(&b"k"[..], &large[..]), (&large[..], b"v"), (b"k", &large[..1_000_000])] {
            append(
                &kafka,
                Foreign { topic: &topic, partition: Some(owner(&stage)), key: Some(key), value: Some(value) },
            )
            .await
            .unwrap();
        }
        captures(&stage, &app, &mut reader, CHARGE).await;
        until("all are dead letters", || dead_letters(&stage).len() == 3).await;
        for letter in dead_letters(&stage) {
            let detail = &letter.headers["ipn-dlq-detail"];
            assert!(letter.value.len() < 1_000_000 && detail.contains("too large"), "{detail}");
        }
        until("the inbox is processed", || inbox_records_left(&kafka) == 0).await;
        app.stop().await;
    });
}

#[test]
fn foreign_dead_letters_do_not_stop_a_redrive() {
    run(async {
        let stage = Stage::new(1, "worker.unknown_object_retries_ms = []").await;
        let app = stage.receiver().await;
        let (kafka, topic) = (stage.kafka(), stage.kafka().topics().dead_letters);
        for value in garbage().iter().map(|value| Some(&value[..])).chain([None]) {
            for key in [Some(&b"k"[..]), None, Some(b"\xff\xfe")] {
                append(&kafka, Foreign { topic: &topic, partition: None, key, value }).await.unwrap();
            }
        }
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        until("there is a dead letter", || dead_letters(&stage).len() == 19).await;
        let output = Operator::of(&stage).ok("redrive", &["--yes", "--filter", "reason=unknown_object"]);
        assert!(output.contains("appended 1 record"), "{output}");
        until("it is a dead letter again", || dead_letters(&stage).len() == 20).await;
        let output = Operator::of(&stage).ok("redrive", &["--yes"]);
        assert!(output.contains("12 of these would become dead letters again"), "{output}");
        // Six have no value: nothing can be appended.
        assert!(output.contains("6 more cannot be redriven"), "{output}");
        until("all are dead letters again", || dead_letters(&stage).len() == 20 + 12 + 2).await;
        app.stop().await;
    });
}
