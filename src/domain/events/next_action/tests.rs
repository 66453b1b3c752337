//! Table tests of the next action: permission type first, then reason.

use super::*;
use crate::domain::events::{event_type, updated_type};

/// Codes of an event of this state, by permission type in the order of [`PermissionType::ALL`].
fn codes(kind: ObjectKind, state: &str, reasons: &[&str], is_used_up: bool) -> [&'static str; 4] {
    let reason = |code: &&str| Reason { reason_code: (*code).to_owned(), reason_description: None };
    let (state, reasons): (_, Vec<Reason>) = (State::parse(state), reasons.iter().map(reason).collect());
    let id = ObjectId::parse("B01-1234567-7654321").unwrap();
    PermissionType::ALL.map(|permission_type| {
        let situation = Situation {
            kind,
            state: &state,
            reasons: &reasons,
            permission_type,
            is_first_sight: false,
            is_chargeable_again: false,
            is_used_up,
            evidence: &[],
            deadline: Some("20260112T000000Z"),
            charge_permission_id: &id,
            update_url: "https://pay.example/{ChargePermissionId}",
        };
        let action = next_action(event_type(kind, &state), &situation);
        assert!(!action.text.is_empty());
        let has_url = action.url.as_deref() == Some("https://pay.example/B01-1234567-7654321");
        assert_eq!(has_url, action.code == ActionCode::AskBuyerToUpdatePaymentMethod);
        assert_eq!(action.deadline.is_some(), action.code == ActionCode::RespondToDispute);
        action.code.as_str()
    })
}

const CHECK: &str = "RETRY_CHARGE_AFTER_PERMISSION_CHECK";
const ASK: &str = "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD";
const OTHER: &str = "ASK_FOR_OTHER_PAYMENT_METHOD";
const REENGAGE: &str = "REENGAGE_BUYER_WITH_NEW_CHECKOUT";
const UPDATE: &str = "OPEN_UPDATE_PAGE";
const SETUP: &str = "OPEN_SETUP_PAGE";
const VERIFY: &str = "VERIFY_AMOUNT_WITH_BUYER";
const PERIOD: &str = "WAIT_FOR_NEXT_PERIOD";
const SUPPORT: &str = "CONTACT_SUPPORT";

#[test]
fn next_action_of_declined_and_canceled_charges() {
    let of = |state, reasons: &[&str]| codes(ObjectKind::Charge, state, reasons, false);
    // OneTime, Recurring, PaymentMethodOnFile, not known
    assert_eq!(of("Declined", &["SoftDeclined"]), [CHECK; 4]);
    assert_eq!(of("Declined", &["ProcessingFailure"]), [CHECK; 4]);
    assert_eq!(of("Declined", &["HardDeclined"]), [OTHER, ASK, ASK, OTHER]);
    for reason in ["TransactionTimedOut", "AmazonRejected", "Declined", "MFAFailed", "Novel"] {
        assert_eq!(of("Declined", &[reason]), [REENGAGE; 4], "{reason}");
    }
    assert_eq!(of("Declined", &[]), [REENGAGE; 4]);
    assert_eq!(of("Canceled", &["MerchantCanceled"]), ["NONE"; 4]);
    assert_eq!(of("Canceled", &["BuyerCanceled"]), ["NONE"; 4]);
    assert_eq!(of("Canceled", &["ExpiredUnused"]), [CHECK; 4]);
    for reason in ["AmazonCanceled", "ChargePermissionCanceled", "Novel"] {
        assert_eq!(of("Canceled", &[reason]), [REENGAGE; 4], "{reason}");
    }
}

#[test]
fn next_action_of_non_chargeable_permissions() {
    let of = |reasons: &[&str]| codes(ObjectKind::ChargePermission, "NonChargeable", reasons, false);
    for reason in [
        "PaymentMethodInvalid",
        "PaymentMethodDeleted",
        "BillingAddressDeleted",
        "PaymentMethodExpired",
        "PaymentMethodNotAllowed",
        "PaymentMethodNotSet",
    ] {
        assert_eq!(of(&[reason]), [OTHER, ASK, UPDATE, OTHER], "{reason}");
        assert_eq!(of(&["ChargeInProgress", "Novel", reason, "MFAFailed"]), [OTHER, ASK, UPDATE, OTHER], "{reason}");
    }
    assert_eq!(of(&["MFAFailed"]), [VERIFY, VERIFY, UPDATE, VERIFY]);
    for reason in ["TransactionAmountExceeded", "TransactionCountExceeded"] {
        assert_eq!(of(&[reason]), [REENGAGE, PERIOD, PERIOD, SUPPORT], "{reason}");
    }
    assert_eq!(of(&["ChargeInProgress"]), ["WAIT"; 4]);
    for reasons in [&["AmountNotSet"][..], &["Novel"], &["ChargeInProgress", "Novel"], &[]] {
        assert_eq!(of(reasons), [SUPPORT; 4], "{reasons:?}");
    }
}

#[test]
fn next_action_of_closed_permissions() {
    let of = |reasons: &[&str], is_used_up| codes(ObjectKind::ChargePermission, "Closed", reasons, is_used_up);
    assert_eq!(of(&["MerchantClosed"], false), ["NONE", "NONE", SETUP, "NONE"]);
    assert_eq!(of(&["BuyerClosed"], false), [REENGAGE, "REACH_OUT_BEFORE_NEXT_CYCLE", SETUP, REENGAGE]);
    assert_eq!(of(&["AmazonClosed"], true), ["NONE", REENGAGE, SETUP, REENGAGE]);
    assert_eq!(of(&["AmazonClosed"], false), [REENGAGE, REENGAGE, SETUP, REENGAGE]);
    for reasons in [&["AmazonCanceled"][..], &["Expired"], &["Novel"], &[]] {
        assert_eq!(of(reasons, true), [REENGAGE, REENGAGE, SETUP, REENGAGE], "{reasons:?}");
    }
}

#[test]
fn next_action_of_other_states() {
    for (kind, state, code) in [
        (ObjectKind::ChargePermission, "Chargeable", "NONE"),
        (ObjectKind::Charge, "AuthorizationInitiated", "WAIT"),
        (ObjectKind::Charge, "Authorized", "NONE"),
        (ObjectKind::Charge, "CaptureInitiated", "WAIT"),
        (ObjectKind::Charge, "Captured", "NONE"),
        (ObjectKind::Refund, "RefundInitiated", "WAIT"),
        (ObjectKind::Refund, "Refunded", "NONE"),
        (ObjectKind::Refund, "Declined", SUPPORT),
        (ObjectKind::Dispute, "UnderReview", "WAIT"),
        (ObjectKind::Dispute, "ActionRequired", "RESPOND_TO_DISPUTE"),
        (ObjectKind::Dispute, "Resolved", "NONE"),
        (ObjectKind::Dispute, "Closed", "NONE"),
        (ObjectKind::Charge, "Tomorrow", SUPPORT),
    ] {
        assert_eq!(codes(kind, state, &[], false), [code; 4], "{kind} {state}");
    }
}

#[test]
fn updated_event_advises_only_at_first_sight() {
    let state = State::NonChargeable;
    let reasons = [Reason { reason_code: "PaymentMethodInvalid".to_owned(), reason_description: None }];
    let id = ObjectId::parse("B01-1234567-7654321").unwrap();
    let situation = |is_first_sight| Situation {
        kind: ObjectKind::ChargePermission,
        state: &state,
        reasons: &reasons,
        permission_type: PermissionType::Recurring,
        is_first_sight,
        is_chargeable_again: false,
        is_used_up: false,
        evidence: &[],
        deadline: None,
        charge_permission_id: &id,
        update_url: "",
    };
    let updated = updated_type(ObjectKind::ChargePermission).unwrap();
    let codes = [true, false].map(|is_first_sight| next_action(updated, &situation(is_first_sight)).code);
    assert_eq!(codes, [ActionCode::AskBuyerToUpdatePaymentMethod, ActionCode::None]);
}

#[test]
fn action_code_is_serialized_as_its_name() {
    for code in [
        ActionCode::RetryCharge,
        ActionCode::RetryChargeAfterPermissionCheck,
        ActionCode::AskBuyerToUpdatePaymentMethod,
        ActionCode::OpenUpdatePage,
        ActionCode::OpenSetupPage,
        ActionCode::VerifyAmountWithBuyer,
        ActionCode::AskForOtherPaymentMethod,
        ActionCode::ReengageBuyerWithNewCheckout,
        ActionCode::ReachOutBeforeNextCycle,
        ActionCode::WaitForNextPeriod,
        ActionCode::Wait,
        ActionCode::RespondToDispute,
        ActionCode::ContactSupport,
        ActionCode::None,
    ] {
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
}
