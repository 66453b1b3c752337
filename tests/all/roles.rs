//! The roles `ingest` and `worker`: each starts its own part of the receiver and nothing of the other part.

use ipn_receiver::app::App;
use ipn_receiver::config::Role;
use ipn_receiver::kafka::Broker;
use ipn_receiver::sandbox::pay_api::{ObjectKind, charge_permission};
use serde_json::Value;

use crate::harness::{Stage, events, inbox_records_left, names, run, silence, until};

const PERMISSION: &str = "C02-0000001-1111111";

async fn start(stage: &Stage, role: Role, port: u16) -> App {
    let mut config = stage.config();
    config.role = role;
    config.ingress.listen.set_port(port);
    if role == Role::Ingest {
        // The pod of an ingest has no key.
        config.merchants.iter_mut().for_each(|merchant| merchant.credentials = None);
    }
    let app = App::start(config, stage.environment.clients().unwrap(), Broker::Real).await.unwrap();
    until("the receiver is ready", || app.is_ready()).await;
    app
}

async fn checks(app: &App) -> Vec<String> {
    let body = reqwest::get(format!("http://{}/readyz", app.admin_address())).await.unwrap().text().await.unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    let checks = body["checks"].as_array().unwrap();
    checks.iter().map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn ingest_appends_and_worker_publishes() {
    run(async {
        let stage = Stage::new(1, "").await;
        let mut reader = stage.reader();
        let ingest = start(&stage, Role::Ingest, 0).await;
        stage.environment.put(
            ObjectKind::ChargePermission,
            charge_permission(PERMISSION, "Recurring"),
            "Chargeable",
            &[],
        );
        assert_eq!(stage.post_ipn(&ingest, ObjectKind::ChargePermission, PERMISSION).await.status, 200);
        silence(&mut reader).await;
        assert_eq!((inbox_records_left(&stage.kafka()), stage.environment.pay_api.requests().len()), (1, 0));
        assert_eq!(checks(&ingest).await, ["inbox", "lifecycle", "clock"]);
        assert!(!ingest.is_working());

        // The port of the ingest is in use; the worker does not open it.
        let worker = start(&stage, Role::Worker, ingest.ingress_address().port()).await;
        assert_eq!(names(&events(&mut reader, 1).await), ["PermissionChargeable"]);
        assert_eq!(checks(&worker).await, ["lifecycle", "worker", "pay_api", "clock"]);
        ingest.stop().await;
        worker.stop().await;
    });
}
