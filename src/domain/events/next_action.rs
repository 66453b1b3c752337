//! The next action of a merchant after an event, as Amazon's guides advise it: by the permission's type first, then by
//! the reason ("Manage recurring payments", "Manage payments using payment method on file", "Manage disputes").
//!
//! Merchants read the texts, often without being native speakers of English: short, plain sentences only.

use serde::{Serialize, Serializer};

use super::catalog::{EventType, PAYMENT_METHOD_REASONS, Trigger};
use super::evidence::Evidence;
use crate::domain::pay::{ObjectId, ObjectKind, Reason, State};

/// The advice in `data.nextAction` of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextAction {
    /// Code for programs.
    pub code: ActionCode,
    /// Sentences for people.
    pub text: &'static str,
    /// Page where the buyer updates the payment method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Deadline of the action, in the format that Amazon uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
}

/// Every code of a [`NextAction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the texts below explain each code")]
pub enum ActionCode {
    RetryCharge,
    RetryChargeAfterPermissionCheck,
    AskBuyerToUpdatePaymentMethod,
    OpenUpdatePage,
    OpenSetupPage,
    VerifyAmountWithBuyer,
    AskForOtherPaymentMethod,
    ReengageBuyerWithNewCheckout,
    ReachOutBeforeNextCycle,
    WaitForNextPeriod,
    Wait,
    RespondToDispute,
    ContactSupport,
    None,
}

/// Type of a charge permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PermissionType {
    /// One order.
    OneTime,
    /// A subscription.
    Recurring,
    /// A saved wallet.
    PaymentMethodOnFile,
    /// Not read yet, or a type that Amazon added later.
    Unknown,
}

/// The facts that decide the next action.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The type of the object that changed.
    pub kind: ObjectKind,
    /// The state that the object reached.
    pub state: &'a State,
    /// Amazon's reasons; may be empty.
    pub reasons: &'a [Reason],
    /// The type of its charge permission.
    pub permission_type: PermissionType,
    /// The object was not known before.
    pub is_first_sight: bool,
    /// On permissions: it was NonChargeable before, for another reason than a charge in progress.
    pub is_chargeable_again: bool,
    /// On permissions: its whole amount was charged.
    pub is_used_up: bool,
    /// On PaymentMethodUpdated: what shows the change.
    pub evidence: &'a [Evidence],
    /// On disputes: `merchantResponseDeadline`.
    pub deadline: Option<&'a str>,
    /// The permission that the object belongs to.
    pub charge_permission_id: &'a ObjectId,
    /// Page where the buyer updates the payment method; contains `{ChargePermissionId}`.
    pub update_url: &'a str,
}

impl Situation<'_> {
    fn has(&self, wanted: &[&str]) -> bool {
        self.reasons.iter().any(|reason| wanted.contains(&reason.reason_code.as_str()))
    }
}

type Advice = (ActionCode, &'static str);

impl PermissionType {
    /// Amazon's three types, and `Unknown`.
    pub const ALL: [Self; 4] = [Self::OneTime, Self::Recurring, Self::PaymentMethodOnFile, Self::Unknown];

    /// The type that Amazon names `word`.
    pub fn of(word: Option<&str>) -> Self {
        match word {
            Some("OneTime") => Self::OneTime,
            Some("Recurring") => Self::Recurring,
            Some("PaymentMethodOnFile") => Self::PaymentMethodOnFile,
            _ => Self::Unknown,
        }
    }
}

impl ActionCode {
    /// The code in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetryCharge => "RETRY_CHARGE",
            Self::RetryChargeAfterPermissionCheck => "RETRY_CHARGE_AFTER_PERMISSION_CHECK",
            Self::AskBuyerToUpdatePaymentMethod => "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD",
            Self::OpenUpdatePage => "OPEN_UPDATE_PAGE",
            Self::OpenSetupPage => "OPEN_SETUP_PAGE",
            Self::VerifyAmountWithBuyer => "VERIFY_AMOUNT_WITH_BUYER",
            Self::AskForOtherPaymentMethod => "ASK_FOR_OTHER_PAYMENT_METHOD",
            Self::ReengageBuyerWithNewCheckout => "REENGAGE_BUYER_WITH_NEW_CHECKOUT",
            Self::ReachOutBeforeNextCycle => "REACH_OUT_BEFORE_NEXT_CYCLE",
            Self::WaitForNextPeriod => "WAIT_FOR_NEXT_PERIOD",
            Self::Wait => "WAIT",
            Self::RespondToDispute => "RESPOND_TO_DISPUTE",
            Self::ContactSupport => "CONTACT_SUPPORT",
            Self::None => "NONE",
        }
    }
}

impl Serialize for ActionCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The next action of an event of this type.
pub fn next_action(event_type: &EventType, situation: &Situation<'_>) -> NextAction {
    let (code, text) = match event_type.trigger {
        Trigger::StateReached { .. } | Trigger::UnknownState => advise(situation),
        // The object was first read long after it reached this state. The advice for the state still applies.
        Trigger::AttributesChanged if situation.is_first_sight => advise(situation),
        Trigger::AttributesChanged => NONE,
        Trigger::PaymentMethodChanged => payment_method_updated(situation),
    };
    let url = (code == ActionCode::AskBuyerToUpdatePaymentMethod)
        .then(|| situation.update_url.replace("{ChargePermissionId}", situation.charge_permission_id.as_str()));
    let deadline = situation.deadline.filter(|_| code == ActionCode::RespondToDispute).map(str::to_owned);
    NextAction { code, text, url, deadline }
}

/// Only one event of a change says RETRY_CHARGE, so that a merchant does not charge twice: where the permission became
/// Chargeable, its PermissionChargeable event says so.
fn payment_method_updated(situation: &Situation<'_>) -> Advice {
    match situation.state {
        _ if situation.evidence.contains(&Evidence::BecameChargeable) => SEE_PERMISSION_CHARGEABLE,
        State::Chargeable => RETRY_CHARGE,
        _ => WAIT_FOR_CHARGEABLE,
    }
}

fn advise(situation: &Situation<'_>) -> Advice {
    match (situation.kind, situation.state) {
        (ObjectKind::ChargePermission, State::Chargeable) if situation.is_chargeable_again => RETRY_CHARGE,
        (ObjectKind::ChargePermission, State::NonChargeable) => non_chargeable(situation),
        (ObjectKind::ChargePermission, State::Closed) => closed(situation),
        (ObjectKind::Charge, State::Declined) => charge_declined(situation),
        (ObjectKind::Charge, State::Canceled) => charge_canceled(situation),
        (ObjectKind::Charge, State::Authorized) => CAPTURE,
        (ObjectKind::Charge, State::AuthorizationInitiated | State::CaptureInitiated)
        | (ObjectKind::Refund, State::RefundInitiated)
        | (ObjectKind::Dispute, State::UnderReview) => WAIT,
        (ObjectKind::Refund, State::Declined) => REFUND_FAILED,
        (ObjectKind::Dispute, State::ActionRequired) => RESPOND,
        (_, State::Other(_)) => CHECK_AND_CONTACT_AMAZON,
        (_, _) => NONE,
    }
}

fn charge_declined(situation: &Situation<'_>) -> Advice {
    use PermissionType::{OneTime, PaymentMethodOnFile, Recurring, Unknown};
    if situation.has(&["SoftDeclined", "ProcessingFailure"]) {
        return CHECK_AND_RETRY;
    }
    if !situation.has(&["HardDeclined"]) {
        return NEW_CHECKOUT;
    }
    match situation.permission_type {
        Recurring | PaymentMethodOnFile => ASK_BUYER_TO_UPDATE,
        OneTime => ASK_FOR_OTHER,
        Unknown => ASK_FOR_OTHER_OR_UPDATE,
    }
}

fn charge_canceled(situation: &Situation<'_>) -> Advice {
    if situation.reasons.is_empty() || situation.has(&["MerchantCanceled", "BuyerCanceled"]) {
        NONE
    } else if situation.has(&["ExpiredUnused"]) {
        CHECK_AND_CREATE_CHARGE
    } else {
        NEW_CHECKOUT
    }
}

/// Of several reasons, the one that the merchant or the buyer can do most about decides.
fn non_chargeable(situation: &Situation<'_>) -> Advice {
    use PermissionType::{OneTime, PaymentMethodOnFile, Recurring, Unknown};
    if situation.has(PAYMENT_METHOD_REASONS) {
        return match situation.permission_type {
            PaymentMethodOnFile => UPDATE_PAGE,
            Recurring => ASK_BUYER_TO_UPDATE,
            OneTime => ASK_FOR_OTHER,
            Unknown => ASK_FOR_OTHER_OR_UPDATE,
        };
    }
    if situation.has(&["MFAFailed"]) {
        return match situation.permission_type {
            PaymentMethodOnFile => UPDATE_PAGE,
            Recurring | OneTime | Unknown => VERIFY_AMOUNT,
        };
    }
    if situation.has(&["TransactionAmountExceeded", "TransactionCountExceeded"]) {
        return match situation.permission_type {
            Recurring | PaymentMethodOnFile => NEXT_PERIOD,
            OneTime => NEW_CHECKOUT_OVER_LIMIT,
            Unknown => CHECK_AND_CONTACT_AMAZON,
        };
    }
    let is_only_in_progress = situation.reasons.iter().all(|reason| reason.reason_code == "ChargeInProgress");
    if is_only_in_progress && !situation.reasons.is_empty() { WAIT } else { CHECK_AND_CONTACT_AMAZON }
}

fn closed(situation: &Situation<'_>) -> Advice {
    use PermissionType::{OneTime, PaymentMethodOnFile, Recurring, Unknown};
    match situation.permission_type {
        PaymentMethodOnFile => SETUP_PAGE,
        OneTime | Recurring | Unknown if situation.has(&["MerchantClosed"]) => NONE,
        Recurring if situation.has(&["BuyerClosed"]) => REACH_OUT,
        OneTime if situation.has(&["AmazonClosed"]) && situation.is_used_up => DONE,
        OneTime | Recurring | Unknown => NEW_CHECKOUT_AFTER_CLOSING,
    }
}

const NONE: Advice = (ActionCode::None, "No action required.");
const SEE_PERMISSION_CHARGEABLE: Advice = (
    ActionCode::None,
    "No action required for this event. Follow the next action of the PermissionChargeable event that was published just before.",
);
const WAIT_FOR_CHARGEABLE: Advice =
    (ActionCode::Wait, "The charge permission cannot be charged yet. Wait for PermissionChargeable.");
const DONE: Advice = (ActionCode::None, "The whole amount was charged. No action required.");
const CAPTURE: Advice = (
    ActionCode::None,
    "No action required now. Capture the charge when you ship, unless it is captured automatically.",
);
const WAIT: Advice = (ActionCode::Wait, "Amazon is still processing this; wait for the next event.");
const RETRY_CHARGE: Advice = (
    ActionCode::RetryCharge,
    "The charge permission can be charged again. If a charge was declined and payment is still due, create a new charge for the amount due.",
);
const CHECK_AND_RETRY: Advice = (
    ActionCode::RetryChargeAfterPermissionCheck,
    "Read the charge permission from Amazon Pay, because its state in this event may be out of date. If it is Chargeable, create a new charge. If it is not, wait for the next PermissionChargeable event, even if the code of that event is NONE; then create a new charge if payment is still due.",
);
const CHECK_AND_CREATE_CHARGE: Advice = (
    ActionCode::RetryChargeAfterPermissionCheck,
    "The authorization expired before it was captured. If payment is still due, read the charge permission from Amazon Pay; if it is Chargeable, create a new charge.",
);
const ASK_BUYER_TO_UPDATE: Advice = (
    ActionCode::AskBuyerToUpdatePaymentMethod,
    "Ask the buyer to update the payment method at the URL. Do not retry the charge until a PermissionChargeable or PaymentMethodUpdated event has the code RETRY_CHARGE.",
);
const UPDATE_PAGE: Advice = (
    ActionCode::OpenUpdatePage,
    "Open Amazon's hosted Update page for this charge permission with your checkout script, and send the buyer there. Create a new charge only when a PermissionChargeable or PaymentMethodUpdated event has the code RETRY_CHARGE.",
);
const SETUP_PAGE: Advice = (
    ActionCode::OpenSetupPage,
    "To charge this buyer again, open Amazon's hosted Setup page with your checkout script, and send the buyer there.",
);
const VERIFY_AMOUNT: Advice = (
    ActionCode::VerifyAmountWithBuyer,
    "The buyer did not confirm the payment at the bank. Verify the amount with the buyer, then request the confirmation again.",
);
const ASK_FOR_OTHER: Advice = (
    ActionCode::AskForOtherPaymentMethod,
    "Ask the buyer for another payment method. Do not create another charge with the current payment method.",
);
const ASK_FOR_OTHER_OR_UPDATE: Advice = (
    ActionCode::AskForOtherPaymentMethod,
    "Ask the buyer for another payment method. The receiver could not read the type of the charge permission: look it up in Seller Central before you send the buyer to a page.",
);
const NEW_CHECKOUT: Advice =
    (ActionCode::ReengageBuyerWithNewCheckout, "Do not retry the charge. Ask the buyer to go through checkout again.");
const NEW_CHECKOUT_OVER_LIMIT: Advice = (
    ActionCode::ReengageBuyerWithNewCheckout,
    "The limit of this order is used up. To charge more, ask the buyer to go through checkout again.",
);
const NEW_CHECKOUT_AFTER_CLOSING: Advice = (
    ActionCode::ReengageBuyerWithNewCheckout,
    "The charge permission is closed and cannot be charged again. To charge this buyer, ask the buyer to go through checkout again.",
);
const REACH_OUT: Advice = (
    ActionCode::ReachOutBeforeNextCycle,
    "The buyer canceled the subscription at Amazon. Stop the subscription, or contact the buyer before the next billing cycle.",
);
const NEXT_PERIOD: Advice = (
    ActionCode::WaitForNextPeriod,
    "Amazon's limit for this month is used up. Wait until a PermissionChargeable event has the code RETRY_CHARGE; then create a new charge if payment is still due.",
);
const RESPOND: Advice = (
    ActionCode::RespondToDispute,
    "Respond to the dispute before the deadline. Without a response, the buyer wins the dispute.",
);
const REFUND_FAILED: Advice = (
    ActionCode::ContactSupport,
    "The refund failed; the buyer has not received the money. Check the balance of your Amazon Pay account, then contact Amazon Pay or refund the buyer in another way.",
);
const CHECK_AND_CONTACT_AMAZON: Advice = (
    ActionCode::ContactSupport,
    "No standard action exists for this case. Check the object in Seller Central, and contact Amazon Pay if necessary.",
);

#[cfg(test)]
mod tests;
