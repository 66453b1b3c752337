//! The definitions of the contract: each event, its data, and the objects in it.

use serde_json::{Map, Value, json};

use super::{Names, reference};
use crate::domain::events::catalog::{CATALOG, EventType, Notice, Trigger};
use crate::domain::events::cloudevent::type_of;
use crate::domain::events::evidence::Evidence;
use crate::domain::events::next_action::ActionCode;
use crate::domain::pay::{Field, Form, ObjectKind, PRICE_FIELDS, State, published_fields};

/// Every definition by its name, the events first.
pub(super) fn definitions(names: &Names) -> Map<String, Value> {
    let mut all = Map::new();
    all.extend(CATALOG.iter().map(|row| (row.name.to_owned(), event(row, &names.type_prefix))));
    all.extend(CATALOG.iter().map(|row| (data_name(row), data(row))));
    for kind in ObjectKind::ALL {
        let name = snapshot_name(kind);
        let description = format!("The attributes of the {kind} that are not about the buyer, under Amazon's names.");
        add_object(&mut all, &name, &description, &published_fields(kind));
    }
    add_object(&mut all, "Money", "An amount and its currency.", PRICE_FIELDS);
    all["Money"]["required"] = json!(["amount"]);
    all.insert("Reason".to_owned(), reason());
    all.insert("NextAction".to_owned(), next_action());
    all.insert(
        "KnownNextActionCode".to_owned(),
        known(
            "KnownNextActionCode",
            "The codes of this version. Later versions may add codes.",
            &ActionCode::ALL.map(ActionCode::as_str),
        ),
    );
    all.insert(
        "KnownEvidence".to_owned(),
        known(
            "KnownEvidence",
            "The words of this version. Later versions may add words.",
            &Evidence::ALL.map(Evidence::as_str),
        ),
    );
    all.insert("Cause".to_owned(), cause());
    all
}

/// The name of the definition of `data`.
pub(super) fn data_name(row: &EventType) -> String {
    format!("{}Data", row.name)
}

fn snapshot_name(kind: ObjectKind) -> String {
    format!("{kind}Snapshot")
}

fn event(row: &EventType, type_prefix: &str) -> Value {
    json!({
        "title": row.name,
        "description": row.meaning,
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "datacontenttype", "partitionkey", "sequence", "data"],
        "properties": {
            "specversion": constant("1.0"),
            "id": {"type": "string", "format": "uuid", "description": "Identifies the fact. The same fact always has the same id, even if it is published again."},
            "source": {"type": "string", "pattern": "^/amazonpay/[A-Za-z0-9]+/(live|sandbox)$", "description": "/amazonpay/<merchant id>/live, or /sandbox."},
            "type": constant(&type_of(type_prefix, row)),
            "subject": {"type": "string", "description": "Id of the object."},
            "time": {"type": "string", "format": "date-time", "description": "Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time."},
            "datacontenttype": constant("application/json"),
            "dataschema": {"type": "string", "format": "uri", "description": "Names the definition of `data`. Events of early versions lack it."},
            "partitionkey": {"type": "string", "description": "Id of the charge permission; also the key of the Kafka record."},
            "sequence": {"type": "string", "pattern": "^[0-9]{20}$", "description": "Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission."},
            "traceparent": {"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$", "description": "W3C Trace Context: the trace of the newest IPN that led to this event."},
            "data": reference(&data_name(row)),
        },
    })
}

fn data(row: &EventType) -> Value {
    let state = match row.trigger {
        Trigger::StateReached { state, .. } => constant(state),
        Trigger::Notice(Notice::DeadlineNear) => constant(State::ActionRequired.as_str()),
        Trigger::UnknownState
        | Trigger::AttributesChanged
        | Trigger::PaymentMethodChanged
        | Trigger::ChargebackReported
        | Trigger::Notice(Notice::Expiring | Notice::LimitNear) => {
            json!({"type": "string", "description": "State of the object."})
        }
    };
    let reasons = match row.reasons {
        [] => "Amazon's reasons of the state.".to_owned(),
        codes => format!("Amazon's reasons of the state. Known codes: {}.", codes.join(", ")),
    };
    let mut required = vec![
        "objectType",
        "objectId",
        "chargePermissionId",
        "chargePermissionType",
        "state",
        "previousState",
        "firstSight",
        "reasons",
        "nextAction",
        "snapshot",
        "causes",
        "observedAt",
    ];
    if matches!(row.trigger, Trigger::PaymentMethodChanged | Trigger::ChargebackReported) {
        required.push("evidence");
    }
    json!({
        "title": data_name(row),
        "description": format!("What the event {} says about its object.", row.name),
        "type": "object",
        "required": required,
        "properties": {
            "objectType": constant(row.kind.as_str()),
            "objectId": {"type": "string"},
            "chargePermissionId": {"type": "string"},
            "chargePermissionIdSource": {"type": "string", "examples": ["IPN"], "description": "What named the charge permission if Amazon Pay's API did not: IPN."},
            "chargePermissionType": {"type": ["string", "null"], "examples": ["OneTime", "Recurring", "PaymentMethodOnFile"], "description": "OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known."},
            "state": state,
            "previousState": {"type": ["string", "null"], "description": "The last state that the receiver knew before this event; null if the object was not known."},
            "firstSight": {"type": "boolean", "description": "The object was not known before."},
            "reasons": {"type": "array", "items": reference("Reason"), "description": reasons},
            "evidence": {"type": "array", "minItems": 1, "uniqueItems": true, "items": open("KnownEvidence"), "description": "What shows the change."},
            "permissionState": {"type": "string", "description": "State of the charge permission when it was last read."},
            "permissionReadAt": {"type": "string", "format": "date-time", "description": "When the charge permission was last read."},
            "nextAction": reference("NextAction"),
            "snapshot": reference(&snapshot_name(row.kind)),
            "causes": {"type": "array", "items": reference("Cause"), "description": "Why the object was read, oldest first."},
            "observedAt": {"type": "string", "format": "date-time", "description": "When the object was read."},
            "late": {"type": "boolean", "const": true, "description": "The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object."},
            "amazonPayRequestId": {"type": "string", "description": "x-amz-pay-request-id of the read from Amazon Pay."},
            "unexpectedTransition": {"type": "boolean", "const": true, "description": "Amazon does not document that this state can follow the previous state."},
        },
    })
}

/// Adds the definition of an object with these fields, and those of the objects in it.
fn add_object(all: &mut Map<String, Value>, title: &str, description: &str, fields: &[Field]) {
    let mut properties = Map::new();
    for field in fields {
        let property = match field.form {
            Form::Text | Form::Word | Form::Id => json!({"type": "string"}),
            Form::Currency => json!({"type": "string", "examples": ["EUR", "USD", "JPY"]}),
            Form::Decimal => {
                json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$", "examples": ["14.00"], "description": "A decimal number."})
            }
            Form::Flag => json!({"type": "boolean"}),
            Form::Time => {
                json!({"type": "string", "pattern": "^[0-9]{8}T[0-9]{6}Z$", "examples": ["20260112T000000Z"], "description": "In Amazon's format, UTC."})
            }
            Form::Price => reference("Money"),
            Form::Group(fields) => {
                let title = capitalized(field.name);
                add_object(all, &title, &format!("Amazon's {}.", field.path), fields);
                reference(&title)
            }
        };
        properties.insert(field.name.to_owned(), property);
    }
    let object = json!({"title": title, "description": description, "type": "object", "properties": properties});
    all.insert(title.to_owned(), object);
}

fn reason() -> Value {
    let mut codes: Vec<&str> = Vec::new();
    for code in CATALOG.iter().flat_map(|row| row.reasons) {
        if !codes.contains(code) {
            codes.push(code);
        }
    }
    json!({
        "title": "Reason",
        "description": "A reason of a state, as Amazon gives it.",
        "type": "object",
        "required": ["reasonCode"],
        "properties": {
            "reasonCode": {"type": "string", "examples": codes},
            "reasonDescription": {"type": "string", "description": "Amazon's sentence."},
        },
    })
}

fn next_action() -> Value {
    json!({
        "title": "NextAction",
        "description": "What the merchant should do next, as Amazon's guides advise.",
        "type": "object",
        "required": ["code", "text"],
        "properties": {
            "code": open("KnownNextActionCode"),
            "text": {"type": "string", "description": "Sentences for people."},
            "url": {"type": "string", "format": "uri", "description": "Page where the buyer updates the payment method."},
            "deadline": {"type": "string", "description": "In Amazon's format, UTC.", "examples": ["20260112T000000Z"]},
        },
    })
}

fn cause() -> Value {
    json!({
        "title": "Cause",
        "description": "Why the object was read.",
        "type": "object",
        "required": ["type", "timestamp"],
        "properties": {
            "type": {"type": "string", "examples": ["IPN", "PARENT_READ", "RECHECK", "RECONCILIATION"]},
            "timestamp": {"type": "string", "format": "date-time"},
            "messageId": {"type": "string", "format": "uuid", "description": "MessageId of the SNS message."},
            "notificationType": {"type": "string", "examples": ["STATE_CHANGE", "ATTRIBUTE_CHANGE"]},
            "readFor": {"type": "string", "description": "The object whose event needed this read."},
        },
    })
}

/// A word of this version, which is in the definition `known`, or one of a later version.
///
/// Nothing else narrows the second branch: generators for Python make a class of its own of a branch with a pattern, and a
/// word in it equals no text. `type` stands beside the branches for generators that do not read them.
fn open(known: &str) -> Value {
    json!({"type": "string", "anyOf": [reference(known), {"type": "string"}]})
}

fn known(title: &str, description: &str, words: &[&str]) -> Value {
    json!({"title": title, "description": description, "type": "string", "enum": words})
}

fn constant(word: &str) -> Value {
    json!({"type": "string", "const": word})
}

fn capitalized(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_ascii_uppercase() + rest
}
