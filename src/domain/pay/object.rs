//! Decodes objects of the Amazon Pay API leniently: unknown states and reasons are kept, `null` and early spellings are
//! accepted. Only the identity is strict: the answer must be the requested object.
//!
//! Buyer data (name, e-mail, phone, addresses, payment descriptor, free text) is dropped here, at the edge.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::amount::Amount;
use super::canonical_json::digest;
use super::ids::{Environment, ObjectId, ObjectKind};
use super::private_details::{Edge, FreeText, PrivateDigests};
use crate::domain::deserialize_text;
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
    /// Amazon's time of the last change of the state. None where Amazon's answer has no readable time: no other field
    /// replaces it.
    pub last_updated: Option<Timestamp>,
    /// All other fields that are safe to publish, under Amazon's names.
    pub snapshot: Arc<Map<String, Value>>,
    /// Equal for equal snapshots.
    pub snapshot_digest: String,
    /// On permissions: digests of private details, which must not be stored.
    pub private: Option<PrivateDigests>,
    /// The `x-amz-pay-request-id` header of the answer. The caller sets it.
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
    /// A required field is absent or unusable.
    #[error("answer has no usable {0}")]
    Missing(&'static str),
    /// The answer describes another object or environment.
    #[error("answer describes another {0} than the requested one")]
    Identity(&'static str),
}

impl Fetched {
    /// Decodes the body of a 200. Private details are kept as digests only.
    pub fn decode(
        (kind, id): (ObjectKind, &ObjectId),
        environment: Environment,
        edge: &Edge,
        body: &[u8],
    ) -> Result<Self, DecodeError> {
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
        let snapshot = snapshot(kind, &object, details, edge.free_text);
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
                .find_map(Timestamp::from_amazon),
            snapshot_digest: digest(&snapshot),
            snapshot: Arc::new(snapshot),
            private: (kind == ObjectKind::ChargePermission).then(|| edge.digests.digests(&object)),
            request_id: None,
        })
    }

    /// On permissions: Amazon says that nothing is left of its amount, or `captured` is all that it was good for.
    pub fn is_used_up(&self, captured: Option<Amount>) -> bool {
        let limits = self.snapshot.get("limits");
        let limit = |name: &str| amount(limits?.get(name)?);
        limit("amountBalance").is_some_and(Amount::is_zero)
            || captured.is_some_and(|captured| !captured.is_zero() && limit("amountLimit") == Some(captured))
    }

    /// On charges: how much was captured.
    pub fn captured(&self) -> Option<Amount> {
        captured(&self.snapshot)
    }
}

/// What a charge's snapshot says was captured.
pub fn captured(snapshot: &Map<String, Value>) -> Option<Amount> {
    amount(snapshot.get("captureAmount")?)
}

fn amount(price: &Value) -> Option<Amount> {
    Amount::parse(price.get("amount")?.as_str()?)
}

impl State {
    /// Amazon's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(word) => word,
            known => KNOWN_STATES.iter().find(|(state, _)| state == known).map_or("", |(_, word)| word),
        }
    }

    /// Whether an object of this kind never leaves the state. Unknown states are not final.
    pub fn is_final(&self, kind: ObjectKind) -> bool {
        match kind {
            ObjectKind::ChargePermission => matches!(self, Self::Closed),
            ObjectKind::Charge => matches!(self, Self::Captured | Self::Declined | Self::Canceled),
            ObjectKind::Refund => matches!(self, Self::Refunded | Self::Declined),
            ObjectKind::Dispute => matches!(self, Self::Resolved | Self::Closed),
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

fn snapshot(
    kind: ObjectKind,
    object: &Map<String, Value>,
    details: &Map<String, Value>,
    free_text: FreeText,
) -> Map<String, Value> {
    let mut snapshot: Map<String, Value> = published_fields(kind)
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), object.get(*field).filter(|value| !value.is_null())?.clone())))
        .collect();
    if let Some(resolution) = text(details, "resolution") {
        snapshot.insert("resolution".to_owned(), resolution.into());
    }
    // The merchant's own order number; the free text beside it may name a buyer.
    let words: &[&str] = match free_text {
        FreeText::Dropped => &["merchantReferenceId"],
        FreeText::Published => &["merchantReferenceId", "noteToBuyer", "customInformation"],
    };
    if let Some(Value::Object(metadata)) = object.get("merchantMetadata") {
        snapshot.extend(words.iter().filter_map(|word| Some(((*word).to_owned(), text(metadata, word)?.into()))));
    }
    snapshot
}

/// The fields that hold no buyer data. A field that Amazon adds is not published until it is listed here.
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
        deserialize_text(deserializer, "a state", |word| Some(Self::parse(word)))
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
mod tests;
