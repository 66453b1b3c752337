//! Each change is published exactly once: through duplicates, reordering, restarts and a failed transaction.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use ipn_receiver::app::App;
use ipn_receiver::domain::events::NAMESPACE;
use ipn_receiver::sandbox::environment::Hint;
use ipn_receiver::sandbox::pay_api::{Environment, Fault, ObjectKind, charge, charge_permission};
use ipn_receiver::sandbox::sns::SignatureVersion;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Stage, alter_topic, committed_records, events, inbox_records_left, names, records, run, silence};

struct Object {
    merchant: usize,
    kind: ObjectKind,
    id: String,
    permission: String,
}

/// The states of each round, with the event that reports them.
const CHARGE_ROUNDS: [(&str, &[&str], &str); 3] = [
    ("AuthorizationInitiated", &[], "ChargeAuthorizationInitiated"),
    ("Authorized", &[], "ChargeAuthorized"),
    ("Declined", &["SoftDeclined"], "ChargeDeclined"),
];
const PERMISSION_ROUNDS: [(&str, &[&str], &str); 3] = [
    ("Chargeable", &[], "PermissionChargeable"),
    ("NonChargeable", &["MFAFailed"], "PermissionNonChargeable"),
    ("Closed", &["BuyerClosed"], "PermissionClosed"),
];
const N_IPNS: usize = 500;

fn fifty_objects() -> Vec<Object> {
    let mut objects = Vec::new();
    for n in 0..10 {
        let permission = format!("C02-{n:07}-1111111");
        let merchant = n % 4;
        objects.push(Object {
            merchant,
            kind: ObjectKind::ChargePermission,
            id: permission.clone(),
            permission: permission.clone(),
        });
        for m in 0..4 {
            let id = format!("S02-{n:07}-2222222-C{m:06}");
            objects.push(Object { merchant, kind: ObjectKind::Charge, id, permission: permission.clone() });
        }
    }
    objects
}

impl Object {
    fn round(&self, round: usize) -> (&'static str, &'static [&'static str], &'static str) {
        if self.kind == ObjectKind::Charge { CHARGE_ROUNDS[round] } else { PERMISSION_ROUNDS[round] }
    }

    fn advance(&self, stage: &Stage, round: usize) {
        let (state, reasons, _) = self.round(round);
        let object = match self.kind {
            ObjectKind::Charge => charge(&self.id, &self.permission, "9.99", "EUR"),
            _ => charge_permission(&self.id, "Recurring"),
        };
        stage.environment.put(self.kind, object, state, reasons);
    }

    fn envelope(&self, stage: &Stage, version: SignatureVersion) -> String {
        let hint = Hint {
            merchant: &stage.environment.merchants[self.merchant],
            kind: self.kind,
            id: &self.id,
            notification_type: "STATE_CHANGE",
        };
        stage.environment.envelope(&hint, version)
    }

    /// What the event of this round must be, from the documented tuple and not from the product's code.
    fn expected_id(&self, stage: &Stage, round: usize) -> String {
        let (state, reasons, name) = self.round(round);
        let object = stage.environment.pay_api.get(Environment::Sandbox, self.kind, &self.id).unwrap();
        let basic = object["statusDetails"]["lastUpdatedTimestamp"].as_str().unwrap();
        let part = |range: std::ops::Range<usize>| &basic[range];
        let time = format!(
            "{}-{}-{}T{}:{}:{}.000Z",
            part(0..4),
            part(4..6),
            part(6..8),
            part(9..11),
            part(11..13),
            part(13..15)
        );
        let tuple = json!([stage.environment.merchants[self.merchant], "sandbox", self.id, name, state, reasons, time]);
        Uuid::new_v5(&NAMESPACE, tuple.to_string().as_bytes()).to_string()
    }
}

/// A repeatable shuffle.
fn shuffled<T>(mut items: Vec<T>, seed: u64) -> Vec<T> {
    let mut random = seed;
    for at in (1..items.len()).rev() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(at, (random >> 33) as usize % (at + 1));
    }
    items
}

/// Posts a message as SNS does: again after a 503, which a slow Kafka on a busy machine causes.
async fn deliver(stage: &Stage, app: &App, body: &str) {
    for _ in 0..3 {
        match stage.post(app, body).await.status {
            200 => return,
            status => assert_eq!(status, 503),
        }
    }
    panic!("answered 503 three times");
}

async fn post_all(stage: &Stage, app: &App, bodies: &[String]) {
    for chunk in bodies.chunks(16) {
        futures_util::future::join_all(chunk.iter().map(|body| deliver(stage, app, body))).await;
    }
}

#[test]
fn each_change_is_published_once_in_order_across_a_restart() {
    run(async {
        // Every copy reaches the worker.
        let settings = "worker.confirm_reads_after_ms = [200]\ningress.messages_remembered_max = 0";
        let stage = Stage::new(4, settings).await;
        let objects = fifty_objects();
        let mut reader = stage.reader();
        let mut app = stage.receiver().await;
        let (mut expected, mut published, mut sent): (Vec<String>, Vec<Value>, Vec<String>) =
            (Vec::new(), Vec::new(), Vec::new());
        let mut n_posted = 0;
        for round in 0..3 {
            objects.iter().for_each(|object| object.advance(&stage, round));
            expected.extend(objects.iter().map(|object| object.expected_id(&stage, round)));
            // Two messages of their own for each object, one of them twice, and latecomers of earlier rounds.
            let fresh: Vec<String> = objects
                .iter()
                .flat_map(|object| {
                    [object.envelope(&stage, SignatureVersion::V1), object.envelope(&stage, SignatureVersion::V2)]
                })
                .collect();
            let late = sent.iter().take(if round == 2 { N_IPNS - n_posted - 150 } else { 0 });
            let bodies =
                shuffled(fresh.iter().chain(fresh.iter().step_by(2)).chain(late).cloned().collect(), 42 + round as u64);
            n_posted += bodies.len();
            let (first_half, second_half) = bodies.split_at(bodies.len() / 2);
            if round == 1 {
                // Reads are slow, so the restart finds some under way, some done and some not begun.
                stage.environment.pay_api.set_fault(Some(Fault::Delay(Duration::from_millis(200))));
            }
            post_all(&stage, &app, first_half).await;
            if round == 1 {
                app.stop().await;
                app = stage.receiver().await;
                stage.environment.pay_api.set_fault(None);
            }
            post_all(&stage, &app, second_half).await;
            sent.extend(fresh);
            published.extend(events(&mut reader, objects.len()).await);
        }
        assert_eq!(n_posted, N_IPNS);
        silence(&mut reader).await;

        let mut ids: Vec<String> = published.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        assert_increasing_by_permission(&published);
        ids.sort();
        expected.sort();
        assert_eq!(ids, expected, "each expected event came once, and no other");
        assert!(committed_records(&stage.kafka(), &stage.kafka().topics().dead_letters).is_empty());
        app.stop().await;
        assert_eq!(inbox_records_left(&stage.kafka()), 0, "every record of the inbox was passed");
    });
}

/// The order in which one consumer sees a permission's events is the order of their `sequence`.
fn assert_increasing_by_permission(published: &[Value]) {
    let mut last: HashMap<&str, &str> = HashMap::new();
    for event in published {
        let (permission, sequence) = (event["partitionkey"].as_str().unwrap(), event["sequence"].as_str().unwrap());
        assert_eq!(sequence.len(), 20);
        if let Some(before) = last.insert(permission, sequence) {
            assert!(before < sequence, "{permission}: {before} then {sequence}");
        }
    }
    assert_eq!(last.len(), 10);
}

#[test]
fn rebalances_lose_and_duplicate_nothing() {
    run(async {
        let stage = Stage::new(4, "").await;
        let objects = fifty_objects();
        let mut reader = stage.reader();
        let first = stage.receiver().await;
        stage.environment.pay_api.set_fault(Some(Fault::Delay(Duration::from_millis(100))));
        objects.iter().for_each(|object| object.advance(&stage, 0));
        let bodies: Vec<String> = objects.iter().map(|object| object.envelope(&stage, SignatureVersion::V2)).collect();
        post_all(&stage, &first, &bodies).await;
        let second = stage.receiver().await;
        post_all(&stage, &second, &bodies).await;
        first.stop().await;
        post_all(&stage, &second, &bodies).await;
        stage.environment.pay_api.set_fault(None);
        let published = events(&mut reader, objects.len()).await;
        silence(&mut reader).await;
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        published.iter().for_each(|event| *count.entry(event["subject"].as_str().unwrap()).or_default() += 1);
        assert_eq!((count.len(), count.values().max()), (50, Some(&1)));
        second.stop().await;
    });
}

#[test]
fn failed_transaction_is_invisible_and_retried_once() {
    run(async {
        let stage = Stage::new(1, "").await;
        let kafka = stage.kafka();
        let app = stage.receiver().await;
        limit_event_bytes(&stage, 200).await;
        let mut reader = stage.reader();
        stage.environment.put(
            ObjectKind::ChargePermission,
            charge_permission("C02-0000001-1111111", "Recurring"),
            "Chargeable",
            &[],
        );
        assert_eq!(stage.post_ipn(&app, ObjectKind::ChargePermission, "C02-0000001-1111111").await.status, 200);
        // The event is refused by the broker as too large, so the transaction is thrown away, again and again.
        silence(&mut reader).await;
        limit_event_bytes(&stage, 1_000_000).await;
        assert_eq!(names(&events(&mut reader, 1).await), ["PermissionChargeable"]);
        silence(&mut reader).await;
        app.stop().await;
        let of_object = |isolation| {
            let all = records(&kafka, &kafka.topics().state, isolation);
            all.iter().filter(|record| record.key.ends_with("C02-0000001-1111111")).count()
        };
        let (committed, all) = (of_object("read_committed"), of_object("read_uncommitted"));
        println!("state records of the object: {committed} committed, {all} written");
        assert_eq!(committed, 1);
        assert!(all > committed, "at least one transaction was thrown away after it had written");
    });
}

async fn limit_event_bytes(stage: &Stage, bytes: usize) {
    alter_topic(&stage.kafka(), &stage.kafka().topics().events, &[("max.message.bytes", &bytes.to_string())]).await;
}

#[test]
fn replayed_inbox_publishes_nothing() {
    run(async {
        let stage = Stage::new(1, "worker.confirm_reads_after_ms = [200]").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        let objects: Vec<Object> = fifty_objects().into_iter().filter(|object| object.merchant == 0).collect();
        let mut bodies = Vec::new();
        for round in 0..2 {
            objects.iter().for_each(|object| object.advance(&stage, round));
            let fresh: Vec<String> =
                objects.iter().map(|object| object.envelope(&stage, SignatureVersion::V2)).collect();
            post_all(&stage, &app, &fresh).await;
            bodies.extend(fresh);
            events(&mut reader, objects.len()).await;
        }
        post_all(&stage, &app, &shuffled(bodies, 7)).await;
        silence(&mut reader).await;
        app.stop().await;
        // The same inbox, read from its start by a group that has committed nothing.
        let mut config = stage.config();
        config.kafka.group_id = "another-group".to_owned();
        let app =
            App::start(config, stage.environment.clients().unwrap(), ipn_receiver::kafka::Broker::Real).await.unwrap();
        crate::harness::until("the second group is at work", || app.is_working()).await;
        silence(&mut reader).await;
        app.stop().await;
    });
}
