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
    /// The reasons that Amazon documents or was seen to give; others travel verbatim.
    pub reasons: &'static [&'static str],
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
        /// The states it is reached from, directly or over others in between.
        from: &'static [&'static str],
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
    row(
        PERMISSION,
        "PermissionChargeable",
        reached("Chargeable", &["NonChargeable"]),
        &[],
        "The permission can be charged.",
    ),
    row(
        PERMISSION,
        "PermissionNonChargeable",
        reached("NonChargeable", &["Chargeable"]),
        &NON_CHARGEABLE_REASONS,
        "The permission cannot be charged for now; the reasons say why, several at once perhaps.",
    ),
    row(
        PERMISSION,
        "PermissionClosed",
        finally("Closed", &["Chargeable", "NonChargeable"]).even_when_late(),
        &["MerchantClosed", "BuyerClosed", "AmazonCanceled", "AmazonClosed", "Expired"],
        "The permission is over for good; the reasons say who ended it, if Amazon gives any.",
    ),
    row(
        PERMISSION,
        "PaymentMethodUpdated",
        Told::PaymentMethod,
        &[],
        "The buyer's payment method changed; the evidence says how we know, all of it if there is several.",
    ),
    row(
        PERMISSION,
        "PermissionUpdated",
        Told::Updated,
        &[],
        "Something else about the permission changed, such as its balance or the shipping address.",
    ),
    row(PERMISSION, "PermissionStateUnrecognized", Told::ReachedUnknown, &[], UNRECOGNIZED),
    row(
        CHARGE,
        "ChargeAuthorizationInitiated",
        reached("AuthorizationInitiated", &[]),
        &[],
        "Authorization is under way.",
    ),
    row(
        CHARGE,
        "ChargeAuthorized",
        reached("Authorized", &["AuthorizationInitiated"]),
        &[],
        "The amount is reserved and can be captured.",
    ),
    row(
        CHARGE,
        "ChargeCaptureInitiated",
        reached("CaptureInitiated", &["AuthorizationInitiated", "Authorized"]),
        &[],
        "Capture is under way.",
    ),
    row(
        CHARGE,
        "ChargeCaptured",
        finally("Captured", &["AuthorizationInitiated", "Authorized", "CaptureInitiated"]),
        &[],
        "The amount was taken.",
    ),
    row(
        CHARGE,
        "ChargeDeclined",
        finally("Declined", &["AuthorizationInitiated", "Authorized", "CaptureInitiated"]).even_when_late(),
        &[
            "SoftDeclined",
            "HardDeclined",
            "ProcessingFailure",
            "AmazonRejected",
            "TransactionTimedOut",
            "Declined",
            "TransactionAmountExceeded",
            "PaymentMethodNotAllowed",
            "MFANotCompleted",
            "MFAFailed",
        ],
        "The charge failed; the reasons say why.",
    ),
    row(
        CHARGE,
        "ChargeCanceled",
        finally("Canceled", &["AuthorizationInitiated", "Authorized", "CaptureInitiated"]),
        &["MerchantCanceled", "BuyerCanceled", "AmazonCanceled", "ExpiredUnused", "ChargePermissionCanceled"],
        "The charge was canceled; the reasons say by whom.",
    ),
    row(
        CHARGE,
        "ChargeUpdated",
        Told::Updated,
        &[],
        "Something else about the charge changed, such as the refunded amount.",
    ),
    row(CHARGE, "ChargeStateUnrecognized", Told::ReachedUnknown, &[], UNRECOGNIZED),
    row(REFUND, "RefundInitiated", reached("RefundInitiated", &[]).even_when_late(), &[], "The refund is under way."),
    row(
        REFUND,
        "RefundCompleted",
        finally("Refunded", &["RefundInitiated"]).even_when_late(),
        &[],
        "The buyer has the money back.",
    ),
    row(
        REFUND,
        "RefundDeclined",
        finally("Declined", &["RefundInitiated"]).even_when_late(),
        &["AmazonRejected", "ProcessingFailure"],
        "The refund failed; the reasons say why.",
    ),
    row(REFUND, "RefundStateUnrecognized", Told::ReachedUnknown, &[], UNRECOGNIZED),
    row(
        DISPUTE,
        "DisputeUnderReview",
        reached("UnderReview", &["ActionRequired"]).even_when_late(),
        &["BuyerAdditionalEvidencesRequired", "ChargebackFiled"],
        "Amazon looks into the dispute.",
    ),
    row(
        DISPUTE,
        "DisputeActionRequired",
        reached("ActionRequired", &["UnderReview"]).even_when_late(),
        &["MerchantResponseRequired", "MerchantAdditionalEvidencesRequired"],
        "The merchant has to answer the dispute; told again when the deadline or another fact changes.",
    ),
    row(
        DISPUTE,
        "DisputeResolved",
        finally("Resolved", &["UnderReview", "ActionRequired"]).even_when_late(),
        &[
            "MerchantAcceptedDispute",
            "MerchantResponseDeadlineExpired",
            "BuyerCancelled",
            "InvestigatorResolved",
            "AutoResolved",
        ],
        "The dispute was decided; `snapshot.resolution` says for whom.",
    ),
    row(
        DISPUTE,
        "DisputeClosed",
        finally("Closed", &["UnderReview", "ActionRequired", "Resolved"]).even_when_late(),
        &[],
        "The dispute is over.",
    ),
    row(DISPUTE, "DisputeStateUnrecognized", Told::ReachedUnknown, &[], UNRECOGNIZED),
];

/// What the buyer can mend comes first.
const NON_CHARGEABLE_REASONS: [&str; 11] = [
    "PaymentMethodInvalid",
    "PaymentMethodDeleted",
    "BillingAddressDeleted",
    "PaymentMethodExpired",
    "PaymentMethodNotAllowed",
    "PaymentMethodNotSet",
    "MFAFailed",
    "TransactionAmountExceeded",
    "TransactionCountExceeded",
    "AmountNotSet",
    "ChargeInProgress",
];
/// What is wrong with the buyer's payment method, so that the buyer can mend it.
pub(super) const PAYMENT_METHOD_REASONS: &[&str] = NON_CHARGEABLE_REASONS.split_at(6).0;
const UNRECOGNIZED: &str = "Amazon named a state that this version does not know; it travels verbatim.";
const PERMISSION: ObjectKind = ObjectKind::ChargePermission;
const CHARGE: ObjectKind = ObjectKind::Charge;
const REFUND: ObjectKind = ObjectKind::Refund;
const DISPUTE: ObjectKind = ObjectKind::Dispute;

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

/// Whether no other state is expected after this one. Of a word that is not known nobody can say.
pub fn is_final(kind: ObjectKind, state: &State) -> bool {
    matches!(event_type(kind, state).told, Told::Reached { terminal: true, .. })
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
    /// Whether its state can come after this one, as far as Amazon's documents tell. A word that is not known says
    /// nothing against it.
    pub fn may_follow(&self, before: &State) -> bool {
        let Told::Reached { state, from, .. } = self.told else { return true };
        matches!(before, State::Other(_)) || state == before.as_str() || from.contains(&before.as_str())
    }
}

impl Told {
    /// First seen late it is told all the same.
    const fn even_when_late(self) -> Self {
        match self {
            Self::Reached { state, from, terminal, .. } => {
                Self::Reached { state, from, terminal, updated_when_late: false }
            }
            other => other,
        }
    }
}

fn find(kind: ObjectKind, matches: impl Fn(&&EventType) -> bool) -> Option<&'static EventType> {
    CATALOG.iter().filter(|row| row.kind == kind).find(matches)
}

const fn row(
    kind: ObjectKind,
    name: &'static str,
    told: Told,
    reasons: &'static [&'static str],
    meaning: &'static str,
) -> EventType {
    EventType { name, kind, told, reasons, meaning }
}

const fn reached(state: &'static str, from: &'static [&'static str]) -> Told {
    Told::Reached { state, from, terminal: false, updated_when_late: true }
}

const fn finally(state: &'static str, from: &'static [&'static str]) -> Told {
    Told::Reached { state, from, terminal: true, updated_when_late: true }
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

    #[test]
    fn states_follow_each_other_as_documented_or_over_others_and_leave_no_final_one() {
        let follows =
            |kind, before: &str, after: &str| event_type(kind, &State::parse(after)).may_follow(&State::parse(before));
        assert!(follows(ObjectKind::Charge, "AuthorizationInitiated", "Captured"), "skipping two");
        assert!(follows(ObjectKind::ChargePermission, "NonChargeable", "NonChargeable"), "another reason");
        assert!(
            follows(ObjectKind::Charge, "Captured", "Tomorrow")
                && follows(ObjectKind::Charge, "Tomorrow", "Authorized")
        );
        for (kind, before, after) in [
            (ObjectKind::Charge, "Captured", "Authorized"),
            (ObjectKind::Charge, "Declined", "Captured"),
            (ObjectKind::ChargePermission, "Closed", "Chargeable"),
            (ObjectKind::Refund, "Refunded", "RefundInitiated"),
            (ObjectKind::Dispute, "Closed", "Resolved"),
        ] {
            assert!(!follows(kind, before, after), "{kind} {before} → {after}");
        }
        for row in CATALOG {
            if let Told::Reached { state, terminal: true, .. } = row.told {
                let next = CATALOG.iter().filter(|other| other.kind == row.kind && other.name != "DisputeClosed");
                let next =
                    next.filter(|other| matches!(other.told, Told::Reached { from, .. } if from.contains(&state)));
                assert_eq!(next.count(), 0, "nothing follows {state}");
            }
        }
    }
}
