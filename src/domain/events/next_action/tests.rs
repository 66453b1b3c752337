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
            permission_type,
            is_used_up,
            deadline: Some("20260112T000000Z"),
            update_url: "https://pay.example/{ChargePermissionId}",
            ..Situation::of(kind, &state, &reasons, &id)
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
        permission_type: PermissionType::Recurring,
        is_first_sight,
        ..Situation::of(ObjectKind::ChargePermission, &state, &reasons, &id)
    };
    let updated = updated_type(ObjectKind::ChargePermission).unwrap();
    let codes = [true, false].map(|is_first_sight| next_action(updated, &situation(is_first_sight)).code);
    assert_eq!(codes, [ActionCode::AskBuyerToUpdatePaymentMethod, ActionCode::None]);
}

#[test]
fn next_action_of_notices() {
    let of = |notice| PermissionType::ALL.map(|permission_type| warn(notice, permission_type).code.as_str());
    let (renew, charge) = ("RENEW_BEFORE_EXPIRY", "CHARGE_BEFORE_EXPIRY");
    assert_eq!(of(Notice::Expiring), [charge, renew, renew, charge]);
    assert_eq!(of(Notice::LimitNear), ["CHECK_BALANCE_BEFORE_CHARGE"; 4]);
    assert_eq!(of(Notice::DeadlineNear), ["RESPOND_TO_DISPUTE"; 4]);
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
        ActionCode::RenewBeforeExpiry,
        ActionCode::ChargeBeforeExpiry,
        ActionCode::CheckBalanceBeforeCharge,
        ActionCode::Wait,
        ActionCode::RespondToDispute,
        ActionCode::ContactSupport,
        ActionCode::None,
    ] {
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
}

/// The codes of a declined charge by permission type, where the permission was last read in this state. Amazon's times of
/// the permission's state and of the decline are seconds.
fn declined_under(
    reason: &str,
    (permission_state, permission_reason): (&str, &str),
    permission_s: Option<i64>,
    declined_s: Option<i64>,
) -> [&'static str; 4] {
    let reasons = |code: &str| vec![Reason { reason_code: code.to_owned(), reason_description: None }];
    let at = |s: i64| Timestamp::from_unix_ms(s * 1000);
    let (reasons, permission_reasons) = (reasons(reason), reasons(permission_reason));
    let state = State::parse(permission_state);
    let id = ObjectId::parse("B01-1234567-7654321").unwrap();
    let permission = PermissionSeen {
        state: &state,
        reasons: &permission_reasons,
        last_updated: permission_s.map(at),
        has_moved: false,
        usable_since: None,
        read_at: at(0),
    };
    PermissionType::ALL.map(|permission_type| {
        let situation = Situation {
            permission_type,
            permission: Some(permission),
            last_updated: declined_s.map(at),
            ..Situation::of(ObjectKind::Charge, &State::Declined, &reasons, &id)
        };
        next_action(event_type(ObjectKind::Charge, &State::Declined), &situation).code.as_str()
    })
}

#[test]
fn advice_for_a_decline_is_never_older_than_the_permission() {
    let closed = ("Closed", "BuyerClosed");
    let chargeable = ("Chargeable", "");
    let broken = ("NonChargeable", "PaymentMethodExpired");
    for reason in ["SoftDeclined", "HardDeclined", "ProcessingFailure"] {
        for permission_s in [None, Some(1), Some(9)] {
            let codes = declined_under(reason, closed, permission_s, Some(5));
            assert_eq!(codes, [REENGAGE, REENGAGE, SETUP, REENGAGE], "{reason} {permission_s:?}");
        }
        assert_eq!(declined_under(reason, chargeable, Some(9), Some(5)), [CHECK; 4], "{reason}");
    }
    let hard = [OTHER, ASK, ASK, OTHER];
    for (permission_s, declined_s) in [(Some(5), Some(5)), (Some(1), Some(5)), (None, Some(5)), (Some(9), None)] {
        let codes = declined_under("HardDeclined", chargeable, permission_s, declined_s);
        assert_eq!(codes, hard, "{permission_s:?} is not known to be after {declined_s:?}");
    }
    let update = [OTHER, ASK, UPDATE, OTHER];
    assert_eq!(declined_under("SoftDeclined", broken, Some(9), Some(5)), update);
    assert_eq!(declined_under("SoftDeclined", broken, Some(5), Some(5)), update);
    assert_eq!(declined_under("SoftDeclined", broken, Some(1), Some(5)), [CHECK; 4], "it was fixed before the charge");
    assert_eq!(declined_under("SoftDeclined", ("NonChargeable", "ChargeInProgress"), Some(9), Some(5)), [CHECK; 4]);
    assert_eq!(declined_under("AmazonRejected", chargeable, Some(9), Some(5)), [REENGAGE; 4], "never retried");
}
