//! The machine-readable contract: a JSON Schema (2020-12) for each event type, and one AsyncAPI 3 document for all.
//!
//! Both are generated from the catalogue. Releases within v1 may add fields, types and values, so no schema is closed: a
//! schema states what a consumer can rely on.

use serde_json::{Value, json};

use super::catalog::{CATALOG, EventType, Notice, Trigger};
use crate::domain::pay::State;

/// JSON Schema of an event of this type in structured mode.
pub fn schema(row: &EventType) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:ipn-receiver:event:{}:v1", row.name),
        "title": row.name,
        "description": row.meaning,
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "datacontenttype", "partitionkey", "sequence", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "format": "uuid", "description": "Identifies the fact. The same fact always has the same id, even if it is published again."},
            "source": {"type": "string", "pattern": "^/amazonpay/[A-Za-z0-9]+/(live|sandbox)$"},
            "type": {"type": "string", "pattern": format!("^.+\\.{}\\.v1$", row.name)},
            "subject": {"type": "string", "description": "Id of the object."},
            "time": {"type": "string", "format": "date-time", "description": "Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time."},
            "datacontenttype": {"const": "application/json"},
            "partitionkey": {"type": "string", "description": "Id of the charge permission; also the key of the Kafka record."},
            "sequence": {"type": "string", "pattern": "^[0-9]{20}$", "description": "Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission."},
            "traceparent": {"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$", "description": "W3C Trace Context: the trace of the newest IPN that led to this event."},
            "data": data(row),
        },
    })
}

fn data(row: &EventType) -> Value {
    let state = match row.trigger {
        Trigger::StateReached { state, .. } => json!({"const": state}),
        Trigger::Notice(Notice::DeadlineNear) => json!({"const": State::ActionRequired.as_str()}),
        Trigger::UnknownState
        | Trigger::AttributesChanged
        | Trigger::PaymentMethodChanged
        | Trigger::ChargebackReported
        | Trigger::Notice(Notice::Expiring | Notice::LimitNear) => json!({"type": "string"}),
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
        "type": "object",
        "required": required,
        "properties": {
            "objectType": {"const": row.kind.as_str()},
            "objectId": {"type": "string"},
            "chargePermissionId": {"type": "string"},
            "chargePermissionIdSource": {"type": "string", "examples": ["IPN"], "description": "What named the charge permission if Amazon Pay's API did not: IPN."},
            "chargePermissionType": {"type": ["string", "null"], "examples": ["OneTime", "Recurring", "PaymentMethodOnFile"]},
            "state": state,
            "previousState": {"type": ["string", "null"], "description": "The last state that the receiver knew before this event; null if the object was not known."},
            "firstSight": {"type": "boolean"},
            "reasons": {"type": "array", "items": reason(row)},
            "evidence": {"type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "string"},
                "examples": [["became_chargeable", "descriptor_changed", "billing_address_changed", "attribute_change"], ["chargeback_ipn"]]},
            "permissionState": {"type": "string", "description": "State of the charge permission when it was last read."},
            "permissionReadAt": {"type": "string", "format": "date-time"},
            "nextAction": next_action(),
            "snapshot": {"type": "object", "description": "Every attribute of the object that is not about the buyer, under Amazon's names."},
            "causes": {"type": "array", "items": cause()},
            "observedAt": {"type": "string", "format": "date-time"},
            "late": {"const": true, "description": "The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object."},
            "amazonPayRequestId": {"type": "string", "description": "x-amz-pay-request-id of the read from Amazon Pay."},
            "unexpectedTransition": {"const": true, "description": "Amazon does not document that this state can follow the previous state."},
        },
    })
}

fn reason(row: &EventType) -> Value {
    json!({
        "type": "object",
        "required": ["reasonCode"],
        "properties": {
            "reasonCode": {"type": "string", "examples": row.reasons},
            "reasonDescription": {"type": "string"},
        },
    })
}

fn next_action() -> Value {
    json!({
        "type": "object",
        "required": ["code", "text"],
        "properties": {
            "code": {"type": "string", "pattern": "^[A-Z_]+$"},
            "text": {"type": "string"},
            "url": {"type": "string", "format": "uri"},
            "deadline": {"type": "string", "description": "In Amazon's format, UTC.", "examples": ["20260112T000000Z"]},
        },
    })
}

fn cause() -> Value {
    json!({
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

/// AsyncAPI 3 document of all events.
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
            "description": "Changes of charge permissions, charges, refunds and disputes at Amazon Pay. Consumers must set isolation.level=read_committed. Releases within v1 may add fields, event types and values; consumers must ignore those that they do not know.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            "events": {
                "address": "amazonpay.events.v1",
                "description": "The record key is the charge permission id. The prefix of the topic is the setting kafka.topic_prefix.",
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
        "bindings": {"kafka": {"key": {"type": "string", "description": "Id of the charge permission."}, "bindingVersion": "0.5.0"}},
    })
}
