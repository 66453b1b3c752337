//! Detects changes of private details without storing them: short keyed digests of the payment descriptor and the addresses.
//!
//! The key is derived from the merchant's API key, so only a holder of that key can test guesses. Digests of different API keys
//! are never compared.

use ring::hkdf::{HKDF_SHA256, Salt};
use ring::hmac::{HMAC_SHA256, Key, sign};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::canonical_json::{hex, write_canonical};

/// Makes digests that only the holder of one API key can make.
#[derive(Clone)]
pub struct DigestKey {
    id: String,
    key: Key,
}

/// What to do with private details and free text while decoding.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Makes digests of private details.
    pub digests: DigestKey,
    /// What becomes of text that a merchant writes for a buyer.
    pub free_text: FreeText,
}

/// `noteToBuyer` and `customInformation`: the merchant's own words, which may name a buyer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FreeText {
    /// It is dropped while decoding.
    #[default]
    Dropped,
    /// It is published with the snapshot.
    Published,
}

/// Digests of private details. A digest is absent if Amazon does not (or no longer) return the field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrivateDigests {
    /// Which key made them.
    pub key_id: String,
    /// Of `paymentPreferences`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_descriptor: Option<String>,
    /// Of `billingAddress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_address: Option<String>,
    /// Of `shippingAddress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<String>,
    /// Of the merchant's own metadata and the terms of the subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// Which private details differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "one for each detail")]
pub struct PrivateChanges {
    /// `paymentPreferences`.
    pub payment_descriptor: bool,
    /// `billingAddress`.
    pub billing_address: bool,
    /// `shippingAddress`.
    pub shipping_address: bool,
    /// `merchantMetadata`, `recurringMetadata` or `paymentMethodOnFileMetadata`.
    pub metadata: bool,
}

impl Edge {
    /// Nothing passes that may name a buyer.
    pub fn strict(digests: DigestKey) -> Self {
        Self { digests, free_text: FreeText::Dropped }
    }
}

impl DigestKey {
    /// Derived from an API key's private half.
    pub fn derive(private_key_der: &[u8]) -> Self {
        let secret = Salt::new(HKDF_SHA256, b"").extract(private_key_der);
        let derived = secret.expand(&[b"ipn-receiver: digests of private details, v1"], HMAC_SHA256);
        let key = Key::from(derived.expect("a key of the hash's own length can be made"));
        let id = hex(&sign(&key, b"key id").as_ref()[..4]);
        Self { id, key }
    }

    /// The digests of what an object shows.
    pub(super) fn digests(&self, object: &Map<String, Value>) -> PrivateDigests {
        let of = |field: &str| object.get(field).and_then(shown).map(|value| self.digest(field, &value));
        PrivateDigests {
            key_id: self.id.clone(),
            payment_descriptor: of("paymentPreferences"),
            billing_address: of("billingAddress"),
            shipping_address: of("shippingAddress"),
            metadata: self.metadata_digest(object),
        }
    }

    /// One digest of everything that the merchant itself may change. Its free text never leaves this function.
    fn metadata_digest(&self, object: &Map<String, Value>) -> Option<String> {
        let fields = ["merchantMetadata", "recurringMetadata", "paymentMethodOnFileMetadata"];
        let present = fields.iter().filter_map(|field| Some(((*field).to_owned(), shown(object.get(*field)?)?)));
        let present: Map<String, Value> = present.collect();
        (!present.is_empty()).then(|| self.digest("metadata", &Value::Object(present)))
    }

    fn digest(&self, field: &str, value: &Value) -> String {
        let mut canonical = format!("{field}\n");
        write_canonical(value, &mut canonical);
        hex(&sign(&self.key, canonical.as_bytes()).as_ref()[..8])
    }
}

impl PrivateDigests {
    /// What differs from an earlier look. What is absent on either side is no evidence, nor are digests by another key.
    pub fn changes_since(&self, earlier: &Self) -> PrivateChanges {
        if self.key_id != earlier.key_id {
            return PrivateChanges::default();
        }
        let differs = |now: &Option<String>, then: &Option<String>| now.is_some() && then.is_some() && now != then;
        PrivateChanges {
            payment_descriptor: differs(&self.payment_descriptor, &earlier.payment_descriptor),
            billing_address: differs(&self.billing_address, &earlier.billing_address),
            shipping_address: differs(&self.shipping_address, &earlier.shipping_address),
            metadata: differs(&self.metadata, &earlier.metadata),
        }
    }

    /// What is known after this look: where it shows nothing, what was known before.
    #[must_use]
    pub fn over(&self, earlier: &Self) -> Self {
        if self.key_id != earlier.key_id {
            return self.clone();
        }
        Self {
            key_id: self.key_id.clone(),
            payment_descriptor: self.payment_descriptor.clone().or_else(|| earlier.payment_descriptor.clone()),
            billing_address: self.billing_address.clone().or_else(|| earlier.billing_address.clone()),
            shipping_address: self.shipping_address.clone().or_else(|| earlier.shipping_address.clone()),
            metadata: self.metadata.clone().or_else(|| earlier.metadata.clone()),
        }
    }
}

/// What is left of a value without its nulls and empties; nothing, if that is all there is.
fn shown(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) => {
            let items: Vec<Value> = items.iter().filter_map(shown).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(fields) => {
            let fields: Map<String, Value> =
                fields.iter().filter_map(|(name, value)| Some((name.clone(), shown(value)?))).collect();
            (!fields.is_empty()).then_some(Value::Object(fields))
        }
        other => Some(other.clone()),
    }
}

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DigestKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn digests(key: &[u8], object: &Value) -> PrivateDigests {
        DigestKey::derive(key).digests(object.as_object().unwrap())
    }

    #[test]
    fn absent_or_reordered_private_details_are_no_change() {
        let before = digests(
            b"key",
            &json!({"paymentPreferences": [{"paymentDescriptor": "Visa 1"}], "billingAddress": {"city": "A", "line2": null}}),
        );
        let no_change = PrivateChanges::default();
        for (object, changes) in [
            (
                json!({"paymentPreferences": [{"paymentDescriptor": "Visa 1"}], "billingAddress": {"line2": null, "city": "A"}}),
                no_change,
            ),
            (json!({"paymentPreferences": [{"paymentDescriptor": null}], "billingAddress": null}), no_change),
            (json!({}), no_change),
            (json!({"shippingAddress": {"city": "new, and nothing to compare it with"}}), no_change),
            (
                json!({"paymentPreferences": [{"paymentDescriptor": "Visa 2"}]}),
                PrivateChanges { payment_descriptor: true, ..no_change },
            ),
            (json!({"billingAddress": {"city": "B"}}), PrivateChanges { billing_address: true, ..no_change }),
        ] {
            let now = digests(b"key", &object);
            assert_eq!(now.changes_since(&before), changes, "{object}");
            assert_eq!(now.over(&before).changes_since(&before), changes, "{object}");
        }
    }

    #[test]
    fn digests_of_different_keys_are_never_compared() {
        let object = json!({"billingAddress": {"city": "BUYER-DATA"}, "paymentPreferences": null});
        let (one, other) = (digests(b"key", &object), digests(b"another key", &object));
        assert_ne!((&one.key_id, &one.billing_address), (&other.key_id, &other.billing_address));
        assert_eq!(other.changes_since(&one), PrivateChanges::default());
        assert_eq!((other.over(&one), one.payment_descriptor), (other.clone(), None));
        assert!(
            !format!("{other:?}").contains("BUYER") && other.billing_address.is_some_and(|digest| digest.len() == 16)
        );
    }
}
