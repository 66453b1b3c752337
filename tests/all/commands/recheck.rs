//! Objects that an operator names are read: a baseline, or what an outage swallowed.

use ipn_receiver::sandbox::pay_api::{ObjectKind, charge_permission, refund};

use super::{CHARGE, Operator, PERMISSION, put_charge, state_of};
use crate::harness::{Stage, committed_records, events, inbox_records_left, names, run, silence, until};

#[test]
fn a_change_that_no_notification_told_of_is_told_after_a_recheck() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let mut reader = stage.reader();
        put_charge(&stage, CHARGE, "Authorized");
        stage.tell(&app, ObjectKind::Charge, CHARGE).await;
        events(&mut reader, 1).await;
        put_charge(&stage, CHARGE, "Captured"); // and its notification is lost
        let operator = Operator::of(&stage);
        let recheck = ["--merchant", &stage.environment.merchants[0], CHARGE, "--yes"];
        let said = operator.ok("recheck", &recheck);
        assert!(said.contains("to be read: 1 object of") && said.contains("appended 1 record to"), "{said}");
        let told = events(&mut reader, 1).await;
        assert_eq!(
            (names(&told), &told[0]["data"]["previousState"]),
            (vec!["ChargeCaptured".to_owned()], &"Authorized".into())
        );
        assert_eq!(told[0]["data"]["causes"][0]["type"], "RECHECK");
        operator.ok("recheck", &recheck);
        until("it was read again", || inbox_records_left(&stage.kafka()) == 0).await;
        silence(&mut reader).await;
        app.stop().await;
    });
}

#[test]
fn a_baseline_is_taken_down_without_events_and_a_later_change_is_told_with_the_state_before() {
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
        std::fs::write(&file, format!("# open refunds\n\n  {id}  # asked for twice\n{id}\n")).unwrap();
        let (operator, merchant) = (Operator::of(&stage), &stage.environment.merchants[0]);
        let seed = ["--merchant", merchant, "--file", file.to_str().unwrap(), "--seed", "--yes"];
        assert!(operator.ok("recheck", &seed).contains("appended 1 record to"));
        // The refund leads to its charge, and that to its permission.
        for id in [id, CHARGE, PERMISSION] {
            until("all are known", || state_of(&stage, id).is_some_and(|state| state["observed"].is_object())).await;
        }
        silence(&mut reader).await;
        stage.environment.change(ObjectKind::Refund, id, "Refunded", &[]);
        stage.tell(&app, ObjectKind::Refund, id).await;
        let told = events(&mut reader, 1).await;
        assert_eq!(names(&told), ["RefundCompleted"]);
        assert_eq!(told[0]["data"]["previousState"], "RefundInitiated");
        silence(&mut reader).await;
        app.stop().await;
    });
}

#[test]
fn what_cannot_be_read_is_refused_with_what_to_do_and_nothing_is_appended_unasked() {
    run(async {
        let stage = Stage::new(2, "").await;
        let (operator, merchant) = (Operator::of(&stage), stage.environment.merchants[0].as_str());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ids");
        std::fs::write(&file, format!("{CHARGE}\n\na/b\nstrange # what is this\n")).unwrap();
        let file = file.to_str().unwrap();
        for (arguments, parts) in [
            (
                &["--merchant", "ASTRANGER", CHARGE, "--yes"][..],
                &["merchant ASTRANGER is not configured", "A0SANDBOXMERCHANT/sandbox, A1SANDBOXMERCHANT/sandbox"][..],
            ),
            (&["--merchant", merchant, "P02-0000001-1111111", "--yes"], &["A0SANDBOXMERCHANT/live is not configured"]),
            (
                &["--merchant", merchant, "--file", file, "--yes"],
                &["line 3: \"a/b\" is no id", "line 4: the form of strange does not tell what it is; add --type"],
            ),
            (&["--merchant", merchant, "--file", "/absent", "--yes"], &["/absent cannot be read"]),
            (&["--merchant", merchant], &["no ids were given; name them, or list them in --file"]),
            (
                &["--merchant", merchant, CHARGE, "--type", "order"],
                &["write charge-permission, charge, refund or dispute"],
            ),
        ] {
            let said = operator.run("recheck", arguments);
            assert!(said.code != 0 && parts.iter().all(|part| said.err.contains(part)), "{arguments:?}: {}", said.err);
        }
        let said = operator.ok("recheck", &["--merchant", merchant, "strange", "--type", "dispute", "--seed"]);
        assert!(said.contains("Dispute") && said.contains("this was a dry run; --yes appends them"), "{said}");
        assert!(committed_records(&stage.kafka(), &stage.kafka().topics().inbox).is_empty());
    });
}
