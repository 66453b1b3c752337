//! `redrive` appends each dead letter to the inbox once, and no event is published twice.

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
fn redrive_publishes_each_unpublished_change_once() {
    run(async {
        let stage = Stage::new(1, "worker.unknown_object_retries_ms = []").await;
        let app = stage.receiver().await;
        let mut reader = stage.reader();
        let ids = ["1", "2", "3"].map(|n| format!("S02-000000{n}-2222222-C000001"));
        for id in &ids {
            stage.post_ipn(&app, ObjectKind::Charge, id).await;
        }
        until("all are dead letters", || dead_letters(&stage).len() == 3).await;
        let (published, unpublished) = ids.split_at(2);
        for id in published {
            put_charge(&stage, id, "Captured");
            stage.post_ipn(&app, ObjectKind::Charge, id).await;
        }
        events(&mut reader, 2).await;

        let operator = Operator::of(&stage);
        put_charge(&stage, &unpublished[0], "Captured");
        let output = operator.ok("redrive", &["--yes"]);
        assert!(
            output.contains("to be redriven: 3 dead letters of") && output.contains("appended 3 records"),
            "{output}"
        );
        let published = events(&mut reader, 1).await;
        assert_eq!(
            (names(&published), &published[0]["subject"]),
            (vec!["ChargeCaptured".to_owned()], &unpublished[0].as_str().into())
        );
        let output = operator.ok("redrive", &["--yes"]);
        assert!(
            output.contains(": 0 dead letters") && output.contains("3 more were redriven by this filter"),
            "{output}"
        );
        let output = operator.ok("redrive", &["--yes", "--again"]);
        assert!(output.contains("appended 3 records"), "{output}");
        // The transaction marker after the last record is never consumed.
        until("all are consumed again", || inbox_records_left(&stage.kafka()) <= 1).await;
        silence(&mut reader).await;
        assert_eq!((redriven(&stage).len(), dead_letters(&stage).len()), (6, 3));
        app.stop().await;
    });
}

#[test]
fn unknown_merchants_ipn_is_published_after_redrive() {
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
        until("the IPN is a dead letter", || dead_letters(&stage).len() == 1).await;
        let record = &dead_letters(&stage)[0];
        assert_eq!(record.key, "A0SANDBOXMERCHANT", "the owner of the topic");
        for header in
            ["ipn-dlq-first-seen-at", "ipn-dlq-cause-count", "ipn-dlq-failed-reads", "ipn-dlq-receiver-version"]
        {
            assert!(record.headers.contains_key(header), "{:?}", record.headers);
        }
        app.stop().await;

        let app = stage.receiver().await;
        let mut reader = stage.reader();
        let output = Operator::of(&stage).ok("redrive", &["--yes", "--filter", &format!("merchant={newcomer}")]);
        assert!(output.contains(&newcomer) && output.contains("appended 1 record to"), "{output}");
        let published = events(&mut reader, 1).await;
        assert_eq!(published[0]["source"], format!("/amazonpay/{newcomer}/sandbox"));
        let records = committed_records(&stage.kafka(), &stage.kafka().topics().inbox);
        let again = records.iter().find(|record| record.headers.contains_key("ipn-redriven-from")).unwrap();
        assert_eq!((&again.key, &again.value), (&newcomer, &records[0].value));
        assert_eq!(again.headers["ipn-redrive-count"], "1");
        assert!(again.headers.contains_key("ipn-sns-message-id"), "the original's headers are kept");
        app.stop().await;
    });
}

#[test]
fn killed_redrive_continues_and_appends_each_dead_letter_once() {
    run(async {
        // Without a receiver, which would turn them into dead letters again.
        let stage = Stage::new(1, "").await;
        for n in 0..30 {
            let original = envelope_with(&stage, &format!("no IPN {n}"));
            write_dead_letter(&stage, &format!("key {n}"), &original, &[]).await;
        }
        let operator = Operator::of(&stage);
        let kill_after = async |arguments: &[&str], n_before: usize| {
            let mut child = operator.command("redrive", arguments).stdout(Stdio::null()).spawn().unwrap();
            until("some are appended", || redriven(&stage).len() >= n_before).await;
            child.kill().unwrap();
            child.wait().unwrap();
        };
        for n_before in [3, 8] {
            kill_after(&["--yes", "--per-second", "2"], n_before).await;
            assert!(redriven(&stage).len() < 30, "the command was killed before its end");
        }
        let output = operator.ok("redrive", &["--yes", "--per-second", "1000"]);
        assert!(output.contains("more were redriven by this filter before"), "{output}");
        assert_eq!(times_appended(&stage), [1; 30]);

        kill_after(&["--yes", "--per-second", "2", "--again"], 33).await;
        assert!(redriven(&stage).len() < 60, "the command was killed before its end");
        operator.ok("redrive", &["--yes", "--per-second", "1000"]);
        assert_eq!(times_appended(&stage), [2; 30], "a run with --again is continued, too");
    });
}

#[test]
fn second_concurrent_redrive_fences_the_first() {
    run(async {
        let stage = Stage::new(1, "").await;
        for n in 0..20 {
            let original = envelope_with(&stage, &format!("no IPN {n}"));
            write_dead_letter(&stage, &format!("key {n}"), &original, &[]).await;
        }
        let operator = Operator::of(&stage);
        let slowly = ["--yes", "--per-second", "2"];
        let first = operator.command("redrive", &slowly).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        until("some are appended", || redriven(&stage).len() >= 3).await;
        operator.ok("redrive", &["--yes", "--per-second", "1000"]);
        let first = first.wait_with_output().unwrap();
        let output = String::from_utf8(first.stderr).unwrap();
        assert!(
            !first.status.success() && output.contains("To continue, run the same command without --again"),
            "{output}"
        );
        assert_eq!(times_appended(&stage), [1; 20]);
    });
}

/// How often each dead letter was appended.
fn times_appended(stage: &Stage) -> Vec<usize> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    redriven(stage).into_iter().for_each(|from| *times.entry(from).or_default() += 1);
    times.into_values().collect()
}

async fn write_dead_letter(stage: &Stage, key: &str, original: &str, headers: &[(&str, &str)]) {
    let producer: FutureProducer = stage.kafka().client().create().unwrap();
    let headers =
        headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
    let topic = stage.kafka().topics().dead_letters;
    let record = FutureRecord::to(&topic).key(key).payload(original).headers(headers);
    producer.send(record, Duration::from_secs(10)).await.unwrap();
}

#[test]
fn dry_run_counts_the_filter_matches_and_appends_nothing() {
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
            write_dead_letter(&stage, merchant, &value, &headers).await;
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
            let output = operator.ok("redrive", arguments);
            assert!(parts.iter().all(|part| output.contains(part)), "{arguments:?}: {output}");
            let is_dry = output.contains("Nothing was appended: this was a dry run. Add --yes to append.");
            assert_eq!(is_dry, !output.contains(": 0 dead letters"), "{output}");
        }
        let output = operator.run("redrive", &["--filter", "cause=misrouted"]);
        assert!(output.code == 2 && output.err.contains("keys are reason, merchant, object"), "{}", output.err);
        assert!(redriven(&stage).is_empty());
    });
}
