//! Reconciliation finds changes without an IPN; final objects shrink to a stub and are deleted later.

use ipn_receiver::sandbox::pay_api::{Environment, ObjectKind, charge, charge_permission, with_state};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::harness::{Stage, admin_page, committed_records, events, metric, names, run, silence, until};

const PERMISSION: &str = "C02-0000001-1111111";
const CHARGE: &str = "S02-0000001-2222222-C000001";
const FOUND: &str = "ipn_receiver_missed_ipns_found_total";
/// A day is two seconds.
const FAST: &str = "reconciliation.period_factor = 0.00002";

/// A permission and an authorized charge of it, both published.
async fn stage_with_a_charge(
    settings: &str,
) -> (Stage, ipn_receiver::app::App, ipn_receiver::sandbox::events::EventReader) {
    let stage = Stage::new(1, settings).await;
    stage.environment.put(ObjectKind::ChargePermission, charge_permission(PERMISSION, "Recurring"), "Chargeable", &[]);
    stage.environment.put(ObjectKind::Charge, charge(CHARGE, PERMISSION, "1.00", "EUR"), "Authorized", &[]);
    let mut reader = stage.reader();
    let app = stage.receiver().await;
    assert_eq!(stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await.status, 200);
    assert_eq!(names(&events(&mut reader, 2).await), ["PermissionChargeable", "ChargeAuthorized"]);
    (stage, app, reader)
}

#[test]
fn change_without_ipn_is_found_marked_and_counted() {
    run(async {
        let (stage, app, mut reader) = stage_with_a_charge(FAST).await;
        // Receivers in one process share their metrics; `sweep_tests` counts exactly.
        let found_before = metric(&app, FOUND).await;
        stage.environment.put(ObjectKind::Charge, charge(CHARGE, PERMISSION, "1.00", "EUR"), "Captured", &[]);
        let published = events(&mut reader, 1).await;
        assert_eq!(names(&published), ["ChargeCaptured"]);
        let causes = published[0]["data"]["causes"].as_array().unwrap();
        assert_eq!((causes.len(), &causes[0]["type"]), (1, &json!("RECONCILIATION")), "{causes:?}");
        assert!(causes[0]["timestamp"].is_string());
        // The permission is looked at on and on, and the charge no more.
        let n_reads = || stage.environment.pay_api.reads().len();
        let before = n_reads();
        until("the permission is looked at again", || n_reads() >= before + 2).await;
        let reads = stage.environment.pay_api.reads().split_off(before);
        assert!(reads.iter().all(|read| read.path.contains("chargePermissions")), "{reads:?}");
        let page = admin_page(&app, "/metrics").await;
        let found = page.lines().find(|line| line.starts_with("ipn_receiver_missed_ipns_found_total{")).unwrap();
        assert!(found.contains("environment=\"sandbox\",operation=\"Charge\""), "{found}");
        assert!(metric(&app, FOUND).await > found_before);
        assert!(metric(&app, "ipn_receiver_reconciliation_objects").await >= 1.0);
        assert!(metric(&app, "ipn_receiver_reconciliation_period_seconds").await > 0.0);
        silence(&mut reader).await;
        app.stop().await;
    });
}

#[test]
fn change_during_downtime_is_found_by_next_process() {
    run(async {
        let (stage, app, mut reader) = stage_with_a_charge(FAST).await;
        app.stop().await;
        stage.environment.put(
            ObjectKind::Charge,
            charge(CHARGE, PERMISSION, "1.00", "EUR"),
            "Declined",
            &["SoftDeclined"],
        );
        let app = stage.receiver().await;
        let published = events(&mut reader, 1).await;
        assert_eq!(
            (names(&published), &published[0]["data"]["previousState"]),
            (vec!["ChargeDeclined".to_owned()], &json!("Authorized"))
        );
        assert_eq!(published[0]["data"]["causes"][0]["type"], "RECONCILIATION");
        app.stop().await;
    });
}

#[test]
fn disabled_reconciliation_reads_nothing() {
    run(async {
        let (stage, app, mut reader) = stage_with_a_charge(&format!("{FAST}\nreconciliation.enabled = false")).await;
        stage.environment.put(ObjectKind::Charge, charge(CHARGE, PERMISSION, "1.00", "EUR"), "Captured", &[]);
        let n_reads = stage.environment.pay_api.reads().len();
        silence(&mut reader).await;
        silence(&mut reader).await;
        assert_eq!(stage.environment.pay_api.reads().len(), n_reads);
        // An IPN is worked on as ever.
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        let published = events(&mut reader, 1).await;
        assert_eq!(published[0]["data"]["causes"][0]["type"], "IPN");
        app.stop().await;
    });
}

/// The charge's records in the state topic, oldest first; nothing for a tombstone.
fn records(stage: &Stage) -> Vec<Option<Value>> {
    let records = committed_records(&stage.kafka(), &stage.kafka().topics().state);
    let of_it = records.into_iter().filter(|record| record.key.ends_with(CHARGE));
    of_it.map(|record| serde_json::from_slice(&record.value).ok()).collect()
}

#[test]
fn final_object_becomes_a_stub_and_is_deleted() {
    run(async {
        let settings =
            "worker.stub_after_d = 0.00002\nworker.forget_after_d = 0.0001\nworker.settle_slack_ms = 1000000000";
        let stage = Stage::new(1, settings).await;
        let captured_at = OffsetDateTime::now_utc().unix_timestamp() - 2 * 86_400;
        let body = with_state(charge(CHARGE, PERMISSION, "1.00", "EUR"), "Captured", &[], captured_at);
        stage.environment.pay_api.put(Environment::Sandbox, ObjectKind::Charge, body);
        stage.environment.put(
            ObjectKind::ChargePermission,
            charge_permission(PERMISSION, "Recurring"),
            "Chargeable",
            &[],
        );
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        let is_stub = |record: &Option<Value>| record.as_ref().is_some_and(|state| state["observed"]["stub"] == true);
        assert_eq!(stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await.status, 200);
        let first = events(&mut reader, 2).await;
        assert_eq!(names(&first), ["PermissionChargeable", "ChargeUpdated"]);
        until("it is a stub", || records(&stage).iter().any(is_stub)).await;
        let stub = records(&stage).into_iter().find(is_stub).flatten().unwrap();
        assert_eq!((&stub["observed"]["state"], &stub["version"]), (&json!("Captured"), &json!(1)));
        assert_eq!(stub["observed"]["lastEventId"], first[1]["id"]);
        // A late IPN finds nothing new, and what it saw is known again.
        let n_stubs = records(&stage).iter().filter(|record| is_stub(record)).count();
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        until("it is a stub once more", || records(&stage).iter().filter(|record| is_stub(record)).count() > n_stubs)
            .await;
        silence(&mut reader).await;
        until("it is forgotten", || records(&stage).last() == Some(&None)).await;
        // Later it is first sight again, and so old that it is published as an update.
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        let again = events(&mut reader, 1).await;
        assert_eq!((names(&again), &again[0]["data"]["firstSight"]), (vec!["ChargeUpdated".to_owned()], &json!(true)));
        assert_eq!(again[0]["id"], first[1]["id"], "the same fact has the same id");
        app.stop().await;
    });
}
