//! One change of an object at Amazon Pay.

use serde_json::{Map, Value};

use crate::sandbox::pay_api::with_state;

/// A new version of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The object as it is created, if Amazon Pay does not have it yet.
    pub created: Value,
    /// The state that it reaches; none if only attributes change, which does not move Amazon's `lastUpdatedTimestamp`.
    pub state: Option<&'static str>,
    /// Amazon's reason of that state.
    pub reason: Option<&'static str>,
    /// Attributes that change.
    pub set: Vec<Override>,
}

/// A value for one field of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The names that lead to the field, with dots between them: `chargeAmount.amount`. A number is an index of a list.
    pub path: String,
    /// The value.
    pub value: Value,
}

impl Change {
    /// The object after the change, which happens at this time (Unix, in seconds).
    pub fn apply(&self, existing: Option<Value>, at_s: i64) -> Value {
        let mut object = existing.unwrap_or_else(|| self.created.clone());
        for one in &self.set {
            one.apply(&mut object).expect("recipes and checked overrides name fields that exist");
        }
        match self.state {
            Some(state) => with_state(object, state, self.reason.as_slice(), at_s),
            None => object,
        }
    }
}

impl Override {
    /// Reads `path=value`. The value is text, as Amazon's amounts are, unless it is `true`, `false`, `null`, a list or an object
    /// in JSON.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, value) = text.split_once('=').filter(|(path, _)| !path.is_empty()).ok_or_else(|| {
            format!("--set {text} is not of the form path=value; example: --set chargeAmount.amount=14.00")
        })?;
        let is_json = matches!(value, "true" | "false" | "null") || value.starts_with(['{', '[', '"']);
        let value = if is_json {
            serde_json::from_str(value).map_err(|error| format!("--set {path}: the value is not JSON: {error}"))?
        } else {
            Value::from(value)
        };
        Ok(Self { path: path.to_owned(), value })
    }

    /// Sets the field. If the object has no such field, the error lists those that it has.
    pub fn apply(&self, object: &mut Value) -> Result<(), String> {
        put(object, &self.path, self.value.clone()).map_err(|names| {
            format!("--set {}: there is no such field; the fields are: {}", self.path, names.join(", "))
        })
    }

    /// Whether both name the same field, or one names a part of the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        let is_part = |whole: &str, part: &str| part == whole || part.starts_with(&format!("{whole}."));
        is_part(&self.path, &other.path) || is_part(&other.path, &self.path)
    }
}

/// Sets a field. A field that is null becomes an object where the path goes on. The error is the names at the place where the
/// path leaves the object.
fn put(object: &mut Value, path: &str, value: Value) -> Result<(), Vec<String>> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let field = match object {
        Value::Array(items) => {
            let n_items = items.len();
            let item = name.parse().ok().and_then(|at: usize| items.get_mut(at));
            item.ok_or_else(|| (0..n_items).map(|at| at.to_string()).collect::<Vec<_>>())?
        }
        Value::Object(fields) if fields.contains_key(name) => &mut fields[name],
        Value::Object(fields) => return Err(fields.keys().cloned().collect()),
        _ => return Err(vec![]),
    };
    let Some(rest) = rest else {
        *field = value;
        return Ok(());
    };
    if field.is_null() {
        let (first, _) = rest.split_once('.').unwrap_or((rest, ""));
        *field = Map::from_iter([(first.to_owned(), Value::Null)]).into();
    }
    put(field, rest, value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn overrides_are_text_unless_they_look_like_json() {
        for (text, path, value) in [
            ("chargeAmount.amount=14.00", "chargeAmount.amount", json!("14.00")),
            ("captureNow=true", "captureNow", json!(true)),
            ("a=null", "a", Value::Null),
            ("a={\"b\": 1}", "a", json!({"b": 1})),
            ("a=b=c", "a", json!("b=c")),
        ] {
            assert_eq!(Override::parse(text), Ok(Override { path: path.to_owned(), value }), "{text}");
        }
        for wrong in ["amount", "=1", "a={b"] {
            assert!(Override::parse(wrong).unwrap_err().starts_with("--set "), "{wrong}");
        }
    }

    #[test]
    fn override_of_an_unknown_field_lists_the_fields() {
        let object =
            json!({"chargeAmount": {"amount": "1", "currencyCode": "USD"}, "captureAmount": null, "list": [{"a": 1}]});
        let check = |path: &str| Override { path: path.to_owned(), value: json!("x") }.apply(&mut object.clone());
        for good in ["chargeAmount", "chargeAmount.amount", "captureAmount.amount", "list.0.a"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(
            check("chargeAmount.sum").unwrap_err(),
            "--set chargeAmount.sum: there is no such field; the fields are: amount, currencyCode"
        );
        assert!(check("amount").unwrap_err().ends_with("the fields are: chargeAmount, captureAmount, list"));
        assert!(check("list.1.a").unwrap_err().ends_with("the fields are: 0"));
    }

    #[test]
    fn overrides_overlap_if_one_is_a_part_of_the_other() {
        let of = |path: &str| Override { path: path.to_owned(), value: Value::Null };
        for (one, other, overlap) in
            [("a.b", "a", true), ("a", "a.b", true), ("a.b", "a.b", true), ("a.b", "a.c", false), ("ab", "a", false)]
        {
            assert_eq!(of(one).overlaps(&of(other)), overlap, "{one} {other}");
        }
    }
}
