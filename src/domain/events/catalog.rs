//! The catalogue: one row per event type. Everything that depends on the type of an event stands here.

use crate::domain::pay::{ObjectKind, State};

/// One type of event.
#[derive(Debug, PartialEq, Eq)]
pub struct EventType {
    /// Its name; on the wire `<prefix>.<name>.v1`.
    pub name: &'static str,
    /// What it is about.
    pub kind: ObjectKind,
    /// When it is told.
    pub told: Told,
    /// What it means to a reader.
    pub meaning: &'static str,
}

/// When an event type is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The object reached this state.
    Reached {
        /// Amazon's word for it.
        state: &'static str,
        /// No other state is expected after it.
        terminal: bool,
        /// First seen more than 24 h after the fact, it is told as the `…Updated` type instead, so that nobody
        /// acts on old news.
        updated_when_late: bool,
    },
    /// The object reached a state that this table does not know.
    ReachedUnknown,
    /// Facts changed, the state did not.
    Updated,
    /// The buyer's payment method changed; told beside the state.
    PaymentMethod,
}

/// Every event type there is.
pub const CATALOG: &[EventType] = &[
    row("PermissionChargeable", ObjectKind::ChargePermission, reached("Chargeable"), "The permission can be charged."),
    row(
        "PermissionNonChargeable",
        ObjectKind::ChargePermission,
        reached("NonChargeable"),
        "The permission cannot be charged for now; the reasons say why.",
    ),
    row(
        "PermissionClosed",
        ObjectKind::ChargePermission,
        always_told("Closed"),
        "The permission is over for good; the reasons say who ended it.",
    ),
    row(
        "PaymentMethodUpdated",
        ObjectKind::ChargePermission,
        Told::PaymentMethod,
        "The buyer's payment method works again; the evidence says how we know.",
    ),
    row(
        "PermissionUpdated",
        ObjectKind::ChargePermission,
        Told::Updated,
        "Something else about the permission changed, such as its balance.",
    ),
    row(
        "PermissionStateUnrecognized",
        ObjectKind::ChargePermission,
        Told::ReachedUnknown,
        "Amazon named a state that this version does not know.",
    ),
    row(
        "ChargeAuthorizationInitiated",
        ObjectKind::Charge,
        reached("AuthorizationInitiated"),
        "Authorization is under way.",
    ),
    row("ChargeAuthorized", ObjectKind::Charge, reached("Authorized"), "The amount is reserved and can be captured."),
    row("ChargeCaptureInitiated", ObjectKind::Charge, reached("CaptureInitiated"), "Capture is under way."),
    row("ChargeCaptured", ObjectKind::Charge, finally("Captured"), "The amount was taken."),
    row("ChargeDeclined", ObjectKind::Charge, always_told("Declined"), "The charge failed; the reasons say why."),
    row("ChargeCanceled", ObjectKind::Charge, finally("Canceled"), "The charge was canceled; the reasons say by whom."),
    row(
        "ChargeUpdated",
        ObjectKind::Charge,
        Told::Updated,
        "Something else about the charge changed, such as the refunded amount.",
    ),
    row(
        "ChargeStateUnrecognized",
        ObjectKind::Charge,
        Told::ReachedUnknown,
        "Amazon named a state that this version does not know.",
    ),
    row("RefundInitiated", ObjectKind::Refund, stage("RefundInitiated", false), "The refund is under way."),
    row("RefundCompleted", ObjectKind::Refund, stage("Refunded", true), "The buyer has the money back."),
    row("RefundDeclined", ObjectKind::Refund, stage("Declined", true), "The refund failed; the reasons say why."),
    row(
        "RefundStateUnrecognized",
        ObjectKind::Refund,
        Told::ReachedUnknown,
        "Amazon named a state that this version does not know.",
    ),
    row("DisputeUnderReview", ObjectKind::Dispute, stage("UnderReview", false), "Amazon looks into the dispute."),
    row(
        "DisputeActionRequired",
        ObjectKind::Dispute,
        stage("ActionRequired", false),
        "The merchant has to answer the dispute.",
    ),
    row("DisputeResolved", ObjectKind::Dispute, stage("Resolved", true), "The dispute was decided."),
    row("DisputeClosed", ObjectKind::Dispute, stage("Closed", true), "The dispute is over."),
    row(
        "DisputeStateUnrecognized",
        ObjectKind::Dispute,
        Told::ReachedUnknown,
        "Amazon named a state that this version does not know.",
    ),
];

/// The type that tells that an object of this kind reached this state.
pub fn event_type(kind: ObjectKind, state: &State) -> &'static EventType {
    let matches = |row: &&EventType| match row.told {
        Told::Reached { state: reached, .. } => reached == state.as_str(),
        _ => false,
    };
    find(kind, matches)
        .or_else(|| find(kind, |row| row.told == Told::ReachedUnknown))
        .expect("each kind has a row for unknown states")
}

/// The type that tells that facts of an object of this kind changed, if there is one.
pub fn updated_type(kind: ObjectKind) -> Option<&'static EventType> {
    find(kind, |row| row.told == Told::Updated)
}

/// The type that tells that a permission's payment method changed.
pub(super) fn payment_method_type() -> &'static EventType {
    find(ObjectKind::ChargePermission, |row| row.told == Told::PaymentMethod).expect("there is such a row")
}

impl EventType {
    /// Whether no other state is expected after the one it tells.
    pub fn is_terminal(&self) -> bool {
        matches!(self.told, Told::Reached { terminal: true, .. })
    }
}

fn find(kind: ObjectKind, matches: impl Fn(&&EventType) -> bool) -> Option<&'static EventType> {
    CATALOG.iter().filter(|row| row.kind == kind).find(matches)
}

const fn row(name: &'static str, kind: ObjectKind, told: Told, meaning: &'static str) -> EventType {
    EventType { name, kind, told, meaning }
}

const fn reached(state: &'static str) -> Told {
    Told::Reached { state, terminal: false, updated_when_late: true }
}

const fn finally(state: &'static str) -> Told {
    Told::Reached { state, terminal: true, updated_when_late: true }
}

const fn always_told(state: &'static str) -> Told {
    Told::Reached { state, terminal: true, updated_when_late: false }
}

/// Refunds and disputes have no `…Updated` type.
const fn stage(state: &'static str, terminal: bool) -> Told {
    Told::Reached { state, terminal, updated_when_late: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_amazon_documents_has_its_own_event() {
        for (kind, states) in [
            (ObjectKind::ChargePermission, vec!["Chargeable", "NonChargeable", "Closed"]),
            (
                ObjectKind::Charge,
                vec!["AuthorizationInitiated", "Authorized", "CaptureInitiated", "Captured", "Canceled", "Declined"],
            ),
            (ObjectKind::Refund, vec!["RefundInitiated", "Refunded", "Declined"]),
            (ObjectKind::Dispute, vec!["UnderReview", "ActionRequired", "Resolved", "Closed"]),
        ] {
            for state in states {
                assert_ne!(event_type(kind, &State::parse(state)).told, Told::ReachedUnknown, "{kind} {state}");
            }
            assert_eq!(event_type(kind, &State::parse("Tomorrow")).told, Told::ReachedUnknown, "{kind}");
        }
    }

    #[test]
    fn names_are_unique() {
        for (at, row) in CATALOG.iter().enumerate() {
            assert!(CATALOG[at + 1..].iter().all(|other| other.name != row.name), "{}", row.name);
        }
    }
}
