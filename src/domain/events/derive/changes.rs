//! Which attributes of an object changed between two reads.

use super::Reading;
use crate::domain::events::evidence::Evidence;
use crate::domain::pay::{PrivateChanges, PrivateDigests};
use crate::domain::state::Observed;

/// Which attributes changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changes {
    /// A published attribute.
    pub(super) snapshot: bool,
    /// Details that are only known as digests.
    pub(super) private: PrivateChanges,
}

impl Changes {
    pub(super) fn between(known: &Observed, reading: &Reading<'_>) -> Self {
        let private = match (&reading.fetched.private, &known.private) {
            (Some(now), Some(then)) => now.changes_since(then),
            _ => PrivateChanges::default(),
        };
        Self { snapshot: reading.fetched.snapshot_digest != known.attributes_digest, private }
    }

    pub(super) fn any(self) -> bool {
        self.snapshot || self.explain_hints()
    }

    /// Whether something changed that Amazon reports with an ATTRIBUTE_CHANGE IPN. Balances, limits and the expiry move with
    /// each charge and each month, so they explain none.
    pub(super) fn explain_hints(self) -> bool {
        self.private != PrivateChanges::default()
    }

    pub(super) fn evidence(self) -> Vec<Evidence> {
        let descriptor = self.private.payment_descriptor.then_some(Evidence::DescriptorChanged);
        let billing_address = self.private.billing_address.then_some(Evidence::BillingAddressChanged);
        descriptor.into_iter().chain(billing_address).collect()
    }
}

/// All attributes beside the state, as one text.
pub(super) fn fingerprint(snapshot_digest: &str, private: Option<&PrivateDigests>) -> String {
    let digests = private.map(|private| {
        [&private.payment_descriptor, &private.billing_address, &private.shipping_address, &private.metadata]
    });
    let parts = digests.into_iter().flatten().map(|digest| digest.as_deref().unwrap_or("-"));
    parts.fold(snapshot_digest.to_owned(), |all, part| all + "/" + part)
}
