//! An event on the wire: CloudEvents 1.0 in Kafka, structured or binary ("Kafka Protocol Binding for CloudEvents").

use serde_json::{Map, Value, json};

use super::event::Event;

/// How events look on the wire.
#[derive(Clone, Debug)]
pub struct Wire {
    /// `type` is `<this>.<EventName>.v1`.
    pub type_prefix: String,
    /// Where the attributes stand.
    pub mode: Mode,
}

/// The two content modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The whole event is the record's value, in JSON.
    Structured,
    /// The attributes are headers, and the value is `data` alone.
    Binary,
}

/// A record's headers and value. Its key is the charge permission's id, so that all that happens to a permission is in
/// order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// In order.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub value: Vec<u8>,
}

impl Wire {
    /// The `type` attribute of an event.
    pub fn type_of(&self, event: &Event) -> String {
        format!("{}.{}.v1", self.type_prefix, event.event_type.name)
    }

    /// Headers and value of a record.
    pub fn encode(&self, event: &Event, sequence: u64) -> Encoded {
        let attributes = self.attributes(event, sequence);
        match self.mode {
            Mode::Structured => {
                let mut envelope: Map<String, Value> =
                    attributes.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
                envelope.insert("data".to_owned(), data(event).into());
                let headers = vec![("content-type".to_owned(), STRUCTURED.to_owned())];
                Encoded { headers, value: Value::from(envelope).to_string().into_bytes() }
            }
            Mode::Binary => {
                // The data's own content type is the record's, and no attribute any more.
                let header = |(name, value)| match name {
                    "datacontenttype" => ("content-type".to_owned(), value),
                    name => (format!("ce_{name}"), value),
                };
                let headers = attributes.into_iter().map(header).collect();
                Encoded { headers, value: Value::from(data(event)).to_string().into_bytes() }
            }
        }
    }

    fn attributes(&self, event: &Event, sequence: u64) -> Vec<(&'static str, String)> {
        vec![
            ("specversion", "1.0".to_owned()),
            ("id", event.id.to_string()),
            ("source", format!("/amazonpay/{}", event.object.account)),
            ("type", self.type_of(event)),
            ("subject", event.object.id.to_string()),
            ("time", event.last_updated.to_string()),
            ("datacontenttype", "application/json".to_owned()),
            ("partitionkey", event.charge_permission_id.to_string()),
            // As text of one length: it outgrows what JSON numbers keep exactly, and sorts as it counts.
            ("sequence", format!("{sequence:020}")),
        ]
    }
}

const STRUCTURED: &str = "application/cloudevents+json; charset=UTF-8";

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
    if !event.evidence.is_empty() {
        put("evidence", json!(event.evidence));
    }
    if let Some((state, read_at)) = &event.permission_seen {
        put("permissionState", json!(state));
        put("permissionReadAt", json!(read_at));
    }
    put("nextAction", json!(event.next_action));
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
