//! What the state topic holds of an object: what was last told about it, and what is still to be done.
//!
//! The record is private to this program, has a version, and holds no buyer data.

pub mod partitioner;
pub mod reconcile_schedule;
pub mod retention;
pub mod schema_version;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::pay::{Amount, ObjectId, ObjectRef, PrivateDigests, Reason, State};
use super::timestamp::Timestamp;
use super::work::Pending;

/// One record of the state topic; its key is [`ObjectRef::state_key`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownState {
    /// The record's format.
    pub version: u32,
    /// Which object.
    pub object: ObjectRef,
    /// What was last told; absent for an object that was never read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
    /// On permissions: the last sequence number given to an event of it or of an object below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Work that is owed although its inbox records were passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// What the last events said of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// Its state.
    pub state: State,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Since when.
    pub last_updated: Timestamp,
    /// The permission it belongs to (a permission's own id).
    pub charge_permission_id: ObjectId,
    /// On permissions: the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_permission_type: Option<String>,
    /// Digest of every other published fact; empty in a stub.
    pub attributes_digest: String,
    /// How often those facts changed.
    pub attribute_revision: u64,
    /// What else one read showed and a second has not yet confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed_digest: Option<String>,
    /// On permissions: the payment-method reason that made it NonChargeable, kept until it is Chargeable or Closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method_reason: Option<String>,
    /// On charges: how much was captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured: Option<Amount>,
    /// On permissions: digests of private details, as far as Amazon ever showed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<PrivateDigests>,
    /// On permissions: the SNS `Timestamp` of the newest notification about attributes that is told or explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute_hint_published: Option<Timestamp>,
    /// When the read began that this is from: a notification that was appended well before needs no other.
    pub read_started_at: Timestamp,
    /// The id of the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_id: Option<Uuid>,
}

/// The format of [`KnownState`] that is written.
pub const VERSION: u32 = 1;

impl KnownState {
    /// Nothing known yet.
    pub fn blank(object: ObjectRef) -> Self {
        Self { version: VERSION, object, observed: None, sequence: None, pending: None }
    }

    /// Whether it says nothing, so that no record is needed.
    pub fn is_blank(&self) -> bool {
        self.observed.is_none() && self.sequence.is_none() && self.pending.is_none()
    }

    /// The sequence number after the last one: the present moment in milliseconds, or one more than the last,
    /// so that it increases even if this record was lost.
    pub fn next_sequence(&mut self, now: Timestamp) -> u64 {
        let clock = u64::try_from(now.unix_ms()).unwrap_or(0);
        let next = self.sequence.map_or(clock, |last| clock.max(last + 1));
        self.sequence = Some(next);
        next
    }
}

impl Observed {
    /// What is enough to know old news by: the state, its time and the last event. What the object looked like beside that
    /// is dropped, so the next look at it, if there ever is one, is where comparing begins anew.
    #[must_use]
    pub fn stub(self) -> Self {
        Self {
            reasons: Vec::new(),
            attributes_digest: String::new(),
            unconfirmed_digest: None,
            payment_method_reason: None,
            private: None,
            ..self
        }
    }

    /// Whether it was shrunk.
    pub fn is_stub(&self) -> bool {
        self.attributes_digest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pay::{Account, Environment, MerchantId, ObjectKind};

    #[test]
    fn a_sequence_increases_within_a_millisecond_under_a_clock_set_back_and_after_a_lost_record() {
        let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
        let object = ObjectRef { account, kind: ObjectKind::ChargePermission, id: ObjectId::parse("P01-1-2").unwrap() };
        let mut state = KnownState::blank(object.clone());
        let given: Vec<u64> =
            [1000, 1000, 900, 2000].map(|ms| state.next_sequence(Timestamp::from_unix_ms(ms))).to_vec();
        assert_eq!(given, [1000, 1001, 1002, 2000]);
        assert!(KnownState::blank(object).next_sequence(Timestamp::from_unix_ms(2001)) > 2000);
    }
}
