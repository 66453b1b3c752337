//! Headers of dead letters and of redriven records: any names, any bytes, names that come twice.
//!
//! Shown: a record can be redriven again and again; each time its count grows by one, its headers do not grow, and the headers
//! of the original stay as they were.
//!
//! An input is one record (`record`), whose value stands for the original.
#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use ipn_receiver::domain::dead_letter::redrive::{DeadLetterRecord, Redriven};
use ipn_receiver::domain::dead_letter::{DeadLetter, DeadLetterReason, Writer};
use ipn_receiver::domain::ipn::routing::Merchants;
use ipn_receiver::domain::record_headers::{DLQ_PREFIX, DLQ_REASON, REDRIVE_COUNT, REDRIVEN_FROM, TRACEPARENT, header};
use ipn_receiver::domain::sns::TopicPolicy;
use ipn_receiver::domain::trace::TraceParent;
use ipn_receiver::domain::work::{InboxPosition, ReadHistory};
use ipn_receiver_fuzz::Corpus;
use ipn_receiver_fuzz::record::Record;
use ipn_receiver_fuzz::stage::{PARTITION, merchants, seconds_after, topics};

ipn_receiver_fuzz::target!(run);

fn run(input: &[u8]) -> Corpus {
    let mut record = Record::of(input);
    if record.value.is_empty() {
        record.value = b"{}".to_vec();
    }
    trace_is_read_or_ignored(&record);
    let own = own_headers(&record.headers);
    let mut count = count_of(&record.headers);
    for n in 0..3 {
        let from = format!("amazonpay.ipn.dlq.v1/1/{n}");
        let Some(redriven) = redriven(record.clone(), &from) else { return Corpus::Keep };
        count = count.saturating_add(1);
        let headers = redriven.headers();
        assert_eq!(header(headers, REDRIVE_COUNT), Some(count.to_string().as_str()));
        assert_eq!(header(headers, REDRIVEN_FROM), Some(from.as_str()));
        assert_eq!((own_headers(headers), headers.len()), (own.clone(), own.len() + 2));
        record = dead_again(&redriven);
    }
    Corpus::Keep
}

fn redriven(record: Record, from: &str) -> Option<Redriven> {
    let Record { key, value, headers } = record;
    let dead = DeadLetterRecord::read(key, value, headers, seconds_after(0));
    Redriven::new(dead, from, &MERCHANTS, &TOPICS)
}

/// The dead letter that the redriven record becomes, as the worker writes it.
fn dead_again(redriven: &Redriven) -> Record {
    let dead_letter = DeadLetter {
        reason: DeadLetterReason::Misrouted,
        detail: "again".to_owned(),
        history: ReadHistory::of_one(seconds_after(0)),
        position: InboxPosition { partition: PARTITION, offset: 42 },
        key: redriven.key().to_vec(),
        value: redriven.value().to_vec(),
        headers: redriven.headers().to_vec(),
    };
    let writer = Writer { inbox: "inbox", instance: "worker", version: "0.0.0", now: seconds_after(1) };
    let own = dead_letter.own_headers(&writer).into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes()));
    let headers: Vec<_> = dead_letter.headers.iter().cloned().chain(own).collect();
    assert_eq!(header(&headers, DLQ_REASON), Some("misrouted"));
    Record { key: dead_letter.key, value: dead_letter.value, headers }
}

/// The headers that no dead letter and no redrive adds.
fn own_headers(headers: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let is_own = |name: &str| !name.starts_with(DLQ_PREFIX) && name != REDRIVEN_FROM && name != REDRIVE_COUNT;
    headers.iter().filter(|(name, _)| is_own(name)).cloned().collect()
}

fn count_of(headers: &[(String, Vec<u8>)]) -> u32 {
    header(headers, REDRIVE_COUNT).and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn trace_is_read_or_ignored(record: &Record) {
    let Some(trace) = header(&record.headers, TRACEPARENT).and_then(TraceParent::parse) else { return };
    assert_eq!(TraceParent::parse(&trace.to_string()), Some(trace));
    assert_eq!(trace.trace_id().len(), 32);
}

static MERCHANTS: LazyLock<Merchants> = LazyLock::new(merchants);
static TOPICS: LazyLock<TopicPolicy> = LazyLock::new(topics);
