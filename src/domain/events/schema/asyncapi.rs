//! The AsyncAPI 3 document of all events.

use serde_json::{Map, Value, json};

use super::definitions::definitions;
use super::{DEFINITIONS, Names};
use crate::domain::events::catalog::{CATALOG, EventType};
use crate::domain::events::cloudevent::{name_of_type, type_of};

/// AsyncAPI 3 document of all events. `examples` are events in structured mode.
///
/// Its schemas are the definitions of [`super::bundle`]: they need no keyword that draft 7 lacks, which is all that AsyncAPI's
/// own tools read.
pub fn asyncapi(names: &Names, examples: &[Value]) -> Value {
    let messages: Map<String, Value> =
        CATALOG.iter().map(|row| (row.name.to_owned(), message(row, names, examples))).collect();
    let of_channel: Map<String, Value> =
        CATALOG.iter().map(|row| (row.name.to_owned(), at(&format!("#/components/messages/{}", row.name)))).collect();
    let of_operation: Vec<Value> =
        CATALOG.iter().map(|row| at(&format!("#/channels/events/messages/{}", row.name))).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "ipn-receiver events",
            "version": "1",
            "description": "Changes of charge permissions, charges, refunds and disputes at Amazon Pay. Consumers must set isolation.level=read_committed. Releases within v1 may add fields, event types and values; consumers must ignore those that they do not know.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "events": {
                "address": names.topic,
                "description": "The record key is the charge permission id. The prefix of the topic is the setting kafka.topic_prefix.",
                "messages": of_channel,
                "bindings": {"kafka": {"topicConfiguration": {"cleanup.policy": ["delete"]}, "bindingVersion": "0.5.0"}},
            },
        },
        "operations": {
            "publishEvents": {"action": "send", "summary": "The receiver publishes each change once.", "channel": at("#/channels/events"), "messages": of_operation},
        },
        "components": {"messages": messages, "schemas": moved(Value::Object(definitions(names)))},
    })
}

fn message(row: &EventType, names: &Names, examples: &[Value]) -> Value {
    let examples: Vec<Value> =
        examples.iter().filter(|event| is_of(event, row)).map(|event| example(event, row, names)).collect();
    let mut message = json!({
        "name": row.name,
        "title": row.name,
        "summary": row.meaning,
        "contentType": CONTENT_TYPE,
        "payload": at(&format!("{SCHEMAS}{}", row.name)),
        "bindings": {"kafka": {"key": {"type": "string", "description": "Id of the charge permission."}, "bindingVersion": "0.5.0"}},
    });
    if !examples.is_empty() {
        message["examples"] = examples.into();
    }
    message
}

fn is_of(event: &Value, row: &EventType) -> bool {
    event["type"].as_str().is_some_and(|word| name_of_type(word) == row.name)
}

/// The event with the configured type, and the reasons and the permission type as its name.
fn example(event: &Value, row: &EventType, names: &Names) -> Value {
    let data = &event["data"];
    let reasons = data["reasons"].as_array().into_iter().flatten().map(|reason| &reason["reasonCode"]);
    let words: Vec<&str> = reasons.chain([&data["chargePermissionType"]]).filter_map(Value::as_str).collect();
    let mut payload = event.clone();
    payload["type"] = type_of(&names.type_prefix, row).into();
    json!({"name": words.join(", "), "payload": payload})
}

/// The same value with references to where this document has the definitions.
fn moved(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| match value.as_str().and_then(|at| at.strip_prefix(DEFINITIONS)) {
                Some(to) if name == "$ref" => (name, format!("{SCHEMAS}{to}").into()),
                _ => (name, moved(value)),
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(moved).collect(),
        other => other,
    }
}

fn at(pointer: &str) -> Value {
    json!({"$ref": pointer})
}

const CONTENT_TYPE: &str = "application/cloudevents+json";
const SCHEMAS: &str = "#/components/schemas/";
