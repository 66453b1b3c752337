//! An event on the wire: CloudEvents 1.0, structured JSON.

use serde_json::{Map, Value, json};

use super::event::Event;

/// How events are named.
#[derive(Clone, Debug)]
pub struct Naming {
    /// `type` is `<this>.<EventName>.v1`.
    pub type_prefix: String,
}

impl Naming {
    /// The `type` attribute of an event.
    pub fn type_of(&self, event: &Event) -> String {
        format!("{}.{}.v1", self.type_prefix, event.event_type.name)
    }
}

/// The `content-type` header of an encoded event.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";

/// The record's value. Its key is the charge permission's id, so that all that happens to a permission is in order.
pub fn encode(event: &Event, sequence: u64, naming: &Naming) -> Vec<u8> {
    let account = &event.object.account;
    let envelope = json!({
        "specversion": "1.0",
        "id": event.id,
        "source": format!("/amazonpay/{account}"),
        "type": naming.type_of(event),
        "subject": event.object.id,
        "time": event.last_updated,
        "datacontenttype": "application/json",
        "partitionkey": event.charge_permission_id,
        // As text of one length: it outgrows what JSON numbers keep exactly, and sorts as it counts.
        "sequence": format!("{sequence:020}"),
        "data": data(event),
    });
    envelope.to_string().into_bytes()
}

fn data(event: &Event) -> Map<String, Value> {
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    put("objectType", json!(event.object.kind));
    put("objectId", json!(event.object.id));
    put("chargePermissionId", json!(event.charge_permission_id));
    put("chargePermissionType", json!(event.charge_permission_type));
    put("state", json!(event.state));
    put("previousState", json!(event.previous_state));
    put("firstSight", json!(event.previous_state.is_none()));
    put("reasons", json!(event.reasons));
    if let Some(evidence) = event.evidence {
        put("evidence", json!(evidence));
    }
    put("snapshot", json!(event.snapshot));
    put("causes", event.causes.iter().map(cause).collect());
    put("observedAt", json!(event.observed_at));
    if let Some(request_id) = &event.request_id {
        put("amazonPayRequestId", json!(request_id));
    }
    if event.unexpected_transition {
        put("unexpectedTransition", json!(true));
    }
    data
}

/// A cause without its place in our inbox, which is nobody else's business.
fn cause(cause: &crate::domain::work::Cause) -> Value {
    let mut value = json!(cause);
    if let Some(fields) = value.as_object_mut() {
        fields.remove("position");
    }
    value
}
