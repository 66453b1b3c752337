//! Records of the events topic, from which lost state is rebuilt: the receiver's events in both content modes, other events.
//!
//! Shown: what is rebuilt can be written and read again; the order of events decides, and an event that comes twice changes
//! nothing; anything else in the topic is left out.
//!
//! An input is a list of records (`record`).
#![cfg_attr(fuzzing, no_main)]

use std::collections::BTreeMap;

use ipn_receiver::domain::events::{History, PublishedEvent, decode};
use ipn_receiver::domain::pay::ObjectRef;
use ipn_receiver::domain::record_headers::header;
use ipn_receiver::domain::state::KnownState;
use ipn_receiver::domain::state::in_charge::InCharge;
use ipn_receiver_fuzz::Corpus;
use ipn_receiver_fuzz::record::Record;
use ipn_receiver_fuzz::stage::is_restored;

ipn_receiver_fuzz::target!(run);

fn run(input: &[u8]) -> Corpus {
    let records = Record::all_of(input);
    let read = |record: &Record| PublishedEvent::read(|name| record.header(name), &record.value);
    let events: Vec<PublishedEvent> = records.iter().filter_map(read).collect();
    for Record { headers, value, .. } in &records {
        assert!(decode(headers, value).is_object() || header(headers, "ce_id").is_none(), "`inspect` shows it");
    }
    let known = rebuilt(&events);
    known.values().for_each(is_restored);
    assert!(events.iter().all(|event| known.contains_key(&event.object)), "each object is rebuilt");
    let twice: Vec<_> = events.iter().flat_map(|event| [event.clone(), event.clone()]).collect();
    assert_eq!(rebuilt(&twice), known, "an event that comes twice changes nothing");
    Corpus::Keep
}

fn rebuilt(events: &[PublishedEvent]) -> BTreeMap<ObjectRef, KnownState> {
    let mut history = History::default();
    for event in events {
        history.add(event.clone());
    }
    for in_charge in history.in_charge() {
        let json = serde_json::to_vec(&in_charge).expect("it is plain data");
        assert_eq!(InCharge::parse(&json).as_ref(), Ok(&in_charge));
    }
    history.into_known().into_iter().map(|state| (state.object.clone(), state)).collect()
}
