//! Records and answers that cannot be used: each stops only itself. Everything else is published, once, and the log and a
//! metric name what was set aside.

mod answers;
mod compressions;
mod inbox_records;
mod raw_producer;
mod state_records;
mod untrue_records;

use std::time::Duration;

use ipn_receiver::app::App;
use ipn_receiver::config::Kafka;
use ipn_receiver::domain::pay::MerchantId;
use ipn_receiver::domain::state::partitioner::owning_partition;
use ipn_receiver::sandbox::events::EventReader;
use ipn_receiver::sandbox::pay_api::{ObjectKind, charge, charge_permission};
use rdkafka::config::FromClientConfig as _;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;

use crate::harness::{Stage, committed_records, events, inbox_records_left, names, until};

const PERMISSION: &str = "C02-0000001-1111111";
const CHARGE: &str = "S02-0000001-2222222-C000001";
const OTHER: &str = "S02-0000001-2222222-C000002";

/// A record that the receiver did not write.
#[derive(Clone, Copy)]
struct Foreign<'a> {
    topic: &'a str,
    partition: Option<i32>,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

async fn append(kafka: &Kafka, foreign: Foreign<'_>) -> Result<(), KafkaError> {
    let mut client = kafka.client();
    client.set("partitioner", "murmur2_random").set("message.max.bytes", "10000000");
    let producer: FutureProducer = FutureProducer::from_config(&client).unwrap();
    let record = FutureRecord::<[u8], [u8]>::to(foreign.topic);
    let record = FutureRecord { partition: foreign.partition, key: foreign.key, payload: foreign.value, ..record };
    producer.send(record, Duration::from_secs(10)).await.map(drop).map_err(|(error, _)| error)
}

/// The five kinds of garbage: three bytes, an empty value, 900 KB, JSON of something else, and text that is no UTF-8.
fn garbage() -> Vec<Vec<u8>> {
    // Not compressible, so that a batch is as large on the wire.
    let mut seed = 7_u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    let large = (0..900_000).map(|_| noise()).collect();
    vec![b"abc".to_vec(), Vec::new(), large, br#"{"answer":42}"#.to_vec(), vec![0xff, 0xfe, 0x00]]
}

fn owner(stage: &Stage) -> i32 {
    owning_partition(&MerchantId::parse(&stage.environment.merchants[0]).unwrap(), stage.kafka().partitions)
}

fn state_key(stage: &Stage, id: &str) -> String {
    let key = |record: &crate::harness::Record| record.key.ends_with(id).then(|| record.key.clone());
    let records = committed_records(&stage.kafka(), &stage.kafka().topics().state);
    records.iter().find_map(key).unwrap_or_else(|| panic!("no state record of {id}"))
}

fn put(stage: &Stage, id: &str, state: &str) {
    stage.environment.put(ObjectKind::Charge, charge(id, PERMISSION, "1.00", "EUR"), state, &[]);
}

/// Publishes a charge permission and two charges.
async fn publish_first(stage: &Stage, app: &App, reader: &mut EventReader) -> Vec<Value> {
    let permission = charge_permission(PERMISSION, "Recurring");
    stage.environment.put(ObjectKind::ChargePermission, permission, "Chargeable", &[]);
    for id in [CHARGE, OTHER] {
        put(stage, id, "Authorized");
        stage.post_ipn(app, ObjectKind::Charge, id).await;
    }
    let published = events(reader, 3).await;
    until("the inbox is processed", || inbox_records_left(&stage.kafka()) == 0).await;
    published
}

/// A receiver has published a charge permission and two charges, and has stopped.
async fn published_before(settings: &str) -> (Stage, EventReader) {
    let stage = Stage::new(1, &format!("worker.confirm_reads_after_ms = [100]\n{settings}")).await;
    let mut reader = stage.reader();
    let app = stage.receiver().await;
    publish_first(&stage, &app, &mut reader).await;
    app.stop().await;
    (stage, reader)
}

/// Appends to the state topic, where the records of the merchant are.
async fn append_state(stage: &Stage, key: &str, value: Option<&[u8]>) {
    let topic = &stage.kafka().topics().state;
    let record = Foreign { topic, partition: Some(owner(stage)), key: Some(key.as_bytes()), value };
    append(&stage.kafka(), record).await.unwrap();
}

/// The charge is captured, and that is published once, compared with what was published before.
async fn captures(stage: &Stage, app: &App, reader: &mut EventReader, id: &str) {
    put(stage, id, "Captured");
    stage.post_ipn(app, ObjectKind::Charge, id).await;
    let event = events(reader, 1).await.remove(0);
    assert_eq!(
        (names(std::slice::from_ref(&event)), &event["subject"]),
        (vec!["ChargeCaptured".to_owned()], &id.into())
    );
    assert_eq!(event["data"]["previousState"], "Authorized");
}

fn dead_letters(stage: &Stage) -> Vec<crate::harness::Record> {
    committed_records(&stage.kafka(), &stage.kafka().topics().dead_letters)
}
