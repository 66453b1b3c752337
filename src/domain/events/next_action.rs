//! What Amazon's guides tell a merchant to do when an object reached a state: by the permission's type first, then by
//! the reason ("Manage recurring payments", "Manage payments using payment method on file", "Manage disputes").

use serde::{Serialize, Serializer};

use super::catalog::{EventType, PAYMENT_METHOD_REASONS, Told};
use super::evidence::Evidence;
use crate::domain::pay::{ObjectId, ObjectKind, Reason, State};

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextAction {
    /// For machines.
    pub code: ActionCode,
    /// For people.
    pub text: &'static str,
    /// Where to send the buyer, or to look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Until when, as Amazon writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
}

/// The things a merchant can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is told by its text")]
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

/// What a permission is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PermissionType {
    /// One order.
    OneTime,
    /// A subscription.
    Recurring,
    /// A saved wallet.
    PaymentMethodOnFile,
    /// Not read yet, or a word that Amazon added.
    Unknown,
}

/// An object that has just reached a state.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What it is.
    pub kind: ObjectKind,
    /// The state it reached.
    pub state: &'a State,
    /// Amazon's reasons, perhaps none.
    pub reasons: &'a [Reason],
    /// Its permission's type.
    pub permission_type: PermissionType,
    /// Nothing was known of it before.
    pub is_first_sight: bool,
    /// On permissions: it was NonChargeable before, for more than a charge under way.
    pub is_chargeable_again: bool,
    /// On permissions: nothing is left of its amount.
    pub is_used_up: bool,
    /// On PaymentMethodUpdated: how it is known.
    pub evidence: &'a [Evidence],
    /// On disputes: until when the merchant may answer.
    pub deadline: Option<&'a str>,
    /// The permission it belongs to.
    pub charge_permission_id: &'a ObjectId,
    /// Where the buyer updates the payment method, with `{ChargePermissionId}` in it.
    pub update_url: &'a str,
}

impl Situation<'_> {
    fn has(&self, wanted: &[&str]) -> bool {
        self.reasons.iter().any(|reason| wanted.contains(&reason.reason_code.as_str()))
    }
}

type Advice = (ActionCode, &'static str);

impl PermissionType {
    /// The three that Amazon has, and what is none of them.
    pub const ALL: [Self; 4] = [Self::OneTime, Self::Recurring, Self::PaymentMethodOnFile, Self::Unknown];

    /// Reads Amazon's word.
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
    /// The word in events.
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

/// What an event of this type tells the merchant to do.
pub fn next_action(event_type: &EventType, situation: &Situation<'_>) -> NextAction {
    let (code, text) = match event_type.told {
        Told::Reached { .. } | Told::ReachedUnknown => advise(situation),
        // An object that was in this state for long when it was first seen: what holds for the state holds still.
        Told::Updated if situation.is_first_sight => advise(situation),
        Told::Updated => NONE,
        Told::PaymentMethod => payment_method_updated(situation),
    };
    let url = (code == ActionCode::AskBuyerToUpdatePaymentMethod)
        .then(|| situation.update_url.replace("{ChargePermissionId}", situation.charge_permission_id.as_str()));
    let deadline = situation.deadline.filter(|_| code == ActionCode::RespondToDispute).map(str::to_owned);
    NextAction { code, text, url, deadline }
}

/// Its own event says so when the permission became Chargeable, and only one is to say it: nobody charges twice.
fn payment_method_updated(situation: &Situation<'_>) -> Advice {
    match situation.state {
        _ if situation.evidence.contains(&Evidence::BecameChargeable) => SEE_EVENT_BEFORE,
        State::Chargeable => RETRY_CHARGE,
        _ => WAIT_FOR_CHARGEABLE,
    }
}

/// What to do in a situation, and the sentence that says so.
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
        (_, State::Other(_)) => LOOK_AT_IT,
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
        CHECK_AND_CHARGE_ANEW
    } else {
        NEW_CHECKOUT
    }
}

/// Of several reasons the one that the merchant or the buyer can do most about decides.
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
            Unknown => LOOK_AT_IT,
        };
    }
    let is_only_busy = situation.reasons.iter().all(|reason| reason.reason_code == "ChargeInProgress");
    if is_only_busy && !situation.reasons.is_empty() { WAIT } else { LOOK_AT_IT }
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

const NONE: Advice = (ActionCode::None, "Nothing is to be done.");
const SEE_EVENT_BEFORE: Advice = (ActionCode::None, "The PermissionChargeable event before this one says what to do.");
const WAIT_FOR_CHARGEABLE: Advice =
    (ActionCode::Wait, "Wait until the permission is Chargeable; an event tells of it.");
const DONE: Advice = (ActionCode::None, "The whole amount was used; nothing is to be done.");
const CAPTURE: Advice =
    (ActionCode::None, "Nothing is to be done about it; capture it when you ship, unless it captures itself.");
const WAIT: Advice = (ActionCode::Wait, "Amazon is still at it; wait for the next event.");
const RETRY_CHARGE: Advice = (
    ActionCode::RetryCharge,
    "The permission can be charged again: if a charge was declined and is still due, retry it.",
);
const CHECK_AND_RETRY: Advice = (
    ActionCode::RetryChargeAfterPermissionCheck,
    "Check that the charge permission is Chargeable (read it; the state told here may be old), then create the charge again. If it is not, wait for PermissionChargeable.",
);
const CHECK_AND_CHARGE_ANEW: Advice = (
    ActionCode::RetryChargeAfterPermissionCheck,
    "The authorization lapsed unused. If the money is still due, check that the charge permission is Chargeable and create a new charge.",
);
const ASK_BUYER_TO_UPDATE: Advice = (
    ActionCode::AskBuyerToUpdatePaymentMethod,
    "Ask the buyer to update the payment method at Amazon; do not retry before PermissionChargeable or PaymentMethodUpdated says RETRY_CHARGE.",
);
const UPDATE_PAGE: Advice = (
    ActionCode::OpenUpdatePage,
    "Send the buyer to the hosted Update page for this charge permission, which your checkout script opens; charge again when PermissionChargeable or PaymentMethodUpdated says RETRY_CHARGE.",
);
const SETUP_PAGE: Advice = (
    ActionCode::OpenSetupPage,
    "To charge this buyer again, send the buyer to the hosted Setup page, which your checkout script opens.",
);
const VERIFY_AMOUNT: Advice = (
    ActionCode::VerifyAmountWithBuyer,
    "The buyer did not confirm the payment at the bank: verify the amount with the buyer, then ask for a confirmation again.",
);
const ASK_FOR_OTHER: Advice =
    (ActionCode::AskForOtherPaymentMethod, "Ask the buyer for another payment method; do not retry with this one.");
const ASK_FOR_OTHER_OR_UPDATE: Advice = (
    ActionCode::AskForOtherPaymentMethod,
    "Ask the buyer for another payment method; the permission's type is not known, so whether it can be updated at Amazon is not either.",
);
const NEW_CHECKOUT: Advice =
    (ActionCode::ReengageBuyerWithNewCheckout, "Do not retry; win the buyer for a new checkout.");
const NEW_CHECKOUT_OVER_LIMIT: Advice =
    (ActionCode::ReengageBuyerWithNewCheckout, "The order's limit is used up; more needs a new checkout.");
const NEW_CHECKOUT_AFTER_CLOSING: Advice =
    (ActionCode::ReengageBuyerWithNewCheckout, "The permission is over; charging again needs a new checkout.");
const REACH_OUT: Advice = (
    ActionCode::ReachOutBeforeNextCycle,
    "The buyer canceled at Amazon: stop the subscription, or reach out to the buyer before the next cycle.",
);
const NEXT_PERIOD: Advice = (
    ActionCode::WaitForNextPeriod,
    "Amazon's limit of this month is used up; charge when the permission is Chargeable again next month.",
);
const RESPOND: Advice =
    (ActionCode::RespondToDispute, "Answer the dispute before the deadline; without an answer the buyer wins.");
const REFUND_FAILED: Advice = (
    ActionCode::ContactSupport,
    "The buyer has no money back: look at the account's balance, then contact Amazon Pay or refund in another way.",
);
const LOOK_AT_IT: Advice =
    (ActionCode::ContactSupport, "No rule fits: look at the object in Seller Central, and ask Amazon Pay if need be.");

#[cfg(test)]
mod tests;
