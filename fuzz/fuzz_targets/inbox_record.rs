//! Records of the inbox topic, as the worker consumes them: IPNs, the requests of operators, foreign ones.
//!
//! Shown: a record asks for the read of an object of a configured merchant, sets its time in charge, or becomes a dead letter
//! with short headers; what it asks for can be stored as pending work.
//!
//! An input is one record (`record`).
#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use ipn_receiver::domain::dead_letter::{DeadLetter, DeadLetterReason, Writer};
use ipn_receiver::domain::ipn::routing::Merchants;
use ipn_receiver::domain::record_headers::DLQ_PREFIX;
use ipn_receiver::domain::state::KnownState;
use ipn_receiver::domain::work::{Cause, DroppedRecords, InboxPosition, Pending, ReadHistory};
use ipn_receiver::kafka::inbox::InboxRecord;
use ipn_receiver::worker::intake::{self, Intake, IntakeError};
use ipn_receiver_fuzz::Corpus;
use ipn_receiver_fuzz::record::Record;
use ipn_receiver_fuzz::stage::{MERCHANT, PARTITION, account, is_restored, merchants, seconds_after};

ipn_receiver_fuzz::target!(run);

fn run(input: &[u8]) -> Corpus {
    let Record { key, value, headers } = Record::of(input);
    let position = InboxPosition { partition: PARTITION, offset: 42 };
    let record = InboxRecord { position, appended_at: seconds_after(0), key, value, headers };
    match intake::parse_in_charge_since(&MERCHANTS, &record) {
        Some(Ok(request)) => {
            assert_eq!((request.account, record.key.as_slice()), (account(), MERCHANT.as_bytes()));
            assert!(request.since <= request.requested_at);
            return Corpus::Keep;
        }
        Some(Err(error)) => {
            becomes_a_dead_letter(record, error);
            return Corpus::Keep;
        }
        None => {}
    }
    match intake::parse(&MERCHANTS, &record) {
        Ok(intake) => asks_for_a_read(&record, intake),
        Err(error) => becomes_a_dead_letter(record, error),
    }
    Corpus::Keep
}

fn asks_for_a_read(record: &InboxRecord, intake: Intake) {
    let Intake { object, cause, claimed_permission } = intake;
    assert_eq!((&object.account, record.key.as_slice()), (&account(), MERCHANT.as_bytes()));
    assert_eq!(cause.position(), Some(record.position));
    assert_eq!(cause.is_ipn(), cause.trace_id().is_some(), "each IPN has a trace");
    let causes = vec![cause];
    let claimed = Cause::claimed_permission(&causes, &object.id);
    assert!(claimed.is_none() || claimed == claimed_permission, "{claimed:?}");
    let pending = Pending {
        causes,
        dropped: DroppedRecords::default(),
        causes_seen: 1,
        first_seen: record.appended_at,
        newest_seen: None,
        evidence_seen: None,
        due: record.appended_at,
        attempts: 0,
        failing_ms: 0,
        failed_at: None,
        last_error: None,
        confirming: false,
    };
    is_restored(&KnownState { pending: Some(pending), ..KnownState::blank(object) });
}

fn becomes_a_dead_letter(record: InboxRecord, error: IntakeError) {
    let IntakeError { reason, detail } = error;
    assert!(DeadLetterReason::ALL.contains(&reason) && !detail.is_empty());
    let InboxRecord { position, key, value, headers, appended_at } = record;
    let history = ReadHistory::of_one(appended_at);
    let dead_letter = DeadLetter { reason, detail, history, position, key, value, headers };
    let writer = Writer { inbox: "inbox", instance: "worker", version: "0.0.0", now: appended_at };
    for (name, text) in dead_letter.own_headers(&writer) {
        assert!(name.starts_with(DLQ_PREFIX) && text.len() <= 1024, "{name}: {text}");
    }
}

static MERCHANTS: LazyLock<Merchants> = LazyLock::new(merchants);
