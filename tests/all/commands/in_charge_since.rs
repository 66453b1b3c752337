//! `in-charge-since` prints since when each merchant has been in the receiver's charge, and has the worker set another time.

use ipn_receiver::domain::ipn::in_charge_request::SetInChargeSince;
use ipn_receiver::domain::pay::{Account, Environment, MerchantId};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::kafka::inbox::Inbox;

use super::{Operator, dead_letters, state_of};
use crate::harness::{Stage, committed_records, run, until};

const SET: &str = "2026-01-02T03:04:05Z";

#[test]
fn set_time_is_applied_shown_and_kept_after_a_restart() {
    run(async {
        let stage = Stage::new(2, "").await;
        let operator = Operator::of(&stage);
        let output = operator.run("in-charge-since", &[]);
        let nothing = output.out.matches("no worker has started for this merchant").count();
        assert_eq!((output.code, nothing), (1, 2), "{}{}", output.out, output.err);

        let app = stage.receiver().await;
        until("both have a time", || operator.run("in-charge-since", &[]).code == 0).await;
        let (first, second) = (&stage.environment.merchants[0], &stage.environment.merchants[1]);
        let arguments = ["--merchant", first, "--environment", "sandbox", "--set", SET];
        let output = operator.ok("in-charge-since", &arguments);
        assert!(output.contains("this was a dry run. Add --yes to append."), "{output}");
        let output = operator.ok("in-charge-since", &[&arguments[..], &["--yes"]].concat());
        let asked = format!("to be set: {first}/sandbox in charge since 2026-01-02T03:04:05.000Z");
        assert!(output.contains(&asked) && output.contains("appended 1 record to"), "{output}");
        until("the worker has applied it", || is_set(&line(&operator, first))).await;
        assert!(line(&operator, second).ends_with("  no"), "{}", line(&operator, second));
        let shown = operator.ok("in-charge-since", &[]);
        app.stop().await;

        let app = stage.receiver().await;
        assert_eq!(operator.ok("in-charge-since", &[]), shown);
        app.stop().await;
        let own_record = state_of(&stage, &format!("{first}/sandbox/__in_charge_since")).unwrap();
        assert_eq!(own_record["since"], "2026-01-02T03:04:05.000Z");
    });
}

/// What the command prints about a merchant.
fn line(operator: &Operator, merchant: &str) -> String {
    let output = operator.ok("in-charge-since", &[]);
    output.lines().find(|line| line.starts_with(merchant)).expect("each merchant has a line").to_owned()
}

fn is_set(line: &str) -> bool {
    line.contains("  2026-01-02T03:04:05.000Z  at 20")
}

#[test]
fn future_time_and_unknown_merchant_are_refused() {
    run(async {
        let stage = Stage::new(1, "").await;
        let (operator, merchant) = (Operator::of(&stage), stage.environment.merchants[0].as_str());
        for (merchant, environment, time, part) in [
            (merchant, "sandbox", "2999-01-02T03:04:05Z", "--set 2999-01-02T03:04:05.000Z is in the future: it is 20"),
            (merchant, "sandbox", "2026-01-02 03:04", "write a UTC time as 2026-01-02T03:04:05Z"),
            (merchant, "live", SET, "A0SANDBOXMERCHANT/live is not configured; configured merchants: "),
            (merchant, "moon", SET, "write live or sandbox"),
            ("ASTRANGER", "sandbox", SET, "merchant ASTRANGER is not configured; configured merchants: "),
        ] {
            let arguments = ["--merchant", merchant, "--environment", environment, "--set", time, "--yes"];
            let output = operator.run("in-charge-since", &arguments);
            assert!(output.code == 2 && output.err.contains(part), "{arguments:?}: {}", output.err);
        }
        for arguments in [&["--set", SET][..], &["--merchant", merchant], &["--merchant", merchant, "--set", SET]] {
            assert_eq!(operator.run("in-charge-since", arguments).code, 2, "{arguments:?}");
        }
        assert!(committed_records(&stage.kafka(), &stage.kafka().topics().inbox).is_empty());
    });
}

#[test]
fn dead_lettered_request_is_not_redriven_and_redrive_says_so() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let time = Timestamp::parse_written(SET).unwrap();
        let merchant_id = MerchantId::parse("ASTRANGER").unwrap();
        let account = Account { merchant_id, environment: Environment::Sandbox };
        let request = SetInChargeSince { account, since: time, requested_at: time };
        Inbox::new(&stage.kafka(), 1).unwrap().append_in_charge_since(&request).await.unwrap();
        until("it is a dead letter", || dead_letters(&stage).len() == 1).await;
        let output = Operator::of(&stage).ok("redrive", &["--yes"]);
        assert!(
            output.contains("to be redriven: 0 dead letters") && output.contains("run in-charge-since again"),
            "{output}"
        );
        app.stop().await;
    });
}
