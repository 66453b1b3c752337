//! Records of the state topic and of the events topic that cannot be read.

use serde_json::{Value, json};

use super::{
    CHARGE, Foreign, OTHER, PERMISSION, append, append_state, captures, garbage, owner, publish_first,
    published_before, put, state_key,
};
use crate::harness::{
    Stage, alter_topic, committed_records, events, inbox_records_left, metric, names, run, silence, until,
};
use ipn_receiver::sandbox::pay_api::ObjectKind;

const UNREADABLE: &str = "ipn_receiver_unreadable_records_total";

#[test]
fn unreadable_state_of_an_object_is_rebuilt_from_its_events() {
    run(async {
        let stage = Stage::new(1, "worker.confirm_reads_after_ms = [100]").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        publish_first(&stage, &app, &mut reader).await;
        let more: Vec<String> = (3..7).map(|n| OTHER.replace("C000002", &format!("C00000{n}"))).collect();
        for id in &more {
            put(&stage, id, "Authorized");
            stage.post_ipn(&app, ObjectKind::Charge, id).await;
        }
        events(&mut reader, more.len()).await;
        until("the inbox is processed", || inbox_records_left(&stage.kafka()) == 0).await;
        app.stop().await;
        let topic = stage.kafka().topics().state;
        let damaged = more.iter().map(String::as_str).chain([CHARGE, PERMISSION]);
        let values = garbage();
        for (id, value) in damaged.zip(values.iter().chain(&values)) {
            append_state(&stage, &state_key(&stage, id), Some(value)).await;
        }
        let app = stage.receiver().await;
        assert!(metric(&app, UNREADABLE).await >= 6.0);
        until("the inbox is read again", || inbox_records_left(&stage.kafka()) == 0).await;
        for id in more.iter().map(String::as_str).chain([CHARGE, OTHER]) {
            captures(&stage, &app, &mut reader, id).await;
        }
        app.stop().await;
        let records = committed_records(&stage.kafka(), &topic);
        for id in more.iter().map(String::as_str).chain([CHARGE]) {
            let repaired = records.iter().rfind(|record| record.key.ends_with(id)).unwrap();
            let repaired: Value = serde_json::from_slice(&repaired.value).unwrap();
            assert_eq!(repaired["observed"]["state"], "Captured");
        }
        let app = stage.receiver().await;
        silence(&mut reader).await;
        assert!(records.len() + 2 * 3 >= committed_records(&stage.kafka(), &topic).len(), "it was repaired once");
        app.stop().await;
    });
}

#[test]
fn foreign_records_on_the_state_topic_change_nothing() {
    run(async {
        let (stage, mut reader) = published_before("").await;
        let (kafka, topic) = (stage.kafka(), stage.kafka().topics().state);
        let (right_key, own) = (state_key(&stage, CHARGE), owner(&stage));
        let other = (own + 1) % kafka.partitions;
        let records = committed_records(&kafka, &topic);
        let mut genuine: Value =
            serde_json::from_slice(&records.iter().rfind(|record| record.key == right_key).unwrap().value).unwrap();
        genuine["observed"]["state"] = "Captured".into();
        let genuine = genuine.to_string();
        let of_merchant = format!("{}/sandbox/__in_charge_since", stage.environment.merchants[0]);
        for value in garbage() {
            for (partition, key) in [
                (own, &b"not/a-state-key"[..]),
                (own, b"\xff\xfe"),
                (own, b"__something"),
                (own, b"__complete"),
                (own, of_merchant.as_bytes()),
                (other, right_key.as_bytes()),
            ] {
                let record = Foreign { topic: &topic, partition: Some(partition), key: Some(key), value: Some(&value) };
                append(&kafka, record).await.unwrap();
            }
        }
        for (partition, key) in
            [(own, "not/a-state-key"), (own, &right_key.replace("C000001", "C000009")), (other, &right_key)]
        {
            let record = Foreign {
                topic: &topic,
                partition: Some(partition),
                key: Some(key.as_bytes()),
                value: Some(genuine.as_bytes()),
            };
            append(&kafka, record).await.unwrap();
        }
        let without_key = Foreign { topic: &topic, partition: Some(own), key: None, value: Some(b"abc") };
        assert!(append(&kafka, without_key).await.is_err(), "a compacted topic takes no record without a key");
        alter_topic(&kafka, &topic, &[("cleanup.policy", "delete")]).await;
        append(&kafka, without_key).await.unwrap();
        alter_topic(&kafka, &topic, &[("cleanup.policy", "compact")]).await;
        let app = stage.receiver().await;
        until("the inbox is read again", || inbox_records_left(&stage.kafka()) == 0).await;
        captures(&stage, &app, &mut reader, CHARGE).await;
        captures(&stage, &app, &mut reader, OTHER).await;
        silence(&mut reader).await;
        app.stop().await;
    });
}

#[test]
fn record_of_a_later_release_holds_back_its_object_alone() {
    run(async {
        let (stage, mut reader) = published_before("worker.pending_after_ms = 200").await;
        let (kafka, topic) = (stage.kafka(), stage.kafka().topics().state);
        let key = state_key(&stage, CHARGE);
        let of_charge = || {
            let records = committed_records(&kafka, &topic);
            records.into_iter().rfind(|record| record.key == key).unwrap().value
        };
        let genuine = of_charge();
        let mut later: Value = serde_json::from_slice(&genuine).unwrap();
        (later["version"], later["novel"]) = (2.into(), json!({"of": "a later release"}));
        let later = later.to_string();
        append_state(&stage, &key, Some(later.as_bytes())).await;
        let app = stage.receiver().await;
        put(&stage, CHARGE, "Captured");
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        captures(&stage, &app, &mut reader, OTHER).await;
        silence(&mut reader).await;
        assert!(inbox_records_left(&kafka) > 0, "its IPN waits in the inbox");
        app.stop().await;
        assert_eq!(String::from_utf8(of_charge()).unwrap(), later, "the record of the later release is left alone");
        // The later release, or whoever repairs it, has written a record that this release reads.
        append_state(&stage, &key, Some(&genuine)).await;
        let app = stage.receiver().await;
        let published = events(&mut reader, 1).await;
        assert_eq!((names(&published), &published[0]["subject"]), (vec!["ChargeCaptured".to_owned()], &CHARGE.into()));
        until("the inbox is processed", || inbox_records_left(&kafka) <= 1).await;
        silence(&mut reader).await;
        app.stop().await;
    });
}

#[test]
fn permission_of_a_later_release_holds_back_its_charges() {
    run(async {
        let (stage, mut reader) = published_before("worker.pending_after_ms = 200").await;
        let (kafka, topic) = (stage.kafka(), stage.kafka().topics().state);
        let key = state_key(&stage, PERMISSION);
        let later = br#"{"version":7,"objects":["another format"]}"#;
        append_state(&stage, &key, Some(later)).await;
        let app = stage.receiver().await;
        put(&stage, CHARGE, "Captured");
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        silence(&mut reader).await;
        app.stop().await;
        let records = committed_records(&kafka, &topic);
        assert_eq!(records.iter().rfind(|record| record.key == key).unwrap().value, later);
        // Without a value the permission is unknown to every release, and what waited is published.
        append_state(&stage, &key, None).await;
        let app = stage.receiver().await;
        let published = events(&mut reader, 1).await;
        assert!(
            published.iter().any(|event| event["subject"] == CHARGE)
                || events(&mut reader, 1).await[0]["subject"] == CHARGE
        );
        app.stop().await;
    });
}

#[test]
fn garbage_on_the_events_topic_does_not_stop_a_rebuild() {
    run(async {
        let (stage, _) = published_before("").await;
        let (kafka, topics) = (stage.kafka(), stage.kafka().topics());
        let genuine = committed_records(&kafka, &topics.events)
            .into_iter()
            .find(|record| serde_json::from_slice::<Value>(&record.value).unwrap()["subject"] == CHARGE);
        let mut forged: Value = serde_json::from_slice(&genuine.unwrap().value).unwrap();
        let last_number = "18446744073709551615";
        forged["sequence"] = last_number.into();
        for value in garbage().into_iter().chain([forged.to_string().into_bytes()]) {
            for key in [Some(PERMISSION.as_bytes()), None, Some(b"\xff\xfe")] {
                append(&kafka, Foreign { topic: &topics.events, partition: None, key, value: Some(&value) })
                    .await
                    .unwrap();
            }
        }
        append(&kafka, Foreign { topic: &topics.events, partition: None, key: Some(b"x"), value: None }).await.unwrap();
        append_state(&stage, &state_key(&stage, PERMISSION), Some(b"abc")).await;
        let app = stage.receiver().await;
        put(&stage, CHARGE, "Captured");
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        let captured = || {
            let records = committed_records(&kafka, &topics.events);
            let of_it = |record: &&crate::harness::Record| {
                String::from_utf8_lossy(&record.value).contains(".ChargeCaptured.v1")
            };
            records.iter().filter(of_it).count()
        };
        until("the next change is published", || captured() == 1).await;
        app.stop().await;
    });
}
