//! The formats of the records that this program writes for itself. Each version that was ever written is a file in
//! `tests/fixtures/records`, is read, and is never changed: topics hold such records for years.
//!
//! When a format is to change: add what is new to `forms.rs`, and see the test fail. If older releases may simply ignore
//! what is new and lose it, nothing more is to be decided than that; otherwise raise the `VERSION` beside the record's type
//! in two releases: one that reads both versions and writes the old one, then one that writes the new one. In both cases
//! `UPDATE_DOCS=1 cargo test --test all records` adds the file of the new form under the name that it has there
//! (such as `state-permission.v2`); it never overwrites one. Files of older forms stay, and are read by these tests.

mod forms;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ipn_receiver::domain::ipn::recheck_request::Recheck;
use ipn_receiver::domain::pay::{MerchantId, ObjectKind};
use ipn_receiver::domain::state::VERSION;
use ipn_receiver::domain::state::partitioner::owning_partition;
use ipn_receiver::kafka::inbox::Inbox;
use ipn_receiver::kafka::state_store::StateStore;
use ipn_receiver::sandbox::pay_api::{self, charge, charge_permission, with_state};
use rdkafka::config::FromClientConfig as _;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use uuid::Uuid;

use self::forms::{MERCHANT, PENDING_CHARGE, PERMISSION, RECHECKED_CHARGE, STUB_CHARGE, at, object, written};
use crate::harness::{Record, Stage, committed_records, events, inbox_records_left, names, run, silence, until};

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
fn written_records_match_the_newest_golden_files() {
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
fn golden_state_records_are_read_and_newer_ones_rejected() {
    let mut n_objects = 0;
    for (name, record) in goldens("state-") {
        let (key, value) = (record["key"].as_str().unwrap(), record["value"].to_string());
        let mut store = StateStore::default();
        store.apply(0, key.as_bytes(), Some(value.as_bytes())).unwrap_or_else(|what| panic!("{name}: {what}"));
        if key.contains("__") {
            continue;
        }
        let (_, held) = store.iter().next().unwrap();
        let mut expected = record["value"].clone();
        // What is written back has today's version.
        expected["version"] = VERSION.into();
        assert_eq!(serde_json::to_value(held).unwrap(), expected, "{name} is read as it was written");
        let mut later = record["value"].clone();
        later["version"] = (VERSION + 1).into();
        let refused = store.apply(0, key.as_bytes(), Some(later.to_string().as_bytes())).unwrap_err().to_string();
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
        "schema": named("ipn-schema-version"), "kind": named("ipn-record-kind"), "version": value["version"], "fields": fields,
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
fn running_receiver_writes_the_golden_forms() {
    run(async {
        let stage = Stage::new(1, "").await;
        let kafka = stage.kafka();
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        stage.environment.put(
            pay_api::ObjectKind::ChargePermission,
            charge_permission(PERMISSION, "Recurring"),
            "Chargeable",
            &[],
        );
        // The first record of a process has the certificate, the second one does not.
        for _ in 0..2 {
            stage.post_ipn(&app, pay_api::ObjectKind::ChargePermission, PERMISSION).await;
        }
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
        let is_recheck = |record: &Record| record.headers.contains_key("ipn-record-kind");
        let has_cert = |record: &Record| record.headers.contains_key("ipn-signing-cert");
        assert_eq!(of(&inbox, &|record| !is_recheck(record) && !has_cert(record)), form_of_golden("inbox-ipn.v1"));
        assert_eq!(of(&inbox, &has_cert), form_of_golden("inbox-ipn-signing-cert.v1"));
        assert_eq!(of(&inbox, &is_recheck), form_of_golden("inbox-recheck.v1"));
        for (key, name) in [
            ("__barrier", "state-barrier.v1"),
            ("__partition_count", "state-partition-count.v1"),
            ("__complete", "state-complete.v1"),
        ] {
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
    let partition = owning_partition(&MerchantId::parse(MERCHANT).unwrap(), kafka.partitions);
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
fn worker_continues_from_first_release_records() {
    run(async {
        let stage = Stage::new(1, "worker.confirm_reads_after_ms = [100]").await;
        assert_eq!(stage.environment.merchants, [MERCHANT]);
        let topics = stage.kafka().topics();
        let state = goldens("state-").into_iter().filter(|(name, _)| !name.starts_with("state-partition-count"));
        append(&stage, &topics.state, state.map(|(_, record)| record)).await;
        append(&stage, &topics.inbox, goldens("inbox-").into_values()).await;
        let environment = &stage.environment;
        environment.put(
            pay_api::ObjectKind::ChargePermission,
            charge_permission(PERMISSION, "Recurring"),
            "Chargeable",
            &[],
        );
        for (id, state) in [(PENDING_CHARGE, "Captured"), (RECHECKED_CHARGE, "Authorized")] {
            environment.put(pay_api::ObjectKind::Charge, charge(id, PERMISSION, "1.00", "EUR"), state, &[]);
        }
        // The golden IPN names a charge that is final since the time in its golden state: late, and without a change.
        let final_since = at("2026-01-01T03:04:05.000Z").unix_ms() / 1000;
        let stub = with_state(charge(STUB_CHARGE, PERMISSION, "9.99", "EUR"), "Captured", &[], final_since);
        environment.pay_api.put(pay_api::Environment::Sandbox, pay_api::ObjectKind::Charge, stub);
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        stage.post_ipn(&app, pay_api::ObjectKind::ChargePermission, PERMISSION).await;
        let mut published = events(&mut reader, 4).await;
        while let Some(event) = reader.next(Duration::from_secs(3)).await {
            published.push(event);
        }
        let of = |id: &str, name: &str| {
            let found: Vec<&Value> = published
                .iter()
                .filter(|event| event["subject"] == id && event["type"].as_str().unwrap().contains(name))
                .collect();
            assert_eq!(found.len(), 1, "{name} of {id} in {:?}", names(&published));
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
            assert_eq!(event["data"]["previousState"], "NonChargeable", "the published state is known");
            assert!(event["sequence"].as_str().unwrap() > "00000001767236647000");
        }
        assert!(
            published.iter().all(|event| event["subject"] != STUB_CHARGE),
            "a late IPN about a final object publishes nothing"
        );
        until("nothing is owed", || inbox_records_left(&stage.kafka()) == 0).await;
        assert!(committed_records(&stage.kafka(), &topics.dead_letters).is_empty());
        app.stop().await;
    });
}

#[test]
fn records_of_a_later_release_are_rejected() {
    run(async {
        let stage = Stage::new(1, "").await;
        let topics = stage.kafka().topics();
        let mut later = golden("inbox-ipn.v1");
        later["headers"]["ipn-schema-version"] = "2".into();
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
        let app = stage.receiver().await;
        stage.post_ipn(&app, pay_api::ObjectKind::ChargePermission, PERMISSION).await;
        silence(&mut stage.reader()).await;
        assert_eq!(inbox_records_left(&stage.kafka()), 1, "the IPN of an object whose state it cannot read waits");
        app.stop().await;
    });
}
