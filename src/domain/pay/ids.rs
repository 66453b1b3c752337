//! Names of merchants, environments and objects.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::deserialize_text;

/// A merchant's id at Amazon Pay, such as `A1O8CIV1A24A6X`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MerchantId(Arc<str>);

/// The id of a charge permission, charge, refund or dispute. Safe in a URL path: letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectId(Arc<str>);

/// Amazon Pay's region, which decides the host of its API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// North America.
    Na,
    /// Europe and the United Kingdom.
    Eu,
    /// Japan.
    Jp,
}

/// Where money is real, and where it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Real money.
    Live,
    /// Test money.
    Sandbox,
}

/// A merchant in one environment. Credentials and quotas belong to an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The merchant (seller) id.
    pub merchant_id: MerchantId,
    /// Live or sandbox; each has its own keys, quota and objects.
    pub environment: Environment,
}

/// The four kinds of object. Each has its own API operation and therefore its own quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ObjectKind {
    /// Read by Get Charge Permission.
    ChargePermission,
    /// Read by Get Charge.
    Charge,
    /// Read by Get Refund.
    Refund,
    /// Read by Get Dispute; IPNs call it CHARGEBACK.
    Dispute,
}

/// One object of one account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// The account that the object belongs to.
    pub account: Account,
    /// The type of the object.
    pub kind: ObjectKind,
    /// Amazon's id of the object.
    pub id: ObjectId,
}

impl MerchantId {
    /// Letters and digits, at most 64.
    pub fn parse(text: &str) -> Option<Self> {
        let good = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        good.then(|| Self(text.into()))
    }

    /// The id as Amazon spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ObjectId {
    /// Letters, digits and hyphens, at most 64. Amazon's are `Pnn-nnnnnnn-nnnnnnn` with `-Xnnnnnn` for the
    /// objects below a permission; other forms are accepted too, since Amazon may add some.
    pub fn parse(text: &str) -> Option<Self> {
        let good = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        good.then(|| Self(text.into()))
    }

    /// The id as Amazon spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The environment that the prefix suggests: `P` and `B` are live, `S` and `C` are sandbox.
    pub fn environment_hint(&self) -> Option<Environment> {
        let (prefix, rest) = self.0.split_at_checked(1)?;
        let has_region_number =
            rest.len() > 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_digit) && rest.as_bytes()[2] == b'-';
        match prefix {
            "P" | "B" if has_region_number => Some(Environment::Live),
            "S" | "C" if has_region_number => Some(Environment::Sandbox),
            _ => None,
        }
    }

    /// The id without its last part: of a charge, refund or dispute of a one-time permission that is the permission's id.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('-').map(|(parent, _)| parent)
    }

    /// The kind that the form of the id suggests: `-C`, `-R` or `-B` and digits at the end of a charge, refund or dispute, and three
    /// parts alone for a permission.
    pub fn kind_hint(&self) -> Option<ObjectKind> {
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (head, last) = self.0.rsplit_once('-')?;
        match last.split_at_checked(1)? {
            ("C", digits) if head.contains('-') && are_digits(digits) => Some(ObjectKind::Charge),
            ("R", digits) if head.contains('-') && are_digits(digits) => Some(ObjectKind::Refund),
            ("B", digits) if head.contains('-') && are_digits(digits) => Some(ObjectKind::Dispute),
            _ if are_digits(last) && head.split('-').count() == 2 => Some(ObjectKind::ChargePermission),
            _ => None,
        }
    }
}

impl Region {
    /// The host of the Amazon Pay API.
    pub fn api_host(self) -> &'static str {
        match self {
            Self::Na => "pay-api.amazon.com",
            Self::Eu => "pay-api.amazon.eu",
            Self::Jp => "pay-api.amazon.jp",
        }
    }

    /// The word in `x-amz-pay-region`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Na => "na",
            Self::Eu => "eu",
            Self::Jp => "jp",
        }
    }
}

impl Environment {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Live, Self::Sandbox];

    /// Reads the word of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|environment| environment.as_str() == word)
    }

    /// The word in paths, sources and settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Sandbox => "sandbox",
        }
    }
}

impl ObjectKind {
    /// All four.
    pub const ALL: [Self; 4] = [Self::ChargePermission, Self::Charge, Self::Refund, Self::Dispute];

    /// The word in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChargePermission => "ChargePermission",
            Self::Charge => "Charge",
            Self::Refund => "Refund",
            Self::Dispute => "Dispute",
        }
    }

    /// The resource's name in the API's path.
    pub fn path_segment(self) -> &'static str {
        match self {
            Self::ChargePermission => "chargePermissions",
            Self::Charge => "charges",
            Self::Refund => "refunds",
            Self::Dispute => "disputes",
        }
    }

    /// The field that holds an object's own id.
    pub fn id_field(self) -> &'static str {
        match self {
            Self::ChargePermission => "chargePermissionId",
            Self::Charge => "chargeId",
            Self::Refund => "refundId",
            Self::Dispute => "disputeId",
        }
    }
}

impl Account {
    /// Reads `merchant/environment`, as it is printed.
    pub fn parse(text: &str) -> Option<Self> {
        let (merchant_id, environment) = text.split_once('/')?;
        Some(Self { merchant_id: MerchantId::parse(merchant_id)?, environment: Environment::parse(environment)? })
    }
}

impl ObjectRef {
    /// The key of its record in the state topic. It contains the kind: whoever names an object may be wrong about its kind, and
    /// the form of an id proves nothing, since Amazon may add forms.
    pub fn state_key(&self) -> String {
        format!("{}/{}/{}", self.account, self.kind, self.id)
    }

    /// The object of a state key.
    pub fn of_state_key(key: &str) -> Option<Self> {
        let mut parts = key.rsplitn(3, '/');
        let (id, name) = (ObjectId::parse(parts.next()?)?, parts.next()?);
        let kind = ObjectKind::ALL.into_iter().find(|of| of.as_str() == name)?;
        Some(Self { account: Account::parse(parts.next()?)?, kind, id })
    }

    /// Another object of the same account.
    #[must_use]
    pub fn sibling(&self, kind: ObjectKind, id: ObjectId) -> Self {
        Self { account: self.account.clone(), kind, id }
    }
}

macro_rules! text_form {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}
text_form!(MerchantId, ObjectId, Region, Environment, ObjectKind);

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.merchant_id, self.environment)
    }
}

impl<'de> Deserialize<'de> for MerchantId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a merchant id, which is letters and digits, like A1O8CIV1A24A6X", Self::parse)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "an object id, which is letters, digits and hyphens", Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_prefix_suggests_the_environment() {
        for (id, hint) in [
            ("P01-1234567-7654321", Some(Environment::Live)),
            ("B02-1234567-7654321", Some(Environment::Live)),
            ("S02-6865442-5879427-C004671", Some(Environment::Sandbox)),
            ("C01-2612863-4691163", Some(Environment::Sandbox)),
            ("X01-2612863-4691163", None),
            ("P1-2612863-4691163", None),
            ("P", None),
        ] {
            assert_eq!(ObjectId::parse(id).unwrap().environment_hint(), hint, "{id}");
        }
    }

    #[test]
    fn an_id_cannot_leave_its_path_segment() {
        for text in ["", "..", "a/b", "a%2fb", "a?b", "a b", "é", &"a".repeat(65)] {
            assert_eq!(ObjectId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn id_form_suggests_the_object_kind() {
        for (id, kind) in [
            ("S02-6865442-5879427", Some(ObjectKind::ChargePermission)),
            ("C01-2612863-4691163", Some(ObjectKind::ChargePermission)),
            ("S02-6865442-5879427-C004671", Some(ObjectKind::Charge)),
            ("S02-6865442-5879427-R004671", Some(ObjectKind::Refund)),
            ("S02-6865442-5879427-B004671", Some(ObjectKind::Dispute)),
            ("S02-6865442-5879427-A004671", None),
            ("S02-6865442", None),
            ("a6b9c0ae", None),
        ] {
            assert_eq!(ObjectId::parse(id).unwrap().kind_hint(), kind, "{id}");
        }
    }

    #[test]
    fn state_key_names_account_kind_and_id() {
        let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
        let id = ObjectId::parse("P01-1234567-7654321").unwrap();
        let keys = ObjectKind::ALL.map(|kind| {
            let object = ObjectRef { account: account.clone(), kind, id: id.clone() };
            assert_eq!(ObjectRef::of_state_key(&object.state_key()), Some(object.clone()));
            object.state_key()
        });
        assert_eq!(keys[1], "M1/live/Charge/P01-1234567-7654321");
        for key in ["M1/live/P01-1234567-7654321", "M1/moon/Charge/P01-1", "M1/live/Charge/a/b", "M1/live/Charge", ""] {
            assert_eq!(ObjectRef::of_state_key(key), None, "{key}");
        }
    }

    #[test]
    fn charge_id_is_recognized_by_its_suffix() {
        let is_charge = |id: &str| ObjectId::parse(id).unwrap().kind_hint() == Some(ObjectKind::Charge);
        assert!(is_charge("S01-5454037-1929856-C015396"));
        assert!(!is_charge("S01-5454037-1929856-B000000") && !is_charge("C01-2612863-4691163"));
    }
}
