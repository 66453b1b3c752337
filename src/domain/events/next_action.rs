//! The next action of a merchant after an event, as Amazon's guides advise it: by the permission's type first, then by
//! the reason ("Manage recurring payments", "Manage payments using payment method on file", "Manage disputes").
//!
//! Merchants read the texts, often without being native speakers of English: short, plain sentences only.

mod advice;
mod code;

use serde::Serialize;

#[allow(clippy::wildcard_imports, reason = "every advice is used below, by name")]
use self::advice::*;
pub use self::code::ActionCode;
use super::catalog::{EventType, Notice, PAYMENT_METHOD_REASONS, Trigger};
use super::evidence::Evidence;
use crate::domain::pay::{ObjectId, ObjectKind, Reason, State};
use crate::domain::state::Observed;
use crate::domain::timestamp::Timestamp;

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
    /// The text advises to wait until an event says that the charge permission can be charged. Such an event must follow
    /// as soon as that is so.
    #[serde(skip)]
    pub advises_to_wait: bool,
}

/// The codes of advice to wait until the permission can be charged again.
pub(super) const AWAITING_RETRY: [ActionCode; 5] = [
    ActionCode::RetryChargeAfterPermissionCheck,
    ActionCode::AskBuyerToUpdatePaymentMethod,
    ActionCode::OpenUpdatePage,
    ActionCode::AskForOtherPaymentMethod,
    ActionCode::WaitForNextPeriod,
];

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

/// The last read of a permission.
#[derive(Clone, Copy, Debug)]
pub struct PermissionSeen<'a> {
    /// Its state.
    pub state: &'a State,
    /// Amazon's reasons of that state.
    pub reasons: &'a [Reason],
    /// Amazon's time of that state, if it could be read.
    pub last_updated: Option<Timestamp>,
    /// Its state or Amazon's time changed since it was read first.
    pub has_moved: bool,
    /// A time before the newest change that an event with RETRY_CHARGE reports.
    pub usable_since: Option<Timestamp>,
    /// When the read began.
    pub read_at: Timestamp,
}

/// The facts that decide the next action.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Situation<'a> {
    /// The type of the object that changed.
    pub kind: ObjectKind,
    /// The state that the object reached.
    pub state: &'a State,
    /// Amazon's reasons; may be empty.
    pub reasons: &'a [Reason],
    /// Amazon's time of that state, if it could be read.
    pub last_updated: Option<Timestamp>,
    /// On charges, refunds and disputes: the last read of the charge permission.
    pub permission: Option<PermissionSeen<'a>>,
    /// The type of its charge permission.
    pub permission_type: PermissionType,
    /// The object was not known before.
    pub is_first_sight: bool,
    /// On permissions: it was NonChargeable before, for another reason than a charge in progress.
    pub is_chargeable_again: bool,
    /// On permissions: its whole amount was charged.
    pub is_used_up: bool,
    /// On PaymentMethodUpdated: an event of the same act of the buyer said RETRY_CHARGE.
    pub retry_was_advised: bool,
    /// On PaymentMethodUpdated: a charge was declined after the change.
    pub is_older_than_decline: bool,
    /// On PaymentMethodUpdated: what shows the change.
    pub evidence: &'a [Evidence],
    /// On disputes: `merchantResponseDeadline`.
    pub deadline: Option<&'a str>,
    /// The permission that the object belongs to.
    pub charge_permission_id: &'a ObjectId,
    /// Page where the buyer updates the payment method; contains `{ChargePermissionId}`.
    pub update_url: &'a str,
}

impl<'a> Situation<'a> {
    /// An object in this state; nothing else is known of it.
    pub fn of(kind: ObjectKind, state: &'a State, reasons: &'a [Reason], charge_permission_id: &'a ObjectId) -> Self {
        Self {
            kind,
            state,
            reasons,
            last_updated: None,
            permission: None,
            permission_type: PermissionType::Unknown,
            is_first_sight: false,
            is_chargeable_again: false,
            is_used_up: false,
            retry_was_advised: false,
            is_older_than_decline: false,
            evidence: &[],
            deadline: None,
            charge_permission_id,
            update_url: "",
        }
    }

    fn has(&self, wanted: &[&str]) -> bool {
        has(self.reasons, wanted)
    }
}

fn has(reasons: &[Reason], wanted: &[&str]) -> bool {
    reasons.iter().any(|reason| wanted.contains(&reason.reason_code.as_str()))
}

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

/// The next action of an event of this type.
pub fn next_action(event_type: &EventType, situation: &Situation<'_>) -> NextAction {
    let Advice { code, text, advises_to_wait } = match event_type.trigger {
        Trigger::StateReached { .. } | Trigger::UnknownState => advise(situation),
        // The object was first read long after it reached this state. The advice for the state still applies.
        Trigger::AttributesChanged if situation.is_first_sight => advise(situation),
        Trigger::AttributesChanged => NONE,
        Trigger::PaymentMethodChanged => payment_method_updated(situation),
        Trigger::Notice(notice) => warn(notice, situation.permission_type),
        Trigger::ChargebackReported => FIND_AND_RESPOND,
    };
    let url = (code == ActionCode::AskBuyerToUpdatePaymentMethod)
        .then(|| situation.update_url.replace("{ChargePermissionId}", situation.charge_permission_id.as_str()));
    let deadline = situation.deadline.filter(|_| code == ActionCode::RespondToDispute).map(str::to_owned);
    NextAction { code, text, url, deadline, advises_to_wait }
}

/// Only one event of a change says RETRY_CHARGE, so that a merchant does not charge twice: where the permission became
/// Chargeable, its PermissionChargeable event says so.
fn payment_method_updated(situation: &Situation<'_>) -> Advice {
    match situation.state {
        State::Closed => NONE,
        _ if situation.evidence.contains(&Evidence::BecameChargeable) => SEE_PERMISSION_CHARGEABLE,
        State::Chargeable if situation.is_older_than_decline => SEE_DECLINE,
        State::Chargeable if situation.retry_was_advised => RETRY_WAS_ADVISED,
        State::Chargeable => RETRY_CHARGE,
        _ => WAIT_FOR_CHARGEABLE,
    }
}

fn warn(notice: Notice, permission_type: PermissionType) -> Advice {
    use PermissionType::{OneTime, PaymentMethodOnFile, Recurring, Unknown};
    match (notice, permission_type) {
        (Notice::Expiring, Recurring) => RENEW_SUBSCRIPTION,
        (Notice::Expiring, PaymentMethodOnFile) => RENEW_WALLET,
        (Notice::Expiring, OneTime | Unknown) => CHARGE_BEFORE_EXPIRY,
        (Notice::LimitNear, _) => CHECK_BALANCE,
        (Notice::DeadlineNear, _) => RESPOND,
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

/// The permission's last known state decides first: no advice may wait for a state that cannot come, or for a change that
/// has already happened.
fn charge_declined(situation: &Situation<'_>) -> Advice {
    use PermissionType::{OneTime, PaymentMethodOnFile, Recurring, Unknown};
    let is_retryable = situation.has(&["SoftDeclined", "ProcessingFailure"]);
    if !is_retryable && !situation.has(&["HardDeclined"]) {
        return NEW_CHECKOUT;
    }
    match situation.permission {
        Some(permission) if *permission.state == State::Closed => return closed_before_charge(situation),
        Some(permission) if permission.became_usable_after(situation.last_updated) => {
            return RETRY_SINCE_CHARGEABLE;
        }
        Some(permission) if is_retryable && permission.needs_payment_method(situation.last_updated) => {
            return update_payment_method(situation.permission_type);
        }
        _ if is_retryable => return CHECK_AND_RETRY,
        _ => {}
    }
    match situation.permission_type {
        Recurring | PaymentMethodOnFile => ASK_BUYER_TO_UPDATE,
        OneTime => ASK_FOR_OTHER,
        Unknown => ASK_FOR_OTHER_OR_UPDATE,
    }
}

impl<'a> From<&'a Observed> for PermissionSeen<'a> {
    fn from(known: &'a Observed) -> Self {
        Self {
            state: &known.state,
            reasons: &known.reasons,
            last_updated: known.last_updated,
            has_moved: known.has_moved,
            usable_since: known.usable_since,
            read_at: known.read_started_at,
        }
    }
}

impl PermissionSeen<'_> {
    /// Whether it is Chargeable, and became so, or got another payment method, after this time of Amazon's. In the same
    /// second counts if the permission changed then: a permission is not Chargeable before its charge has ended.
    fn became_usable_after(&self, then: Option<Timestamp>) -> bool {
        let Some(then) = then.filter(|_| *self.state == State::Chargeable) else { return false };
        let is_newer = self.last_updated.is_some_and(|at| then < at || (then == at && self.has_moved));
        is_newer || self.usable_since.is_some_and(|since| then < since)
    }

    /// Whether it lacks a usable payment method, and that is not older than this time of Amazon's.
    fn needs_payment_method(&self, then: Option<Timestamp>) -> bool {
        let is_older = then.zip(self.last_updated).is_some_and(|(then, at)| at < then);
        *self.state == State::NonChargeable && !is_older && has(self.reasons, PAYMENT_METHOD_REASONS)
    }
}

/// A charge of a permission that is closed: only a new agreement with the buyer helps.
fn closed_before_charge(situation: &Situation<'_>) -> Advice {
    match situation.permission_type {
        PermissionType::PaymentMethodOnFile => SETUP_PAGE,
        PermissionType::OneTime | PermissionType::Recurring | PermissionType::Unknown => NEW_CHECKOUT_AFTER_CLOSING,
    }
}

/// The permission has no usable payment method.
fn update_payment_method(permission_type: PermissionType) -> Advice {
    match permission_type {
        PermissionType::PaymentMethodOnFile => UPDATE_PAGE,
        PermissionType::Recurring => ASK_BUYER_TO_UPDATE,
        PermissionType::OneTime => ASK_FOR_OTHER,
        PermissionType::Unknown => ASK_FOR_OTHER_OR_UPDATE,
    }
}

fn charge_canceled(situation: &Situation<'_>) -> Advice {
    if situation.reasons.is_empty() || situation.has(&["MerchantCanceled", "BuyerCanceled"]) {
        NONE
    } else if situation.has(&["ExpiredUnused"]) {
        let is_closed = situation.permission.is_some_and(|permission| *permission.state == State::Closed);
        if is_closed { closed_before_charge(situation) } else { CHECK_AND_CREATE_CHARGE }
    } else {
        NEW_CHECKOUT
    }
}

/// Of several reasons, the one that the merchant or the buyer can do most about decides.
fn non_chargeable(situation: &Situation<'_>) -> Advice {
    use PermissionType::{OneTime, PaymentMethodOnFile, Recurring, Unknown};
    if situation.has(PAYMENT_METHOD_REASONS) {
        return update_payment_method(situation.permission_type);
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

#[cfg(test)]
mod tests;
