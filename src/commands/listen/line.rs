//! An event in lines for people.

use serde_json::Value;

use crate::commands::format::printable;
use crate::commands::terminal::{BOLD, DIM, Text};
use crate::domain::events::name_of_type;
use crate::kafka::event_stream::EventRecord;

/// One line: time, type, object, state ← previous state (reasons), next action.
pub(super) fn of(event: &Value) -> Text {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    let line = Text::default()
        .styled(DIM, text("/time"))
        .plain("  ")
        .styled(BOLD, name_of_type(text("/type")))
        .plain(&format!("  {}  {}", text("/subject"), change(event)));
    match text("/data/nextAction/code") {
        "NONE" | "-" => line,
        code => line.plain("  ").styled(BOLD, code),
    }
}

/// What else a developer looks for, one line each.
pub(super) fn details(record: &EventRecord) -> Text {
    let event = &record.event;
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let position = format!("partition {}, offset {}", record.partition, record.offset);
    let permission_type = text("/data/chargePermissionType").map_or_else(String::new, |name| format!(" ({name})"));
    let reasons = event["data"]["reasons"].as_array().into_iter().flatten();
    let described = reasons.filter_map(|reason| {
        Some(format!("{}: {}", reason["reasonCode"].as_str()?, reason["reasonDescription"].as_str()?))
    });
    let mut lines = vec![
        ("event", text("/id").map(str::to_owned)),
        ("source", text("/source").map(str::to_owned)),
        ("permission", text("/partitionkey").map(|id| format!("{id}{permission_type}"))),
        (
            "published",
            Some(format!("{}, {position}, sequence {}", record.published_at, text("/sequence").unwrap_or("-"))),
        ),
    ];
    lines.extend(described.map(|reason| ("reason", Some(reason))));
    let amounts = event["data"]["snapshot"].as_object().into_iter().flatten();
    lines.extend(amounts.filter_map(|(name, value)| {
        let (amount, currency) = (value["amount"].as_str()?, value["currencyCode"].as_str()?);
        Some((name.as_str(), Some(format!("{amount} {currency}"))))
    }));
    lines.push(("next action", text("/data/nextAction/text").map(str::to_owned)));
    lines.push(("", text("/data/nextAction/url").map(str::to_owned)));
    lines.push(("deadline", text("/data/nextAction/deadline").map(str::to_owned)));
    let lines = lines.into_iter().filter_map(|(name, value)| Some(format!("    {name:<18}{}", printable(&value?))));
    lines.collect::<Vec<_>>().join("\n").into()
}

/// `Declined ← AuthorizationInitiated (HardDeclined)`
fn change(event: &Value) -> String {
    let data = &event["data"];
    let state = data["state"].as_str().unwrap_or("-");
    let change = match data["previousState"].as_str() {
        Some(previous) if previous != state => format!("{state} ← {previous}"),
        Some(_) => state.to_owned(),
        None => format!("{state} ← first sight"),
    };
    let codes = |list: &Value, code: fn(&Value) -> Option<&str>| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(code).map(str::to_owned).collect()
    };
    let mut why = codes(&data["reasons"], |reason| reason["reasonCode"].as_str());
    why.extend(codes(&data["evidence"], Value::as_str));
    if why.is_empty() { change } else { format!("{change} ({})", why.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::Timestamp;
    use serde_json::json;

    fn event() -> Value {
        json!({
            "id": "44ddb4de", "time": "2026-01-02T03:04:05.000Z", "type": "amazonpay.ChargeDeclined.v1", "source": "/amazonpay/A1/live",
            "subject": "S01-1-2-C3", "partitionkey": "C01-1-2", "sequence": "7",
            "data": {
                "state": "Declined", "previousState": "AuthorizationInitiated", "chargePermissionType": "Recurring",
                "reasons": [{"reasonCode": "HardDeclined", "reasonDescription": "Amazon's sentence."}],
                "snapshot": {"chargeAmount": {"amount": "9.99", "currencyCode": "EUR"}, "merchantReferenceId": "order-1"},
                "nextAction": {"code": "RETRY_CHARGE", "text": "Charge again."},
            },
        })
    }

    fn shown(text: &Text) -> String {
        anstream::adapter::strip_str(&text.to_string()).to_string()
    }

    #[test]
    fn line_names_change_and_next_action() {
        let line = "2026-01-02T03:04:05.000Z  ChargeDeclined  S01-1-2-C3  Declined ← AuthorizationInitiated (HardDeclined)  RETRY_CHARGE";
        assert_eq!(shown(&of(&event())), line);
        let mut first = event();
        first["data"]["previousState"] = Value::Null;
        first["data"]["reasons"] = json!([]);
        first["data"]["nextAction"]["code"] = json!("NONE");
        assert_eq!(shown(&of(&first)), "2026-01-02T03:04:05.000Z  ChargeDeclined  S01-1-2-C3  Declined ← first sight");
    }

    #[test]
    fn details_name_amounts_reasons_and_position() {
        let published_at = Timestamp::from_unix_ms(0);
        let record = EventRecord { event: event(), partition: 2, offset: 3, published_at };
        let text = shown(&details(&record));
        for part in [
            "    event             44ddb4de\n",
            "    permission        C01-1-2 (Recurring)\n",
            "    published         1970-01-01T00:00:00.000Z, partition 2, offset 3, sequence 7\n",
            "    reason            HardDeclined: Amazon's sentence.\n",
            "    chargeAmount      9.99 EUR\n",
            "    next action       Charge again.",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn hostile_words_stay_in_their_line() {
        let bad = "x\u{1b}[2J\n\u{202e}";
        let event = json!({"time": bad, "type": bad, "subject": bad, "data": {"state": bad, "previousState": bad,
            "reasons": [{"reasonCode": bad}], "nextAction": {"code": bad}}});
        assert!(shown(&of(&event)).chars().all(|c| !c.is_control() && c != '\u{202e}'));
    }
}
