//! `inspect`: prints what the topics hold about one object. It only reads.

mod text;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::config_file::ConfigFile;
use super::terminal::{note, print};
use super::topic_scan::{Offsets, Topic};
use super::{Error, Exit};
use crate::config::Kafka;
use crate::domain::dead_letter::redrive::DeadLetterRecord;
use crate::domain::events::decode;
use crate::domain::pay::{ObjectId, ObjectRef};
use crate::domain::record_headers;
use crate::domain::state::in_charge::InCharge;
use crate::domain::timestamp::Timestamp;
use crate::kafka::acls::PrincipalRole;
use crate::kafka::inbox::InboxRecord;

/// The arguments of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// The id of a charge permission, charge, refund or dispute.
    #[arg(value_name = "OBJECT-ID")]
    object: String,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What the topics hold about an object.
#[derive(Default)]
struct Found {
    /// The object's state records; several if environments or merchants share the id.
    known_state: Vec<Value>,
    /// State records of the objects that belong to it, if it is a charge permission.
    children: Vec<Value>,
    events: Vec<Value>,
    dead_letters: Vec<Value>,
}

/// Reads the state topic, the events topic and the dead-letter topic. Returns [`Exit::No`] if they hold nothing.
pub fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let kafka = &arguments.config.load()?.kafka;
    let id = ObjectId::parse(&arguments.object).ok_or_else(|| {
        Error::Usage(format!("{:?} is not an id; an id has letters, digits and hyphens", arguments.object))
    })?;
    let mut found = Found::default();
    found.read_state(kafka, &id)?;
    found.read_events(kafka, &id)?;
    found.read_dead_letters(kafka, &id)?;
    print(if arguments.json { format!("{:#}\n", found.json(&id)) } else { text::of(&found, &id) })?;
    if !found.is_empty() {
        return Ok(Exit::Success);
    }
    note(format!(
        "ipn-receiver: the topics hold nothing about {id}; IPNs and rechecks that wait in the inbox are not searched. To request a read of the object, \
         run: ipn-receiver recheck --merchant MERCHANT {id}"
    ));
    Ok(Exit::No)
}

impl Found {
    /// The last record of each key counts; an empty one deletes the key.
    fn read_state(&mut self, kafka: &Kafka, id: &ObjectId) -> Result<(), Error> {
        let own_key = format!("/{id}");
        let mut records: BTreeMap<Vec<u8>, Value> = BTreeMap::new();
        let mut in_charge: BTreeMap<String, Option<Timestamp>> = BTreeMap::new();
        for_each(kafka, kafka.topics().state, "state", |record| {
            if let Some((account, known)) = InCharge::of_record(&record.key, &record.value) {
                in_charge.insert(account.to_string(), known.map(|known| known.since));
                return;
            }
            let is_its_own = record.key.ends_with(own_key.as_bytes());
            let is_worth_parsing = is_its_own || names(&record.value, id);
            let state = is_worth_parsing.then(|| serde_json::from_slice(&record.value).ok()).flatten();
            let mut state: Value = state.unwrap_or_default();
            let is_child = state["observed"]["chargePermissionId"] == id.as_str();
            if state.is_object() && (is_its_own || is_child) {
                state["position"] = json!(record.position);
                // Digests of buyer data are private, and useless to a reader.
                if let Some(observed) = state.get_mut("observed").and_then(Value::as_object_mut) {
                    observed.remove("private");
                }
                records.insert(record.key, state);
            } else {
                records.remove(&record.key);
            }
        })?;
        for (key, mut state) in records {
            let object = std::str::from_utf8(&key).ok().and_then(ObjectRef::of_state_key);
            let in_charge = object.and_then(|object| in_charge.get(&object.account.to_string()));
            state["inChargeSince"] = json!(in_charge);
            if key.ends_with(own_key.as_bytes()) { self.known_state.push(state) } else { self.children.push(state) }
        }
        Ok(())
    }

    fn read_events(&mut self, kafka: &Kafka, id: &ObjectId) -> Result<(), Error> {
        for_each(kafka, kafka.topics().events, "events", |record| {
            if !is_about(&record, id) {
                return;
            }
            let mut event = decode(&record.headers, &record.value);
            if event["subject"] == id.as_str() || event["partitionkey"] == id.as_str() {
                event["position"] = json!(record.position);
                self.events.push(event);
            }
        })?;
        // Within one charge permission this is the order in which the events were published.
        self.events.sort_by(|one, other| one["sequence"].as_str().cmp(&other["sequence"].as_str()));
        Ok(())
    }

    fn read_dead_letters(&mut self, kafka: &Kafka, id: &ObjectId) -> Result<(), Error> {
        for_each(kafka, kafka.topics().dead_letters, "dead letters", |record| {
            if is_about(&record, id) {
                self.dead_letters.push(dead_letter_json(record));
            }
        })
    }

    fn is_empty(&self) -> bool {
        [&self.known_state, &self.children, &self.events, &self.dead_letters].iter().all(|records| records.is_empty())
    }

    fn json(&self, id: &ObjectId) -> Value {
        let Self { known_state, children, events, dead_letters } = self;
        json!({
            "objectId": id, "knownState": known_state, "children": children, "events": events,
            "deadLetters": dead_letters,
        })
    }
}

fn dead_letter_json(record: InboxRecord) -> Value {
    let InboxRecord { position, appended_at, key, value, headers } = record;
    let record = DeadLetterRecord::read(key, value, headers, appended_at);
    json!({
        "writtenAt": record.written_at(),
        "reason": record.reason(),
        "detail": record.header(record_headers::DLQ_DETAIL),
        "source": record.header(record_headers::DLQ_SOURCE),
        "merchant": record.merchant(),
        "objectId": record.object(),
        "failedReads": record.header(record_headers::DLQ_FAILED_READS),
        "causeCount": record.header(record_headers::DLQ_CAUSE_COUNT),
        "redriveCount": record.header(record_headers::REDRIVE_COUNT),
        "hasOriginal": record.has_original(),
        "position": position,
    })
}

fn is_about(record: &InboxRecord, id: &ObjectId) -> bool {
    names(&record.value, id) || record.headers.iter().any(|(_, text)| names(text, id))
}

/// Whether `bytes` contain this id as a whole word, not as a part of a longer id.
fn names(bytes: &[u8], id: &ObjectId) -> bool {
    let id = id.as_str().as_bytes();
    let is_of_id = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    bytes.windows(id.len()).enumerate().any(|(at, window)| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        window == id && !is_of_id(before) && !is_of_id(bytes.get(at + id.len()))
    })
}

fn for_each(
    kafka: &Kafka,
    topic: String,
    shown_as: &'static str,
    mut visit: impl FnMut(InboxRecord),
) -> Result<(), Error> {
    let topic = Topic::open(kafka, topic, PrincipalRole::Inspect, "inspect")?;
    let mut scan = topic.scan(&Offsets::new(), Some(shown_as))?;
    while let Some(message) = scan.next()? {
        visit(InboxRecord::from_message(&message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_matches_as_a_whole_word_only() {
        let id = ObjectId::parse("S02-0000001-2222222").unwrap();
        for (text, is_named) in [
            ("S02-0000001-2222222", true),
            (r#"{\"ObjectId\":\"S02-0000001-2222222\"}"#, true),
            ("M1/sandbox/ChargePermission/S02-0000001-2222222", true),
            ("S02-0000001-2222222-C000001", false),
            ("XS02-0000001-2222222", false),
            ("S02-0000001-222222", false),
            ("S02-0000001-2222222-C000001 S02-0000001-2222222", true),
            ("", false),
        ] {
            assert_eq!(names(text.as_bytes(), &id), is_named, "{text}");
        }
    }
}
