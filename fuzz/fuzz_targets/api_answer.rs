//! Answers of the Amazon Pay API: one or more, as the worker reads them one after the other.
//!
//! Shown: whatever Amazon answers, what the worker writes about it (events in both content modes, known state) can be read
//! back; an answer that comes twice publishes nothing; no text for a log line holds what a body chose.
//!
//! An input is a list of records (`record`): the value is a body, the key its HTTP status if that is not 200.
#![cfg_attr(fuzzing, no_main)]

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use ipn_receiver::amazon::pay_api::{Disposition, cause_of};
use ipn_receiver::domain::events::{
    Attributes, Derivation, Encoded, Event, History, Mode, Permission, PublishedEvent, Reading, Wire, derive,
};
use ipn_receiver::domain::pay::{DigestKey, Edge, FIELD_NAMES, Fetched, FreeText, ObjectKind, ObjectRef};
use ipn_receiver::domain::state::{KnownState, NoticeRules, Observed};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver_fuzz::Corpus;
use ipn_receiver_fuzz::record::Record;
use ipn_receiver_fuzz::stage::{is_restored, object, seconds_after};

ipn_receiver_fuzz::target!(run);

fn run(input: &[u8]) -> Corpus {
    let answers = Record::all_of(input);
    for kind in ObjectKind::ALL {
        let object = object(kind);
        let (mut known, mut history, mut at) = (None, History::default(), seconds_after(0));
        for answer in &answers {
            at = at.plus(Duration::from_hours(1));
            let Some(fetched) = fetched(&object, answer) else { continue };
            known = published(known, &object, &fetched, at, &mut history);
        }
        history.into_known().iter().for_each(is_restored);
    }
    Corpus::Keep
}

/// The object, if the answer is one.
fn fetched(object: &ObjectRef, answer: &Record) -> Option<Fetched> {
    let read = |free_text| {
        let status = status_of(answer).try_into().expect("a status between 100 and 999");
        Disposition::of_answer(object, status, answer.value.clone(), Edge { free_text, ..EDGE.clone() })
    };
    let disposition = read(FreeText::Published);
    assert_eq!(disposition, read(FreeText::Published), "reading is a function of the answer");
    assert_eq!(disposition.as_str(), read(FreeText::Dropped).as_str());
    match disposition {
        Disposition::Fetched(fetched) => {
            assert_eq!(status_of(answer), 200);
            assert!(fetched.unreadable.iter().all(|missed| FIELD_NAMES.contains(&missed.field)));
            Some(*fetched)
        }
        Disposition::NotFound(what) | Disposition::ObjectError(what) | Disposition::Systemic(_, what) => {
            assert!(what.len() <= 300 && !what.chars().any(char::is_control), "{what:?}");
            assert!(cause_of(&what).chars().count() <= 200);
            None
        }
        Disposition::Throttled { .. } => None,
    }
}

fn status_of(answer: &Record) -> u16 {
    let given = std::str::from_utf8(&answer.key).ok().and_then(|text| text.parse().ok());
    given.filter(|status| (100..1000).contains(status)).unwrap_or(200)
}

/// Derives the events of an answer, and returns what is known after it.
fn published(
    known: Option<Observed>,
    object: &ObjectRef,
    fetched: &Fetched,
    at: Timestamp,
    history: &mut History,
) -> Option<Observed> {
    let permission_id = fetched.charge_permission_id.as_ref().unwrap_or(&object.id);
    let permission = Permission::unread(permission_id, fetched.charge_permission_type.as_deref());
    let reading = Reading { notices: NOTICES, ..Reading::of(object, fetched, permission, at) };
    let derivation = derive(known.as_ref(), &reading);
    assert_eq!(derivation, derive(known.as_ref(), &reading), "equal answers have equal events");
    let Derivation::Current { events, observed, attributes } = derivation else {
        assert!(known.is_some(), "nothing can be older than the first answer");
        return known;
    };
    let ids: HashSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), events.len(), "no two events of an answer have the same id");
    let first_sequence = u64::try_from(at.unix_ms()).expect("a time after 1970");
    for (event, sequence) in events.iter().zip(first_sequence..) {
        can_be_read_back(event, sequence, history);
    }
    is_restored(&KnownState { observed: Some((*observed).clone()), ..KnownState::blank(object.clone()) });
    if attributes != Attributes::Unconfirmed {
        let Derivation::Current { events, .. } = derive(Some(&observed), &reading) else {
            panic!("an answer is not older than itself")
        };
        assert!(events.is_empty(), "an answer that comes twice publishes nothing: {events:?}");
    }
    Some(*observed)
}

fn can_be_read_back(event: &Event, sequence: u64, history: &mut History) {
    let [structured, binary] = [Mode::Structured, Mode::Binary].map(|mode| {
        let wire = Wire { type_prefix: "com.example".to_owned(), mode };
        let Encoded { headers, value } = wire.encode(event, sequence);
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_bytes());
        PublishedEvent::read(header, &value).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&value)))
    });
    assert_eq!(structured, binary, "the content mode changes nothing");
    assert_eq!(structured.object, event.object);
    history.add(structured);
}

static EDGE: LazyLock<Edge> = LazyLock::new(|| Edge::strict(DigestKey::derive(b"fuzz")));

const NOTICES: NoticeRules = NoticeRules {
    expiring_before: Duration::from_hours(30 * 24),
    limit_near_percent: 10,
    dispute_deadline_before: Duration::from_hours(3 * 24),
};
