//! What shows a change that the state does not show: of a payment method, or a chargeback.

use serde::{Serialize, Serializer};

/// One observation that shows such a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Evidence {
    /// Every word.
    pub const ALL: [Self; Self::ChargebackIpn as usize + 1] = [
        Self::BecameChargeable,
        Self::DescriptorChanged,
        Self::BillingAddressChanged,
        Self::AttributeChange,
        Self::ChargebackIpn,
    ];

    /// The word in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BecameChargeable => "became_chargeable",
            Self::DescriptorChanged => "descriptor_changed",
            Self::BillingAddressChanged => "billing_address_changed",
            Self::AttributeChange => "attribute_change",
            Self::ChargebackIpn => "chargeback_ipn",
        }
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
