//! The codes of `nextAction`.

use serde::{Serialize, Serializer};

/// Every code of a [`NextAction`](super::NextAction).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the texts in `advice` explain each code")]
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
    RenewBeforeExpiry,
    ChargeBeforeExpiry,
    CheckBalanceBeforeCharge,
    Wait,
    RespondToDispute,
    ContactSupport,
    None,
}

impl ActionCode {
    /// Every code.
    pub const ALL: [Self; Self::None as usize + 1] = [
        Self::RetryCharge,
        Self::RetryChargeAfterPermissionCheck,
        Self::AskBuyerToUpdatePaymentMethod,
        Self::OpenUpdatePage,
        Self::OpenSetupPage,
        Self::VerifyAmountWithBuyer,
        Self::AskForOtherPaymentMethod,
        Self::ReengageBuyerWithNewCheckout,
        Self::ReachOutBeforeNextCycle,
        Self::WaitForNextPeriod,
        Self::RenewBeforeExpiry,
        Self::ChargeBeforeExpiry,
        Self::CheckBalanceBeforeCharge,
        Self::Wait,
        Self::RespondToDispute,
        Self::ContactSupport,
        Self::None,
    ];

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
            Self::RenewBeforeExpiry => "RENEW_BEFORE_EXPIRY",
            Self::ChargeBeforeExpiry => "CHARGE_BEFORE_EXPIRY",
            Self::CheckBalanceBeforeCharge => "CHECK_BALANCE_BEFORE_CHARGE",
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
