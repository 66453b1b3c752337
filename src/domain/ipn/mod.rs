//! Parses the IPN in the `Message` of a genuine envelope.
//!
//! An IPN only names an object that changed. It holds no state, no amount, no time and no environment.

pub mod in_charge_request;
pub mod notification;
pub mod recheck_request;
pub mod routing;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::pay::{MerchantId, ObjectId, ObjectKind};
use super::printable;

/// An IPN (schema V2): an object changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipn {
    /// `MerchantID`: whose object changed.
    pub merchant_id: MerchantId,
    /// `ObjectType`: what changed.
    pub kind: ObjectKind,
    /// `ObjectId`: which one changed.
    pub object_id: ObjectId,
    /// The charge permission that the IPN names. Events carry it only if neither an answer of the API nor the known state
    /// names one.
    pub charge_permission_id: Option<ObjectId>,
    /// It reports a chargeback, but names the charge instead of the dispute.
    pub is_chargeback_of_charge: bool,
    /// `NotificationType`.
    pub notification_type: NotificationType,
}

/// `NotificationType` of an IPN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotificationType {
    /// The state changed.
    StateChange,
    /// Something else changed: the buyer's payment method or address.
    AttributeChange,
    /// A word that Amazon added. Boxed twice, because a million causes in a backlog each hold a notification type.
    Other(Box<Box<str>>),
}

/// The parsed `Message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// An IPN that the receiver can process.
    Ipn(Ipn),
    /// An IPN of the retired MWS integration (XML), which the receiver does not process.
    LegacyV1 {
        /// Its `NotificationType`, shortened and printable.
        notification_type: String,
    },
    /// A genuine message of an unknown form. It goes to the dead-letter topic, from which a later version can redrive it.
    NotUnderstood(&'static str),
}

impl Message {
    /// Parses the text of `Message`. Keys are case-insensitive, since Amazon's documentation is inconsistent.
    pub fn parse(text: &str) -> Self {
        let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
            return Self::NotUnderstood("Message is not a JSON object");
        };
        let field = |name: &str| text_field(&fields, name);
        if field("NotificationVersion").is_none() && (field("NotificationData").is_some() || field("Version").is_some())
        {
            return Self::LegacyV1 {
                notification_type: printable(field("NotificationType").unwrap_or("unknown"), WORD_CHARS_MAX),
            };
        }
        let Some(merchant_id) = field("MerchantID").and_then(MerchantId::parse) else {
            return Self::NotUnderstood("Message has no usable MerchantID");
        };
        let Some(object_id) = field("ObjectId").and_then(ObjectId::parse) else {
            return Self::NotUnderstood("Message has no usable ObjectId");
        };
        let object_type = field("ObjectType").unwrap_or_default();
        let is_chargeback = object_type.eq_ignore_ascii_case("CHARGEBACK");
        let Some(kind) = kind(object_type, &object_id) else {
            return Self::NotUnderstood(if is_chargeback {
                "Message reports a chargeback whose ObjectId is neither a dispute (-B) nor a charge (-C)"
            } else {
                "Message has no known ObjectType"
            });
        };
        Self::Ipn(Ipn {
            merchant_id,
            kind,
            object_id,
            charge_permission_id: field("ChargePermissionId").and_then(ObjectId::parse),
            notification_type: NotificationType::parse(field("NotificationType").unwrap_or_default()),
            is_chargeback_of_charge: is_chargeback && kind == ObjectKind::Charge,
        })
    }
}

impl NotificationType {
    /// The name in an IPN.
    pub fn as_str(&self) -> &str {
        match self {
            Self::StateChange => "STATE_CHANGE",
            Self::AttributeChange => "ATTRIBUTE_CHANGE",
            Self::Other(word) => word,
        }
    }

    /// Accepts any word.
    pub fn parse(word: &str) -> Self {
        match word {
            "STATE_CHANGE" => Self::StateChange,
            "ATTRIBUTE_CHANGE" => Self::AttributeChange,
            other => Self::Other(Box::new(printable(other, WORD_CHARS_MAX).into())),
        }
    }
}

impl Serialize for NotificationType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for NotificationType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

/// IPNs call a dispute CHARGEBACK. Samples in Amazon's documentation use CHARGEBACK with a charge id, too.
fn kind(object_type: &str, id: &ObjectId) -> Option<ObjectKind> {
    match object_type.to_ascii_uppercase().as_str() {
        "CHARGE_PERMISSION" => Some(ObjectKind::ChargePermission),
        "CHARGE" => Some(ObjectKind::Charge),
        "REFUND" => Some(ObjectKind::Refund),
        "CHARGEBACK" => id.kind_hint().filter(|kind| matches!(kind, ObjectKind::Charge | ObjectKind::Dispute)),
        "DISPUTE" => Some(ObjectKind::Dispute),
        _ => None,
    }
}

fn text_field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
}

/// Longer words are cut.
const WORD_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ipn(object_type: &str, object_id: &str) -> Value {
        json!({"MerchantID": "A1O8CIV1A24A6X", "ObjectType": object_type, "ObjectId": object_id,
            "ChargePermissionId": "S02-6865442-5879427", "NotificationType": "STATE_CHANGE",
            "NotificationId": "64f57c9a-0000-0000-0000-000000000000", "NotificationVersion": "V2"})
    }

    #[test]
    fn each_object_type_is_read_by_its_own_operation() {
        for (object_type, id, kind) in [
            ("CHARGE_PERMISSION", "S02-6865442-5879427", ObjectKind::ChargePermission),
            ("CHARGE", "S02-6865442-5879427-C004671", ObjectKind::Charge),
            ("REFUND", "S02-6865442-5879427-R004671", ObjectKind::Refund),
            ("CHARGEBACK", "S02-6865442-5879427-B004671", ObjectKind::Dispute),
            ("CHARGEBACK", "S02-6865442-5879427-C004671", ObjectKind::Charge),
        ] {
            let Message::Ipn(read) = Message::parse(&ipn(object_type, id).to_string()) else { panic!("{object_type}") };
            assert_eq!((read.kind, read.object_id.as_str()), (kind, id));
            let names_charge = (object_type, kind) == ("CHARGEBACK", ObjectKind::Charge);
            assert_eq!(read.is_chargeback_of_charge, names_charge, "{object_type} {id}");
        }
    }

    #[test]
    fn camel_case_keys_and_unknown_words_are_accepted() {
        let text = r#"{"merchantID":"A1","objectType":"CHARGE","objectId":"S02-1-2-C3","notificationType":"NOVEL\n","notificationVersion":"V3","x":[1]}"#;
        let Message::Ipn(read) = Message::parse(text) else { panic!() };
        assert_eq!(read.notification_type, NotificationType::Other(Box::new("NOVEL".into())));
        assert_eq!(read.charge_permission_id, None);
    }

    #[test]
    fn a_v1_notification_is_recognised() {
        let text = r#"{"Version":"2013-01-01","NotificationType":"PaymentCapture","SellerId":"A1","NotificationData":"<?xml?>"}"#;
        assert_eq!(Message::parse(text), Message::LegacyV1 { notification_type: "PaymentCapture".into() });
    }

    #[test]
    fn unknown_messages_are_not_understood() {
        let mut path = ipn("CHARGE", "S02-1-2-C3");
        path["ObjectId"] = json!("../charges");
        for text in [
            "hello".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            ipn("NOVELTY", "S02-1").to_string(),
            ipn("CHARGEBACK", "S02-6865442-5879427").to_string(),
            ipn("CHARGEBACK", "S02-6865442-5879427-R004671").to_string(),
            ipn("CHARGEBACK", "CB-4711").to_string(),
            path.to_string(),
        ] {
            assert!(matches!(Message::parse(&text), Message::NotUnderstood(_)), "{text}");
        }
    }
}
