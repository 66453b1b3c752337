//! What shows a change that the state does not show: of a payment method, or a chargeback.

use serde::Serialize;

/// One observation that shows such a change.
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
    /// Amazon sent a CHARGEBACK IPN that names the charge.
    ChargebackIpn,
}
