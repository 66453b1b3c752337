//! One fact to be told, and its id.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::catalog::EventType;
use super::evidence::Evidence;
use super::next_action::NextAction;
use crate::domain::pay::{Account, ObjectId, ObjectRef, Reason, State};
use crate::domain::timestamp::Timestamp;
use crate::domain::trace::TraceParent;
use crate::domain::work::Cause;

/// One event, complete but for its place in the permission's sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Equal for equal facts, whenever and by whomever they are derived.
    pub id: Uuid,
    /// Which row of the catalogue.
    pub event_type: &'static EventType,
    /// What it is about.
    pub object: ObjectRef,
    /// The permission it belongs to.
    pub charge_permission_id: ObjectId,
    /// That permission's type, where known.
    pub charge_permission_type: Option<String>,
    /// The state now.
    pub state: State,
    /// The state that was last told; none at first sight.
    pub previous_state: Option<State>,
    /// Amazon's reasons.
    pub reasons: Vec<Reason>,
    /// On PaymentMethodUpdated: how we know.
    pub evidence: Vec<Evidence>,
    /// On charges, refunds and disputes: the permission's state, where it was read, and when.
    pub permission_seen: Option<(State, Timestamp)>,
    /// What the merchant should do.
    pub next_action: NextAction,
    /// Every published fact of the object.
    pub snapshot: Arc<Map<String, Value>>,
    /// What made us look.
    pub causes: Vec<Cause>,
    /// Amazon's time of the last change of state.
    pub last_updated: Timestamp,
    /// When it was read.
    pub observed_at: Timestamp,
    /// Amazon's id of the request that showed it.
    pub request_id: Option<Box<str>>,
    /// The object left a state that is meant to be final, or went back in time.
    pub unexpected_transition: bool,
    /// The span that publishes it, where one is recorded.
    pub published_by: Option<TraceParent>,
}

impl Event {
    /// Its place in a trace: the span that publishes it, or else the newest notification's, as causes stand oldest first.
    pub fn traceparent(&self) -> Option<TraceParent> {
        self.published_by.or_else(|| self.causes.iter().rev().find_map(Cause::traceparent))
    }
}

/// The namespace of event ids.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x65c2_452e_a840_4cfc_913f_e79f_19c9_14d4);

/// The change of attributes that an attribute event tells, as far as its id needs it.
pub(super) struct AttributeChange<'a> {
    pub(super) evidence: &'a [Evidence],
    pub(super) before: &'a str,
    pub(super) after: &'a str,
    pub(super) revision: u64,
}

/// The id of "this object reached this state": no amounts, no clock of ours, no offsets.
pub(super) fn state_event_id(
    object: &ObjectRef,
    event_type: &EventType,
    state: &State,
    reasons: &[Reason],
    last_updated: Timestamp,
) -> Uuid {
    let ObjectRef { account: Account { merchant_id, environment }, id, .. } = object;
    uuid(&(merchant_id, environment, id, event_type.name, state, codes(reasons), last_updated))
}

/// The id of "facts beside the state changed": Amazon's time moves with the state only, so digests of the facts
/// and the number of the change stand in.
pub(super) fn attribute_event_id(
    object: &ObjectRef,
    event_type: &EventType,
    (state, reasons, last_updated): (&State, &[Reason], Timestamp),
    change: &AttributeChange<'_>,
) -> Uuid {
    let ObjectRef { account: Account { merchant_id, environment }, id, .. } = object;
    let AttributeChange { evidence, before, after, revision } = change;
    let codes = codes(reasons);
    let name = event_type.name;
    uuid(&(merchant_id, environment, id, name, state, codes, last_updated, evidence, before, after, revision))
}

fn codes(reasons: &[Reason]) -> Vec<&str> {
    reasons.iter().map(|reason| reason.reason_code.as_str()).collect()
}

/// Of the JSON array of these.
fn uuid(tuple: &impl Serialize) -> Uuid {
    Uuid::new_v5(&NAMESPACE, &serde_json::to_vec(tuple).expect("ids, words and times are plain data"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::events::event_type;
    use crate::domain::pay::{Environment, MerchantId, ObjectKind};

    /// Computed with Python's `uuid.uuid5`; a change here breaks every consumer that keeps ids.
    #[test]
    fn an_id_is_what_it_always_was() {
        let account =
            Account { merchant_id: MerchantId::parse("A1O8CIV1A24A6X").unwrap(), environment: Environment::Live };
        let object = ObjectRef {
            account,
            kind: ObjectKind::Charge,
            id: ObjectId::parse("P01-1234567-7654321-C000001").unwrap(),
        };
        let reasons =
            [Reason { reason_code: "SoftDeclined".into(), reason_description: Some("not part of the id".into()) }];
        let at = Timestamp::from_unix_ms(1_767_323_045_000);
        let id =
            state_event_id(&object, event_type(ObjectKind::Charge, &State::Declined), &State::Declined, &reasons, at);
        assert_eq!(id.to_string(), "450cdbe8-c210-5636-81ea-8dc435dd2d16");
    }
}
