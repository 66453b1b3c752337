//! While Amazon Pay answers nothing for a merchant, its reads are held back; notifications are taken all the same.

use std::time::{Duration, Instant};

use ipn_receiver::sandbox::pay_api::{Fault, ObjectKind, charge, charge_permission, dispute};
use serde_json::Value;

use crate::harness::{Stage, admin_page, events, run, until};

async fn pay_api_check(app: &ipn_receiver::app::App) -> (bool, Value) {
    let page: Value = serde_json::from_str(&admin_page(app, "/readyz").await).unwrap();
    let check = page["checks"].as_array().unwrap().iter().find(|check| check["name"] == "pay_api").unwrap().clone();
    (page["ready"] == true, check)
}

#[test]
fn api_outage_is_probed_and_work_completes_afterwards() {
    run(async {
        let settings = "worker.breaker_failures = 3\nworker.breaker_probe_ms = 1000\nworker.systemic_retry_ms = 100";
        let stage = Stage::new(1, settings).await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        let ids: Vec<String> = (0..8).map(|n| format!("S02-5454037-1929856-C00000{n}")).collect();
        for id in &ids {
            stage.environment.put(
                ObjectKind::Charge,
                charge(id, "S02-5454037-1929856", "9.99", "EUR"),
                "Captured",
                &[],
            );
        }
        stage.environment.pay_api.set_fault(Some(Fault::Status(503)));
        for id in &ids {
            assert_eq!(stage.post_ipn(&app, ObjectKind::Charge, id).await.status, 200);
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let (is_ready, check) = pay_api_check(&app).await;
            assert!(is_ready, "notifications are to be taken all the same");
            if check["ok"] == false {
                assert!(check["detail"].as_str().unwrap().contains(&stage.environment.merchants[0]), "{check}");
                break;
            }
            assert!(Instant::now() < deadline, "{check}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // What was under way when it opened comes back; from then on there is one probe a second.
        until("each was tried", || stage.environment.pay_api.reads().len() >= ids.len()).await;
        let (began, before) = (Instant::now(), stage.environment.pay_api.reads().len());
        until("it has probed", || stage.environment.pay_api.reads().len() >= before + 3).await;
        assert!(began.elapsed() > Duration::from_millis(1900), "three probes in {:?}", began.elapsed());

        stage.environment.pay_api.set_fault(None);
        events(&mut reader, ids.len()).await;
        assert_eq!(pay_api_check(&app).await.1["ok"], true);
        app.stop().await;
    });
}

#[test]
fn refusal_of_one_operation_delays_no_other() {
    run(async {
        let settings = "worker.breaker_failures = 3\nworker.breaker_probe_ms = 500\nworker.systemic_retry_ms = 100";
        let stage = Stage::new(1, settings).await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        let [permission_id, charge_id, dispute_id] =
            ["", "-C000001", "-B000002"].map(|suffix| format!("S02-5454037-1929856{suffix}"));
        let put = |kind, object, state| stage.environment.put(kind, object, state, &[]);
        put(ObjectKind::ChargePermission, charge_permission(&permission_id, "OneTime"), "Chargeable");
        let put_charge = |state| put(ObjectKind::Charge, charge(&charge_id, &permission_id, "9.99", "EUR"), state);
        put_charge("Authorized");
        put(ObjectKind::Dispute, dispute(&dispute_id, &charge_id, "9.99", "EUR"), "ActionRequired");
        stage.post_ipn(&app, ObjectKind::Charge, &charge_id).await;
        events(&mut reader, 2).await;

        stage.environment.pay_api.set_object_fault(&dispute_id, Some(Fault::Status(403)));
        stage.post_ipn(&app, ObjectKind::Dispute, &dispute_id).await;
        let held_back = format!("{}/sandbox Dispute", stage.environment.merchants[0]);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !pay_api_check(&app).await.1["detail"].as_str().unwrap().ends_with(&held_back) {
            assert!(Instant::now() < deadline, "{}", pay_api_check(&app).await.1);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        put_charge("Captured");
        stage.post_ipn(&app, ObjectKind::Charge, &charge_id).await;
        assert_eq!(events(&mut reader, 1).await[0]["subject"], charge_id.as_str());
        let metrics = admin_page(&app, "/metrics").await;
        for (operation, is_open) in [("Dispute", 1), ("Charge", 0)] {
            let of_it = |line: &&str| {
                line.starts_with("ipn_receiver_pay_api_breaker_open{") && line.contains(&format!("\"{operation}\""))
            };
            let line = metrics.lines().find(of_it).unwrap_or_else(|| panic!("{metrics}"));
            assert!(line.ends_with(&format!(" {is_open}")), "{line}");
        }

        stage.environment.pay_api.set_object_fault(&dispute_id, None);
        assert_eq!(events(&mut reader, 1).await[0]["subject"], dispute_id.as_str());
        app.stop().await;
    });
}

#[test]
fn api_key_rotates_without_restart() {
    run(async {
        let settings = "pay_api.key_reload_ms = 50\nworker.breaker_probe_ms = 300\nworker.systemic_retry_ms = 100";
        let stage = Stage::new(1, settings).await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        let ids = [1, 2].map(|n| format!("S02-5454037-1929856-C00000{n}"));
        for id in &ids {
            stage.environment.put(
                ObjectKind::Charge,
                charge(id, "S02-5454037-1929856", "9.99", "EUR"),
                "Captured",
                &[],
            );
        }
        stage.post_ipn(&app, ObjectKind::Charge, &ids[0]).await;
        events(&mut reader, 1).await;

        let write_new_key = stage.environment.rotate_key().unwrap();
        stage.post_ipn(&app, ObjectKind::Charge, &ids[1]).await;
        let is_refused = || stage.environment.pay_api.reads().iter().any(|read| read.status == Some(401));
        until("the old key is refused", is_refused).await;
        write_new_key().unwrap();
        events(&mut reader, 1).await;
        app.stop().await;
    });
}
