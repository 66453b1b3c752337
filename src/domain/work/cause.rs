//! Why an object is to be read.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::ipn::NotificationType;
use crate::domain::pay::ObjectId;
use crate::domain::timestamp::Timestamp;
use crate::domain::trace::TraceParent;

/// One reason to read an object. A million of them may wait, so it is small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Where it came from.
    #[serde(flatten)]
    pub origin: Origin,
    /// When its sender made it: SNS's `Timestamp` for an IPN, the moment of the command for a recheck.
    pub timestamp: Timestamp,
}

/// Where a cause came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum Origin {
    /// Amazon told us.
    #[serde(rename = "IPN")]
    Ipn {
        /// The SNS MessageId.
        message_id: Uuid,
        /// STATE_CHANGE, ATTRIBUTE_CHANGE or a word yet to come.
        notification_type: NotificationType,
        /// Its record.
        position: InboxPosition,
        /// The trace it came with, if that is another than its message's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<Box<TraceParent>>,
    },
    /// Nobody told us: it was its turn to be looked at.
    #[serde(rename = "RECONCILIATION")]
    Reconciliation,
    /// Another object cannot be told without this one.
    #[serde(rename = "HELPER_READ")]
    Helper {
        /// That object.
        read_for: ObjectId,
        /// That object is only taken down as a baseline, and so is this one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        seed: bool,
    },
    /// An operator asked.
    #[serde(rename = "RECHECK")]
    Recheck {
        /// Its record.
        position: InboxPosition,
        /// What is not known yet is taken down as a baseline, and not told.
        seed: bool,
    },
}

/// A record of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InboxPosition {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// Work that outlives its inbox records: it stands in the object's state record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// The newest causes, oldest first.
    pub causes: Vec<Cause>,
    /// How many there were in all.
    pub causes_seen: u32,
    /// When the first of them was taken in.
    pub first_seen: Timestamp,
    /// When the next read is due.
    pub due: Timestamp,
    /// Failed reads that were this object's own fault.
    pub attempts: u32,
    /// How long it has been failing for that reason.
    pub failing_ms: u64,
    /// When it last did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
    /// Whether the next read only confirms what a first one showed.
    #[serde(default)]
    pub confirming: bool,
}

impl Cause {
    /// Its record in the inbox, if it has one.
    pub fn position(&self) -> Option<InboxPosition> {
        match self.origin {
            Origin::Ipn { position, .. } | Origin::Recheck { position, .. } => Some(position),
            Origin::Reconciliation | Origin::Helper { .. } => None,
        }
    }

    /// The trace that an IPN belongs to.
    pub fn traceparent(&self) -> Option<TraceParent> {
        let Origin::Ipn { message_id, traceparent, .. } = &self.origin else { return None };
        Some(traceparent.as_deref().copied().unwrap_or_else(|| TraceParent::of_message(*message_id)))
    }

    /// Which trace, for a log line.
    pub fn trace_id(&self) -> Option<String> {
        self.traceparent().map(TraceParent::trace_id)
    }

    /// The SNS MessageId of an IPN.
    pub fn message_id(&self) -> Option<Uuid> {
        if let Origin::Ipn { message_id, .. } = self.origin { Some(message_id) } else { None }
    }

    /// Whether it is an IPN about something else than the state, which no time on the object can confirm.
    pub fn is_attribute_change(&self) -> bool {
        matches!(&self.origin, Origin::Ipn { notification_type: NotificationType::AttributeChange, .. })
    }

    /// Whether what is not known yet is only to be taken down.
    pub fn is_seed(&self) -> bool {
        matches!(self.origin, Origin::Helper { seed: true, .. } | Origin::Recheck { seed: true, .. })
    }

    /// Whether all of these only want a baseline taken down.
    pub fn are_seeds(causes: &[Self]) -> bool {
        !causes.is_empty() && causes.iter().all(Self::is_seed)
    }

    /// Whether Amazon told us, rather than ourselves.
    pub fn is_ipn(&self) -> bool {
        matches!(self.origin, Origin::Ipn { .. })
    }
}
