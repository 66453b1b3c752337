//! `recheck` has the named objects read: as a baseline, or after an outage that lost IPNs.

use ipn_receiver::sandbox::pay_api::{ObjectKind, charge_permission, refund};

use super::{CHARGE, Operator, PERMISSION, put_charge, state_of};
use crate::harness::{Stage, committed_records, events, inbox_records_left, names, run, silence, until};

#[test]
fn change_without_ipn_is_published_after_recheck() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let mut reader = stage.reader();
        put_charge(&stage, CHARGE, "Authorized");
        stage.post_ipn(&app, ObjectKind::Charge, CHARGE).await;
        events(&mut reader, 1).await;
        put_charge(&stage, CHARGE, "Captured"); // and the IPN is lost
        let operator = Operator::of(&stage);
        let recheck = ["--merchant", &stage.environment.merchants[0], CHARGE, "--yes"];
        let output = operator.ok("recheck", &recheck);
        assert!(output.contains("to be read: 1 object of") && output.contains("appended 1 record to"), "{output}");
        let published = events(&mut reader, 1).await;
        assert_eq!(
            (names(&published), &published[0]["data"]["previousState"]),
            (vec!["ChargeCaptured".to_owned()], &"Authorized".into())
        );
        assert_eq!(published[0]["data"]["causes"][0]["type"], "RECHECK");
        operator.ok("recheck", &recheck);
        until("the charge was read again", || inbox_records_left(&stage.kafka()) == 0).await;
        silence(&mut reader).await;
        app.stop().await;
    });
}

#[test]
fn baseline_publishes_nothing_and_later_changes_are_published() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let mut reader = stage.reader();
        let id = "S02-0000001-2222222-R000001";
        put_charge(&stage, CHARGE, "Captured");
        stage.environment.put(
            ObjectKind::ChargePermission,
            charge_permission(PERMISSION, "Recurring"),
            "Chargeable",
            &[],
        );
        stage.environment.put(ObjectKind::Refund, refund(id, CHARGE, "1.00", "EUR"), "RefundInitiated", &[]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ids");
        std::fs::write(&file, format!("# open refunds\n\n  {id}  # listed twice\n{id}\n")).unwrap();
        let (operator, merchant) = (Operator::of(&stage), &stage.environment.merchants[0]);
        let seed = ["--merchant", merchant, "--file", file.to_str().unwrap(), "--seed", "--yes"];
        assert!(operator.ok("recheck", &seed).contains("appended 1 record to"));
        // The worker also reads the refund's charge, and the charge's permission.
        for id in [id, CHARGE, PERMISSION] {
            until("all have a known state", || state_of(&stage, id).is_some_and(|state| state["observed"].is_object()))
                .await;
        }
        silence(&mut reader).await;
        stage.environment.change(ObjectKind::Refund, id, "Refunded", &[]);
        stage.post_ipn(&app, ObjectKind::Refund, id).await;
        let published = events(&mut reader, 1).await;
        assert_eq!(names(&published), ["RefundCompleted"]);
        assert_eq!(published[0]["data"]["previousState"], "RefundInitiated");
        silence(&mut reader).await;
        app.stop().await;
    });
}

#[test]
fn bad_ids_are_rejected_with_a_remedy_and_nothing_is_appended() {
    run(async {
        let stage = Stage::new(2, "").await;
        let (operator, merchant) = (Operator::of(&stage), stage.environment.merchants[0].as_str());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ids");
        std::fs::write(&file, format!("{CHARGE}\n\na/b\nstrange # of unknown type\n")).unwrap();
        let file = file.to_str().unwrap();
        for (code, arguments, parts) in [
            (
                2,
                &["--merchant", "ASTRANGER", CHARGE, "--yes"][..],
                &["merchant ASTRANGER is not configured", "A0SANDBOXMERCHANT/sandbox, A1SANDBOXMERCHANT/sandbox"][..],
            ),
            (
                2,
                &["--merchant", merchant, "P02-0000001-1111111", "--yes"],
                &["A0SANDBOXMERCHANT/live is not configured"],
            ),
            (
                2,
                &["--merchant", merchant, "--file", file, "--yes"],
                &["line 3: \"a/b\" is not an id", "line 4: the form of strange does not show its type; add --type"],
            ),
            (3, &["--merchant", merchant, "--file", "/absent", "--yes"], &["/absent cannot be read"]),
            (2, &["--merchant", merchant], &["no ids were given; add them as arguments, or one per line in --file"]),
            (
                2,
                &["--merchant", merchant, CHARGE, "--type", "order"],
                &["write charge-permission, charge, refund or dispute"],
            ),
        ] {
            let output = operator.run("recheck", arguments);
            assert_eq!(output.code, code, "{arguments:?}: {}", output.err);
            assert!(parts.iter().all(|part| output.err.contains(part)), "{arguments:?}: {}", output.err);
        }
        let output = operator.ok("recheck", &["--merchant", merchant, "strange", "--type", "dispute", "--seed"]);
        assert!(output.contains("Dispute") && output.contains("this was a dry run. Add --yes to append."), "{output}");
        assert!(committed_records(&stage.kafka(), &stage.kafka().topics().inbox).is_empty());
    });
}
