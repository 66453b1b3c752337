//! Known state: what the state topic holds of an object. It holds what was last published and the work still pending.
//!
//! The record is private to the receiver, has a version, and never holds buyer data.

pub mod in_charge;
pub mod partitioner;
pub mod reconcile_schedule;
mod record;
pub mod retention;
mod upcoming;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::record::{COUNT_MAX, OBSERVED_BYTES_MAX, Unusable};
pub use self::upcoming::{NoticeRules, Upcoming, known_date};
use super::pay::{Amount, ObjectId, ObjectRef, PrivateDigests, Reason, State};
use super::timestamp::Timestamp;
use super::work::Pending;

/// One record of the state topic; its key is [`ObjectRef::state_key`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownState {
    /// Version of the record's format.
    pub version: u32,
    /// The object that the record is about.
    pub object: ObjectRef,
    /// What was last published; absent for an object that was never read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
    /// On permissions: the last sequence number of an event of the permission or of one of its objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// On permissions: a published event advises to wait until the permission can be charged again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_awaited: Option<RetryAwaited>,
    /// Pending work whose inbox records were already committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// What was last read and published of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The last published or recorded state.
    pub state: State,
    /// Amazon's reasons of that state.
    pub reasons: Vec<Reason>,
    /// Amazon's `lastUpdatedTimestamp`, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<Timestamp>,
    /// The newest `lastUpdatedTimestamp` of all reads, where it is newer than `last_updated`: Amazon's time went back or
    /// could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_update: Option<Timestamp>,
    /// How many events had a `lastUpdatedTimestamp` that was not newer than that of every earlier event. Their ids
    /// contain this number, so that two changes never have the same id.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeats: u64,
    /// The permission that the object belongs to; of a permission its own id.
    pub charge_permission_id: ObjectId,
    /// What named that permission; none if Amazon Pay did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_permission_id_source: Option<PermissionIdSource>,
    /// Set on permissions only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_permission_type: Option<String>,
    /// Digest of all other published attributes.
    pub attributes_digest: String,
    /// How often the attributes changed.
    pub attribute_revision: u64,
    /// Digest of changed attributes that one read showed and no second read has confirmed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed_digest: Option<String>,
    /// How many reads in a row showed changed attributes, each different from the one before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unconfirmed_reads: u64,
    /// On permissions: the payment-method reason that made it NonChargeable, kept until it is Chargeable or Closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method_reason: Option<String>,
    /// On charges: the captured amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured: Option<Amount>,
    /// On permissions: digests of private details that Amazon has shown so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<PrivateDigests>,
    /// On permissions: SNS `Timestamp` of the newest ATTRIBUTE_CHANGE IPN that was published or explained. On charges: the one
    /// of the newest CHARGEBACK IPN that was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint_settled: Option<Timestamp>,
    /// On permissions: when a change was last seen that explains an ATTRIBUTE_CHANGE IPN sent at about that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint_explained_at: Option<Timestamp>,
    /// On permissions: when the read began that showed the permission Chargeable again, and whose event said RETRY_CHARGE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_advised_at: Option<Timestamp>,
    /// On permissions: a time before the newest change that an event with RETRY_CHARGE reports, and after everything else
    /// that is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usable_since: Option<Timestamp>,
    /// The date at which the object changes by itself, and the notices that were published.
    #[serde(default, skip_serializing_if = "Upcoming::is_empty")]
    pub upcoming: Upcoming,
    /// When the read began.
    pub read_started_at: Timestamp,
    /// The newest inbox record that the worker had consumed when the read began: the read answers it and all earlier ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_after: Option<InboxMark>,
    /// Id of the last event; none while the object is a baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_id: Option<Uuid>,
    /// Amazon's time or the state changed since the object was read first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_moved: bool,
    /// Only the state, its time, the digest of the attributes and the last event are left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stub: bool,
}

/// A record of the inbox partition that holds the IPNs of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxMark {
    /// Its offset.
    pub offset: i64,
    /// When the broker appended it. The offsets of a topic that was created again start at 0, but its records are newer.
    pub appended_at: Timestamp,
}

impl InboxMark {
    /// Whether this record is the other one, or precedes it. False for a record of another topic of the same name.
    pub fn is_within(self, other: Self) -> bool {
        self.offset <= other.offset && self.appended_at <= other.appended_at
    }

    /// The one that says more; `newer` unless `older` is beyond it.
    pub fn further(older: Option<Self>, newer: Option<Self>) -> Option<Self> {
        match (older, newer) {
            (Some(older), Some(newer)) if newer.is_within(older) => Some(older),
            (older, newer) => newer.or(older),
        }
    }
}

/// What named the permission of an object where no answer of Amazon Pay did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PermissionIdSource {
    /// The IPN. SNS's signature vouches for it.
    #[serde(rename = "IPN")]
    Ipn,
}

/// What a merchant waits for: an event of this permission that says that it can be charged again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryAwaited {
    /// Amazon's time of the newest change whose event advises to wait; none if that time could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Amazon's time of the newest change that a retry answers, if it is newer than `since`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// Every such event also advises to read the permission and to retry if it is Chargeable.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_check: bool,
}

/// Version of [`KnownState`] that this release writes.
pub const VERSION: u32 = 1;

impl KnownState {
    /// State of an object of which nothing is known yet.
    pub fn blank(object: ObjectRef) -> Self {
        Self { version: VERSION, object, observed: None, sequence: None, retry_awaited: None, pending: None }
    }

    /// Whether nothing is known, so that no record is needed.
    pub fn is_blank(&self) -> bool {
        self.observed.is_none() && self.sequence.is_none() && self.retry_awaited.is_none() && self.pending.is_none()
    }

    /// The next sequence number: the current time in milliseconds, or the last number plus one if that is greater. So it
    /// increases even after this record was lost.
    pub fn next_sequence(&mut self, now: Timestamp) -> u64 {
        let clock = u64::try_from(now.unix_ms()).unwrap_or(0);
        let next = self.sequence.map_or(clock, |last| clock.max(last.saturating_add(1))).min(COUNT_MAX);
        self.sequence = Some(next);
        next
    }
}

impl Observed {
    /// The newest `lastUpdatedTimestamp` of all reads.
    pub fn newest_update(&self) -> Option<Timestamp> {
        self.newest_update.max(self.last_updated)
    }

    /// Keeps only what is needed to recognize a late IPN or a late change: the state, its time, the digest of the attributes
    /// and the last event.
    #[must_use]
    pub fn stub(self) -> Self {
        Self {
            reasons: Vec::new(),
            unconfirmed_digest: None,
            unconfirmed_reads: 0,
            payment_method_reason: None,
            private: None,
            stub: true,
            upcoming: Upcoming::default(),
            ..self
        }
    }

    /// Whether only the stub is left.
    pub fn is_stub(&self) -> bool {
        self.stub
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pay::{Account, Environment, MerchantId, ObjectKind};

    #[test]
    fn sequence_always_increases() {
        let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
        let object = ObjectRef { account, kind: ObjectKind::ChargePermission, id: ObjectId::parse("P01-1-2").unwrap() };
        let mut state = KnownState::blank(object.clone());
        let given: Vec<u64> =
            [1000, 1000, 900, 2000].map(|ms| state.next_sequence(Timestamp::from_unix_ms(ms))).to_vec();
        assert_eq!(given, [1000, 1001, 1002, 2000]);
        assert!(KnownState::blank(object).next_sequence(Timestamp::from_unix_ms(2001)) > 2000);
    }
}
