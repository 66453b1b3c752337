//! What the Amazon Pay API answers, read leniently: unknown fields, states and reasons are kept, `null` and
//! early spellings are understood. Strict about one thing only: it must be the object that was asked for.
//!
//! Buyer data (name, e-mail, phone, addresses, payment descriptor, free text) is dropped here, at the edge.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::ids::{Environment, ObjectId, ObjectKind};
use crate::domain::timestamp::Timestamp;

/// One object as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    /// What it is.
    pub kind: ObjectKind,
    /// Its id.
    pub id: ObjectId,
    /// On permissions (its own id) and charges.
    pub charge_permission_id: Option<ObjectId>,
    /// On permissions: `OneTime`, `Recurring`, `PaymentMethodOnFile`, or a word yet to come.
    pub charge_permission_type: Option<String>,
    /// On refunds and disputes, and a charge's own id.
    pub charge_id: Option<ObjectId>,
    /// Its state.
    pub state: State,
    /// Why; empty where Amazon gives none.
    pub reasons: Vec<Reason>,
    /// When the state last changed, in whole seconds.
    pub last_updated: Timestamp,
    /// Every other fact that is safe to publish, under Amazon's names.
    pub snapshot: Map<String, Value>,
    /// The `x-amz-pay-request-id` of the answer; it is not in the body, whoever read it adds it.
    pub request_id: Option<Box<str>>,
}

/// A state of any of the four kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are Amazon's own words")]
pub enum State {
    Chargeable,
    NonChargeable,
    Closed,
    AuthorizationInitiated,
    Authorized,
    CaptureInitiated,
    Captured,
    Declined,
    Canceled,
    RefundInitiated,
    Refunded,
    UnderReview,
    ActionRequired,
    Resolved,
    /// A word that Amazon added.
    Other(Box<str>),
}

/// A reason as Amazon gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// Its code, verbatim.
    pub reason_code: String,
    /// Amazon's sentence, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_description: Option<String>,
}

/// Why an answer is not the object that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not a JSON object.
    #[error("answer is not a JSON object")]
    NotJson,
    /// A field without which nothing can be told.
    #[error("answer has no usable {0}")]
    Missing(&'static str),
    /// The answer is about something else.
    #[error("answer is about another {0} than the one asked for")]
    Identity(&'static str),
}

impl Fetched {
    /// Reads the body of a 200.
    pub fn decode(kind: ObjectKind, id: &ObjectId, environment: Environment, body: &[u8]) -> Result<Self, DecodeError> {
        let Ok(Value::Object(object)) = serde_json::from_slice(body) else { return Err(DecodeError::NotJson) };
        if text(&object, kind.id_field()) != Some(id.as_str()) {
            return Err(DecodeError::Identity("object"));
        }
        if text(&object, "releaseEnvironment").is_some_and(|found| !found.eq_ignore_ascii_case(environment.as_str())) {
            return Err(DecodeError::Identity("environment"));
        }
        // Payloads of 2020 spell it without the s.
        let details = object.get("statusDetails").or_else(|| object.get("statusDetail")).and_then(Value::as_object);
        let details = details.ok_or(DecodeError::Missing("statusDetails"))?;
        Ok(Self {
            kind,
            id: id.clone(),
            charge_permission_id: text(&object, "chargePermissionId").and_then(ObjectId::parse),
            charge_permission_type: text(&object, "chargePermissionType").map(str::to_owned),
            charge_id: text(&object, "chargeId").and_then(ObjectId::parse),
            state: text(details, "state").map(State::parse).ok_or(DecodeError::Missing("statusDetails.state"))?,
            reasons: reasons(details),
            last_updated: ["lastUpdatedTimestamp", "lastUpdateTimestamp"]
                .iter()
                .filter_map(|name| details.get(*name))
                .chain(object.get("creationTimestamp"))
                .find_map(Timestamp::from_amazon)
                .ok_or(DecodeError::Missing("statusDetails.lastUpdatedTimestamp"))?,
            snapshot: snapshot(kind, &object, details),
            request_id: None,
        })
    }
}

impl State {
    /// Amazon's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(word) => word,
            known => KNOWN_STATES.iter().find(|(state, _)| state == known).map_or("", |(_, word)| word),
        }
    }

    /// Reads any word.
    pub fn parse(word: &str) -> Self {
        KNOWN_STATES
            .iter()
            .find(|(_, known)| *known == word)
            .map_or_else(|| Self::Other(word.into()), |(state, _)| state.clone())
    }
}

/// Eight bytes of SHA-256 over a canonical form of `value`, in hex: equal for equal facts in whatever order.
pub fn digest(value: &Map<String, Value>) -> String {
    let mut canonical = String::new();
    write_canonical_object(value, &mut canonical);
    hex(&ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes()).as_ref()[..8])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is a hex digit"));
        }
        text
    })
}

/// A permission has a list (`null`, or with a null code in it, when there is no reason), the others one code.
fn reasons(details: &Map<String, Value>) -> Vec<Reason> {
    let reason = |object: &Map<String, Value>| {
        Some(Reason {
            reason_code: text(object, "reasonCode")?.to_owned(),
            reason_description: text(object, "reasonDescription").map(str::to_owned),
        })
    };
    match details.get("reasons") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_object).filter_map(reason).collect(),
        _ => reason(details).into_iter().collect(),
    }
}

fn snapshot(kind: ObjectKind, object: &Map<String, Value>, details: &Map<String, Value>) -> Map<String, Value> {
    let mut snapshot: Map<String, Value> = published_fields(kind)
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), object.get(*field).filter(|value| !value.is_null())?.clone())))
        .collect();
    if let Some(resolution) = text(details, "resolution") {
        snapshot.insert("resolution".to_owned(), resolution.into());
    }
    // The merchant's own order number; the free text beside it (noteToBuyer, customInformation) may name a buyer.
    if let Some(Value::Object(metadata)) = object.get("merchantMetadata")
        && let Some(reference) = text(metadata, "merchantReferenceId")
    {
        snapshot.insert("merchantReferenceId".to_owned(), reference.into());
    }
    snapshot
}

/// The fields that hold no buyer data. A field Amazon adds is not published until it stands here.
fn published_fields(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::ChargePermission => &[
            "chargePermissionReferenceId",
            "recurringMetadata",
            "paymentMethodOnFileMetadata",
            "limits",
            "presentmentCurrency",
            "platformId",
            "creationTimestamp",
            "expirationTimestamp",
        ],
        ObjectKind::Charge => &[
            "chargeAmount",
            "captureAmount",
            "refundedAmount",
            "convertedAmount",
            "conversionRate",
            "softDescriptor",
            "captureNow",
            "canHandlePendingAuthorization",
            "chargeInitiator",
            "channel",
            "platformId",
            "creationTimestamp",
            "expirationTimestamp",
        ],
        ObjectKind::Refund => &["chargeId", "refundAmount", "softDescriptor", "creationTimestamp"],
        ObjectKind::Dispute => &[
            "chargeId",
            "disputeType",
            "disputeAmount",
            "filingReason",
            "merchantResponseDeadline",
            "resolutionAuthority",
            "creationTimestamp",
        ],
    }
}

fn text<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn write_canonical_object(object: &Map<String, Value>, out: &mut String) {
    let mut names: Vec<&String> = object.keys().collect();
    names.sort();
    out.push('{');
    for name in names {
        out.push_str(&Value::String(name.clone()).to_string());
        out.push(':');
        match &object[name] {
            Value::Object(inner) => write_canonical_object(inner, out),
            other => out.push_str(&other.to_string()),
        }
        out.push(',');
    }
    out.push('}');
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

const KNOWN_STATES: &[(State, &str)] = &[
    (State::Chargeable, "Chargeable"),
    (State::NonChargeable, "NonChargeable"),
    (State::Closed, "Closed"),
    (State::AuthorizationInitiated, "AuthorizationInitiated"),
    (State::Authorized, "Authorized"),
    (State::CaptureInitiated, "CaptureInitiated"),
    (State::Captured, "Captured"),
    (State::Declined, "Declined"),
    (State::Canceled, "Canceled"),
    (State::RefundInitiated, "RefundInitiated"),
    (State::Refunded, "Refunded"),
    (State::UnderReview, "UnderReview"),
    (State::ActionRequired, "ActionRequired"),
    (State::Resolved, "Resolved"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decode(kind: ObjectKind, id: &str, body: &Value) -> Result<Fetched, DecodeError> {
        Fetched::decode(kind, &ObjectId::parse(id).unwrap(), Environment::Sandbox, body.to_string().as_bytes())
    }

    fn permission(details: &Value) -> Value {
        json!({"chargePermissionId": "C01-0000000-0000001", "chargePermissionType": "Recurring", "statusDetails": details,
            "buyer": {"name": "BUYER-DATA"}, "billingAddress": {"city": "BUYER-DATA"}, "shippingAddress": {"city": "BUYER-DATA"},
            "paymentPreferences": [{"paymentDescriptor": "BUYER-DATA"}], "releaseEnvironment": "Sandbox",
            "merchantMetadata": {"merchantReferenceId": "order-1", "noteToBuyer": "BUYER-DATA", "customInformation": "BUYER-DATA"},
            "limits": {"amountBalance": {"amount": "10.00", "currencyCode": "USD"}}})
    }

    #[test]
    fn reasons_in_every_spelling_are_a_list() {
        let at = "20260102T030405Z";
        for (details, codes) in [
            (
                json!({"state": "Closed", "reasons": [{"reasonCode": "BuyerClosed", "reasonDescription": "x"}], "lastUpdatedTimestamp": at}),
                vec!["BuyerClosed"],
            ),
            (json!({"state": "Closed", "reasons": [{"reasonCode": null}], "lastUpdatedTimestamp": at}), vec![]),
            (json!({"state": "Closed", "reasons": null, "lastUpdatedTimestamp": at}), vec![]),
            (
                json!({"state": "NonChargeable", "reasons": [{"reasonCode": "MFAFailed"}, {"reasonCode": "Novel"}], "lastUpdatedTimestamp": at}),
                vec!["MFAFailed", "Novel"],
            ),
        ] {
            let fetched = decode(ObjectKind::ChargePermission, "C01-0000000-0000001", &permission(&details)).unwrap();
            assert_eq!(fetched.reasons.iter().map(|r| r.reason_code.as_str()).collect::<Vec<_>>(), codes);
        }
    }

    #[test]
    fn nothing_about_the_buyer_survives_decoding() {
        let details = json!({"state": "Chargeable", "reasons": null, "lastUpdatedTimestamp": "20260102T030405Z"});
        let fetched = decode(ObjectKind::ChargePermission, "C01-0000000-0000001", &permission(&details)).unwrap();
        assert!(!format!("{fetched:?}").contains("BUYER-DATA"));
        assert_eq!(fetched.snapshot["merchantReferenceId"], "order-1");
        assert_eq!(fetched.snapshot["limits"]["amountBalance"]["amount"], "10.00");
    }

    #[test]
    fn an_answer_about_something_else_is_an_error_not_data() {
        let details = json!({"state": "Chargeable", "lastUpdatedTimestamp": "20260102T030405Z"});
        let other = decode(ObjectKind::ChargePermission, "C01-0000000-0000002", &permission(&details));
        assert_eq!(other, Err(DecodeError::Identity("object")));
        let mut live = permission(&details);
        live["releaseEnvironment"] = json!("Live");
        assert_eq!(
            decode(ObjectKind::ChargePermission, "C01-0000000-0000001", &live),
            Err(DecodeError::Identity("environment"))
        );
    }

    #[test]
    fn early_payloads_with_epoch_times_and_status_detail_are_read() {
        let charge = json!({"chargeId": "S01-1-2-C1", "chargePermissionId": "C01-0000000-0000001",
            "statusDetail": {"state": "Declined", "reasonCode": "SoftDeclined", "lastUpdatedTimestamp": 1_767_323_045_000_i64}});
        let fetched = decode(ObjectKind::Charge, "S01-1-2-C1", &charge).unwrap();
        assert_eq!(
            (fetched.state, fetched.last_updated.to_string().as_str()),
            (State::Declined, "2026-01-02T03:04:05.000Z")
        );
    }

    #[test]
    fn truncated_or_foreign_json_is_an_error() {
        for body in ["", "[]", "{\"chargeId\":", "<html>"] {
            let answer = Fetched::decode(
                ObjectKind::Charge,
                &ObjectId::parse("S01").unwrap(),
                Environment::Live,
                body.as_bytes(),
            );
            assert_eq!(answer, Err(DecodeError::NotJson), "{body}");
        }
        assert_eq!(
            decode(ObjectKind::Charge, "S01", &json!({"chargeId": "S01"})),
            Err(DecodeError::Missing("statusDetails"))
        );
    }

    #[test]
    fn the_digest_ignores_the_order_of_fields() {
        let digest_of = |json: &str| digest(serde_json::from_str::<Value>(json).unwrap().as_object().unwrap());
        assert_eq!(digest_of(r#"{"a":{"x":1,"y":"2"},"b":[1]}"#), digest_of(r#"{"b":[1],"a":{"y":"2","x":1}}"#));
        assert_ne!(digest_of(r#"{"a":1}"#), digest_of(r#"{"a":2}"#));
    }
}
