//! Records of the dead-letter topic, as `inspect` and `redrive` read them.
//!
//! Shown: what a redrive appends to the inbox holds the original's value and no header of the dead letter; the worker takes it
//! exactly if the command said so.
//!
//! An input is one record (`record`).
#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use ipn_receiver::domain::dead_letter::redrive::{DeadLetterRecord, Filter, Redriven};
use ipn_receiver::domain::ipn::routing::Merchants;
use ipn_receiver::domain::record_headers::{DLQ_PREFIX, REDRIVEN_FROM, header};
use ipn_receiver::domain::sns::TopicPolicy;
use ipn_receiver::domain::work::InboxPosition;
use ipn_receiver::kafka::inbox::InboxRecord;
use ipn_receiver::worker::intake;
use ipn_receiver_fuzz::Corpus;
use ipn_receiver_fuzz::record::Record;
use ipn_receiver_fuzz::stage::{PARTITION, merchants, seconds_after, topics};

ipn_receiver_fuzz::target!(run);

fn run(input: &[u8]) -> Corpus {
    let original = Record::of(input);
    let read = || {
        let Record { key, value, headers } = original.clone();
        DeadLetterRecord::read(key, value, headers, seconds_after(0))
    };
    let record = read();
    filters_agree(&record);
    let (has_original, is_request) = (record.has_original(), record.is_in_charge_request());
    let is_unroutable = record.is_unroutable(&MERCHANTS);
    let Some(redriven) = Redriven::new(record, FROM, &MERCHANTS, &TOPICS) else {
        assert!(!has_original || is_request, "only an original can be redriven");
        return Corpus::Keep;
    };
    assert!(has_original && !is_request);
    assert_eq!(redriven.value(), original.value);
    assert_eq!(header(redriven.headers(), REDRIVEN_FROM), Some(FROM));
    assert!(redriven.headers().iter().all(|(name, _)| !name.starts_with(DLQ_PREFIX)));
    let is_taken = is_taken(&redriven);
    assert!(is_taken.is_none_or(|is_taken| is_taken != is_unroutable), "the worker disagrees with the command");
    Corpus::Keep
}

/// A record is selected by what it says of itself, and by nothing else.
fn filters_agree(record: &DeadLetterRecord) {
    assert!(Filter::default().accepts(record));
    let written_at = record.written_at();
    assert!(Filter::parse(&[], Some(written_at), None).unwrap().accepts(record));
    assert!(!Filter::parse(&[], None, Some(written_at)).unwrap().accepts(record));
    let own = [("reason", Some(record.reason())), ("merchant", record.merchant()), ("object", record.object())];
    for (key, value) in own {
        let Some(value) = value else { continue };
        // A value that no dead letter of the receiver can have is refused.
        let Ok(filter) = Filter::parse(&[format!("{key}={value}")], None, None) else { continue };
        assert!(filter.accepts(record), "{filter}");
    }
    let other = Filter::parse(&["merchant=A2ANOTHERMERCHANT".to_owned()], None, None).unwrap();
    assert_eq!(other.accepts(record), record.merchant() == Some("A2ANOTHERMERCHANT"));
}

/// Whether the worker reads an object for this record. None if a later release wrote the record.
fn is_taken(redriven: &Redriven) -> Option<bool> {
    let record = InboxRecord {
        position: InboxPosition { partition: PARTITION, offset: 42 },
        appended_at: seconds_after(0),
        key: redriven.key().to_vec(),
        value: redriven.value().to_vec(),
        headers: redriven.headers().to_vec(),
    };
    record.check_schema().ok()?;
    assert!(intake::parse_in_charge_since(&MERCHANTS, &record).is_none(), "such a request is not redriven");
    Some(intake::parse(&MERCHANTS, &record).is_ok())
}

const FROM: &str = "amazonpay.ipn.dlq.v1/1/42";
static MERCHANTS: LazyLock<Merchants> = LazyLock::new(merchants);
static TOPICS: LazyLock<TopicPolicy> = LazyLock::new(topics);
