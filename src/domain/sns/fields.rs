//! Parses the envelope's JSON so strictly that every parser reads the same message: no key is repeated, and every known
//! value is a string.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The keys that the receiver reads. Other keys are ignored, but must not be repeated either.
pub(super) const KEYS: [&str; 11] = [
    "Type",
    "MessageId",
    "TopicArn",
    "Subject",
    "Message",
    "Timestamp",
    "SignatureVersion",
    "Signature",
    "SigningCertURL",
    "Token",
    "SubscribeURL",
];

/// Why a body is not an SNS envelope. The sender is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedEnvelope {
    /// Not a JSON object.
    #[error("not a JSON object: {0}")]
    Json(String),
    /// A key is repeated, so two parsers could read different messages.
    #[error("key {0} is repeated")]
    Twice(&'static str),
    /// A known key has a value of another JSON type.
    #[error("value of {0} is not a string")]
    NotAString(&'static str),
    /// More unknown keys than SNS could ever add.
    #[error("too many unknown keys")]
    TooManyKeys,
    /// A required key is absent.
    #[error("key {0} is missing")]
    Missing(&'static str),
    /// A value does not match its grammar.
    #[error("value of {0} has an invalid format")]
    Grammar(&'static str),
}

/// The values of [`KEYS`].
#[derive(Default)]
pub(super) struct Fields {
    values: [Option<String>; KEYS.len()],
}

impl Fields {
    pub(super) fn from_json(body: &[u8]) -> Result<Self, MalformedEnvelope> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let fields = json.deserialize_map(FieldsVisitor).and_then(|fields| json.end().map(|()| fields));
        // The parser's error text can quote the body; its line and column cannot.
        fields.map_err(|error| MalformedEnvelope::Json(format!("line {} column {}", error.line(), error.column())))?
    }

    pub(super) fn optional(&mut self, key: &'static str) -> Option<String> {
        let at = KEYS.iter().position(|known| *known == key).expect("callers pass names from KEYS");
        self.values[at].take()
    }

    pub(super) fn take(&mut self, key: &'static str) -> Result<String, MalformedEnvelope> {
        self.optional(key).ok_or(MalformedEnvelope::Missing(key))
    }

    pub(super) fn take_if(
        &mut self,
        key: &'static str,
        grammar: fn(&str) -> bool,
    ) -> Result<String, MalformedEnvelope> {
        let value = self.take(key)?;
        if grammar(&value) { Ok(value) } else { Err(MalformedEnvelope::Grammar(key)) }
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    /// The inner error. The outer one comes from the parser and means that the text is not JSON.
    type Value = Result<Fields, MalformedEnvelope>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an SNS message: a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut fields, mut seen) = (Fields::default(), Vec::new());
        let mut malformed = None;
        while let Some(Key(key)) = map.next_key()? {
            let known = KEYS.iter().position(|known| *known == key);
            let value = match known {
                Some(_) => map.next_value()?,
                None => map.next_value::<IgnoredAny>().map(|_| FieldValue::Other)?,
            };
            if malformed.is_some() {
                continue; // the rest must still be JSON
            }
            malformed = match (known, value) {
                _ if seen.contains(&key) => {
                    Some(MalformedEnvelope::Twice(known.map_or("(an unknown key)", |at| KEYS[at])))
                }
                _ if seen.len() == KEYS_MAX => Some(MalformedEnvelope::TooManyKeys),
                (Some(at), FieldValue::Other) => Some(MalformedEnvelope::NotAString(KEYS[at])),
                (Some(at), FieldValue::Text(text)) => {
                    fields.values[at] = Some(text);
                    None
                }
                (None, _) => None,
            };
            seen.push(key);
        }
        Ok(malformed.map_or(Ok(fields), Err))
    }
}

/// A key. It borrows from the body, unless it has an escape sequence.
struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// A string, or a value of another JSON type.
enum FieldValue {
    Text(String),
    Other,
}

impl<'de> serde::Deserialize<'de> for FieldValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldValueVisitor)
    }
}

struct FieldValueVisitor;

impl<'de> Visitor<'de> for FieldValueVisitor {
    type Value = FieldValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<FieldValue, E> {
        Ok(FieldValue::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<FieldValue, E> {
        Ok(FieldValue::Text(text))
    }

    fn visit_bool<E>(self, _: bool) -> Result<FieldValue, E> {
        Ok(FieldValue::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<FieldValue, E> {
        Ok(FieldValue::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<FieldValue, E> {
        Ok(FieldValue::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<FieldValue, E> {
        Ok(FieldValue::Other)
    }

    fn visit_unit<E>(self) -> Result<FieldValue, E> {
        Ok(FieldValue::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<FieldValue, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(FieldValue::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<FieldValue, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(FieldValue::Other)
    }
}

/// SNS sends at most eleven today.
const KEYS_MAX: usize = 32;
