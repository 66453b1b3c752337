//! Amounts as Amazon writes them ("14.00", JPY "500"): compared and added exactly, and never published from here.

use std::iter::Sum;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A decimal number of at most six places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount {
    millionths: i64,
}

impl Amount {
    /// Digits, and perhaps a point and one to six more; a minus sign before them, since a balance may be overdrawn.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_number(whole, 12) || !is_number(places, 6) {
            return None;
        }
        let places: i64 = format!("{places:0<6}").parse().ok()?;
        Some(Self { millionths: sign * (whole.parse::<i64>().ok()? * 1_000_000 + places) })
    }

    /// The amount of a price: `{"amount": "14.00", …}`.
    pub fn of_price(price: &Value) -> Option<Self> {
        Self::parse(price.get("amount")?.as_str()?)
    }

    /// Nothing at all.
    pub fn is_zero(self) -> bool {
        self.millionths == 0
    }

    /// Whether this is at most so many percent of `whole`.
    pub fn is_at_most_percent(self, percent: u32, whole: Self) -> bool {
        i128::from(self.millionths) * 100 <= i128::from(whole.millionths) * i128::from(percent)
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self { millionths: amounts.map(|amount| amount.millionths).fold(0, i64::saturating_add) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentage_is_exact() {
        let amount = |text| Amount::parse(text).unwrap();
        for (left, percent, whole, expected) in [
            ("10", 10, "100.00", true),
            ("10.000001", 10, "100.00", false),
            ("0", 10, "100", true),
            ("49", 10, "499", true),
            ("50", 10, "499", false),
            ("99999999999.999999", 10, "999999999999.999999", true),
            ("0.000001", 100, "0", false),
        ] {
            assert_eq!(amount(left).is_at_most_percent(percent, amount(whole)), expected, "{left} of {whole}");
        }
    }

    #[test]
    fn amounts_compare_by_value_and_add_exactly() {
        let amount = |text| Amount::parse(text).unwrap();
        assert!(amount("14.00") == amount("14") && amount("14.5") == amount("14.500000") && amount("0.00").is_zero());
        assert_eq!([amount("0.10"), amount("0.20"), amount("9.99")].into_iter().sum::<Amount>(), amount("10.29"));
        assert!(amount("9.99") < amount("10") && amount("-0.01") < amount("0") && amount("-12.50") < amount("-12"));
        for text in ["", ".", "1.", ".5", "-", "--1", "1,00", "1e3", "1.0000001", "1234567890123456789", " 1"] {
            assert_eq!(Amount::parse(text), None, "{text:?}");
        }
    }
}
