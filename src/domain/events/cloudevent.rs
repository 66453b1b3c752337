//! An event as a Kafka record: CloudEvents 1.0 in Kafka, structured or binary ("Kafka Protocol Binding for CloudEvents").

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::catalog::EventType;
use super::event::Event;
use super::evidence::Evidence;
use super::next_action::NextAction;
use super::schema::data_schema;
use crate::domain::ipn::NotificationType;
use crate::domain::pay::{ObjectId, ObjectKind, Reason, State};
use crate::domain::state::PermissionIdSource;
use crate::domain::timestamp::Timestamp;
use crate::domain::trace::TraceParent;
use crate::domain::work::{Cause, Origin};

/// How events are encoded.
#[derive(Clone, Debug)]
pub struct Wire {
    /// `type` is `<this>.<EventName>.v1`.
    pub type_prefix: String,
    /// CloudEvents content mode.
    pub mode: Mode,
}

/// The prefix of event types without `events.type_prefix`.
pub const TYPE_PREFIX: &str = "amazonpay";

/// CloudEvents content mode of the event records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The whole event is the record's value, in JSON.
    #[default]
    Structured,
    /// The attributes are headers, and the value is `data` alone.
    Binary,
}

/// Headers and value of an event record. The record key is the charge permission id, which keeps all events of a
/// permission in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Record headers in the order in which they are written.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub value: Vec<u8>,
}

impl Wire {
    /// The `type` attribute of an event.
    pub fn type_of(&self, event: &Event) -> String {
        type_of(&self.type_prefix, event.event_type)
    }

    /// The most bytes that the record of an event has, with any `type_prefix` and in any mode.
    pub fn record_bytes_max(event: &Event) -> usize {
        let wire = Self { type_prefix: String::new(), mode: Mode::Structured };
        wire.encode(event, 0).value.len() + OTHER_BYTES_MAX
    }

    /// Headers and value of a record.
    pub fn encode(&self, event: &Event, sequence: u64) -> Encoded {
        let attributes = Attributes {
            specversion: "1.0",
            id: event.id,
            source: format!("/amazonpay/{}", event.object.account),
            event_type: self.type_of(event),
            subject: &event.object.id,
            time: event.last_updated,
            datacontenttype: "application/json",
            dataschema: data_schema(event.event_type),
            partitionkey: &event.charge_permission_id,
            // Text of fixed length: JSON numbers would lose digits, and the text sorts like the number.
            sequence: format!("{sequence:020}"),
            traceparent: event.traceparent(),
        };
        match self.mode {
            Mode::Structured => Encoded {
                headers: vec![("content-type", STRUCTURED.to_owned())],
                value: json(&Structured { attributes, data: Data::of(event) }),
            },
            Mode::Binary => Encoded { headers: attributes.headers(), value: json(&Data::of(event)) },
        }
    }
}

/// The `type` attribute of events of this type.
pub(super) fn type_of(type_prefix: &str, event_type: &EventType) -> String {
    format!("{type_prefix}.{}.v1", event_type.name)
}

/// The event of a record in either content mode, as one JSON object. Null if the value is not JSON.
pub fn decode(headers: &[(String, Vec<u8>)], value: &[u8]) -> Value {
    let value: Value = serde_json::from_slice(value).unwrap_or(Value::Null);
    let attributes = headers.iter().filter_map(|(name, text)| {
        let text = String::from_utf8_lossy(text).into_owned();
        Some((name.strip_prefix("ce_")?.to_owned(), Value::from(text)))
    });
    let mut event: Map<String, Value> = attributes.collect();
    if event.is_empty() {
        return value;
    }
    event.insert("datacontenttype".to_owned(), "application/json".into());
    event.insert("data".to_owned(), value);
    event.into()
}

/// `amazonpay.ChargeDeclined.v1` → `ChargeDeclined`; the whole text if it is no type of the receiver.
pub fn name_of_type(event_type: &str) -> &str {
    event_type.rsplit('.').nth(1).unwrap_or(event_type)
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut json, value).expect("an event is plain data");
    json
}

/// A few events are larger.
const USUAL_BYTES: usize = 2048;

/// Key, prefix, and names of headers.
const OTHER_BYTES_MAX: usize = 2048;
const STRUCTURED: &str = "application/cloudevents+json; charset=UTF-8";

#[derive(Serialize)]
struct Structured<'a> {
    #[serde(flatten)]
    attributes: Attributes<'a>,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Attributes<'a> {
    specversion: &'static str,
    id: Uuid,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    subject: &'a ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    datacontenttype: &'static str,
    dataschema: String,
    partitionkey: &'a ObjectId,
    sequence: String,
    /// CloudEvents' extension for distributed tracing.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<TraceParent>,
}

impl Attributes<'_> {
    fn headers(self) -> Vec<(&'static str, String)> {
        let traceparent = self.traceparent.map(|traceparent| ("ce_traceparent", traceparent.to_string()));
        let attributes = [
            ("ce_specversion", self.specversion.to_owned()),
            ("ce_id", self.id.to_string()),
            ("ce_source", self.source),
            ("ce_type", self.event_type),
            ("ce_subject", self.subject.to_string()),
            // In binary mode `datacontenttype` becomes the `content-type` header of the record.
            ("content-type", self.datacontenttype.to_owned()),
            ("ce_dataschema", self.dataschema),
            ("ce_partitionkey", self.partitionkey.to_string()),
            ("ce_sequence", self.sequence),
        ];
        let time = self.time.map(|time| ("ce_time", time.to_string()));
        attributes.into_iter().chain(time).chain(traceparent).collect()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    object_type: ObjectKind,
    object_id: &'a ObjectId,
    charge_permission_id: &'a ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge_permission_id_source: Option<PermissionIdSource>,
    charge_permission_type: Option<&'a str>,
    state: &'a State,
    previous_state: Option<&'a State>,
    first_sight: bool,
    reasons: &'a [Reason],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    evidence: &'a [Evidence],
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_state: Option<&'a State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_read_at: Option<Timestamp>,
    next_action: &'a NextAction,
    snapshot: &'a Map<String, Value>,
    causes: Vec<PublishedCause<'a>>,
    observed_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amazon_pay_request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unexpected_transition: Option<bool>,
}

/// A cause without its inbox position, which is private to the receiver.
#[derive(Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
enum PublishedCause<'a> {
    #[serde(rename = "IPN")]
    Ipn { message_id: Uuid, notification_type: &'a NotificationType, timestamp: Timestamp },
    #[serde(rename = "RECONCILIATION")]
    Reconciliation { timestamp: Timestamp },
    #[serde(rename = "PARENT_READ")]
    Helper { read_for: &'a ObjectId, timestamp: Timestamp },
    #[serde(rename = "RECHECK")]
    Recheck { timestamp: Timestamp },
}

impl<'a> Data<'a> {
    fn of(event: &'a Event) -> Self {
        Self {
            object_type: event.object.kind,
            object_id: &event.object.id,
            charge_permission_id: &event.charge_permission_id,
            charge_permission_id_source: event.charge_permission_id_source,
            charge_permission_type: event.charge_permission_type.as_deref(),
            state: &event.state,
            previous_state: event.previous_state.as_ref(),
            first_sight: event.previous_state.is_none(),
            reasons: &event.reasons,
            evidence: &event.evidence,
            permission_state: event.permission_seen.as_ref().map(|(state, _)| state),
            permission_read_at: event.permission_seen.as_ref().map(|(_, read_at)| *read_at),
            next_action: &event.next_action,
            snapshot: &event.snapshot,
            causes: event.causes.iter().map(PublishedCause::of).collect(),
            observed_at: event.observed_at,
            late: event.is_late.then_some(true),
            amazon_pay_request_id: event.request_id.as_deref(),
            unexpected_transition: event.unexpected_transition.then_some(true),
        }
    }
}

impl<'a> PublishedCause<'a> {
    fn of(cause: &'a Cause) -> Self {
        let timestamp = cause.timestamp;
        match &cause.origin {
            Origin::Ipn {
                message_id,
                notification_type,
                position: _,
                traceparent: _,
                chargeback: _,
                permission: _,
            } => Self::Ipn { message_id: *message_id, notification_type, timestamp },
            Origin::ParentRead { read_for, .. } => Self::Helper { read_for, timestamp },
            Origin::Recheck { position: _, seed: _ } => Self::Recheck { timestamp },
            Origin::Reconciliation => Self::Reconciliation { timestamp },
        }
    }
}
