//! Answers of Amazon Pay that cannot be written to Kafka.

use ipn_receiver::sandbox::pay_api::{ObjectKind, charge};
use serde_json::{Value, json};

use super::{CHARGE, OTHER, PERMISSION, captures, dead_letters, publish_first};
use crate::harness::{Stage, committed_records, events, inbox_records_left, names, run, silence, until};

fn put_oversize(stage: &Stage, state: &str) {
    let mut object = charge(CHARGE, PERMISSION, "1.00", "EUR");
    object["merchantMetadata"]["merchantReferenceId"] = "x".repeat(1_010_000).into();
    stage.environment.put(ObjectKind::Charge, object, state, &[]);
}

#[test]
fn object_too_large_to_write_holds_back_itself_alone() {
    run(async {
        let stage = Stage::new(1, "worker.confirm_reads_after_ms = [100]\nworker.pending_age_max_h = 0").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        publish_first(&stage, &app, &mut reader).await;
        // Each restore of state begins with a barrier.
        let barriers = || {
            let records = committed_records(&stage.kafka(), &stage.kafka().topics().state);
            records.iter().filter(|record| record.key == "__barrier").count()
        };
        let barriers_before = barriers();
        put_oversize(&stage, "Captured");
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        captures(&stage, &app, &mut reader, OTHER).await;
        until("the inbox is processed", || inbox_records_left(&stage.kafka()) == 0).await;
        let known = || {
            let records = committed_records(&stage.kafka(), &stage.kafka().topics().state);
            let record = records.into_iter().rfind(|record| record.key.ends_with(CHARGE)).unwrap();
            serde_json::from_slice::<Value>(&record.value).unwrap()
        };
        assert_eq!((&known()["observed"]["state"], &known()["pending"]["attempts"]), (&"Authorized".into(), &1.into()));
        until("it is a dead letter", || dead_letters(&stage).len() == 1).await;
        let letter = &dead_letters(&stage)[0];
        assert_eq!(letter.headers["ipn-dlq-reason"], "unwritable");
        let detail = &letter.headers["ipn-dlq-detail"];
        assert!(detail.contains("bytes") && detail.contains("ChargeCaptured"), "{detail}");
        assert_eq!((&known()["observed"]["state"], known().get("pending")), (&"Authorized".into(), None));
        assert!(barriers() <= barriers_before, "the worker never started over");
        // It fits again: published as if nothing had happened.
        captures(&stage, &app, &mut reader, CHARGE).await;
        silence(&mut reader).await;
        app.stop().await;
    });
}

#[test]
fn numeric_time_beyond_the_year_9999_is_no_time() {
    run(async {
        let stage = Stage::new(1, "worker.confirm_reads_after_ms = [100]").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        publish_first(&stage, &app, &mut reader).await;
        let mut object = charge(CHARGE, PERMISSION, "1.00", "EUR");
        object["expirationTimestamp"] = json!(1_767_323_045_000_000_i64);
        stage.environment.put(ObjectKind::Charge, object.clone(), "Captured", &[]);
        object["statusDetails"] =
            json!({"state": "Captured", "reasons": null, "lastUpdatedTimestamp": 1_767_323_045_000_000_i64});
        stage.environment.pay_api.put(ipn_receiver::sandbox::pay_api::Environment::Sandbox, ObjectKind::Charge, object);
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        let published = events(&mut reader, 1).await;
        assert_eq!((names(&published), published[0].get("time")), (vec!["ChargeCaptured".to_owned()], None));
        app.stop().await;
        let app = stage.receiver().await;
        captures(&stage, &app, &mut reader, OTHER).await;
        app.stop().await;
    });
}
