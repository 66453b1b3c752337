//! Decimal numbers as text: one lenient reading, one plain form (`-12.50`), and never a binary fraction in between.

use serde_json::Number;

/// `text` in plain digits: spaces, a plus sign, leading zeros and an exponent are resolved, written places are kept.
/// `None` if it is no decimal number, or has more than 18 digits before or after the point.
pub(super) fn plain(text: &str) -> Option<String> {
    let text = text.trim();
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, places) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{places}");
    let is_number = !digits.is_empty() && digits.len() <= 2 * DIGITS_MAX && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number {
        return None;
    }
    let (whole, places) = with_point(&digits, i32::try_from(whole.len()).ok()? + exponent);
    if whole.len() > DIGITS_MAX || places.len() > DIGITS_MAX {
        return None;
    }
    let sign = if is_negative && digits.bytes().any(|b| b != b'0') { "-" } else { "" };
    Some(if places.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{places}") })
}

/// A JSON number in plain digits, without zeros at the end of its places: `14.10` and `14.1` are one number in JSON.
pub(super) fn plain_number(number: &Number) -> Option<String> {
    let text = plain(&number.to_string())?;
    if !text.contains('.') {
        return Some(text);
    }
    Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

fn parse_exponent(text: &str) -> Option<i32> {
    text.strip_prefix('+').unwrap_or(text).parse().ok().filter(|exponent: &i32| exponent.abs() <= EXPONENT_MAX)
}

/// The digits before and after a point at `position`, which may lie outside of `digits`.
fn with_point(digits: &str, position: i32) -> (String, String) {
    let before = usize::try_from(position).unwrap_or(0);
    let zeros_before_places = usize::try_from(-position).unwrap_or(0);
    let mut whole: String = digits.chars().take(before).collect();
    whole.extend(std::iter::repeat_n('0', before.saturating_sub(digits.len())));
    let places: String = std::iter::repeat_n('0', zeros_before_places).chain(digits.chars().skip(before)).collect();
    let significant = whole.trim_start_matches('0');
    (if significant.is_empty() { "0".to_owned() } else { significant.to_owned() }, places)
}

const DIGITS_MAX: usize = 18;
const EXPONENT_MAX: i32 = 36;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn decimal_numbers_become_plain_digits() {
        for (text, expected) in [
            ("14.00", "14.00"),
            (" 14.00\t", "14.00"),
            ("+14", "14"),
            ("0014.10", "14.10"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0", "0"),
            ("-0.00", "0.00"),
            ("-12.5", "-12.5"),
            ("1e3", "1000"),
            ("1.4E1", "14"),
            ("1.450e+1", "14.50"),
            ("14.5e-1", "1.45"),
            ("5e-3", "0.005"),
            ("0e9", "0"),
        ] {
            assert_eq!(plain(text).as_deref(), Some(expected), "{text:?}");
            assert_eq!(plain(expected).as_deref(), Some(expected), "the plain form is stable");
        }
    }

    #[test]
    fn what_is_no_decimal_number_is_refused() {
        for text in [
            "",
            " ",
            ".",
            "-",
            "1,00",
            "1 000",
            "1.2.3",
            "0x10",
            "NaN",
            "inf",
            "1e",
            "e5",
            "1e99",
            "1e2147483648",
            "--1",
            "+-1",
            "١",
            "1234567890123456789",
            "0.1234567890123456789",
            "14.00 EUR",
        ] {
            assert_eq!(plain(text), None, "{text:?}");
        }
    }

    #[test]
    fn json_numbers_become_their_shortest_plain_digits() {
        for (json, expected) in [
            ("14.1", "14.1"),
            ("12.50", "12.5"),
            ("14.00", "14"),
            ("500", "500"),
            ("100", "100"),
            ("0.07", "0.07"),
            ("1e2", "100"),
            ("1.5e-7", "0.00000015"),
            ("-3.10", "-3.1"),
            ("9007199254740993", "9007199254740993"),
        ] {
            let Value::Number(number) = serde_json::from_str(json).unwrap() else { panic!("{json}") };
            assert_eq!(plain_number(&number).as_deref(), Some(expected), "{json}");
        }
    }
}
