//! The four kinds of objects.

use crate::domain;

/// The four kinds of objects that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// `chargePermissions`
    ChargePermission,
    /// `charges`
    Charge,
    /// `refunds`
    Refund,
    /// `disputes`
    Dispute,
}

impl ObjectKind {
    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChargePermission => "charge permission",
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::Dispute => "dispute",
        }
    }

    /// The JSON field with the id of the object.
    pub fn id_field(self) -> &'static str {
        match self {
            Self::ChargePermission => "chargePermissionId",
            Self::Charge => "chargeId",
            Self::Refund => "refundId",
            Self::Dispute => "disputeId",
        }
    }

    /// Parses the segment of a request path.
    pub fn of_path(segment: &str) -> Option<Self> {
        match segment {
            "chargePermissions" => Some(Self::ChargePermission),
            "charges" => Some(Self::Charge),
            "refunds" => Some(Self::Refund),
            "disputes" => Some(Self::Dispute),
            _ => None,
        }
    }
}

impl From<domain::pay::ObjectKind> for ObjectKind {
    fn from(kind: domain::pay::ObjectKind) -> Self {
        match kind {
            domain::pay::ObjectKind::ChargePermission => Self::ChargePermission,
            domain::pay::ObjectKind::Charge => Self::Charge,
            domain::pay::ObjectKind::Refund => Self::Refund,
            domain::pay::ObjectKind::Dispute => Self::Dispute,
        }
    }
}
