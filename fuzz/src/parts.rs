//! An SNS message as a list of its fields, so that a mutation reaches a field's text without knowing JSON.
//!
//! Inputs of the `envelope` target that begin with [`MARK`] are such lists: values in the order of [`KEYS`], a mark
//! before each, an empty one standing for an absent key. The mark is a byte that no UTF-8 text holds.

use serde_json::{Map, Value};

/// The keys that matter to a receiver.
pub const KEYS: [&str; 11] = [
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

/// Stands before each value.
pub const MARK: u8 = 0xff;

/// The HTTP body that an input of the fuzzer stands for.
pub fn to_body(input: &[u8]) -> Vec<u8> {
    let Some((&MARK, list)) = input.split_first() else { return input.to_vec() };
    let values = list.split(|byte| *byte == MARK).map(|value| String::from_utf8_lossy(value).into_owned());
    let fields: Map<String, Value> = KEYS
        .into_iter()
        .zip(values)
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect();
    Value::Object(fields).to_string().into_bytes()
}

/// The list that stands for a body.
pub fn from_body(body: &str) -> Vec<u8> {
    let fields: Value = serde_json::from_str(body).unwrap();
    KEYS.into_iter().flat_map(|key| [&[MARK], fields[key].as_str().unwrap_or_default().as_bytes()].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_fields_is_the_body_it_was_made_of() {
        let body = r#"{"Type":"T","Subject":"two\nlines","Token":"0"}"#;
        assert_eq!(to_body(&from_body(body)), body.as_bytes());
        assert_eq!(to_body(b"{}"), b"{}");
    }
}
