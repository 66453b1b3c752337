//! The text output of `inspect`: one section per topic, as aligned tables with named columns.

use std::fmt::Write as _;

use serde_json::Value;

use super::Found;
use crate::commands::format::printable;
use crate::domain::pay::ObjectId;

/// The whole output.
pub(super) fn of(found: &Found, id: &ObjectId) -> String {
    let mut text = format!("{id}\n");
    if found.known_state.is_empty() {
        text += "  known state: none\n";
    }
    for state in &found.known_state {
        text += &known_state(state);
    }
    text +=
        &section("charges, refunds and disputes", &found.children, ["type", "id", "state", "last updated"], |child| {
            let (object, observed) = (&child["object"], &child["observed"]);
            [&object["kind"], &object["id"], &observed["state"], &observed["lastUpdated"]].map(word)
        });
    text += &section("events", &found.events, EVENT_COLUMNS, event_row);
    text += &section("dead letters", &found.dead_letters, ["written at", "position", "reason"], |record| {
        let (reason, detail) = (word(&record["reason"]), word(&record["detail"]));
        [word(&record["writtenAt"]), position(record), format!("{reason}: {detail}")]
    });
    text
}

fn known_state(state: &Value) -> String {
    let (object, observed, pending) = (&state["object"], &state["observed"], &state["pending"]);
    let account = &object["account"];
    let mut lines = vec![
        ("type", word(&object["kind"])),
        ("merchant", word(&account["merchantId"])),
        ("environment", word(&account["environment"])),
        ("in charge since", word(&state["inChargeSince"])),
    ];
    if observed.is_object() {
        lines.extend(observed_lines(observed));
    } else {
        lines.push(("state", "unknown: the object was never read".to_owned()));
    }
    lines.push(("state record", position(state)));
    let mut text = String::new();
    for (name, value) in &lines {
        let _ = writeln!(text, "  {:<18} {value}", format!("{name}:"));
    }
    if pending.is_object() {
        text += &pending_read(pending);
    }
    text
}

fn observed_lines(observed: &Value) -> [(&'static str, String); 5] {
    let reasons: Vec<String> =
        observed["reasons"].as_array().into_iter().flatten().map(|reason| word(&reason["reasonCode"])).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    // Only the state of the charge permission itself names the type.
    let permission_type =
        observed["chargePermissionType"].as_str().map_or_else(String::new, |name| format!(" ({})", printable(name)));
    let last_event =
        observed["lastEventId"].as_str().map_or_else(|| "never published (baseline)".to_owned(), printable);
    [
        ("charge permission", format!("{}{permission_type}", word(&observed["chargePermissionId"]))),
        ("state", format!("{}{reasons}", word(&observed["state"]))),
        ("last updated", word(&observed["lastUpdated"])),
        ("last read", word(&observed["readStartedAt"])),
        ("last event", last_event),
    ]
}

fn pending_read(pending: &Value) -> String {
    let mut text = format!(
        "  {:<18} due {}, {} causes since {}, {} failed reads\n",
        "pending read:",
        word(&pending["due"]),
        pending["causesSeen"],
        word(&pending["firstSeen"]),
        pending["attempts"]
    );
    if let Some(error) = pending["lastError"].as_str() {
        let _ = writeln!(text, "    last failure: {}: {}", word(&pending["failedAt"]), printable(error));
    }
    for cause in pending["causes"].as_array().into_iter().flatten() {
        let fields = ["notificationType", "messageId", "readFor"]
            .map(|field| printable(cause[field].as_str().unwrap_or_default()));
        let line = format!("{} {} {}", word(&cause["timestamp"]), word(&cause["type"]), fields.join(" ").trim());
        let _ = writeln!(text, "    {}", line.trim_end());
    }
    text
}

const EVENT_COLUMNS: [&str; 8] =
    ["time", "sequence", "event type", "object", "state", "previous state", "event id", "position"];

fn event_row(event: &Value) -> [String; 8] {
    let data = &event["data"];
    [
        word(&event["time"]),
        word(&event["sequence"]).trim_start_matches('0').to_owned(),
        word(&event["type"]).rsplit('.').nth(1).unwrap_or("-").to_owned(),
        word(&event["subject"]),
        word(&data["state"]),
        word(&data["previousState"]),
        word(&event["id"]),
        position(event),
    ]
}

/// A title with the count, the names of the columns, and one row per record; nothing without records.
fn section<const N: usize>(
    title: &str,
    records: &[Value],
    columns: [&str; N],
    row: impl Fn(&Value) -> [String; N],
) -> String {
    if records.is_empty() {
        return String::new();
    }
    let header = columns.map(str::to_owned);
    let rows: Vec<[String; N]> = std::iter::once(header).chain(records.iter().map(row)).collect();
    let mut text = format!("{title}: {}\n", records.len());
    for row in &rows {
        let mut line = String::from(" ");
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            let _ = write!(line, " {cell:<width$} ");
        }
        text += line.trim_end();
        text += "\n";
    }
    text
}

fn word(value: &Value) -> String {
    printable(value.as_str().unwrap_or("-"))
}

/// Partition and offset.
fn position(record: &Value) -> String {
    format!("{}/{}", record["position"]["partition"], record["position"]["offset"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sections_are_aligned_and_name_their_columns() {
        let records = [json!({"a": "x", "b": "y"}), json!({"a": "longer"})];
        let text = section("things", &records, ["first", "b"], |record| [&record["a"], &record["b"]].map(word));
        assert_eq!(text, "things: 2\n  first   b\n  x       y\n  longer  -\n");
        assert_eq!(section("things", &[], ["first"], |_| [String::new()]), "");
    }

    /// Every text of every record comes from a topic that somebody else may write to.
    #[test]
    fn hostile_words_stay_in_their_line() {
        let bad = "x\u{1b}[2J\n  state:  Captured\u{202e}";
        let position = json!({"partition": 0, "offset": 1});
        let state = json!({"object": {"kind": bad, "account": {"merchantId": bad, "environment": bad}}, "inChargeSince": bad,
            "observed": {"reasons": [{"reasonCode": bad}], "chargePermissionType": bad, "lastEventId": bad, "chargePermissionId": bad,
                "state": bad, "lastUpdated": bad, "readStartedAt": bad},
            "pending": {"due": bad, "causesSeen": 1, "firstSeen": bad, "attempts": 1, "lastError": bad, "failedAt": bad,
                "causes": [{"timestamp": bad, "type": bad, "notificationType": bad, "messageId": bad, "readFor": bad}]},
            "position": position});
        let event = json!({"time": bad, "sequence": bad, "type": format!("a.{bad}.v1"), "subject": bad, "id": bad,
            "data": {"state": bad, "previousState": bad}, "position": position});
        let event_row = event_row(&event).join(" ");
        for text in
            [known_state(&state), section("things", &[event], EVENT_COLUMNS, |_| [(); 8].map(|()| event_row.clone()))]
        {
            assert!(text.contains(r"x\u001b[2J\u000a  state:  Captured\u202e"), "{text}");
            assert!(
                !text.contains("\n  state:  Captured") && text.chars().all(|c| c == '\n' || !c.is_control()),
                "{text}"
            );
        }
    }
}
