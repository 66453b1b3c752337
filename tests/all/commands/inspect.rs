//! `inspect` shows what the topics hold about one object, in both event modes.

use ipn_receiver::sandbox::pay_api::{Environment, Fault, ObjectKind, charge_permission};
use serde_json::Value;

use super::{CHARGE, Operator, PERMISSION, dead_letters, put_charge, state_of};
use crate::harness::{Stage, events, run, until};

#[test]
fn inspect_shows_state_pending_work_events_and_dead_letters() {
    run(async {
        for mode in ["structured", "binary"] {
            let settings = format!(
                "events.mode = \"{mode}\"\nworker.pending_after_ms = 200\nworker.unknown_object_retries_ms = []"
            );
            let stage = Stage::new(1, &settings).await;
            let app = stage.receiver().await;
            let mut reader = stage.reader();
            stage.environment.put(
                ObjectKind::ChargePermission,
                charge_permission(PERMISSION, "Recurring"),
                "Chargeable",
                &[],
            );
            stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
            until("the charge is a dead letter", || dead_letters(&stage).len() == 1).await;
            put_charge(&stage, CHARGE, "Authorized");
            stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
            events(&mut reader, 2).await;
            put_charge(&stage, CHARGE, "Captured");
            stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
            let last = events(&mut reader, 1).await.remove(0);
            stage.environment.pay_api.set_fault(Some(Fault::Status(503)));
            stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
            until("a read is pending", || state_of(&stage, CHARGE).is_some_and(|state| state["pending"].is_object()))
                .await;

            let operator = Operator::of(&stage);
            let output = operator.ok("inspect", &[CHARGE]);
            for part in [
                "  type:              Charge\n",
                "  merchant:          A0SANDBOXMERCHANT\n",
                "  state:             Captured\n",
                &format!("  charge permission: {PERMISSION}\n"),
                "  pending read:      due",
                " IPN STATE_CHANGE ",
                "events: 2",
                "  Captured    Authorized      ",
                last["id"].as_str().unwrap(),
                last["sequence"].as_str().unwrap().trim_start_matches('0'),
                "dead letters: 1",
                "unknown_object: Amazon Pay answered 404 Not Found (ResourceNotFound), x-amz-pay-request-id ",
                &format!("; read 1 of {CHARGE}"),
            ] {
                assert!(output.contains(part), "{mode}: {part} is missing in\n{output}");
            }
            let since = in_charge_since(&stage);
            assert!(output.contains(&format!("  in charge since:   {since}\n")), "{mode}: {output}");
            let output = operator.ok("inspect", &[PERMISSION]);
            for part in [
                "ChargePermission\n",
                " (Recurring)\n",
                "charges, refunds and disputes: 1",
                &format!("Charge  {CHARGE}"),
                "events: 3",
            ] {
                assert!(output.contains(part), "{mode}: {part} is missing in\n{output}");
            }
            let shown: Value = serde_json::from_str(&operator.ok("inspect", &[CHARGE, "--json"])).unwrap();
            assert_eq!(shown["knownState"][0]["observed"]["state"], "Captured");
            assert_eq!(shown["knownState"][0]["inChargeSince"], since.as_str());
            assert_eq!(
                (shown["events"][1]["id"].clone(), shown["events"].as_array().unwrap().len()),
                (last["id"].clone(), 2)
            );
            assert_eq!(shown["deadLetters"][0]["reason"], "unknown_object");
            app.stop().await;
        }
    });
}

#[test]
fn inspect_shows_why_reads_failed() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        put_charge(&stage, CHARGE, "Captured");
        stage.environment.pay_api.set_fault(Some(Fault::Truncated));
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        until("a failed read is recorded", || {
            state_of(&stage, CHARGE).is_some_and(|state| state["pending"]["attempts"] == 1)
        })
        .await;
        let operator = Operator::of(&stage);
        let output = operator.ok("inspect", &[CHARGE]);
        assert!(output.contains("1 failed reads\n    last failure: 20"), "{output}");
        assert!(output.contains("Amazon Pay answered 200 OK, x-amz-pay-request-id "), "{output}");
        let shown: Value = serde_json::from_str(&operator.ok("inspect", &[CHARGE, "--json"])).unwrap();
        let pending = &shown["knownState"][0]["pending"];
        assert!(pending["lastError"].as_str().is_some_and(|text| text.len() <= 300), "{pending}");
        app.stop().await;
    });
}

/// Since when the only merchant has been in the receiver's charge.
fn in_charge_since(stage: &Stage) -> String {
    let record = state_of(stage, "/__in_charge_since").expect("a worker has started");
    record["since"].as_str().unwrap().to_owned()
}

#[test]
fn unknown_object_exits_with_1_and_names_recheck() {
    run(async {
        let stage = Stage::new(1, "").await;
        put_charge(&stage, CHARGE, "Authorized");
        assert!(stage.environment.pay_api.get(Environment::Sandbox, ObjectKind::Charge, CHARGE).is_some());
        let output = Operator::of(&stage).run("inspect", &[CHARGE]);
        assert_eq!(output.code, 1, "{}", output.out);
        assert!(output.err.contains(&format!("ipn-receiver recheck --merchant MERCHANT {CHARGE}")), "{}", output.err);
    });
}
