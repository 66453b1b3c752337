//! How it is known that a payment method changed.

use serde::Serialize;

/// Why we say that a payment method was updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The permission is Chargeable again after a payment-method reason.
    BecameChargeable,
    /// `paymentPreferences` differ.
    DescriptorChanged,
    /// `billingAddress` differs.
    BillingAddressChanged,
    /// Amazon told of a change of attributes, and none that can be seen explains it.
    AttributeChange,
}
