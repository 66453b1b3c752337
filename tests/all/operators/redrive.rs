//! Dead letters go back into the inbox, each once, and nothing is told twice.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use ipn_receiver::app::App;
use ipn_receiver::kafka::Broker;
use ipn_receiver::sandbox::environment::{Hint, message};
use ipn_receiver::sandbox::pay_api::ObjectKind;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::{CHARGE, Operator, dead_letters, envelope_with, put_charge, redriven};
use crate::harness::{Stage, committed_records, events, inbox_records_left, names, run, silence, until};

#[test]
fn redriving_everything_tells_nothing_that_was_told_and_what_was_not_is_told_once() {
    run(async {
        let stage = Stage::new(1, "worker.unknown_object_retries_ms = []").await;
        let app = stage.receiver().await;
        let mut reader = stage.reader();
        let ids = ["1", "2", "3"].map(|n| format!("S02-000000{n}-2222222-C000001"));
        for id in &ids {
            stage.tell(&app, ObjectKind::Charge, id).await;
        }
        until("Amazon does not know them", || dead_letters(&stage).len() == 3).await;
        let (told, untold) = ids.split_at(2);
        for id in told {
            put_charge(&stage, id, "Captured");
            stage.tell(&app, ObjectKind::Charge, id).await;
        }
        events(&mut reader, 2).await;

        let operator = Operator::of(&stage);
        put_charge(&stage, &untold[0], "Captured");
        let said = operator.ok("redrive", &["--yes"]);
        assert!(said.contains("to be redriven: 3 dead letters of") && said.contains("appended 3 records"), "{said}");
        let news = events(&mut reader, 1).await;
        assert_eq!(
            (names(&news), &news[0]["subject"]),
            (vec!["ChargeCaptured".to_owned()], &untold[0].as_str().into())
        );
        let said = operator.ok("redrive", &["--yes"]);
        assert!(said.contains(": 0 dead letters") && said.contains("3 more were redriven by this filter"), "{said}");
        let said = operator.ok("redrive", &["--yes", "--again"]);
        assert!(said.contains("appended 3 records"), "{said}");
        // The transaction's marker stands behind the last record and is never consumed.
        until("all are read again", || inbox_records_left(&stage.kafka()) <= 1).await;
        silence(&mut reader).await;
        assert_eq!((redriven(&stage).len(), dead_letters(&stage).len()), (6, 3));
        app.stop().await;
    });
}

#[test]
fn a_letter_of_an_unknown_merchant_is_told_after_the_merchant_was_configured() {
    run(async {
        let mut stage = Stage::new(2, "").await;
        stage.environment.merchant_settings = "topic_owners = [\"A0SANDBOXMERCHANT\"]".to_owned();
        let mut config = stage.config();
        let newcomer = config.merchants.pop().unwrap().merchant.account.merchant_id.to_string();
        let app = App::start(config, stage.environment.clients().unwrap(), Broker::Real).await.unwrap();
        until("the receiver is ready", || app.is_ready() && app.is_working()).await;
        put_charge(&stage, CHARGE, "Captured");
        let hint =
            Hint { merchant: &newcomer, kind: ObjectKind::Charge, id: CHARGE, notification_type: "STATE_CHANGE" };
        let body = envelope_with(&stage, &message(&hint));
        assert_eq!(stage.post(&app, &body).await.status, 200);
        until("nobody knows whose it is", || dead_letters(&stage).len() == 1).await;
        let letter = &dead_letters(&stage)[0];
        assert_eq!(letter.key, "A0SANDBOXMERCHANT", "the topic's owner");
        for header in
            ["ipn-dlq-first-seen-at", "ipn-dlq-cause-count", "ipn-dlq-failed-reads", "ipn-dlq-receiver-version"]
        {
            assert!(letter.headers.contains_key(header), "{:?}", letter.headers);
        }
        app.stop().await;

        let app = stage.receiver().await;
        let mut reader = stage.reader();
        let said = Operator::of(&stage).ok("redrive", &["--yes", "--filter", &format!("merchant={newcomer}")]);
        assert!(said.contains(&newcomer) && said.contains("appended 1 record to"), "{said}");
        let told = events(&mut reader, 1).await;
        assert_eq!(told[0]["source"], format!("/amazonpay/{newcomer}/sandbox"));
        let records = committed_records(&stage.kafka(), &stage.kafka().topics().inbox);
        let again = records.iter().find(|record| record.headers.contains_key("ipn-redriven-from")).unwrap();
        assert_eq!((&again.key, String::from_utf8_lossy(&again.value)), (&newcomer, body.into()));
        assert_eq!(again.headers["ipn-redrive-count"], "1");
        assert!(again.headers.contains_key("ipn-sns-message-id"), "the original's headers are kept");
        app.stop().await;
    });
}

#[test]
fn a_redrive_that_is_killed_half_way_goes_on_and_appends_each_letter_once() {
    run(async {
        // No receiver, or they would become dead letters again.
        let stage = Stage::new(1, "").await;
        for n in 0..30 {
            let original = envelope_with(&stage, &format!("no IPN {n}"));
            write_letter(&stage, &format!("key {n}"), &original, &[]).await;
        }
        let operator = Operator::of(&stage);
        let kill_half_way = async |arguments: &[&str], n_before: usize| {
            let mut child = operator.command("redrive", arguments).stdout(Stdio::null()).spawn().unwrap();
            until("some are appended", || redriven(&stage).len() >= n_before).await;
            child.kill().unwrap();
            child.wait().unwrap();
        };
        for n_before in [3, 8] {
            kill_half_way(&["--yes", "--per-second", "2"], n_before).await;
            assert!(redriven(&stage).len() < 30, "it was killed half-way");
        }
        let said = operator.ok("redrive", &["--yes", "--per-second", "1000"]);
        assert!(said.contains("more were redriven by this filter before"), "{said}");
        assert_eq!(times_appended(&stage), [1; 30]);

        kill_half_way(&["--yes", "--per-second", "2", "--again"], 33).await;
        assert!(redriven(&stage).len() < 60, "it was killed half-way");
        operator.ok("redrive", &["--yes", "--per-second", "1000"]);
        assert_eq!(times_appended(&stage), [2; 30], "a run that starts over is gone on with, too");
    });
}

#[test]
fn of_two_runs_at_once_the_first_is_fenced_and_each_letter_is_appended_once() {
    run(async {
        let stage = Stage::new(1, "").await;
        for n in 0..20 {
            let original = envelope_with(&stage, &format!("no IPN {n}"));
            write_letter(&stage, &format!("key {n}"), &original, &[]).await;
        }
        let operator = Operator::of(&stage);
        let slowly = ["--yes", "--per-second", "2"];
        let first = operator.command("redrive", &slowly).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        until("some are appended", || redriven(&stage).len() >= 3).await;
        operator.ok("redrive", &["--yes", "--per-second", "1000"]);
        let first = first.wait_with_output().unwrap();
        let said = String::from_utf8(first.stderr).unwrap();
        assert!(!first.status.success() && said.contains("goes on from there"), "{said}");
        assert_eq!(times_appended(&stage), [1; 20]);
    });
}

/// How often each letter was appended.
fn times_appended(stage: &Stage) -> Vec<usize> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    redriven(stage).into_iter().for_each(|from| *times.entry(from).or_default() += 1);
    times.into_values().collect()
}

async fn write_letter(stage: &Stage, key: &str, original: &str, headers: &[(&str, &str)]) {
    let producer: FutureProducer = stage.kafka().client().create().unwrap();
    let headers =
        headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
    let topic = stage.kafka().topics().dead_letters;
    let record = FutureRecord::to(&topic).key(key).payload(original).headers(headers);
    producer.send(record, Duration::from_secs(10)).await.unwrap();
}

#[test]
fn a_dry_run_counts_what_the_filter_means_and_appends_nothing() {
    run(async {
        let stage = Stage::new(1, "").await;
        let merchant = &stage.environment.merchants[0];
        let ipn = |id: &str| {
            let hint = Hint { merchant, kind: ObjectKind::Charge, id, notification_type: "STATE_CHANGE" };
            envelope_with(&stage, &message(&hint))
        };
        for (reason, value, at) in [
            ("unknown_object", ipn(CHARGE), "2026-01-01T00:00:00.000Z"),
            ("unknown_object", ipn("S02-0000002-2222222-C000001"), "2026-01-02T00:00:00.000Z"),
            ("not_understood", envelope_with(&stage, "no IPN"), "2026-01-03T00:00:00.000Z"),
            ("vanished", String::new(), "2026-01-04T00:00:00.000Z"),
        ] {
            let mut headers = vec![("ipn-dlq-reason", reason), ("ipn-dlq-written-at", at)];
            headers.extend((reason == "not_understood").then_some(("ipn-redrive-count", "1")));
            write_letter(&stage, merchant, &value, &headers).await;
        }
        let operator = Operator::of(&stage);
        for (arguments, parts) in [
            (
                &[][..],
                &[
                    "3 dead letters",
                    "(everything)",
                    "1 of these would become dead letters again",
                    "1 of these were redriven before and became dead letters again",
                    "1 more cannot be redriven",
                ][..],
            ),
            (&["--filter", "reason=unknown_object"], &["2 dead letters", "(reason=unknown_object)", merchant]),
            (&["--filter", "reason=unknown_object", "--filter", "reason=not_understood"], &["3 dead letters"]),
            (&["--filter", &format!("object={CHARGE}")], &[": 1 dead letter of"]),
            (&["--filter", "merchant=ANOTHER"], &[": 0 dead letters"]),
            (
                &["--since", "2026-01-02T00:00:00Z", "--until", "2026-01-03T00:00:00Z"],
                &[": 1 dead letter of", "since 2026-01-02"],
            ),
        ] {
            let said = operator.ok("redrive", arguments);
            assert!(parts.iter().all(|part| said.contains(part)), "{arguments:?}: {said}");
            let is_dry = said.contains("nothing was appended: this was a dry run; --yes appends them");
            assert_eq!(is_dry, !said.contains(": 0 dead letters"), "{said}");
        }
        let said = operator.run("redrive", &["--filter", "cause=misrouted"]);
        assert!(said.code == 1 && said.err.contains("keys are reason, merchant, object"), "{}", said.err);
        assert!(redriven(&stage).is_empty());
    });
}
