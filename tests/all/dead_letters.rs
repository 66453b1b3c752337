//! What can never be published is kept as a dead letter with its reason; nothing else becomes one.

use std::collections::BTreeMap;

use ipn_receiver::config::Kafka;
use ipn_receiver::sandbox::environment::{Hint, message};
use ipn_receiver::sandbox::pay_api::{Fault, ObjectKind, charge};
use ipn_receiver::sandbox::sns::Draft;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use time::OffsetDateTime;

use crate::harness::{Record, Stage, committed_records, events, inbox_records_left, names, run, until};

fn dead_letters(stage: &Stage) -> Vec<Record> {
    committed_records(&stage.kafka(), &stage.kafka().topics().dead_letters)
}

#[test]
fn each_dead_letter_has_its_reason_and_original() {
    run(async {
        let stage = Stage::new(1, "worker.unknown_object_retries_ms = [10, 10, 10, 10]").await;
        let app = stage.receiver().await;
        let merchant = stage.environment.merchants[0].clone();
        let hint = |merchant: &str, id: &str| {
            message(&Hint { merchant, kind: ObjectKind::Charge, id, notification_type: "STATE_CHANGE" })
        };
        let cases = BTreeMap::from([
            ("not_understood", "no IPN".to_owned()),
            ("unknown_merchant", hint("ASTRANGER", "S02-0000000-0000000-C000000")),
            ("misrouted", hint(&merchant, "P02-0000000-0000000-C000000")),
            ("unknown_object", hint(&merchant, "S02-9999999-9999999-C999999")),
        ]);
        let mut originals = BTreeMap::new();
        for (reason, text) in &cases {
            let draft = Draft::new(&stage.environment.topic_arn(&merchant), text, OffsetDateTime::now_utc());
            let body = stage.environment.sns.notification(&draft);
            assert_eq!(stage.post(&app, &body).await.status, 200);
            originals.insert(*reason, body);
        }
        until("all four are dead letters", || dead_letters(&stage).len() >= 4).await;
        let letters = dead_letters(&stage);
        assert_eq!(letters.len(), 4);
        for letter in letters {
            let original = &originals[letter.headers["ipn-dlq-reason"].as_str()];
            assert_eq!(String::from_utf8_lossy(&letter.value), *original);
            assert!(
                letter.headers.contains_key("ipn-sns-message-id"),
                "the original's headers are kept: {:?}",
                letter.headers
            );
            assert!(letter.headers["ipn-dlq-source"].contains(".ipn.inbox.v1/"));
        }
        let reads = stage.environment.pay_api.reads();
        assert_eq!(reads.len(), 5, "five tries for the unknown object and none for the others");
        app.stop().await;
    });
}

#[test]
fn dead_letter_says_when_its_original_expired() {
    run(async {
        let stage = Stage::new(1, "worker.unknown_object_retries_ms = [2000]").await;
        let app = stage.receiver().await;
        stage.post_ipn(&app, ObjectKind::Charge, "S02-9999999-9999999-C999999").await;
        until("its record was passed", || inbox_records_left(&stage.kafka()) == 0).await;
        delete_all_records(&stage.kafka()).await;
        until("there is a dead letter", || !dead_letters(&stage).is_empty()).await;
        let letter = &dead_letters(&stage)[0];
        assert_eq!((letter.headers["ipn-dlq-reason"].as_str(), letter.value.len()), ("unknown_object", 0));
        assert!(letter.headers["ipn-dlq-detail"].contains("the inbox no longer holds the original"), "{letter:?}");
        app.stop().await;
    });
}

async fn delete_all_records(kafka: &Kafka) {
    let mut ends = TopicPartitionList::new();
    for partition in 0..kafka.partitions {
        ends.add_partition_offset(&kafka.topics().inbox, partition, Offset::End).unwrap();
    }
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    admin.delete_records(&ends, &AdminOptions::new()).await.unwrap();
}

#[test]
fn object_that_appears_late_is_published() {
    run(async {
        let stage = Stage::new(1, "worker.unknown_object_retries_ms = [300, 300, 300, 300]").await;
        let app = stage.receiver().await;
        let mut reader = stage.reader();
        let id = "S02-0000001-2222222-C000001";
        stage.post_ipn(&app, ObjectKind::Charge, id).await;
        until("it was asked for in vain", || !stage.environment.pay_api.reads().is_empty()).await;
        stage.environment.put(ObjectKind::Charge, charge(id, "C02-0000001-1111111", "1.00", "EUR"), "Captured", &[]);
        assert_eq!(names(&events(&mut reader, 1).await), ["ChargeCaptured"]);
        assert!(dead_letters(&stage).is_empty());
        app.stop().await;
    });
}

#[test]
fn systemic_errors_never_cause_dead_letters() {
    run(async {
        let stage = Stage::new(1, "worker.systemic_retry_ms = 100\nworker.unknown_object_retries_ms = []").await;
        let app = stage.receiver().await;
        let mut reader = stage.reader();
        let id = "S02-0000001-2222222-C000001";
        stage.environment.put(ObjectKind::Charge, charge(id, "C02-0000001-1111111", "1.00", "EUR"), "Captured", &[]);
        stage.environment.pay_api.set_fault(Some(Fault::Status(500)));
        stage.post_ipn(&app, ObjectKind::Charge, id).await;
        for fault in [Fault::Status(500), Fault::Status(429), Fault::Status(401), Fault::Status(403), Fault::Drop] {
            let n_reads = stage.environment.pay_api.reads().len();
            stage.environment.pay_api.set_fault(Some(fault));
            until("it was asked twice more", || stage.environment.pay_api.reads().len() >= n_reads + 2).await;
        }
        stage.environment.pay_api.set_fault(None);
        assert_eq!(names(&events(&mut reader, 1).await), ["ChargeCaptured"]);
        assert!(dead_letters(&stage).is_empty());
        app.stop().await;
    });
}
