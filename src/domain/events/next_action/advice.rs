//! The advice for merchants: a code for programs and sentences for people.

use super::ActionCode;

/// What a merchant should do.
#[derive(Clone, Copy)]
pub(super) struct Advice {
    pub(super) code: ActionCode,
    pub(super) text: &'static str,
    /// The text advises to wait until an event says that the charge permission can be charged.
    pub(super) advises_to_wait: bool,
}

const fn advise(code: ActionCode, text: &'static str) -> Advice {
    Advice { code, text, advises_to_wait: false }
}

impl Advice {
    const fn waiting_for_retry(self) -> Self {
        Self { advises_to_wait: true, ..self }
    }
}

pub(super) const NONE: Advice = advise(ActionCode::None, "No action required.");
pub(super) const SEE_PERMISSION_CHARGEABLE: Advice = advise(
    ActionCode::None,
    "No action required for this event. Follow the next action of the PermissionChargeable event that was published just before.",
);
pub(super) const RETRY_WAS_ADVISED: Advice = advise(
    ActionCode::None,
    "No action required for this event. An event with the code RETRY_CHARGE was already published for the same change.",
);
pub(super) const WAIT_FOR_CHARGEABLE: Advice = advise(
    ActionCode::Wait,
    "The charge permission cannot be charged yet. Wait until a PermissionChargeable event has the code RETRY_CHARGE.",
)
.waiting_for_retry();
pub(super) const SEE_DECLINE: Advice = advise(
    ActionCode::None,
    "The payment method changed before the last charge was declined. Follow the next action of the ChargeDeclined event.",
);
pub(super) const DONE: Advice = advise(ActionCode::None, "The whole amount was charged. No action required.");
pub(super) const CAPTURE: Advice = advise(
    ActionCode::None,
    "No action required now. Capture the charge when you ship, unless it is captured automatically.",
);
pub(super) const WAIT: Advice = advise(ActionCode::Wait, "Amazon is still processing this; wait for the next event.");
pub(super) const RETRY_CHARGE: Advice = advise(
    ActionCode::RetryCharge,
    "The charge permission can be charged again. If a charge was declined and payment is still due, create a new charge for the amount due.",
);
pub(super) const CHECK_AND_RETRY: Advice = advise(ActionCode::RetryChargeAfterPermissionCheck, "Read the charge permission from Amazon Pay, because its state in this event may be out of date. If it is Chargeable and payment is still due, create a new charge. If it is not Chargeable, wait until a PermissionChargeable or PaymentMethodUpdated event has the code RETRY_CHARGE.").waiting_for_retry();
pub(super) const RETRY_SINCE_CHARGEABLE: Advice = advise(ActionCode::RetryChargeAfterPermissionCheck, "The charge permission became Chargeable after this decline. If payment is still due, read the charge permission from Amazon Pay. If it is Chargeable, create a new charge; if it is not, wait until a PermissionChargeable or PaymentMethodUpdated event has the code RETRY_CHARGE.").waiting_for_retry();
pub(super) const CHECK_AND_CREATE_CHARGE: Advice = advise(
    ActionCode::RetryChargeAfterPermissionCheck,
    "The authorization expired before it was captured. If payment is still due, read the charge permission from Amazon Pay; if it is Chargeable, create a new charge.",
);
pub(super) const ASK_BUYER_TO_UPDATE: Advice = advise(ActionCode::AskBuyerToUpdatePaymentMethod, "Ask the buyer to update the payment method at the URL. Do not retry the charge until a PermissionChargeable or PaymentMethodUpdated event has the code RETRY_CHARGE.").waiting_for_retry();
pub(super) const UPDATE_PAGE: Advice = advise(ActionCode::OpenUpdatePage, "Open Amazon's hosted Update page for this charge permission with your checkout script, and send the buyer there. Create a new charge only when a PermissionChargeable or PaymentMethodUpdated event has the code RETRY_CHARGE.").waiting_for_retry();
pub(super) const SETUP_PAGE: Advice = advise(
    ActionCode::OpenSetupPage,
    "To charge this buyer again, open Amazon's hosted Setup page with your checkout script, and send the buyer there.",
);
pub(super) const VERIFY_AMOUNT: Advice = advise(
    ActionCode::VerifyAmountWithBuyer,
    "The buyer did not confirm the payment at the bank. Verify the amount with the buyer, then request the confirmation again.",
);
pub(super) const ASK_FOR_OTHER: Advice = advise(
    ActionCode::AskForOtherPaymentMethod,
    "Ask the buyer for another payment method. Do not create another charge until a PermissionChargeable or PaymentMethodUpdated event has the code RETRY_CHARGE.",
)
.waiting_for_retry();
pub(super) const ASK_FOR_OTHER_OR_UPDATE: Advice = advise(ActionCode::AskForOtherPaymentMethod, "Ask the buyer for another payment method. The receiver could not read the type of the charge permission: look it up in Seller Central before you send the buyer to a page. Do not create another charge until a PermissionChargeable or PaymentMethodUpdated event has the code RETRY_CHARGE.").waiting_for_retry();
pub(super) const NEW_CHECKOUT: Advice = advise(
    ActionCode::ReengageBuyerWithNewCheckout,
    "Do not retry the charge. Ask the buyer to go through checkout again.",
);
pub(super) const NEW_CHECKOUT_OVER_LIMIT: Advice = advise(
    ActionCode::ReengageBuyerWithNewCheckout,
    "The limit of this order is used up. To charge more, ask the buyer to go through checkout again.",
);
pub(super) const NEW_CHECKOUT_AFTER_CLOSING: Advice = advise(
    ActionCode::ReengageBuyerWithNewCheckout,
    "The charge permission is closed and cannot be charged again. To charge this buyer, ask the buyer to go through checkout again.",
);
pub(super) const REACH_OUT: Advice = advise(
    ActionCode::ReachOutBeforeNextCycle,
    "The buyer canceled the subscription at Amazon. Stop the subscription, or contact the buyer before the next billing cycle.",
);
pub(super) const NEXT_PERIOD: Advice = advise(ActionCode::WaitForNextPeriod, "Amazon's limit for this month is used up. Wait until a PermissionChargeable event has the code RETRY_CHARGE; then create a new charge if payment is still due.").waiting_for_retry();
pub(super) const RENEW_SUBSCRIPTION: Advice = advise(
    ActionCode::RenewBeforeExpiry,
    "After the deadline this charge permission cannot be charged. If the subscription goes on, ask the buyer to go through checkout again before the deadline, and use the new charge permission from then on.",
);
pub(super) const RENEW_WALLET: Advice = advise(
    ActionCode::RenewBeforeExpiry,
    "After the deadline this charge permission cannot be charged. To charge this buyer later, open Amazon's hosted Setup page with your checkout script, and send the buyer there before the deadline.",
);
pub(super) const CHARGE_BEFORE_EXPIRY: Advice = advise(
    ActionCode::ChargeBeforeExpiry,
    "After the deadline this charge permission cannot be charged. If a part of the order is not paid yet, create and capture its charges before the deadline.",
);
pub(super) const CHECK_BALANCE: Advice = advise(
    ActionCode::CheckBalanceBeforeCharge,
    "Little is left of Amazon's limit for this month: see limits.amountBalance in the snapshot. Amazon declines a larger charge. Create a larger charge only in the next month, or ask the buyer to pay in another way.",
);
pub(super) const RESPOND: Advice = advise(
    ActionCode::RespondToDispute,
    "Respond to the dispute before the deadline. Without a response, the buyer wins the dispute.",
);
pub(super) const FIND_AND_RESPOND: Advice = advise(
    ActionCode::RespondToDispute,
    "Find the dispute in Seller Central or in Amazon's e-mail about it, and respond there. Amazon counts the time from its own notice: 11 days for a chargeback, 7 days for an A-to-z claim. Without a response, the buyer wins the dispute.",
);
pub(super) const REFUND_FAILED: Advice = advise(
    ActionCode::ContactSupport,
    "The refund failed; the buyer has not received the money. Check the balance of your Amazon Pay account, then contact Amazon Pay or refund the buyer in another way.",
);
pub(super) const CHECK_AND_CONTACT_AMAZON: Advice = advise(
    ActionCode::ContactSupport,
    "No standard action exists for this case. Check the object in Seller Central, and contact Amazon Pay if necessary.",
);
