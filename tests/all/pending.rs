//! Work outlives the process that took it on, and what one read shows is confirmed where Amazon may lag.

use std::time::Duration;

use ipn_receiver::app::App;
use ipn_receiver::kafka::Broker;
use ipn_receiver::sandbox::environment::Hint;
use ipn_receiver::sandbox::pay_api::{
    Environment, Fault, ObjectKind, Request, charge, charge_permission, refund, with_state,
};
use ipn_receiver::sandbox::sns::SignatureVersion;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::harness::{Stage, admin_page, committed_records, events, names, run, silence, until};

const PERMISSION: &str = "C02-0000001-1111111";
const CHARGE: &str = "S02-0000001-2222222-C000001";

fn state_record(stage: &Stage, id: &str) -> Option<Value> {
    let records = committed_records(&stage.kafka(), &stage.kafka().topics().state);
    records
        .iter()
        .rfind(|record| record.key.ends_with(id))
        .and_then(|record| serde_json::from_slice(&record.value).ok())
}

fn put_charge(stage: &Stage, state: &str) {
    stage.environment.put(ObjectKind::Charge, charge(CHARGE, PERMISSION, "1.00", "EUR"), state, &[]);
}

#[test]
fn next_process_completes_pending_work() {
    run(async {
        let stage = Stage::new(1, "worker.pending_after_ms = 200\nworker.systemic_retry_ms = 100").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        put_charge(&stage, "Captured");
        stage.environment.pay_api.set_fault(Some(Fault::Status(503)));
        assert_eq!(stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await.status, 200);
        until("the work is written down", || {
            state_record(&stage, CHARGE).is_some_and(|state| state["pending"]["causesSeen"] == 1)
        })
        .await;
        // Amazon is down, and later notifications are taken all the same.
        assert_eq!(stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await.status, 200);
        until("both causes are written down", || {
            state_record(&stage, CHARGE).is_some_and(|state| state["pending"]["causesSeen"] == 2)
        })
        .await;
        app.stop().await;
        stage.environment.pay_api.set_fault(None);
        let app = stage.receiver().await;
        let published = events(&mut reader, 1).await;
        assert_eq!(names(&published), ["ChargeCaptured"]);
        assert_eq!(published[0]["data"]["causes"].as_array().unwrap().len(), 2);
        until("nothing is owed any more", || {
            state_record(&stage, CHARGE).is_some_and(|state| state.get("pending").is_none())
        })
        .await;
        silence(&mut reader).await;
        app.stop().await;
    });
}

#[test]
fn pending_work_of_removed_merchant_waits_unread_for_its_return() {
    run(async {
        let stage = Stage::new(2, "worker.pending_after_ms = 200\nworker.systemic_retry_ms = 100").await;
        let (mut reader, pay_api) = (stage.reader(), &stage.environment.pay_api);
        let app = stage.receiver().await;
        put_charge(&stage, "Captured");
        pay_api.set_object_fault(CHARGE, Some(Fault::Status(503)));
        assert_eq!(stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await.status, 200);
        let is_pending = || state_record(&stage, CHARGE).is_some_and(|state| state["pending"]["causesSeen"] == 1);
        until("the work is written down", is_pending).await;
        app.stop().await;

        let mut config = stage.config();
        config.merchants.remove(0);
        let n_reads = pay_api.reads().len();
        let app = App::start(config, stage.environment.clients().unwrap(), Broker::Real).await.unwrap();
        until("the receiver is ready", || app.is_ready() && app.is_working()).await;
        silence(&mut reader).await;
        assert_eq!(pay_api.reads().len(), n_reads, "there is no key to read it with");
        let ready = admin_page(&app, "/readyz").await;
        assert!(ready.contains("no reads are held back"), "{ready}");
        app.stop().await;
        assert!(is_pending());

        pay_api.set_object_fault(CHARGE, None);
        let app = stage.receiver().await;
        assert_eq!(names(&events(&mut reader, 1).await), ["ChargeCaptured"]);
        app.stop().await;
    });
}

#[test]
fn lagging_read_is_confirmed_and_then_published() {
    run(async {
        let stage = Stage::new(1, "worker.confirm_reads_after_ms = [500]").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        let long_ago = OffsetDateTime::now_utc().unix_timestamp() - 600;
        let old = with_state(charge(CHARGE, PERMISSION, "1.00", "EUR"), "Authorized", &[], long_ago);
        stage.environment.pay_api.put(Environment::Sandbox, ObjectKind::Charge, old);
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        assert_eq!(names(&events(&mut reader, 1).await), ["ChargeAuthorized"]);
        put_charge(&stage, "Captured"); // only now does the API show what the notification was about
        assert_eq!(names(&events(&mut reader, 1).await), ["ChargeCaptured"]);
        until("the work is settled", || {
            state_record(&stage, CHARGE).is_some_and(|state| state.get("pending").is_none())
        })
        .await;
        let of_the_charge = |read: &&Request| read.path.ends_with(CHARGE);
        assert_eq!(stage.environment.pay_api.reads().iter().filter(of_the_charge).count(), 2);
        app.stop().await;
    });
}

#[test]
fn attribute_changes_are_published_after_confirmation() {
    run(async {
        let stage = Stage::new(1, "worker.confirm_reads_after_ms = [100]").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        stage.environment.put(
            ObjectKind::ChargePermission,
            charge_permission(PERMISSION, "Recurring"),
            "Chargeable",
            &[],
        );
        stage.post_ipn(&app, ObjectKind::ChargePermission, PERMISSION).await;
        events(&mut reader, 1).await;
        let mut object =
            stage.environment.pay_api.get(Environment::Sandbox, ObjectKind::ChargePermission, PERMISSION).unwrap();
        object["limits"]["amountBalance"]["amount"] = json!("90.01");
        stage.environment.pay_api.put(Environment::Sandbox, ObjectKind::ChargePermission, object);
        let hint = Hint {
            merchant: &stage.environment.merchants[0],
            kind: ObjectKind::ChargePermission,
            id: PERMISSION,
            notification_type: "ATTRIBUTE_CHANGE",
        };
        let body = stage.environment.envelope(&hint, SignatureVersion::V2);
        stage.post(&app, &body).await;
        let published = events(&mut reader, 2).await;
        assert_eq!(names(&published), ["PaymentMethodUpdated", "PermissionUpdated"]);
        assert_eq!(published[0]["data"]["evidence"], json!(["attribute_change"]));
        assert_eq!(published[1]["data"]["snapshot"]["limits"]["amountBalance"]["amount"], "90.01");
        silence(&mut reader).await;
        app.stop().await;
    });
}

#[test]
fn refund_waits_for_its_charge() {
    run(async {
        let stage = Stage::new(1, "").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        put_charge(&stage, "Captured");
        let id = "S02-0000001-2222222-R000001";
        stage.environment.put(ObjectKind::Refund, refund(id, CHARGE, "1.00", "EUR"), "Refunded", &[]);
        stage.post_ipn(&app, ObjectKind::Refund, id).await;
        let published = events(&mut reader, 2).await;
        assert_eq!(names(&published), ["ChargeCaptured", "RefundCompleted"]);
        assert_eq!(published[0]["data"]["causes"][0]["type"], "PARENT_READ");
        assert!(
            published
                .iter()
                .all(|event| event["partitionkey"] == PERMISSION && event["data"]["chargePermissionId"] == PERMISSION)
        );
        silence(&mut reader).await;
        app.stop().await;
    });
}

#[test]
fn vanished_object_keeps_its_state() {
    run(async {
        let stage = Stage::new(1, "").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        put_charge(&stage, "Captured");
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        events(&mut reader, 1).await;
        stage.environment.pay_api.remove(Environment::Sandbox, ObjectKind::Charge, CHARGE);
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        until("it is to be asked for again", || {
            state_record(&stage, CHARGE).is_some_and(|state| state["pending"]["attempts"] == 1)
        })
        .await;
        assert_eq!(state_record(&stage, CHARGE).unwrap()["observed"]["state"], "Captured");
        tokio::time::sleep(Duration::from_millis(50)).await;
        silence(&mut reader).await;
        app.stop().await;
    });
}
