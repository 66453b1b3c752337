//! What shows that a payment method changed.

use serde::Serialize;

/// One observation that shows a change of the payment method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The permission is Chargeable again after a payment-method reason.
    BecameChargeable,
    /// `paymentPreferences` differ.
    DescriptorChanged,
    /// `billingAddress` differs.
    BillingAddressChanged,
    /// Amazon sent an ATTRIBUTE_CHANGE IPN, and no visible attribute explains it.
    AttributeChange,
}
