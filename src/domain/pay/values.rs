//! One lenient reading of each kind of value in Amazon's answers, and one strict form to publish.
//!
//! Amazon documents text for amounts and `yyyyMMddTHHmmssZ` for times, but its answers, samples and libraries have others. What
//! cannot be read is left out and reported by its name and shape: never by its value, and never replaced by another field.

use serde_json::{Map, Value};

use super::amount::Amount;
use super::ids::ObjectId;
use crate::domain::decimal::{plain, plain_number};
use crate::domain::timestamp::Timestamp;

/// A field of an answer whose value could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unreadable {
    /// Amazon's name of the field; one of [`super::FIELD_NAMES`].
    pub field: &'static str,
    /// The kind of JSON value that the field had.
    pub shape: Shape,
}

/// The kind of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of JSON")]
pub enum Shape {
    /// The field is not there.
    Absent,
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

/// How a field is read and published.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Text as it is; a number becomes text.
    Text,
    /// A word or an id: text without spaces around it.
    Word,
    /// The id of another object.
    Id,
    /// A code like `USD`, in capital letters.
    Currency,
    /// A decimal number, as text.
    Decimal,
    /// `true` or `false`.
    Flag,
    /// A time, as `yyyyMMddTHHmmssZ` in UTC.
    Time,
    /// `{"amount": "14.00", "currencyCode": "USD"}`.
    Price,
    /// An object with these fields.
    Group(&'static [Field]),
}

/// A field that is published.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Amazon's name.
    pub name: &'static str,
    /// The name in reports, with the names of the objects around it.
    pub path: &'static str,
    /// How it is published.
    pub form: Form,
}

impl Shape {
    /// The word in log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::Text => "text",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    pub(super) fn of(value: Option<&Value>) -> Self {
        match value {
            None => Self::Absent,
            Some(Value::Null) => Self::Null,
            Some(Value::Bool(_)) => Self::Boolean,
            Some(Value::Number(_)) => Self::Number,
            Some(Value::String(_)) => Self::Text,
            Some(Value::Array(_)) => Self::Array,
            Some(Value::Object(_)) => Self::Object,
        }
    }
}

/// The value of a field whatever the case of its name. The exact name wins.
pub(super) fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let in_any_case = || object.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value);
    object.get(name).or_else(in_any_case)
}

/// Text without spaces around it; nothing if it is empty, or too long for a word.
pub(super) fn word<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    field(object, name).and_then(Value::as_str).map(str::trim).filter(|text| (1..=WORD_BYTES_MAX).contains(&text.len()))
}

/// The fields of `object` that are published, each in its strict form.
pub(super) fn publish(
    fields: &[Field],
    object: &Map<String, Value>,
    unreadable: &mut Vec<Unreadable>,
) -> Map<String, Value> {
    let read = |of: &Field| Some((of.name.to_owned(), of.read(field(object, of.name)?, unreadable)?));
    fields.iter().filter_map(read).collect()
}

impl Form {
    /// Whether Amazon says that there is no value: `null`, an empty text, an object of empty values, a price without an amount.
    fn is_empty(self, value: &Value) -> bool {
        let without_amount = || field(value.as_object()?, AMOUNT).map(is_empty);
        is_empty(value) || matches!(self, Self::Price) && without_amount() == Some(true)
    }
}

impl Field {
    /// A field of the answer itself, or of an object whose name adds nothing.
    pub(super) const fn new(name: &'static str, form: Form) -> Self {
        Self { name, path: name, form }
    }

    /// A field of an object in the answer.
    pub(super) const fn within(path: &'static str, name: &'static str, form: Form) -> Self {
        Self { name, path, form }
    }

    /// The strict form of `value`. Nothing, and no report, if Amazon says that there is no value.
    pub(super) fn read(&self, value: &Value, unreadable: &mut Vec<Unreadable>) -> Option<Value> {
        if self.form.is_empty(value) {
            return None;
        }
        let strict = match self.form {
            Form::Price => price(value, unreadable),
            Form::Group(fields) => {
                let published = value.as_object().map(|group| publish(fields, group, unreadable));
                if published.as_ref().is_some_and(Map::is_empty) {
                    return None; // Nothing in it is published, or what could not be read is reported already.
                }
                published.map(Value::Object)
            }
            Form::Flag => flag(value).map(Value::Bool),
            _ => text(self.form, value).map(Value::String),
        };
        if strict.is_none() {
            unreadable.push(Unreadable { field: self.path, shape: Shape::of(Some(value)) });
        }
        strict
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    }
}

fn text(form: Form, value: &Value) -> Option<String> {
    let word = || value.as_str().map(str::trim).filter(|text| text.len() <= WORD_BYTES_MAX);
    match form {
        Form::Word => word().map(str::to_owned),
        Form::Id => ObjectId::parse(word()?).map(|id| id.to_string()),
        Form::Currency => word().map(str::to_ascii_uppercase),
        Form::Time => Timestamp::from_amazon(value).map(Timestamp::basic),
        Form::Decimal => decimal(value),
        Form::Text => value.as_str().map(str::to_owned).or_else(|| decimal(value)),
        Form::Flag | Form::Price | Form::Group(_) => None,
    }
}

/// A decimal number in plain digits.
fn decimal(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => plain(text),
        Value::Number(number) => plain_number(number),
        _ => None,
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// An amount and its currency. A bare amount, as `convertedAmount` was seen once, has no currency.
fn price(value: &Value, unreadable: &mut Vec<Unreadable>) -> Option<Value> {
    let Value::Object(object) = value else {
        return amount(value).map(|amount| Value::Object(Map::from_iter([(AMOUNT.to_owned(), amount.into())])));
    };
    let amount = amount(field(object, AMOUNT)?)?;
    let mut price = Map::from_iter([(AMOUNT.to_owned(), amount.into())]);
    price.extend(publish(&[CURRENCY_CODE], object, unreadable));
    Some(Value::Object(price))
}

/// An amount in plain digits. A JSON number of more digits than its binary form is sure to keep is no amount.
fn amount(value: &Value) -> Option<String> {
    let text = decimal(value)?;
    let is_exact = !value.is_f64() || text.bytes().filter(u8::is_ascii_digit).count() <= EXACT_DIGITS;
    Amount::parse(&text).filter(|_| is_exact).map(|_| text)
}

const EXACT_DIGITS: usize = 15;
/// Amazon's longest word has 30 characters. Known state holds words, so they are bounded.
pub(super) const WORD_BYTES_MAX: usize = 256;
const AMOUNT: &str = "amount";
pub(super) const CURRENCY_CODE: Field = Field::new("currencyCode", Form::Currency);
/// The fields of a [`Form::Price`]. The currency is absent where Amazon gives a bare amount.
pub const PRICE_FIELDS: &[Field] = &[Field::new(AMOUNT, Form::Decimal), CURRENCY_CODE];
