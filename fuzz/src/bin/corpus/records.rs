//! Records of the receiver's topics: the golden files of every record form, and variants of them.

use std::fs;
use std::path::Path;

use ipn_receiver_fuzz::record::{NEXT, Record};
use serde_json::Value;

use super::Seed;

/// Records of the state topic, each alone and all together.
pub fn states() -> Vec<Seed> {
    let records = golden("state-");
    let mut seeds: Vec<Seed> = records.iter().map(|(name, record)| (name.clone(), record.to_input())).collect();
    let all: Vec<Vec<u8>> = records.iter().map(|(_, record)| record.to_input()).collect();
    seeds.push(("all".to_owned(), all.join(&NEXT)));
    let (_, pending) = records.iter().find(|(name, _)| name.starts_with("state-pending")).expect("a record of work");
    let tombstone = Record { value: vec![], ..pending.clone() };
    seeds.push(("tombstone".to_owned(), [pending.to_input(), tombstone.to_input()].join(&NEXT)));
    let newer = String::from_utf8(pending.value.clone()).unwrap().replace("\"version\":1", "\"version\":2");
    seeds.push(("newer".to_owned(), Record { value: newer.into_bytes(), ..pending.clone() }.to_input()));
    let (_, permission) = records.iter().find(|(name, _)| name.starts_with("state-permission")).expect("a permission");
    seeds
        .extend([u64::MAX, 1 << 53].map(|count| (format!("count-{count}"), with_counts(permission, count).to_input())));
    seeds
}

fn with_counts(record: &Record, count: u64) -> Record {
    let mut state: Value = serde_json::from_slice(&record.value).unwrap();
    state["sequence"] = count.into();
    for field in ["repeats", "attributeRevision", "unconfirmedReads"] {
        state["observed"][field] = count.into();
    }
    state["observed"]["upcoming"]["limitCrossings"] = count.into();
    Record { value: state.to_string().into_bytes(), ..record.clone() }
}

/// Records of the inbox topic.
pub fn inbox() -> Vec<Seed> {
    let mut seeds: Vec<Seed> =
        golden("inbox-").iter().map(|(name, record)| (name.clone(), record.to_input())).collect();
    seeds.extend(golden("inbox-").iter().map(|(name, record)| {
        let later = record.headers.iter().map(|(name, _)| (name.clone(), b"2".to_vec())).collect();
        (format!("newer-{name}"), Record { headers: later, ..record.clone() }.to_input())
    }));
    seeds
}

/// Each record of the inbox as a dead letter.
pub fn dead_letters() -> Vec<Seed> {
    let (_, added) = golden("dead-letter").remove(0);
    let dead = |(name, record): (String, Record)| {
        let headers = [record.headers.clone(), added.headers.clone()].concat();
        (name, Record { headers, ..record }.to_input())
    };
    let mut seeds: Vec<Seed> = golden("inbox-").into_iter().map(dead).collect();
    seeds.push(("without-original".to_owned(), added.to_input()));
    seeds
}

/// Headers of dead letters that were redriven before.
pub fn redriven() -> Vec<Seed> {
    let (_, added) = golden("dead-letter").remove(0);
    [("once", "1"), ("most", "4294967295"), ("negative", "-1"), ("text", "many")]
        .map(|(name, count)| {
            let mut headers = added.headers.clone();
            for (name, value) in [
                ("ipn-redriven-from", "amazonpay.ipn.dlq.v1/1/41"),
                ("ipn-redrive-count", count),
                ("ipn-redrive-count", count),
                ("ipn-schema-version", "1"),
                ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ] {
                headers.push((name.to_owned(), value.into()));
            }
            (name.to_owned(), Record { key: b"A0SANDBOXMERCHANT".to_vec(), value: b"{}".to_vec(), headers }.to_input())
        })
        .to_vec()
}

/// The golden files whose names begin so.
fn golden(prefix: &str) -> Vec<(String, Record)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/records");
    let mut records: Vec<(String, Record)> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.to_owned();
            name.starts_with(prefix).then(|| (name, record(&fs::read(path).unwrap())))
        })
        .collect();
    records.sort_by(|left, right| left.0.cmp(&right.0));
    records
}

fn record(file: &[u8]) -> Record {
    let file: Value = serde_json::from_slice(file).unwrap();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone().into_bytes(),
        Value::Null => vec![],
        other => other.to_string().into_bytes(),
    };
    let headers = file["headers"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value)));
    Record { key: text(&file["key"]), value: text(&file["value"]), headers: headers.collect() }
}
