//! The contract, for machines: a JSON Schema (2020-12) for each type of event, and one AsyncAPI 3 document of all.
//!
//! Made from the catalogue. Fields, types and words may be added within v1, so nothing here is closed: a schema says
//! what a consumer can rely on.

use serde_json::{Value, json};

use super::catalog::{CATALOG, EventType, Told};

/// The schema of an event in structured mode, of this type.
pub fn schema(row: &EventType) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:ipn-receiver:event:{}:v1", row.name),
        "title": row.name,
        "description": row.meaning,
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "partitionkey", "sequence", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "format": "uuid", "description": "The same for the same fact, whenever it is told."},
            "source": {"type": "string", "pattern": "^/amazonpay/[A-Za-z0-9]+/(live|sandbox)$"},
            "type": {"type": "string", "pattern": format!("^.+\\.{}\\.v1$", row.name)},
            "subject": {"type": "string", "description": "The object's id."},
            "time": {"type": "string", "format": "date-time", "description": "Amazon's lastUpdatedTimestamp."},
            "datacontenttype": {"const": "application/json"},
            "partitionkey": {"type": "string", "description": "The charge permission's id, and the record's key."},
            "sequence": {"type": "string", "pattern": "^[0-9]{20}$", "description": "Greater than that of every earlier event of the same charge permission."},
            "traceparent": {"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$", "description": "W3C Trace Context: the trace of the newest notification that led to this event."},
            "data": data(row),
        },
    })
}

fn data(row: &EventType) -> Value {
    let state = match row.told {
        Told::Reached { state, .. } => json!({"const": state}),
        Told::ReachedUnknown | Told::Updated | Told::PaymentMethod => json!({"type": "string"}),
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
    if row.told == Told::PaymentMethod {
        required.push("evidence");
    }
    json!({
        "type": "object",
        "required": required,
        "properties": {
            "objectType": {"const": row.kind.as_str()},
            "objectId": {"type": "string"},
            "chargePermissionId": {"type": "string"},
            "chargePermissionType": {"type": ["string", "null"], "examples": ["OneTime", "Recurring", "PaymentMethodOnFile"]},
            "state": state,
            "previousState": {"type": ["string", "null"], "description": "The state that was last told; null at first sight."},
            "firstSight": {"type": "boolean"},
            "reasons": {"type": "array", "items": {
                "type": "object",
                "required": ["reasonCode"],
                "properties": {
                    "reasonCode": {"type": "string", "examples": row.reasons},
                    "reasonDescription": {"type": "string"},
                },
            }},
            "evidence": {"type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "string"},
                "examples": [["became_chargeable", "descriptor_changed", "billing_address_changed", "attribute_change"]]},
            "permissionState": {"type": "string", "description": "The charge permission's state when it was last read."},
            "permissionReadAt": {"type": "string", "format": "date-time"},
            "nextAction": {
                "type": "object",
                "required": ["code", "text"],
                "properties": {
                    "code": {"type": "string", "pattern": "^[A-Z_]+$"},
                    "text": {"type": "string"},
                    "url": {"type": "string", "format": "uri"},
                    "deadline": {"type": "string"},
                },
            },
            "snapshot": {"type": "object", "description": "Every fact of the object that is not about the buyer, under Amazon's names."},
            "causes": {"type": "array", "items": {
                "type": "object",
                "required": ["type", "timestamp"],
                "properties": {
                    "type": {"type": "string", "examples": ["IPN", "HELPER_READ", "RECHECK", "RECONCILIATION"]},
                    "timestamp": {"type": "string", "format": "date-time"},
                    "messageId": {"type": "string", "format": "uuid", "description": "SNS's MessageId."},
                    "notificationType": {"type": "string", "examples": ["STATE_CHANGE", "ATTRIBUTE_CHANGE"]},
                    "readFor": {"type": "string", "description": "The object that could not be told without this one."},
                },
            }},
            "observedAt": {"type": "string", "format": "date-time"},
            "amazonPayRequestId": {"type": "string", "description": "The x-amz-pay-request-id of the read."},
            "unexpectedTransition": {"const": true, "description": "The state does not follow the one before in Amazon's documents."},
        },
    })
}

/// All events in one AsyncAPI 3 document.
pub fn asyncapi() -> Value {
    let name = |row: &EventType| row.name.to_owned();
    let messages: serde_json::Map<String, Value> = CATALOG.iter().map(|row| (name(row), message(row))).collect();
    let references: serde_json::Map<String, Value> =
        CATALOG.iter().map(|row| (name(row), json!({"$ref": format!("#/components/messages/{}", row.name)}))).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "ipn-receiver events",
            "version": "1",
            "description": "What happened to charge permissions, charges, refunds and disputes at Amazon Pay. Consumers read with isolation.level=read_committed; fields, types and words may be added within v1.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            "events": {
                "address": "amazonpay.events.v1",
                "description": "Keyed by the charge permission's id; the prefix is kafka.topic_prefix.",
                "messages": references,
                "bindings": {"kafka": {"topicConfiguration": {"cleanup.policy": ["delete"]}, "bindingVersion": "0.5.0"}},
            },
        },
        "operations": {
            "publishEvents": {"action": "send", "channel": {"$ref": "#/channels/events"}},
        },
        "components": {"messages": messages},
    })
}

fn message(row: &EventType) -> Value {
    json!({
        "name": row.name,
        "title": row.name,
        "summary": row.meaning,
        "contentType": "application/cloudevents+json",
        "payload": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": schema(row)},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The charge permission's id."}, "bindingVersion": "0.5.0"}},
    })
}
