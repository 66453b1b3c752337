//! Decodes objects of the Amazon Pay API leniently: unknown states and reasons are kept, and each kind of value is read in every
//! form that it may have (`values`). Only the identity is strict: the answer must be the requested object.
//!
//! What cannot be read is left out and listed in [`Fetched::unreadable`]; it is never replaced by another field.
//!
//! Buyer data (name, e-mail, phone, addresses, payment descriptor, free text) is dropped here, at the edge.

mod fields;
mod reasons;
mod state;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::fields::{FIELD_NAMES, published_fields};
pub use self::state::State;
use super::amount::Amount;
use super::canonical_json::digest;
use super::ids::{Environment, ObjectId, ObjectKind};
use super::private_details::{Edge, PrivateDigests};
use super::values::{Shape, Unreadable, field, word};
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
    /// The fields whose values could not be read.
    pub unreadable: Vec<Unreadable>,
    /// On permissions: digests of private details, which must not be stored.
    pub private: Option<PrivateDigests>,
    /// The `x-amz-pay-request-id` header of the answer. The caller sets it.
    pub request_id: Option<Box<str>>,
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
        if word(&object, kind.id_field()) != Some(id.as_str()) {
            return Err(DecodeError::Identity("object"));
        }
        // Payloads of 2020 spell it without the s.
        let details = ["statusDetails", "statusDetail"].iter().find_map(|name| field(&object, name)?.as_object());
        let details = details.ok_or(DecodeError::Missing("statusDetails"))?;
        let state = word(details, "state").ok_or(DecodeError::Missing("statusDetails.state"))?;
        let mut answer = Answer { object: &object, details, unreadable: Vec::new() };
        answer.check_environment(environment)?;
        let snapshot = fields::snapshot(kind, &mut answer, edge.free_text);
        Ok(Self {
            kind,
            id: id.clone(),
            charge_permission_id: answer.id("chargePermissionId"),
            charge_permission_type: answer.permission_type(),
            charge_id: answer.id("chargeId"),
            state: State::of_answer(kind, state),
            reasons: reasons::read(details, &mut answer.unreadable),
            last_updated: answer.last_updated(),
            snapshot_digest: digest(&snapshot),
            snapshot: Arc::new(snapshot),
            unreadable: answer.unreadable(),
            private: (kind == ObjectKind::ChargePermission).then(|| edge.digests.digests(&object)),
            request_id: None,
        })
    }

    /// On permissions: Amazon says that nothing is left of its amount, or `captured` is all that it was good for.
    pub fn is_used_up(&self, captured: Option<Amount>) -> bool {
        let limits = self.snapshot.get("limits");
        let limit = |name: &str| Amount::of_price(limits?.get(name)?);
        limit("amountBalance").is_some_and(|balance| balance <= Amount::default())
            || captured.is_some_and(|captured| !captured.is_zero() && limit("amountLimit") == Some(captured))
    }

    /// On charges: how much was captured.
    pub fn captured(&self) -> Option<Amount> {
        captured(&self.snapshot)
    }
}

/// An answer while it is decoded.
struct Answer<'a> {
    object: &'a Map<String, Value>,
    details: &'a Map<String, Value>,
    unreadable: Vec<Unreadable>,
}

impl Answer<'_> {
    /// An environment that is not known says nothing: the request named one, and Amazon answered it.
    fn check_environment(&mut self, expected: Environment) -> Result<(), DecodeError> {
        let is = |environment: Environment, found: &str| found.eq_ignore_ascii_case(environment.as_str());
        match word(self.object, "releaseEnvironment") {
            Some(found) if is(expected, found) => Ok(()),
            Some(found) if is(Environment::Live, found) || is(Environment::Sandbox, found) => {
                Err(DecodeError::Identity("environment"))
            }
            _ => {
                self.miss("releaseEnvironment", field(self.object, "releaseEnvironment"));
                Ok(())
            }
        }
    }

    fn id(&mut self, name: &'static str) -> Option<ObjectId> {
        let id = word(self.object, name).and_then(ObjectId::parse);
        if id.is_none() {
            self.miss(name, field(self.object, name));
        }
        id
    }

    /// Amazon's three words in any case; any other word is kept.
    fn permission_type(&mut self) -> Option<String> {
        let name = "chargePermissionType";
        let Some(found) = word(self.object, name) else {
            self.miss(name, field(self.object, name));
            return None;
        };
        let known = ["OneTime", "Recurring", "PaymentMethodOnFile"];
        let documented = known.iter().find(|known| known.eq_ignore_ascii_case(found));
        Some((*documented.unwrap_or(&found)).to_owned())
    }

    /// The one time that every answer must have. Absent, it is as unreadable as in an unknown form.
    fn last_updated(&mut self) -> Option<Timestamp> {
        let written =
            || ["lastUpdatedTimestamp", "lastUpdateTimestamp"].iter().filter_map(|name| field(self.details, name));
        let time = written().find_map(Timestamp::from_amazon);
        if time.is_none() {
            let shape = Shape::of(written().find(|value| !value.is_null()).or(written().next()));
            self.unreadable.push(Unreadable { field: "lastUpdatedTimestamp", shape });
        }
        time
    }

    /// Reports `value` unless Amazon says that there is none.
    fn miss(&mut self, field: &'static str, value: Option<&Value>) {
        let is_none =
            value.is_none_or(|value| value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()));
        if !is_none {
            self.unreadable.push(Unreadable { field, shape: Shape::of(value) });
        }
    }

    /// Each field once.
    fn unreadable(&mut self) -> Vec<Unreadable> {
        let mut listed: Vec<Unreadable> = Vec::new();
        for missed in self.unreadable.drain(..) {
            if listed.iter().all(|known| known.field != missed.field) {
                listed.push(missed);
            }
        }
        listed
    }
}

/// What a charge's snapshot says was captured.
pub fn captured(snapshot: &Map<String, Value>) -> Option<Amount> {
    Amount::of_price(snapshot.get("captureAmount")?)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod values_tests;
