//! The formats of the records that this program writes for itself. Each version that was ever written is a file in
//! `tests/fixtures/records`, is read, and is never changed: topics hold such records for years.
//!
//! When a format is to change: add what is new to [`written`], and see the test fail. If older releases may simply ignore
//! what is new and lose it, nothing more is to be decided than that; otherwise raise the `VERSION` beside the record's type
//! in two releases: one that reads both versions and writes the old one, then one that writes the new one. In both cases
//! `UPDATE_DOCS=1 cargo test --test all records` adds the file of the new form under the name that it has in [`written`]
//! (such as `state-permission.v2`); it never overwrites one. Files of older forms stay, and are read by these tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ipn_receiver::app::App;
use ipn_receiver::domain::dead_letter::{DeadLetter, DeadLetterReason, Story, Writer};
use ipn_receiver::domain::homes::home;
use ipn_receiver::domain::ipn::NotificationType;
use ipn_receiver::domain::pay::{
    Account, Amount, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef, PrivateDigests, Reason, State,
};
use ipn_receiver::domain::recheck_request::Recheck;
use ipn_receiver::domain::state::{KnownState, Observed, VERSION};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::domain::work::{Cause, InboxPosition, Origin, Pending};
use ipn_receiver::inbox::Inbox;
use ipn_receiver::outside::Broker;
use ipn_receiver::sandbox::pay_api::{self, charge, charge_permission, with_state};
use ipn_receiver::state_store::{Mark, StateStore};
use rdkafka::config::FromClientConfig as _;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::harness::{Record, Stage, committed_records, events, inbox_records_left, names, run, silence, until};

const MERCHANT: &str = "A0SANDBOXMERCHANT";
const PERMISSION: &str = "C02-0000001-1111111";
const PENDING_CHARGE: &str = "S02-0000001-1111111-C000001";
const STUB_CHARGE: &str = "S02-0000001-1111111-C000002";
const RECHECKED_CHARGE: &str = "S02-0000001-1111111-C000003";
const BARRIER: &str = "6f9619ff-8b86-4d11-b42d-00c04fc964ff";

/// What is written today, by the name of its file: records that do not depend on a running Kafka.
fn written() -> BTreeMap<&'static str, Value> {
    let value = |json: Vec<u8>| serde_json::from_slice::<Value>(&json).unwrap();
    let state = |state: &KnownState| {
        assert_eq!(state.version, VERSION);
        json!({"key": state.object.state_key(), "headers": {"ipn-barrier": BARRIER}, "value": state})
    };
    let recheck = Recheck {
        object: object(ObjectKind::Charge, RECHECKED_CHARGE),
        seed: false,
        requested_at: at("2026-01-02T03:04:09.000Z"),
    };
    BTreeMap::from([
        ("state-permission.v1", state(&permission())),
        ("state-pending.v1", state(&pending())),
        ("state-stub.v1", state(&stub())),
        ("state-whole.v1", json!({"key": "__whole", "value": Mark::new(0, true)})),
        (
            "inbox-recheck.v1",
            json!({"key": MERCHANT, "headers": {"ipn-schema": "1", "ipn-kind": "recheck"}, "value": value(recheck.to_json())}),
        ),
        ("dead-letter.v1", json!({"headers": dead_letter_headers()})),
    ])
}

/// Every field has a value here: one that is new does not compile until it stands here, too.
fn permission() -> KnownState {
    KnownState {
        version: VERSION,
        object: object(ObjectKind::ChargePermission, PERMISSION),
        observed: Some(Observed {
            state: State::parse("NonChargeable"),
            reasons: vec![Reason {
                reason_code: "PaymentMethodInvalid".to_owned(),
                reason_description: Some("Amazon's own sentence.".to_owned()),
            }],
            last_updated: at("2026-01-01T03:04:05.000Z"),
            charge_permission_id: id(PERMISSION),
            charge_permission_type: Some("Recurring".to_owned()),
            attributes_digest: "0123456789abcdef".to_owned(),
            attribute_revision: 3,
            unconfirmed_digest: Some("fedcba9876543210".to_owned()),
            payment_method_reason: Some("PaymentMethodInvalid".to_owned()),
            captured: Some(Amount::parse("9.99").unwrap()),
            private: Some(PrivateDigests {
                key_id: "00112233445566".to_owned(),
                payment_descriptor: Some("1111111111111111".to_owned()),
                billing_address: Some("2222222222222222".to_owned()),
                shipping_address: Some("3333333333333333".to_owned()),
            }),
            attribute_hint_told: Some(at("2026-01-01T03:04:06.000Z")),
            read_started_at: at("2026-01-01T03:04:07.000Z"),
            last_event_id: Some(Uuid::from_u128(1)),
        }),
        sequence: Some(1_767_236_647_000),
        pending: None,
    }
}

fn pending() -> KnownState {
    let position = InboxPosition { partition: 1, offset: 42 };
    let origins = [
        Origin::Ipn { message_id: Uuid::from_u128(2), notification_type: NotificationType::StateChange, position },
        Origin::Recheck { position, seed: false },
        Origin::Helper { read_for: id(STUB_CHARGE), seed: true },
        Origin::Reconciliation,
    ];
    let causes = origins.map(|origin| Cause { origin, timestamp: at("2026-01-02T03:04:05.000Z") });
    KnownState {
        version: VERSION,
        object: object(ObjectKind::Charge, PENDING_CHARGE),
        observed: None,
        sequence: None,
        pending: Some(Pending {
            causes: causes.into(),
            causes_seen: 4,
            first_seen: at("2026-01-02T03:04:05.100Z"),
            due: at("2026-01-02T03:05:05.000Z"),
            attempts: 2,
            failing_ms: 60_000,
            failed_at: Some(at("2026-01-02T03:04:30.000Z")),
            confirming: true,
        }),
    }
}

fn stub() -> KnownState {
    let observed = Observed {
        state: State::parse("Captured"),
        charge_permission_type: None,
        attribute_revision: 0,
        attribute_hint_told: None,
        ..permission().observed.unwrap()
    };
    let object = object(ObjectKind::Charge, STUB_CHARGE);
    KnownState { version: VERSION, object, observed: Some(observed.stub()), sequence: None, pending: None }
}

fn dead_letter_headers() -> Map<String, Value> {
    let letter = DeadLetter {
        reason: DeadLetterReason::UnknownObject,
        detail: "Amazon Pay answered 404".to_owned(),
        story: Story {
            object: Some(object(ObjectKind::Charge, PENDING_CHARGE)),
            first_seen: Some(at("2026-01-02T03:04:05.100Z")),
            causes_seen: 1,
            attempts: 5,
            failing_for: Duration::from_hours(1),
        },
        position: InboxPosition { partition: 1, offset: 42 },
        key: Vec::new(),
        value: Vec::new(),
        headers: Vec::new(),
    };
    let now = at("2026-01-02T04:04:05.000Z");
    let writer = Writer { inbox: "amazonpay.ipn.inbox.v1", instance: "amazonpay.worker-1", version: "0.1.0", now };
    letter.told(&writer).into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect()
}

fn object(kind: ObjectKind, text: &str) -> ObjectRef {
    let account = Account { merchant_id: MerchantId::parse(MERCHANT).unwrap(), environment: Environment::Sandbox };
    ObjectRef { account, kind, id: id(text) }
}

fn id(text: &str) -> ObjectId {
    ObjectId::parse(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_sns(text).unwrap()
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/records").join(format!("{name}.json"))
}

/// A record as its file has it: `key`, `headers` and `value`, as far as it has them.
fn golden(name: &str) -> Value {
    let text = std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// Every file whose name begins so.
fn goldens(prefix: &str) -> BTreeMap<String, Value> {
    let names = file("").parent().unwrap().read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.filter_map(|name| Some(name.to_str()?.strip_suffix(".json")?.to_owned()));
    names.filter(|name| name.starts_with(prefix)).map(|name| (name.clone(), golden(&name))).collect()
}

#[test]
fn what_is_written_is_the_newest_golden_record() {
    for (name, record) in written() {
        if std::env::var_os("UPDATE_DOCS").is_some() && !file(name).exists() {
            std::fs::write(file(name), format!("{record:#}\n")).unwrap();
        }
        assert_eq!(
            record,
            golden(name),
            "{name}: the format changed; what is to be done stands at the head of {}",
            file!()
        );
    }
}

#[test]
fn every_golden_state_record_is_read_and_one_of_a_later_release_is_refused() {
    let mut n_objects = 0;
    for (name, record) in goldens("state-") {
        let (key, value) = (record["key"].as_str().unwrap(), record["value"].to_string());
        let mut store = StateStore::default();
        store.apply(0, key.as_bytes(), Some(value.as_bytes())).unwrap_or_else(|what| panic!("{name}: {what}"));
        if key.starts_with("__") {
            continue;
        }
        let (_, held) = store.iter().next().unwrap();
        let mut expected = record["value"].clone();
        // What is written back has today's version.
        expected["version"] = VERSION.into();
        assert_eq!(serde_json::to_value(held).unwrap(), expected, "{name} is read as it was written");
        let mut later = record["value"].clone();
        later["version"] = (VERSION + 1).into();
        let refused = store.apply(0, key.as_bytes(), Some(later.to_string().as_bytes())).unwrap_err();
        assert!(refused.contains("is newer than") && refused.contains("run the release that wrote it"), "{refused}");
        n_objects += 1;
    }
    assert!(n_objects >= 3, "{n_objects}");
    for (name, record) in goldens("inbox-recheck") {
        let recheck =
            Recheck::parse(record["value"].to_string().as_bytes()).unwrap_or_else(|what| panic!("{name}: {what}"));
        assert_eq!(recheck.object, object(ObjectKind::Charge, RECHECKED_CHARGE));
    }
}

/// What a record must have in common with its golden one: which headers, which version and kind, which fields.
fn form(key: &str, headers: &BTreeMap<String, String>, value: &Value) -> Value {
    let named = |name: &str| headers.get(name).cloned();
    let mut fields: Vec<&String> = value.as_object().into_iter().flatten().map(|(name, _)| name).collect();
    fields.sort();
    json!({
        "key": key.starts_with("__").then_some(key), "headers": headers.keys().collect::<BTreeSet<_>>(),
        "schema": named("ipn-schema"), "kind": named("ipn-kind"), "version": value["version"], "fields": fields,
    })
}

fn form_of(record: &Record) -> Value {
    form(&record.key, &record.headers, &serde_json::from_slice(&record.value).unwrap_or_default())
}

fn form_of_golden(name: &str) -> Value {
    let record = golden(name);
    let headers = record["headers"].as_object().into_iter().flatten();
    let headers = headers.map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned())).collect();
    let value = &record["value"];
    let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    form(record["key"].as_str().unwrap(), &headers, parsed.as_ref().unwrap_or(value))
}

#[test]
fn what_a_receiver_writes_has_the_form_of_the_golden_records() {
    run(async {
        let stage = Stage::new(1, "").await;
        let kafka = stage.kafka();
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        stage.world.put(
            pay_api::ObjectKind::ChargePermission,
            charge_permission(PERMISSION, "Recurring"),
            "Chargeable",
            &[],
        );
        stage.tell(&app, pay_api::ObjectKind::ChargePermission, PERMISSION).await;
        events(&mut reader, 1).await;
        let recheck = Recheck {
            object: object(ObjectKind::ChargePermission, PERMISSION),
            seed: false,
            requested_at: at("2026-01-02T03:04:09.000Z"),
        };
        Inbox::new(&kafka, 1).unwrap().append_recheck(&recheck).await.unwrap();
        app.stop().await;
        let inbox = committed_records(&kafka, &kafka.topics().inbox);
        let state = committed_records(&kafka, &kafka.topics().state);
        let of = |records: &[Record], is_it: &dyn Fn(&Record) -> bool| {
            form_of(records.iter().find(|record| is_it(record)).unwrap())
        };
        let is_recheck = |record: &Record| record.headers.contains_key("ipn-kind");
        assert_eq!(of(&inbox, &|record| !is_recheck(record)), form_of_golden("inbox-ipn.v1"));
        assert_eq!(of(&inbox, &is_recheck), form_of_golden("inbox-recheck.v1"));
        for (key, name) in
            [("__barrier", "state-barrier.v1"), ("__partitions", "state-partitions.v1"), ("__whole", "state-whole.v1")]
        {
            assert_eq!(of(&state, &|record| record.key == key), form_of_golden(name), "{name}");
        }
        let of_permission = of(&state, &|record| record.key.ends_with(PERMISSION));
        assert_eq!(of_permission["headers"], form_of_golden("state-permission.v1")["headers"]);
    });
}

/// Appends golden records to a topic, to the partition where the merchant lives.
async fn append(stage: &Stage, topic: &str, records: impl IntoIterator<Item = Value>) {
    let kafka = stage.kafka();
    let producer: FutureProducer = FutureProducer::from_config(&kafka.client()).unwrap();
    let partition = home(&MerchantId::parse(MERCHANT).unwrap(), kafka.partitions);
    for record in records {
        let headers = record["headers"].as_object().into_iter().flatten();
        let headers =
            headers.fold(OwnedHeaders::new(), |all, (key, text)| all.insert(Header { key, value: text.as_str() }));
        let value = record["value"].as_str().map_or_else(|| record["value"].to_string(), str::to_owned);
        let key = record["key"].as_str().unwrap();
        let record = FutureRecord::to(topic).key(key).payload(&value).partition(partition).headers(headers);
        producer.send(record, Duration::from_secs(10)).await.unwrap();
    }
}

#[test]
fn a_worker_goes_on_with_what_the_first_release_left_behind() {
    run(async {
        let stage = Stage::new(1, "worker.confirm_after_ms = 100").await;
        assert_eq!(stage.world.merchants, [MERCHANT]);
        let topics = stage.kafka().topics();
        let state = goldens("state-").into_iter().filter(|(name, _)| !name.starts_with("state-partitions"));
        append(&stage, &topics.state, state.map(|(_, record)| record)).await;
        append(&stage, &topics.inbox, goldens("inbox-").into_values()).await;
        let world = &stage.world;
        world.put(pay_api::ObjectKind::ChargePermission, charge_permission(PERMISSION, "Recurring"), "Chargeable", &[]);
        for (id, state) in [(PENDING_CHARGE, "Captured"), (RECHECKED_CHARGE, "Authorized")] {
            world.put(pay_api::ObjectKind::Charge, charge(id, PERMISSION, "1.00", "EUR"), state, &[]);
        }
        // The golden IPN is about a charge that is final since the time in its golden state: late, and no news.
        let final_since = at("2026-01-01T03:04:05.000Z").unix_ms() / 1000;
        let stub = with_state(charge(STUB_CHARGE, PERMISSION, "9.99", "EUR"), "Captured", &[], final_since);
        world.pay_api.put(pay_api::Environment::Sandbox, pay_api::ObjectKind::Charge, stub);
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        stage.tell(&app, pay_api::ObjectKind::ChargePermission, PERMISSION).await;
        let mut told = events(&mut reader, 4).await;
        while let Some(event) = reader.next(Duration::from_secs(3)).await {
            told.push(event);
        }
        let of = |id: &str, name: &str| {
            let found: Vec<&Value> = told
                .iter()
                .filter(|event| event["subject"] == id && event["type"].as_str().unwrap().contains(name))
                .collect();
            assert_eq!(found.len(), 1, "{name} of {id} in {:?}", names(&told));
            found[0]
        };
        let owed = of(PENDING_CHARGE, "ChargeCaptured");
        assert_eq!(
            owed["data"]["causes"][0]["messageId"],
            Uuid::from_u128(2).to_string(),
            "work that was owed is done"
        );
        assert_eq!(of(RECHECKED_CHARGE, "ChargeAuthorized")["data"]["causes"][0]["type"], "RECHECK");
        for name in ["PermissionChargeable", "PaymentMethodUpdated"] {
            let event = of(PERMISSION, name);
            assert_eq!(event["data"]["previousState"], "NonChargeable", "what was told before is known");
            assert!(event["sequence"].as_str().unwrap() > "00000001767236647000");
        }
        assert!(told.iter().all(|event| event["subject"] != STUB_CHARGE), "a late IPN about what is final is no news");
        until("nothing is owed", || inbox_records_left(&stage.kafka()) == 0).await;
        assert!(committed_records(&stage.kafka(), &topics.dead_letters).is_empty());
        app.stop().await;
    });
}

#[test]
fn what_a_later_release_wrote_is_refused_plainly() {
    run(async {
        let stage = Stage::new(1, "").await;
        let topics = stage.kafka().topics();
        let mut later = golden("inbox-ipn.v1");
        later["headers"]["ipn-schema"] = "2".into();
        append(&stage, &topics.inbox, [later]).await;
        let app = stage.receiver().await;
        let letters = || committed_records(&stage.kafka(), &topics.dead_letters);
        until("it is a dead letter", || !letters().is_empty()).await;
        let detail = &letters()[0].headers["ipn-dlq-detail"];
        assert!(detail.contains("version 2 is newer than 1") && detail.contains("then redrive it"), "{detail}");
        app.stop().await;

        let mut later = golden("state-permission.v1");
        later["value"]["version"] = 2.into();
        append(&stage, &topics.state, [later]).await;
        let app = App::start(stage.config(), stage.world.outside(Broker::Real).unwrap()).await.unwrap();
        until("notifications are taken", || app.is_ready()).await;
        stage.tell(&app, pay_api::ObjectKind::ChargePermission, PERMISSION).await;
        silence(&mut stage.reader()).await;
        assert!(!app.is_working(), "it tells nothing of partitions whose state it cannot read");
        app.stop().await;
    });
}
