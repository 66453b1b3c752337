//! The catalogue of events: one row per event type, with everything that depends on the type.

use crate::domain::pay::{ObjectKind, State};

/// One type of event.
#[derive(Debug, PartialEq, Eq)]
pub struct EventType {
    /// Name of the event. CloudEvents `type` is `<prefix>.<name>.v1`.
    pub name: &'static str,
    /// Kind of the object that the event is about.
    pub kind: ObjectKind,
    /// When the event is published.
    pub trigger: Trigger,
    /// The reason codes that Amazon documents or was observed to use. Other codes are published unchanged.
    pub reasons: &'static [&'static str],
    /// What the event means, for readers of the documentation.
    pub meaning: &'static str,
}

/// When an event type is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The object reached this state.
    StateReached {
        /// Amazon's name of the state.
        state: &'static str,
        /// The states from which the object reaches it, directly or through other states.
        from: &'static [&'static str],
        /// Where the object is first read more than 24 h after it reached the state, and it reached the state before the
        /// merchant was in our charge, the `…Updated` type is published instead: consumers must not act on history.
        updated_when_late: bool,
    },
    /// The object reached a state that the catalogue does not have.
    UnknownState,
    /// Attributes changed, the state did not.
    AttributesChanged,
    /// The buyer's payment method changed.
    PaymentMethodChanged,
    /// An IPN reported a chargeback and named the charge instead of the dispute.
    ChargebackReported,
    /// The merchant should act before something happens.
    Notice(Notice),
}

/// What a merchant is warned of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A permission's `expirationTimestamp` is near.
    Expiring,
    /// Little is left of a permission's limit.
    LimitNear,
    /// A dispute's `merchantResponseDeadline` is near.
    DeadlineNear,
}

/// Every event type.
pub const CATALOG: &[EventType] = &[
    row(
        PERMISSION,
        "PermissionChargeable",
        reached("Chargeable", &["NonChargeable"]),
        &[],
        "The charge permission can be charged.",
    ),
    row(
        PERMISSION,
        "PermissionNonChargeable",
        reached("NonChargeable", &["Chargeable"]),
        &NON_CHARGEABLE_REASONS,
        "The charge permission cannot be charged at the moment. The reasons say why; there may be several.",
    ),
    row(
        PERMISSION,
        "PermissionClosed",
        reached("Closed", &["Chargeable", "NonChargeable"]).even_when_late(),
        &["MerchantClosed", "BuyerClosed", "AmazonCanceled", "AmazonClosed", "Expired"],
        "The charge permission is closed for good. The reasons say who closed it, if Amazon gives a reason.",
    ),
    row(
        PERMISSION,
        "PaymentMethodUpdated",
        Trigger::PaymentMethodChanged,
        &[],
        "The buyer's payment method or billing address changed; with the evidence `attribute_change` alone, it probably changed. `evidence` lists everything that shows the change.",
    ),
    row(
        PERMISSION,
        "PermissionUpdated",
        Trigger::AttributesChanged,
        &[],
        "Another attribute of the charge permission changed, such as its balance or the shipping address.",
    ),
    row(
        PERMISSION,
        "PermissionExpiring",
        Trigger::Notice(Notice::Expiring),
        &[],
        "The charge permission expires soon. After `nextAction.deadline` Amazon closes it, and it cannot be charged again.",
    ),
    row(
        PERMISSION,
        "PermissionLimitNear",
        Trigger::Notice(Notice::LimitNear),
        &[],
        "Little is left of the amount that Amazon allows for this charge permission: see `snapshot.limits`.",
    ),
    row(PERMISSION, "PermissionStateUnrecognized", Trigger::UnknownState, &[], UNRECOGNIZED),
    row(
        CHARGE,
        "ChargeAuthorizationInitiated",
        reached("AuthorizationInitiated", &[]),
        &[],
        "Amazon is authorizing the charge.",
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
        "Amazon is capturing the charge.",
    ),
    row(
        CHARGE,
        "ChargeCaptured",
        reached("Captured", &["AuthorizationInitiated", "Authorized", "CaptureInitiated"]),
        &[],
        "The amount was captured: Amazon took the payment from the buyer.",
    ),
    row(
        CHARGE,
        "ChargeDeclined",
        reached("Declined", &["AuthorizationInitiated", "Authorized", "CaptureInitiated"]).even_when_late(),
        &[
            "SoftDeclined",
            "ProcessingFailure",
            "HardDeclined",
            "AmazonRejected",
            "TransactionTimedOut",
            "Declined",
            "TransactionAmountExceeded",
            "PaymentMethodNotAllowed",
            "MFANotCompleted",
            "MFAFailed",
        ],
        "The charge failed. The reasons say why.",
    ),
    row(
        CHARGE,
        "ChargeCanceled",
        reached("Canceled", &["AuthorizationInitiated", "Authorized", "CaptureInitiated"]),
        &["MerchantCanceled", "BuyerCanceled", "ExpiredUnused", "AmazonCanceled", "ChargePermissionCanceled"],
        "The charge was canceled. The reasons say by whom.",
    ),
    row(
        CHARGE,
        "ChargeUpdated",
        Trigger::AttributesChanged,
        &[],
        "Another attribute of the charge changed, such as the refunded amount.",
    ),
    row(
        CHARGE,
        "ChargebackReported",
        Trigger::ChargebackReported,
        &[],
        "Amazon reported a chargeback or an A-to-z claim about this charge. `state` is the state of the charge, not of the dispute.",
    ),
    row(CHARGE, "ChargeStateUnrecognized", Trigger::UnknownState, &[], UNRECOGNIZED),
    row(
        REFUND,
        "RefundInitiated",
        reached("RefundInitiated", &[]).even_when_late(),
        &[],
        "Amazon is processing the refund.",
    ),
    row(
        REFUND,
        "RefundCompleted",
        reached("Refunded", &["RefundInitiated"]).even_when_late(),
        &[],
        "The refund is complete: the buyer has received the money.",
    ),
    row(
        REFUND,
        "RefundDeclined",
        reached("Declined", &["RefundInitiated"]).even_when_late(),
        &["AmazonRejected", "ProcessingFailure"],
        "The refund failed; the buyer has not received the money. The reasons say why.",
    ),
    row(REFUND, "RefundStateUnrecognized", Trigger::UnknownState, &[], UNRECOGNIZED),
    row(
        DISPUTE,
        "DisputeUnderReview",
        reached("UnderReview", &["ActionRequired"]).even_when_late(),
        &["BuyerAdditionalEvidencesRequired", "ChargebackFiled"],
        "Amazon is reviewing the dispute.",
    ),
    row(
        DISPUTE,
        "DisputeActionRequired",
        reached("ActionRequired", &["UnderReview"]).even_when_late(),
        &["MerchantResponseRequired", "MerchantAdditionalEvidencesRequired"],
        "The merchant must respond to the dispute. Published again when the deadline or another attribute changes.",
    ),
    row(
        DISPUTE,
        "DisputeResolved",
        reached("Resolved", &["UnderReview", "ActionRequired"]).even_when_late(),
        &[
            "MerchantAcceptedDispute",
            "MerchantResponseDeadlineExpired",
            "BuyerCancelled",
            "InvestigatorResolved",
            "AutoResolved",
        ],
        "The dispute was decided. `snapshot.resolution` says in whose favor.",
    ),
    row(
        DISPUTE,
        "DisputeClosed",
        reached("Closed", &["UnderReview", "ActionRequired", "Resolved"]).even_when_late(),
        &[],
        "The dispute is closed.",
    ),
    row(
        DISPUTE,
        "DisputeDeadlineNear",
        Trigger::Notice(Notice::DeadlineNear),
        &["MerchantResponseRequired", "MerchantAdditionalEvidencesRequired"],
        "The merchant has not responded to the dispute yet, and `nextAction.deadline` is near.",
    ),
    row(DISPUTE, "DisputeStateUnrecognized", Trigger::UnknownState, &[], UNRECOGNIZED),
];

/// In the order of their weight: the reasons that the buyer can fix come first.
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
/// Problems with the payment method, which the buyer can fix.
pub(super) const PAYMENT_METHOD_REASONS: &[&str] = NON_CHARGEABLE_REASONS.split_at(6).0;
const UNRECOGNIZED: &str = "Amazon reports a state that this version of the receiver does not know. `state` has Amazon's name of it, unchanged.";
const PERMISSION: ObjectKind = ObjectKind::ChargePermission;
const CHARGE: ObjectKind = ObjectKind::Charge;
const REFUND: ObjectKind = ObjectKind::Refund;
const DISPUTE: ObjectKind = ObjectKind::Dispute;

/// The event type for an object of this kind in this state.
pub fn event_type(kind: ObjectKind, state: &State) -> &'static EventType {
    let matches = |row: &&EventType| match row.trigger {
        Trigger::StateReached { state: reached, .. } => reached == state.as_str(),
        _ => false,
    };
    find(kind, matches)
        .or_else(|| find(kind, |row| row.trigger == Trigger::UnknownState))
        .expect("each kind has a row for unknown states")
}

/// The event type for changed attributes of an object of this kind, if there is one.
pub fn updated_type(kind: ObjectKind) -> Option<&'static EventType> {
    find(kind, |row| row.trigger == Trigger::AttributesChanged)
}

pub(super) fn payment_method_type() -> &'static EventType {
    find(ObjectKind::ChargePermission, |row| row.trigger == Trigger::PaymentMethodChanged)
        .expect("the catalogue has PaymentMethodUpdated")
}

/// The event type of a notice.
pub fn notice_type(notice: Notice) -> &'static EventType {
    CATALOG.iter().find(|row| row.trigger == Trigger::Notice(notice)).expect("the catalogue has every notice")
}

pub(super) fn chargeback_type() -> &'static EventType {
    find(ObjectKind::Charge, |row| row.trigger == Trigger::ChargebackReported)
        .expect("the catalogue has ChargebackReported")
}

impl EventType {
    /// The type with this name: `ChargeDeclined` in any case, or the `type` of an event, `amazonpay.ChargeDeclined.v1`. The
    /// error lists all names.
    pub fn named(name: &str) -> Result<&'static Self, String> {
        let short = name.trim_end_matches(".v1").rsplit('.').next().unwrap_or_default();
        CATALOG.iter().find(|row| row.name.eq_ignore_ascii_case(short)).ok_or_else(|| {
            let names: Vec<&str> = CATALOG.iter().map(|row| row.name).collect();
            format!("there is no event type {name}; the event types are: {}", names.join(", "))
        })
    }

    /// Whether the event warns of the future. Such an event reports no change of the object.
    pub fn is_notice(&self) -> bool {
        matches!(self.trigger, Trigger::Notice(_))
    }

    /// Whether Amazon documents that this event's state can follow the state `before`. Always true for unknown states.
    pub fn may_follow(&self, before: &State) -> bool {
        let Trigger::StateReached { state, from, .. } = self.trigger else { return true };
        matches!(before, State::Other(_)) || state == before.as_str() || from.contains(&before.as_str())
    }
}

impl Trigger {
    /// Whether Amazon sends an IPN for such a change.
    pub fn is_notified(self) -> bool {
        match self {
            Self::StateReached { .. } | Self::UnknownState | Self::PaymentMethodChanged | Self::ChargebackReported => {
                true
            }
            Self::AttributesChanged | Self::Notice(_) => false,
        }
    }

    /// Published under its own name also where the object is first read late.
    const fn even_when_late(self) -> Self {
        match self {
            Self::StateReached { state, from, .. } => Self::StateReached { state, from, updated_when_late: false },
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
    trigger: Trigger,
    reasons: &'static [&'static str],
    meaning: &'static str,
) -> EventType {
    EventType { name, kind, trigger, reasons, meaning }
}

const fn reached(state: &'static str, from: &'static [&'static str]) -> Trigger {
    Trigger::StateReached { state, from, updated_when_late: true }
}

#[cfg(test)]
mod tests;
