//! The reasons to read an object.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::dropped_records::DroppedRecords;
use crate::domain::ipn::NotificationType;
use crate::domain::pay::{ObjectId, ObjectKind, ObjectRef};
use crate::domain::timestamp::Timestamp;
use crate::domain::trace::TraceParent;

/// One reason to read an object. A backlog holds a million of them, so the type is small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    #[serde(flatten)]
    /// Where the cause comes from.
    pub origin: Origin,
    /// SNS's `Timestamp` for an IPN; the time of the command for a recheck; the time of the newest cause of the other
    /// object for a parent read.
    pub timestamp: Timestamp,
}

/// What asked for the read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum Origin {
    /// An IPN of Amazon Pay.
    #[serde(rename = "IPN")]
    Ipn {
        /// The MessageId of the SNS message.
        message_id: Uuid,
        /// The IPN's `NotificationType`.
        notification_type: NotificationType,
        /// The IPN's record in the inbox.
        position: InboxPosition,
        /// The trace that the request carried, if it differs from the trace that is made of the message id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<Box<TraceParent>>,
        /// The IPN reports a chargeback, but names the charge instead of the dispute.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        chargeback: bool,
        /// The charge permission that the IPN names. SNS's signature vouches for it.
        #[serde(default, skip_serializing_if = "ClaimedPermission::is_none")]
        permission: ClaimedPermission,
    },
    /// The receiver reads the object on its own schedule.
    #[serde(rename = "RECONCILIATION")]
    Reconciliation,
    /// Another object cannot be published before this one, its parent, is read.
    #[serde(rename = "PARENT_READ")]
    ParentRead {
        /// The object that needs its parent.
        read_for: ObjectId,
        /// All causes of the other object only record a baseline, and so does this one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        seed: bool,
        /// The MessageId of the IPN that needs the parent, if an IPN does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<Uuid>,
        /// The trace of that IPN, if it differs from the trace that is made of the message id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<Box<TraceParent>>,
    },
    /// A recheck command of an operator.
    #[serde(rename = "RECHECK")]
    Recheck {
        /// The command's record in the inbox.
        position: InboxPosition,
        /// An object without known state is recorded as a baseline, and nothing is published.
        seed: bool,
    },
}

/// The charge permission that an IPN names, in a form that takes little memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClaimedPermission {
    /// The IPN names no permission, or is about a permission itself.
    #[default]
    None,
    /// The id of the object begins with it, as it does for charges of a one-time permission.
    InObjectId,
    /// Another id.
    Named(Box<ObjectId>),
}

/// The position of an inbox record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InboxPosition {
    /// Partition of the inbox topic.
    pub partition: i32,
    /// Offset in that partition.
    pub offset: i64,
}

/// Pending work: the object's state record holds it after its inbox records are committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// The newest causes, oldest first.
    pub causes: Vec<Cause>,
    /// Inbox records of causes that are no longer in `causes`.
    #[serde(default, skip_serializing_if = "DroppedRecords::is_empty")]
    pub dropped: DroppedRecords,
    /// The number of all causes, including those that are no longer in `causes`.
    pub causes_seen: u32,
    /// When the worker consumed the first cause.
    pub first_seen: Timestamp,
    /// When the worker consumed the newest cause, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_seen: Option<Timestamp>,
    /// When the worker consumed the oldest ATTRIBUTE_CHANGE IPN that is neither published nor explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_seen: Option<Timestamp>,
    /// When the next read is due.
    pub due: Timestamp,
    /// Reads that failed because of this object.
    pub attempts: u32,
    /// For how long the reads have been failing because of this object.
    pub failing_ms: u64,
    /// When the last of these reads failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
    /// The error of the last of these reads, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Box<str>>,
    /// Whether the next read is a confirming read.
    #[serde(default)]
    pub confirming: bool,
}

impl Pending {
    /// The same work for a worker whose clock shows `now`. Times in the future come from a clock that was ahead; they would
    /// put the work off until then.
    #[must_use]
    pub fn not_after(self, now: Timestamp) -> Self {
        Self {
            first_seen: self.first_seen.min(now),
            newest_seen: self.newest_seen.map(|at| at.min(now)),
            evidence_seen: self.evidence_seen.map(|at| at.min(now)),
            failed_at: self.failed_at.map(|at| at.min(now)),
            due: self.due.min(now.plus(WAIT_MAX)),
            ..self
        }
    }
}

/// No read is due later than this: the last confirming read comes after at most 90 minutes, a retry within an hour.
const WAIT_MAX: Duration = Duration::from_mins(90);

impl ClaimedPermission {
    /// The permission `claimed` that an IPN about `object` names.
    pub fn new(claimed: Option<ObjectId>, object: &ObjectRef) -> Self {
        match claimed {
            Some(_) if object.kind == ObjectKind::ChargePermission => Self::None,
            Some(claimed) if object.id.parent() == Some(claimed.as_str()) => Self::InObjectId,
            Some(claimed) => Self::Named(Box::new(claimed)),
            None => Self::None,
        }
    }

    fn is_none(&self) -> bool {
        *self == Self::None
    }

    fn of(&self, object: &ObjectId) -> Option<ObjectId> {
        match self {
            Self::None => None,
            Self::InObjectId => object.parent().and_then(ObjectId::parse),
            Self::Named(claimed) => Some((**claimed).clone()),
        }
    }
}

impl Origin {
    /// The origin of a parent read for the object `read_for`, which has these causes, oldest first. It carries the ids of
    /// the newest IPN among them, so that events of the parent can be found by that IPN.
    pub fn parent_read(read_for: ObjectId, causes: &[Cause]) -> Self {
        let ids = |cause: &Cause| match &cause.origin {
            Self::Ipn { message_id, traceparent, .. } => Some((Some(*message_id), traceparent.clone())),
            Self::ParentRead { message_id, traceparent, .. } if message_id.is_some() => {
                Some((*message_id, traceparent.clone()))
            }
            Self::ParentRead { .. } | Self::Reconciliation | Self::Recheck { .. } => None,
        };
        let (message_id, traceparent) = causes.iter().rev().find_map(ids).unwrap_or_default();
        Self::ParentRead { read_for, seed: Cause::are_seeds(causes), message_id, traceparent }
    }
}

impl Cause {
    /// The position of the inbox record that is this cause; `None` for a cause without a record.
    pub fn position(&self) -> Option<InboxPosition> {
        match self.origin {
            Origin::Ipn { position, .. } | Origin::Recheck { position, .. } => Some(position),
            Origin::Reconciliation | Origin::ParentRead { .. } => None,
        }
    }

    /// The trace of the IPN that is this cause, or that needs this parent read.
    pub fn traceparent(&self) -> Option<TraceParent> {
        let given = match &self.origin {
            Origin::Ipn { traceparent, .. } | Origin::ParentRead { traceparent, .. } => traceparent.as_deref().copied(),
            Origin::Reconciliation | Origin::Recheck { .. } => None,
        };
        given.or_else(|| self.message_id().map(TraceParent::of_message))
    }

    /// The trace id of [`Cause::traceparent`], for a log line.
    pub fn trace_id(&self) -> Option<String> {
        self.traceparent().map(TraceParent::trace_id)
    }

    /// The SNS MessageId of the IPN that is this cause, or that needs this parent read.
    pub fn message_id(&self) -> Option<Uuid> {
        match self.origin {
            Origin::Ipn { message_id, .. } => Some(message_id),
            Origin::ParentRead { message_id, .. } => message_id,
            Origin::Reconciliation | Origin::Recheck { .. } => None,
        }
    }

    /// Whether this is an IPN about something other than the state. No time in the object can confirm such a change.
    pub fn is_attribute_change(&self) -> bool {
        matches!(&self.origin, Origin::Ipn { notification_type: NotificationType::AttributeChange, .. })
    }

    /// Whether this is an IPN that reports a chargeback and names the charge.
    pub fn is_chargeback(&self) -> bool {
        matches!(&self.origin, Origin::Ipn { chargeback: true, .. })
    }

    /// Whether this cause reports a fact that no read shows: only its own event answers it, so it must not be dropped for
    /// newer causes.
    pub fn is_evidence(&self) -> bool {
        self.is_attribute_change() || self.is_chargeback()
    }

    /// The charge permission that the newest of these causes of `object` names, if any of them is an IPN that names one.
    pub fn claimed_permission(causes: &[Self], object: &ObjectId) -> Option<ObjectId> {
        let claimed = |cause: &Self| match &cause.origin {
            Origin::Ipn { permission, .. } => permission.of(object),
            Origin::ParentRead { .. } | Origin::Reconciliation | Origin::Recheck { .. } => None,
        };
        causes.iter().rev().find_map(claimed)
    }

    /// Whether an object without known state is only recorded as a baseline.
    pub fn is_seed(&self) -> bool {
        matches!(self.origin, Origin::ParentRead { seed: true, .. } | Origin::Recheck { seed: true, .. })
    }

    /// Whether there are causes and each of them only records a baseline.
    pub fn are_seeds(causes: &[Self]) -> bool {
        !causes.is_empty() && causes.iter().all(Self::is_seed)
    }

    /// Whether this cause is an IPN itself. A parent read is none, even if an IPN needs it.
    pub fn is_ipn(&self) -> bool {
        matches!(self.origin, Origin::Ipn { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pay::{Account, Environment, MerchantId};

    fn ipn(message_id: u128, ms: i64, traceparent: Option<&str>) -> Cause {
        let origin = Origin::Ipn {
            message_id: Uuid::from_u128(message_id),
            notification_type: NotificationType::StateChange,
            position: InboxPosition { partition: 0, offset: ms },
            traceparent: traceparent.map(|text| Box::new(TraceParent::parse(text).unwrap())),
            chargeback: false,
            permission: ClaimedPermission::None,
        };
        Cause { origin, timestamp: Timestamp::from_unix_ms(ms) }
    }

    fn parent_read(causes: &[Cause]) -> Cause {
        let origin = Origin::parent_read(ObjectId::parse("C1").unwrap(), causes);
        Cause { origin, timestamp: Timestamp::from_unix_ms(9) }
    }

    #[test]
    fn parent_read_carries_the_ids_of_the_newest_ipn() {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let reconciliation = Cause { origin: Origin::Reconciliation, timestamp: Timestamp::from_unix_ms(3) };
        let newest = ipn(2, 2, Some(traceparent));
        let of_permission = parent_read(&[ipn(1, 1, None), newest.clone(), reconciliation.clone()]);
        for cause in [parent_read(std::slice::from_ref(&of_permission)), of_permission] {
            assert_eq!((cause.message_id(), cause.traceparent()), (newest.message_id(), newest.traceparent()));
            assert!(!cause.is_ipn() && cause.position().is_none());
            let json = serde_json::to_string(&cause).unwrap();
            assert_eq!(serde_json::from_str::<Cause>(&json).unwrap(), cause, "{json}");
        }
        let without_given_trace = parent_read(&[ipn(1, 1, None)]);
        assert_eq!(without_given_trace.trace_id(), ipn(1, 1, None).trace_id());
        assert_eq!(parent_read(&[reconciliation]).trace_id(), None);
    }

    #[test]
    fn claimed_permission_survives_and_takes_little_memory() {
        let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
        let object = |id: &str| {
            let id = ObjectId::parse(id).unwrap();
            ObjectRef { account: account.clone(), kind: id.kind_hint().unwrap(), id }
        };
        for (id, claimed, held, found) in [
            ("P01-1-2-C3", Some("P01-1-2"), ClaimedPermission::InObjectId, Some("P01-1-2")),
            ("P01-1-2-R3", Some("B01-1-2"), ClaimedPermission::Named(Box::new(object("B01-1-2").id)), Some("B01-1-2")),
            ("P01-1-2-C3", None, ClaimedPermission::None, None),
            ("P01-1-2", Some("P01-1-2"), ClaimedPermission::None, None),
        ] {
            let object = object(id);
            let permission = ClaimedPermission::new(claimed.map(|id| ObjectId::parse(id).unwrap()), &object);
            assert_eq!(permission, held, "{id}");
            let mut cause = ipn(1, 1, None);
            let Origin::Ipn { permission: of_cause, .. } = &mut cause.origin else { unreachable!() };
            *of_cause = permission;
            let json = serde_json::to_string(&cause).unwrap();
            assert_eq!(json.contains("permission"), held != ClaimedPermission::None, "{json}");
            let restored = [serde_json::from_str::<Cause>(&json).unwrap(), parent_read(&[])];
            let found_id = Cause::claimed_permission(&restored, &object.id);
            assert_eq!(found_id.as_ref().map(ObjectId::as_str), found, "{id}");
        }
        assert!(size_of::<Cause>() <= 96, "a backlog can hold a million causes; size {}", size_of::<Cause>());
    }
}
