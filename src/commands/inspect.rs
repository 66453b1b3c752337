//! `inspect`: what the topics hold of one object. It only reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::Error;
use super::topic_scan::{Offsets, Topic};
use crate::config::{Config, Kafka};
use crate::domain::dead_letter::redrive::DeadLetterRecord;
use crate::domain::events::decode;
use crate::domain::pay::ObjectId;
use crate::domain::record_headers;
use crate::kafka::acls::PrincipalRole;
use crate::kafka::inbox::InboxRecord;

/// Which object, and how it is shown.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration (TOML). Environment variables IPN_RECEIVER__TABLE__SETTING override it.
    #[arg(long, value_name = "FILE", env = "IPN_RECEIVER_CONFIG")]
    pub config: PathBuf,
    /// The id of a charge permission, charge, refund or dispute.
    #[arg(value_name = "OBJECT-ID")]
    object: String,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Default)]
struct Found {
    /// Its state records; more than one where environments or merchants share the id.
    known: Vec<Value>,
    /// State records of what belongs to it, where it is a permission.
    below: Vec<Value>,
    events: Vec<Value>,
    letters: Vec<Value>,
}

/// Goes through the state topic, the events and the dead letters.
pub fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Error> {
    let id = ObjectId::parse(&arguments.object)
        .ok_or_else(|| format!("{:?} is no id: ids are letters, digits and hyphens", arguments.object))?;
    let mut found = Found::default();
    found.read_state(&config.kafka, &id)?;
    found.read_events(&config.kafka, &id)?;
    found.read_letters(&config.kafka, &id)?;
    let shown = if arguments.json { format!("{:#}\n", found.json(&id)) } else { found.text(&id) };
    match std::io::stdout().lock().write_all(shown.as_bytes()) {
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    if found.is_empty() {
        eprintln!(
            "ipn-receiver: the topics hold nothing of {id}. If it is an object of a configured merchant, \
             `ipn-receiver recheck --merchant MERCHANT {id}` has it read; notifications that wait in the inbox are not looked at"
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

impl Found {
    /// The newest record of each key counts; an empty one takes it back.
    fn read_state(&mut self, kafka: &Kafka, id: &ObjectId) -> Result<(), Error> {
        let own_key = format!("/{id}");
        let mut records: BTreeMap<Vec<u8>, Value> = BTreeMap::new();
        for_each(kafka, kafka.topics().state, "state", |record| {
            let is_its_own = record.key.ends_with(own_key.as_bytes());
            let is_worth_reading = is_its_own || names(&record.value, id);
            let state = is_worth_reading.then(|| serde_json::from_slice(&record.value).ok()).flatten();
            let mut state: Value = state.unwrap_or_default();
            let is_below = state["observed"]["chargePermissionId"] == id.as_str();
            if state.is_object() && (is_its_own || is_below) {
                state["position"] = json!(record.position);
                // Digests of what is the buyer's tell nobody anything, and are nobody's business.
                if let Some(observed) = state.get_mut("observed").and_then(Value::as_object_mut) {
                    observed.remove("private");
                }
                records.insert(record.key, state);
            } else {
                records.remove(&record.key);
            }
        })?;
        for (key, state) in records {
            if key.ends_with(own_key.as_bytes()) { self.known.push(state) } else { self.below.push(state) }
        }
        Ok(())
    }

    fn read_events(&mut self, kafka: &Kafka, id: &ObjectId) -> Result<(), Error> {
        for_each(kafka, kafka.topics().events, "events", |record| {
            let in_headers = record.headers.iter().any(|(_, text)| names(text, id));
            if !(names(&record.value, id) || in_headers) {
                return;
            }
            let mut event = decode(&record.headers, &record.value);
            if event["subject"] == id.as_str() || event["partitionkey"] == id.as_str() {
                event["position"] = json!(record.position);
                self.events.push(event);
            }
        })?;
        // In each permission that is the order in which they were told.
        self.events.sort_by(|one, other| one["sequence"].as_str().cmp(&other["sequence"].as_str()));
        Ok(())
    }

    fn read_letters(&mut self, kafka: &Kafka, id: &ObjectId) -> Result<(), Error> {
        for_each(kafka, kafka.topics().dead_letters, "letters", |record| {
            let in_headers = record.headers.iter().any(|(_, text)| names(text, id));
            if !(names(&record.value, id) || in_headers) {
                return;
            }
            let InboxRecord { position, appended_at, key, value, headers } = record;
            let letter = DeadLetterRecord::read(key, value, headers, appended_at);
            self.letters.push(json!({
                "writtenAt": letter.written_at(), "reason": letter.reason(), "detail": letter.header(record_headers::DLQ_DETAIL),
                "source": letter.header(record_headers::DLQ_SOURCE), "merchant": letter.merchant(), "object": letter.object(),
                "attempts": letter.header(record_headers::DLQ_FAILED_READS), "causes": letter.header(record_headers::DLQ_CAUSE_COUNT),
                "redrives": letter.header(record_headers::REDRIVE_COUNT), "hasOriginal": letter.has_original(), "position": position,
            }));
        })
    }

    fn is_empty(&self) -> bool {
        self.known.is_empty() && self.below.is_empty() && self.events.is_empty() && self.letters.is_empty()
    }

    fn json(&self, id: &ObjectId) -> Value {
        let Self { known, below, events, letters } = self;
        json!({"objectId": id, "known": known, "below": below, "events": events, "deadLetters": letters})
    }

    fn text(&self, id: &ObjectId) -> String {
        let mut text = format!("{id}\n");
        if self.known.is_empty() {
            text += "  nothing is known of its state\n";
        }
        for state in &self.known {
            text += &state_text(state);
        }
        section(&mut text, "objects below it", &self.below, |state| {
            let (object, observed) = (&state["object"], &state["observed"]);
            format!(
                "{} {}  {} since {}",
                word(&object["kind"]),
                word(&object["id"]),
                word(&observed["state"]),
                word(&observed["lastUpdated"])
            )
        });
        section(&mut text, "events", &self.events, event_text);
        section(&mut text, "dead letters", &self.letters, |letter| {
            let (reason, detail) = (word(&letter["reason"]), word(&letter["detail"]));
            format!("{}  {reason}: {detail}  at {}", word(&letter["writtenAt"]), place(letter))
        });
        text
    }
}

fn state_text(state: &Value) -> String {
    let (object, observed, pending) = (&state["object"], &state["observed"], &state["pending"]);
    let account = &object["account"];
    let mut text = format!(
        "  {} of {}/{}, state record {}\n",
        word(&object["kind"]),
        word(&account["merchantId"]),
        word(&account["environment"]),
        place(state)
    );
    if observed.is_object() {
        let reasons: Vec<&str> =
            observed["reasons"].as_array().into_iter().flatten().map(|reason| word(&reason["reasonCode"])).collect();
        let because = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
        let told = observed["lastEventId"]
            .as_str()
            .map_or("told to nobody, a baseline".to_owned(), |id| format!("last event {id}"));
        let _ = writeln!(
            text,
            "  {}{because} since {}, read {}, {told}",
            word(&observed["state"]),
            word(&observed["lastUpdated"]),
            word(&observed["readStartedAt"])
        );
        let _ = writeln!(
            text,
            "  permission {} {}",
            word(&observed["chargePermissionId"]),
            word(&observed["chargePermissionType"])
        );
    } else {
        text += "  never read\n";
    }
    if pending.is_object() {
        let _ = writeln!(
            text,
            "  a read is owed: due {}, {} causes since {}, {} failed reads",
            word(&pending["due"]),
            pending["causesSeen"],
            word(&pending["firstSeen"]),
            pending["attempts"]
        );
        for cause in pending["causes"].as_array().into_iter().flatten() {
            let named =
                ["notificationType", "messageId", "readFor"].map(|field| cause[field].as_str().unwrap_or_default());
            let _ =
                writeln!(text, "    {} {} {}", word(&cause["timestamp"]), word(&cause["type"]), named.join(" ").trim());
        }
    }
    text
}

fn event_text(event: &Value) -> String {
    let data = &event["data"];
    let name = word(&event["type"]).rsplit('.').nth(1).unwrap_or("-");
    format!(
        "{}  {}  {name:<28} {}  {} ← {}  {}  {}",
        word(&event["time"]),
        word(&event["sequence"]).trim_start_matches('0'),
        word(&event["subject"]),
        word(&data["state"]),
        word(&data["previousState"]),
        word(&event["id"]),
        place(event)
    )
}

fn section(text: &mut String, title: &str, entries: &[Value], line: impl Fn(&Value) -> String) {
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(text, "{title}: {}", entries.len());
    for entry in entries {
        let _ = writeln!(text, "  {}", line(entry));
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// Partition and offset.
fn place(entry: &Value) -> String {
    format!("{}/{}", entry["position"]["partition"], entry["position"]["offset"])
}

/// Whether `bytes` name this object, and not one whose id it begins.
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
    fn an_id_is_found_whole_and_not_as_the_beginning_of_another() {
        let id = ObjectId::parse("S02-0000001-2222222").unwrap();
        for (text, is_named) in [
            ("S02-0000001-2222222", true),
            (r#"{\"ObjectId\":\"S02-0000001-2222222\"}"#, true),
            ("M1/sandbox/S02-0000001-2222222", true),
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
