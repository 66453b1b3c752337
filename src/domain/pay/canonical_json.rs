//! JSON in one form, so that equal facts in whatever order have equal digests.

use serde_json::{Map, Value};

/// Eight bytes of SHA-256 over the canonical form of `value`, in hex: equal for equal facts in whatever order.
pub fn digest(value: &Map<String, Value>) -> String {
    let mut canonical = String::new();
    write_object(value, &mut canonical);
    hex(&ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes()).as_ref()[..8])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is a hex digit"));
        }
        text
    })
}

/// Objects by the order of their keys; everything else as it is.
pub(super) fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => write_object(object, out),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

fn write_object(object: &Map<String, Value>, out: &mut String) {
    let mut names: Vec<&String> = object.keys().collect();
    names.sort();
    out.push('{');
    for name in names {
        out.push_str(&Value::String(name.clone()).to_string());
        out.push(':');
        write_canonical(&object[name], out);
        out.push(',');
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_ignores_field_order_at_any_depth() {
        let digest_of = |json: &str| digest(serde_json::from_str::<Value>(json).unwrap().as_object().unwrap());
        assert_eq!(
            digest_of(r#"{"a":{"x":1,"y":"2"},"b":[{"p":1,"q":2}]}"#),
            digest_of(r#"{"b":[{"q":2,"p":1}],"a":{"y":"2","x":1}}"#)
        );
        assert_ne!(digest_of(r#"{"a":1}"#), digest_of(r#"{"a":2}"#));
        assert_ne!(digest_of(r#"{"a":[1,2]}"#), digest_of(r#"{"a":[2,1]}"#));
    }
}
