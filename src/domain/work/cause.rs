//! The reasons to read an object.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::ipn::NotificationType;
use crate::domain::pay::ObjectId;
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
    /// Whether the next read is a confirming read.
    #[serde(default)]
    pub confirming: bool,
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

    fn ipn(message_id: u128, ms: i64, traceparent: Option<&str>) -> Cause {
        let origin = Origin::Ipn {
            message_id: Uuid::from_u128(message_id),
            notification_type: NotificationType::StateChange,
            position: InboxPosition { partition: 0, offset: ms },
            traceparent: traceparent.map(|text| Box::new(TraceParent::parse(text).unwrap())),
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
}
