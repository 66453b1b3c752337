//! Reads the reasons of a state, in whatever form Amazon gives them: no code that is there is lost, and none appears twice.
//!
//! Documented are a list of objects (permissions) and one `reasonCode` (the others). Both are read on every object, and so are a
//! list of codes, one object, one code, and an object with the codes as its keys.

use serde_json::{Map, Value};

use super::Reason;
use crate::domain::pay::values::{Shape, Unreadable, WORD_BYTES_MAX, field};

/// The reasons in `statusDetails`, in Amazon's order.
pub(super) fn read(details: &Map<String, Value>, unreadable: &mut Vec<Unreadable>) -> Vec<Reason> {
    let mut found = Found::default();
    if let Some(listed) = field(details, REASONS) {
        found.add(listed, 0);
    }
    if let Some(code) = field(details, CODE) {
        let described = Described { value: code, description: field(details, DESCRIPTION) };
        found.add_described(&described, 0);
    }
    unreadable.extend(found.unreadable.map(|shape| Unreadable { field: REASONS, shape }));
    found.reasons
}

#[derive(Default)]
struct Found {
    reasons: Vec<Reason>,
    /// The shape of the first value that is no reason.
    unreadable: Option<Shape>,
}

/// The value that names a code, with the description that stands beside it.
struct Described<'a> {
    value: &'a Value,
    description: Option<&'a Value>,
}

impl Found {
    fn add(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Object(object) => match field(object, CODE) {
                Some(code) => {
                    self.add_described(&Described { value: code, description: field(object, DESCRIPTION) }, depth);
                }
                None if field(object, DESCRIPTION).is_some_and(Value::is_string) => self.miss(value),
                None => object.iter().for_each(|(key, value)| self.add_keyed(key, value, depth)),
            },
            other => self.add_described(&Described { value: other, description: None }, depth),
        }
    }

    /// A code, or a list of codes or reasons.
    fn add_described(&mut self, described: &Described<'_>, depth: usize) {
        match described.value {
            Value::Null => {}
            Value::String(code) => self.add_code(code, described.description),
            Value::Array(list) if depth < DEPTH_MAX => list.iter().for_each(|item| self.add(item, depth + 1)),
            Value::Object(_) if depth < DEPTH_MAX => self.add(described.value, depth + 1),
            other => self.miss(other),
        }
    }

    /// `{"HardDeclined": …}`; or `{"0": …}`, as some libraries write a list.
    fn add_keyed(&mut self, key: &str, value: &Value, depth: usize) {
        let is_index = key.bytes().all(|byte| byte.is_ascii_digit());
        let has_code = value.as_object().is_some_and(|object| field(object, CODE).is_some_and(|code| !code.is_null()));
        match value {
            _ if is_index || has_code => self.add_described(&Described { value, description: None }, depth),
            Value::Bool(false) => self.miss(value),
            Value::Object(object) => self.add_code(key, field(object, DESCRIPTION)),
            description => self.add_code(key, Some(description)),
        }
    }

    fn add_code(&mut self, code: &str, description: Option<&Value>) {
        let code = code.trim();
        if code.is_empty() {
            return;
        }
        let is_known = self.reasons.iter().any(|reason| reason.reason_code == code);
        if code.len() > WORD_BYTES_MAX || (self.reasons.len() >= REASONS_MAX && !is_known) {
            self.unreadable.get_or_insert(Shape::Text);
            return;
        }
        let description = description.and_then(Value::as_str).filter(|text| !text.is_empty());
        if description.is_some_and(|text| text.len() > DESCRIPTION_BYTES_MAX) {
            self.unreadable.get_or_insert(Shape::Text);
        }
        let description = description.filter(|text| text.len() <= DESCRIPTION_BYTES_MAX).map(str::to_owned);
        match self.reasons.iter_mut().find(|reason| reason.reason_code == code) {
            Some(known) => known.reason_description = known.reason_description.take().or(description),
            None => self.reasons.push(Reason { reason_code: code.to_owned(), reason_description: description }),
        }
    }

    fn miss(&mut self, value: &Value) {
        self.unreadable.get_or_insert_with(|| Shape::of(Some(value)));
    }
}

const REASONS: &str = "reasons";
const CODE: &str = "reasonCode";
const DESCRIPTION: &str = "reasonDescription";

/// Known state holds the reasons, so their number and length are bounded. Amazon gives one or two, each with a sentence.
const REASONS_MAX: usize = 32;
const DESCRIPTION_BYTES_MAX: usize = 2048;
/// Lists in lists: deeper ones are no reasons.
const DEPTH_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn codes(details: &Value) -> (Vec<String>, Option<Shape>) {
        let mut unreadable = Vec::new();
        let reasons = read(details.as_object().unwrap(), &mut unreadable);
        (reasons.into_iter().map(|reason| reason.reason_code).collect(), unreadable.first().map(|missed| missed.shape))
    }

    #[test]
    fn no_form_of_reasons_loses_a_code() {
        for (details, expected) in [
            (json!({"reasons": [{"reasonCode": "A", "reasonDescription": "x"}, {"reasonCode": "B"}]}), vec!["A", "B"]),
            (json!({"reasons": ["A", "B"]}), vec!["A", "B"]),
            (json!({"reasons": ["A", {"reasonCode": "B"}, null, ["C"]]}), vec!["A", "B", "C"]),
            (json!({"reasons": {"reasonCode": "A", "reasonDescription": "x"}}), vec!["A"]),
            (json!({"reasons": {"reasonCode": ["A", "B"]}}), vec!["A", "B"]),
            (
                json!({"reasons": {"A": "x", "B": null, "C": {"reasonDescription": "y"}, "D": true}}),
                vec!["A", "B", "C", "D"],
            ),
            (json!({"reasons": {"0": {"reasonCode": "A"}, "1": "B"}}), vec!["A", "B"]),
            (json!({"reasons": {"first": {"reasonCode": "A"}}}), vec!["A"]),
            (json!({"reasons": "A"}), vec!["A"]),
            (json!({"reasons": " A "}), vec!["A"]),
            (json!({"reasonCode": "A"}), vec!["A"]),
            (json!({"reasonCode": ["A", "B"]}), vec!["A", "B"]),
            (json!({"reasonCode": {"reasonCode": "A"}}), vec!["A"]),
            (json!({"reasons": null, "reasonCode": "A"}), vec!["A"]),
            (json!({"reasons": [], "reasonCode": "A"}), vec!["A"]),
            (json!({"reasons": [{"reasonCode": "B"}], "reasonCode": "A"}), vec!["B", "A"]),
            (json!({"reasons": [{"reasonCode": "A"}, {"reasonCode": "A"}], "reasonCode": "A"}), vec!["A"]),
            (json!({"Reasons": [{"ReasonCode": "A"}, {"REASONCODE": "B"}]}), vec!["A", "B"]),
            (json!({"reasons": [{"reasonCode": null}, {"reasonCode": ""}, {}]}), vec![]),
            (json!({"reasons": [{"reasonCode": null, "reasonDescription": "x"}]}), vec![]),
            (json!({"reasons": ""}), vec![]),
            (json!({}), vec![]),
        ] {
            assert_eq!(codes(&details), (expected.into_iter().map(str::to_owned).collect(), None), "{details}");
        }
    }

    #[test]
    fn what_is_no_reason_is_reported() {
        for (details, expected, shape) in [
            (json!({"reasons": 7}), vec![], Shape::Number),
            (json!({"reasons": true, "reasonCode": "A"}), vec!["A"], Shape::Boolean),
            (json!({"reasons": ["A", 7, true]}), vec!["A"], Shape::Number),
            (json!({"reasonCode": 7}), vec![], Shape::Number),
            (json!({"reasons": {"A": false, "B": true}}), vec!["B"], Shape::Boolean),
            (json!({"reasons": [{"reasonDescription": "x"}]}), vec![], Shape::Object),
            (json!({"reasons": [[[[[["A"]]]]]]}), vec![], Shape::Array),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(codes(&details), (expected, Some(shape)), "{details}");
        }
    }

    #[test]
    fn the_first_description_of_a_code_is_kept() {
        let details = json!({"reasons": ["A", {"reasonCode": "A", "reasonDescription": "x"}, {"reasonCode": "A", "reasonDescription": "y"}]});
        let reasons = read(details.as_object().unwrap(), &mut Vec::new());
        assert_eq!((reasons.len(), reasons[0].reason_description.as_deref()), (1, Some("x")));
    }
}
