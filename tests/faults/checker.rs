//! The checker compares the records in Kafka with what happened at Amazon Pay and verifies the guarantees. It is pure, so
//! its unit test can show that it detects every kind of violation.

mod foreign;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::observations::{Observed, Record};

/// Returns the violations. Each text starts with its kind and a colon.
pub(crate) fn check(observed: &Observed) -> Vec<String> {
    let mut findings = Vec::new();
    let observed = &foreign::set_aside(observed, &mut findings);
    let events: Vec<(&Record, Value)> = observed.events.iter().map(|record| (record, record.json())).collect();
    ids_are_unique(&events, &mut findings);
    sequences_increase(&events, &mut findings);
    events_match_amazon(observed, &events, &mut findings);
    let last = states_follow(&events, &mut findings);
    last_state_is_published(observed, &last, &mut findings);
    no_advice_waits_in_vain(observed, &events, &mut findings);
    state_topic_matches_events(observed, &last, &events, &mut findings);
    writes_follow_own_barrier(observed, &mut findings);
    messages_are_accounted_for(observed, &mut findings);
    for (partition, (committed, end)) in &observed.inbox_positions {
        if committed < end {
            findings.push(format!("inbox: partition {partition} is committed to {committed} of {end}"));
        }
    }
    findings
        .extend(observed.unreadable.iter().map(|error| format!("unreadable: the offsets could not be read: {error}")));
    for (topic, partition, stable, end) in &observed.hanging {
        findings.push(format!(
            "hanging: a transaction is open in {topic} {partition}: last stable offset {stable}, end {end}"
        ));
    }
    findings
}

fn at(record: &Record) -> String {
    format!("{}/{}", record.partition, record.offset)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn ids_are_unique(events: &[(&Record, Value)], findings: &mut Vec<String>) {
    let mut seen: HashMap<&str, &Record> = HashMap::new();
    for (record, event) in events {
        if let Some(first) = seen.insert(text(event, "/id"), record) {
            let (kind, subject) = (text(event, "/type"), text(event, "/subject"));
            findings.push(format!("duplicate: {kind} of {subject} is at {} and at {}", at(first), at(record)));
        }
    }
}

fn sequences_increase(events: &[(&Record, Value)], findings: &mut Vec<String>) {
    let mut last: HashMap<&str, (&str, i32)> = HashMap::new();
    for (record, event) in events {
        let (permission, sequence) = (text(event, "/partitionkey"), text(event, "/sequence"));
        if record.key != permission {
            findings.push(format!("key: {} has key {} and partitionkey {permission}", at(record), record.key));
        }
        if let Some((before, partition)) = last.insert(permission, (sequence, record.partition))
            && (before >= sequence || partition != record.partition)
        {
            findings.push(format!("order: {permission} has {before} and then {sequence} at {}", at(record)));
        }
    }
}

fn events_match_amazon(observed: &Observed, events: &[(&Record, Value)], findings: &mut Vec<String>) {
    for (record, event) in events {
        let published = (text(event, "/data/state").to_owned(), text(event, "/time").to_owned());
        let history = observed.histories.get(text(event, "/subject"));
        if !history.is_some_and(|history| history.contains(&published)) {
            findings.push(format!("invented: {} publishes {} as {published:?}", at(record), text(event, "/subject")));
        }
    }
}

/// The last event of each object.
fn states_follow<'a>(events: &'a [(&Record, Value)], findings: &mut Vec<String>) -> BTreeMap<&'a str, &'a Value> {
    let mut last: BTreeMap<&str, &Value> = BTreeMap::new();
    for (record, event) in events {
        let before = last.insert(text(event, "/subject"), event);
        let claimed = text(event, "/data/previousState");
        // Two events of one read describe the same change and have the same previous state.
        let read = |event: &Value| event.pointer("/data/observedAt").cloned();
        let is_first_sight = |event: &Value| event["data"]["firstSight"] == true;
        let (expected, is_first) = match before {
            Some(twin) if read(twin) == read(event) => (text(twin, "/data/previousState"), is_first_sight(twin)),
            before => (before.map_or("", |before| text(before, "/data/state")), before.is_none()),
        };
        let claims_first = is_first_sight(event);
        if (claimed, claims_first) != (expected, is_first) {
            let subject = text(event, "/subject");
            findings.push(format!(
                "chain: {} of {subject} has the previous state {claimed:?} and firstSight {claims_first} instead of \
                 {expected:?} and {is_first}",
                at(record)
            ));
        }
    }
    last
}

fn last_state_is_published(observed: &Observed, last: &BTreeMap<&str, &Value>, findings: &mut Vec<String>) {
    for (id, history) in &observed.histories {
        let Some((state, time)) = history.last() else { continue };
        match last.get(id.as_str()) {
            None => findings.push(format!("lost: {id} is {state}, and no event was published")),
            // An object that left a state and returned to it before it was read needs no new event.
            Some(event) if text(event, "/data/state") != state || text(event, "/time") > time.as_str() => {
                let last = (text(event, "/data/state"), text(event, "/time"));
                findings.push(format!("lost: {id} is {state} since {time}, and the last event has {last:?}"));
            }
            Some(_) => {}
        }
    }
}

/// A merchant was advised to wait until a permission can be charged again. Since then it became Chargeable, nothing was paid,
/// and no event says so.
fn no_advice_waits_in_vain(observed: &Observed, events: &[(&Record, Value)], findings: &mut Vec<String>) {
    let mut waiting: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for (_, event) in events {
        let waits = waiting.entry(text(event, "/partitionkey")).or_default();
        match text(event, "/data/nextAction/code") {
            "RETRY_CHARGE" => waits.clear(),
            code if WAITING.contains(&code) => waits.push(event),
            _ if ["Authorized", "CaptureInitiated", "Captured"].contains(&text(event, "/data/state")) => {
                waits.retain(|wait| text(wait, "/time") >= text(event, "/time"));
            }
            _ => {}
        }
    }
    for (permission, waits) in waiting {
        let Some(newest) = waits.iter().map(|wait| text(wait, "/time")).max() else { continue };
        let last = observed.histories.get(permission).and_then(|history| history.last());
        if last.is_some_and(|(state, time)| state == "Chargeable" && time.as_str() > newest) {
            findings.push(format!("waiting: {permission} is {last:?}, and the advice since {newest} waits for it"));
        }
    }
}

/// Codes of advice to wait for RETRY_CHARGE.
const WAITING: [&str; 4] =
    ["ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", "ASK_FOR_OTHER_PAYMENT_METHOD", "OPEN_UPDATE_PAGE", "WAIT_FOR_NEXT_PERIOD"];

fn state_topic_matches_events(
    observed: &Observed,
    last: &BTreeMap<&str, &Value>,
    events: &[(&Record, Value)],
    findings: &mut Vec<String>,
) {
    let mut state: BTreeMap<&str, Value> = BTreeMap::new();
    for record in observed.state.iter().filter(|record| !record.key.contains("__")) {
        match &record.value {
            Some(_) => state.insert(&record.key, record.json()),
            None => state.remove(record.key.as_str()),
        };
    }
    let by_id: BTreeMap<&str, &Value> =
        state.iter().map(|(key, value)| (key.rsplit('/').next().unwrap_or_default(), value)).collect();
    for (id, event) in last {
        let known = by_id.get(id).copied().unwrap_or(&Value::Null);
        let held = (text(known, "/observed/state"), text(known, "/observed/lastEventId"));
        if held != (text(event, "/data/state"), text(event, "/id")) {
            findings.push(format!("torn: the state topic holds {held:?} for {id}, the last event is {}", event["id"]));
        }
    }
    for (id, known) in &by_id {
        if known.get("observed").is_some() && !last.contains_key(id) {
            findings.push(format!("torn: the state topic holds {id}, and no event was published"));
        }
        if known.get("pending").is_some() {
            findings.push(format!("pending: {id} has pending work"));
        }
    }
    let mut sequences: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, event) in events {
        sequences.insert(text(event, "/partitionkey"), text(event, "/sequence").parse().unwrap_or(0));
    }
    for (permission, sequence) in sequences {
        let held = by_id.get(permission).and_then(|known| known["sequence"].as_u64());
        if held != Some(sequence) {
            findings
                .push(format!("torn: the last sequence of {permission} is {sequence}, the state topic holds {held:?}"));
        }
    }
}

/// Fencing: only the writer of the last barrier writes state records after it.
fn writes_follow_own_barrier(observed: &Observed, findings: &mut Vec<String>) {
    let mut barriers: BTreeMap<i32, &str> = BTreeMap::new();
    for record in &observed.state {
        if record.key == "__barrier" {
            barriers.insert(record.partition, record.value.as_deref().unwrap_or_default());
        } else if let Some(named) = record.headers.get("ipn-barrier-id")
            && barriers.get(&record.partition).copied() != Some(named)
        {
            findings.push(format!("unfenced: state record {} was written after another writer's barrier", at(record)));
        }
    }
}

fn messages_are_accounted_for(observed: &Observed, findings: &mut Vec<String>) {
    for refused in &observed.refused {
        findings.push(format!("refused: a genuine message was answered 4xx: {refused}"));
    }
    for id in observed.accepted.difference(&observed.inbox) {
        findings.push(format!("unstored: {id} was answered 200 and is not in the inbox"));
    }
    let id_of = |record: &Record| record.header("ipn-sns-message-id").unwrap_or_default().to_owned();
    let dead: BTreeSet<String> = observed.dead_letters.iter().map(id_of).collect();
    let for_good = observed.dead_letters.iter().filter(|record| !was_redriven_for_merchant(observed, record));
    for id in for_good.map(id_of).collect::<BTreeSet<_>>().difference(&observed.undeliverable) {
        findings.push(format!("dead: {id} became a dead letter, although its object exists"));
    }
    for id in observed.undeliverable.intersection(&observed.accepted).filter(|id| !dead.contains(*id)) {
        findings.push(format!("dead: {id} cannot become an event, and is not a dead letter"));
    }
}

/// An IPN of a merchant that was not configured for a while, and that went back to the inbox afterwards.
fn was_redriven_for_merchant(observed: &Observed, dead_letter: &Record) -> bool {
    dead_letter.header("ipn-dlq-reason") == Some("unknown_merchant")
        && observed.removed_merchants.contains(&dead_letter.key)
        && dead_letter.header("ipn-sns-message-id").is_some_and(|id| observed.redriven.contains(id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observations::{FOREIGN, Foreign, Topic};

    const PERMISSION: &str = "C02-1-1";

    fn record(offset: i64, key: &str, value: &Value, headers: &[(&str, &str)]) -> Record {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Record { partition: 0, offset, headers, key: key.to_owned(), value: Some(value.to_string()) }
    }

    fn event(n: i64, state: &str, previous: Option<&str>) -> Record {
        let event = json!({
            "id": format!("id-{n}"), "type": "t", "subject": PERMISSION, "partitionkey": PERMISSION,
            "sequence": format!("{n:020}"), "time": format!("time-{n}"),
            "data": {
                "state": state, "previousState": previous, "firstSight": previous.is_none(), "observedAt": format!("read-{n}"),
            },
        });
        record(n, PERMISSION, &event, &[])
    }

    /// A record of another producer, under the key of the permission's state.
    fn marked(mark: &str) -> Record {
        record(7, &format!("M/sandbox/ChargePermission/{PERMISSION}"), &Value::Null, &[(FOREIGN, mark)])
    }

    fn good() -> Observed {
        let state = |n: i64, state: &str| {
            let known = json!({"observed": {"state": state, "lastEventId": format!("id-{n}")}, "sequence": n});
            record(n, &format!("M/sandbox/ChargePermission/{PERMISSION}"), &known, &[("ipn-barrier-id", "a")])
        };
        let barrier = Record { value: Some("a".to_owned()), ..record(0, "__barrier", &Value::Null, &[]) };
        let happened = |n: i64, state: &str| (state.to_owned(), format!("time-{n}"));
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        let foreign = |topic, damages_state| Foreign { topic, damages_state, is_acknowledged: true };
        let of_removed = [("ipn-sns-message-id", "m2"), ("ipn-dlq-reason", "unknown_merchant")];
        Observed {
            events: vec![event(1, "Chargeable", None), event(2, "Closed", Some("Chargeable")), marked("event")],
            state: vec![barrier, state(1, "Chargeable"), marked("state"), state(2, "Closed")],
            dead_letters: vec![
                record(0, "M", &Value::Null, &[("ipn-sns-message-id", "m3")]),
                record(1, "M", &Value::Null, &of_removed),
                marked("inbox"),
            ],
            redriven: ids(&["m2"]),
            removed_merchants: ids(&["M"]),
            foreign: BTreeMap::from([
                ("inbox".to_owned(), foreign(Topic::Inbox, false)),
                ("event".to_owned(), foreign(Topic::Events, false)),
                ("state".to_owned(), foreign(Topic::State, true)),
            ]),
            inbox: ids(&["m1", "m2", "m3"]),
            inbox_positions: BTreeMap::from([(0, (3, 3))]),
            hanging: Vec::new(),
            histories: BTreeMap::from([(
                PERMISSION.to_owned(),
                vec![happened(1, "Chargeable"), happened(2, "Closed")],
            )]),
            accepted: ids(&["m1", "m2", "m3"]),
            refused: Vec::new(),
            undeliverable: ids(&["m3"]),
            unreadable: None,
        }
    }

    /// The violations after this damage to good observations.
    fn after(damage: impl FnOnce(&mut Observed)) -> Vec<String> {
        let mut observed = good();
        damage(&mut observed);
        check(&observed)
    }

    fn kinds(findings: &[String]) -> BTreeSet<&str> {
        findings.iter().filter_map(|finding| finding.split(':').next()).collect()
    }

    #[test]
    fn checker_detects_every_kind_of_violation() {
        type Damage = fn(&mut Observed);
        let happened = |n: i64, state: &str| (state.to_owned(), format!("time-{n}"));
        assert_eq!(check(&good()), [""; 0]);
        let damages: [(&str, Damage); 22] = [
            ("duplicate", |all| all.events.push(Record { offset: 3, ..event(2, "Closed", Some("Closed")) })),
            ("order", |all| all.events.swap(0, 1)),
            ("key", |all| all.events[0].key = "another".to_owned()),
            ("invented", |all| all.histories.values_mut().for_each(|history| history.truncate(1))),
            ("chain", |all| all.events[1] = event(2, "Closed", Some("NonChargeable"))),
            ("lost", |all| all.events.truncate(1)),
            ("lost", |all| all.events.clear()),
            ("torn", |all| all.state.truncate(2)),
            ("torn", |all| all.events.clear()),
            ("unfenced", |all| {
                all.state.insert(2, Record { value: Some("b".to_owned()), ..all.state[0].clone() });
            }),
            ("unstored", |all| all.inbox.clear()),
            ("dead", |all| all.dead_letters.clear()),
            ("dead", |all| all.undeliverable.clear()),
            ("unreadable", |all| all.unreadable = Some("timed out".to_owned())),
            ("inbox", |all| *all.inbox_positions.get_mut(&0).unwrap() = (2, 3)),
            ("dead", |all| all.redriven.clear()),
            ("dead", |all| all.removed_merchants.clear()),
            ("dead", |all| all.dead_letters.truncate(2)),
            ("foreign", |all| all.events[0].headers.extend(marked("inbox").headers)),
            ("foreign", |all| all.foreign.clear()),
            ("lost", |all| all.events[1].headers.extend(marked("event").headers)),
            ("unrepaired", |all| all.state.extend([marked("state"), all.state[0].clone()])),
        ];
        for (kind, damage) in damages {
            let findings = after(damage);
            assert!(kinds(&findings).contains(kind), "{kind}: {findings:?}");
        }
        let advise = |all: &mut Observed, code: &str| {
            let mut event = all.events[1].json();
            event["data"]["nextAction"] = json!({"code": code});
            all.events[1].value = Some(event.to_string());
            all.histories.values_mut().for_each(|history| history.push(happened(3, "Chargeable")));
        };
        assert!(kinds(&after(|all| advise(all, "OPEN_UPDATE_PAGE"))).contains("waiting"));
        assert!(!kinds(&after(|all| advise(all, "RETRY_CHARGE"))).contains("waiting"));
        assert_eq!(kinds(&after(|all| all.hanging.push(("t".to_owned(), 0, 1, 2)))), ["hanging"].into());
        assert_eq!(kinds(&after(|all| all.refused.push("m4".to_owned()))), ["refused"].into());
    }
}
