//! One event and its id.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::catalog::EventType;
use super::evidence::Evidence;
use super::next_action::NextAction;
use crate::domain::pay::{Account, ObjectId, ObjectRef, Reason, State};
use crate::domain::state::PermissionIdSource;
use crate::domain::timestamp::Timestamp;
use crate::domain::trace::TraceParent;
use crate::domain::work::Cause;

/// One event, complete except for its sequence number.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Depends on the facts alone: equal facts always have the same id, whichever process derives them.
    pub id: Uuid,
    /// The row of the catalogue.
    pub event_type: &'static EventType,
    /// The object that changed.
    pub object: ObjectRef,
    /// The permission that the object belongs to.
    pub charge_permission_id: ObjectId,
    /// What named that permission; none if Amazon Pay did.
    pub charge_permission_id_source: Option<PermissionIdSource>,
    /// Type of that permission, if known.
    pub charge_permission_type: Option<String>,
    /// The state that was read.
    pub state: State,
    /// The last known state; none if the object was not known.
    pub previous_state: Option<State>,
    /// Amazon's reasons, unchanged.
    pub reasons: Vec<Reason>,
    /// On PaymentMethodUpdated: what shows the change.
    pub evidence: Vec<Evidence>,
    /// On charges, refunds and disputes: the permission's state and when it was read, if it was.
    pub permission_seen: Option<(State, Timestamp)>,
    /// What the merchant should do next.
    pub next_action: NextAction,
    /// Every published attribute of the object.
    pub snapshot: Arc<Map<String, Value>>,
    /// Why the object was read.
    pub causes: Vec<Cause>,
    /// Amazon's `lastUpdatedTimestamp`, if it can be read.
    pub last_updated: Option<Timestamp>,
    /// When the object was read.
    pub observed_at: Timestamp,
    /// Amazon's id of the read request.
    pub request_id: Option<Box<str>>,
    /// The state was reached more than a day before the read.
    pub is_late: bool,
    /// The object left a final state, or went back in time.
    pub unexpected_transition: bool,
    /// The span that publishes the event, if spans are recorded.
    pub published_by: Option<TraceParent>,
}

impl Event {
    /// The publishing span, or else the trace of the newest IPN (causes are ordered oldest first).
    pub fn traceparent(&self) -> Option<TraceParent> {
        self.published_by.or_else(|| self.causes.iter().rev().find_map(Cause::traceparent))
    }
}

/// The namespace of event ids.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x65c2_452e_a840_4cfc_913f_e79f_19c9_14d4);

/// The facts that the id of a state event depends on.
pub(super) struct StateFacts<'a> {
    pub(super) object: &'a ObjectRef,
    pub(super) event_type: &'a EventType,
    pub(super) state: &'a State,
    pub(super) reasons: &'a [Reason],
    pub(super) last_updated: Option<Timestamp>,
    /// Zero for an event whose `last_updated` is newer than that of every earlier event of the object. Each other event of
    /// the object has a number of its own.
    pub(super) repeat: u64,
}

/// The facts that the id of an attribute event depends on in addition.
pub(super) struct AttributeChange<'a> {
    pub(super) evidence: &'a [Evidence],
    pub(super) before: &'a str,
    pub(super) after: &'a str,
    pub(super) revision: u64,
}

/// The id of "this object reached this state". Amounts, the local clock and Kafka offsets are never part of an id.
pub(super) fn state_event_id(facts: &StateFacts<'_>) -> Uuid {
    let StateFacts { object, event_type, state, reasons, last_updated, repeat } = facts;
    let ObjectRef { account: Account { merchant_id, environment }, id, .. } = object;
    let (name, codes) = (event_type.name, codes(reasons));
    match repeat {
        0 => uuid(&(merchant_id, environment, id, name, state, codes, last_updated)),
        _ => uuid(&(merchant_id, environment, id, name, state, codes, last_updated, repeat)),
    }
}

/// The id of "attributes of this object changed". Amazon's `lastUpdatedTimestamp` moves with the state only, so the id
/// also depends on digests of the attributes and on the number of the change, which no other change of the object has.
pub(super) fn attribute_event_id(facts: &StateFacts<'_>, change: &AttributeChange<'_>) -> Uuid {
    let StateFacts { object, event_type, state, reasons, last_updated, repeat: _ } = facts;
    let ObjectRef { account: Account { merchant_id, environment }, id, .. } = object;
    let AttributeChange { evidence, before, after, revision } = change;
    let codes = codes(reasons);
    let name = event_type.name;
    uuid(&(merchant_id, environment, id, name, state, codes, last_updated, evidence, before, after, revision))
}

/// The id of a notice about `fact`: a date, or the number of the crossing of a limit. It does not depend on the state, so that
/// one fact has one id whenever it is read.
pub(super) fn notice_event_id(object: &ObjectRef, event_type: &EventType, fact: &impl Serialize) -> Uuid {
    let ObjectRef { account: Account { merchant_id, environment }, id, .. } = object;
    uuid(&(merchant_id, environment, id, event_type.name, fact))
}

/// The id of "this IPN reported a chargeback of this charge".
pub(super) fn chargeback_event_id(object: &ObjectRef, (notified_at, message_id): (Timestamp, Uuid)) -> Uuid {
    let ObjectRef { account: Account { merchant_id, environment }, id, .. } = object;
    uuid(&(merchant_id, environment, id, "ChargebackReported", notified_at, message_id))
}

/// A set: Amazon lists the same reasons in any order.
pub(super) fn codes(reasons: &[Reason]) -> BTreeSet<&str> {
    reasons.iter().map(|reason| reason.reason_code.as_str()).collect()
}

/// UUIDv5 of the JSON array of these facts.
fn uuid(tuple: &impl Serialize) -> Uuid {
    Uuid::new_v5(&NAMESPACE, &serde_json::to_vec(tuple).expect("ids, words and times are plain data"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::events::event_type;
    use crate::domain::pay::{Environment, MerchantId, ObjectKind};

    /// Computed with Python's `uuid.uuid5`. A changed id breaks every consumer that stores ids.
    #[test]
    fn event_id_never_changes() {
        let account =
            Account { merchant_id: MerchantId::parse("A1O8CIV1A24A6X").unwrap(), environment: Environment::Live };
        let object = ObjectRef {
            account,
            kind: ObjectKind::Charge,
            id: ObjectId::parse("P01-1234567-7654321-C000001").unwrap(),
        };
        let reasons =
            [Reason { reason_code: "SoftDeclined".into(), reason_description: Some("not part of the id".into()) }];
        let id = state_event_id(&StateFacts {
            object: &object,
            event_type: event_type(ObjectKind::Charge, &State::Declined),
            state: &State::Declined,
            reasons: &reasons,
            last_updated: Some(Timestamp::from_unix_ms(1_767_323_045_000)),
            repeat: 0,
        });
        assert_eq!(id.to_string(), "450cdbe8-c210-5636-81ea-8dc435dd2d16");
    }
}
