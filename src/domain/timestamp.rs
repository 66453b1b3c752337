//! A moment in UTC with millisecond precision, as SNS writes it.
//!
//! Amazon Pay's own times have several forms; [`Timestamp::from_amazon`] reads them all.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::decimal::plain;
use super::deserialize_text;

mod iso8601;

/// Milliseconds since 1970-01-01T00:00:00Z. Printed as `2026-01-02T03:04:05.678Z`, so it is in the years 0 to 9999: whatever is
/// written can be read back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Later than any other: the last millisecond that can be printed.
    pub const NEVER: Self = Self(253_402_300_799_999);
    /// The first millisecond that can be printed.
    const FIRST: Self = Self(-62_167_219_200_000);

    /// From milliseconds since the epoch. A moment that cannot be printed becomes the next one that can.
    pub fn from_unix_ms(ms: i64) -> Self {
        Self(ms.clamp(Self::FIRST.0, Self::NEVER.0))
    }

    /// Milliseconds since the epoch.
    pub fn unix_ms(self) -> i64 {
        self.0
    }

    /// Reads exactly `2026-01-02T03:04:05.678Z`, the only form SNS sends; anything else is `None`.
    pub fn parse_sns(text: &str) -> Option<Self> {
        Self::parse_plain(text.as_bytes()).or_else(|| Self::parse(text, EXTENDED_MS))
    }

    /// A fast path for days 1 to 28, ten times as fast: the known state of a million objects holds four million times. `None` means that
    /// the slow path decides.
    fn parse_plain(text: &[u8]) -> Option<Self> {
        let number = |at: std::ops::Range<usize>| {
            text[at].iter().try_fold(0_i64, |n, byte| byte.is_ascii_digit().then(|| n * 10 + i64::from(byte - b'0')))
        };
        let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
        if text.len() != 24 || marks.iter().any(|(at, mark)| text[*at] != *mark) {
            return None;
        }
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second, ms) = (number(11..13)?, number(14..16)?, number(17..19)?, number(20..23)?);
        // Every month has these days, so no calendar is needed.
        let is_usual = (1..=12).contains(&month) && (1..=28).contains(&day) && hour < 24 && minute < 60 && second < 60;
        if !is_usual || year < 1 {
            return None;
        }
        // Days since 1970, with years that begin in March ("days_from_civil" by Howard Hinnant).
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let day_of_year = (153 * month + 2) / 5 + day - 1;
        let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
        Some(Self((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms))
    }

    /// Reads a time in any form that Amazon is known to use or might use: ISO 8601, basic or extended, with `Z`, an offset or no
    /// zone (which means UTC); or a number of seconds or milliseconds since 1970, also as text. A time outside of the years 2000
    /// to 2200 is not readable.
    pub fn from_amazon(value: &Value) -> Option<Self> {
        let moment = match value {
            Value::String(text) => {
                iso8601::parse(text.trim()).map(|written| written.moment).or_else(|| from_epoch(text))
            }
            Value::Number(number) => from_epoch(&number.to_string()),
            _ => None,
        };
        moment.filter(|moment| PLAUSIBLE_MS.contains(&moment.0))
    }

    /// Reads a time as a person writes it: `2026-01-02T03:04:05Z`, also with a fraction or an offset. Without a zone it is
    /// refused, since a person may mean the local time.
    pub fn parse_written(text: &str) -> Option<Self> {
        let written = iso8601::parse(text).filter(|written| written.has_zone && text.contains('T'))?;
        Some(written.moment).filter(|moment| (Self::FIRST..=Self::NEVER).contains(moment))
    }

    /// Adds `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_unix_ms(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Subtracts `duration`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_unix_ms(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The time since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The format of Amazon Pay's signed `x-amz-pay-date` header: `20260102T030405Z`.
    pub fn basic(self) -> String {
        let text = text(&self.extended()).replace(['-', ':'], "");
        format!("{}Z", &text[.."20260102T030405".len()])
    }

    fn parse(text: &str, format: &[BorrowedFormatItem<'_>]) -> Option<Self> {
        let moment = PrimitiveDateTime::parse(text, format).ok()?.assume_utc();
        Some(Self((moment.unix_timestamp_nanos() / 1_000_000) as i64)).filter(|moment| *moment >= Self::FIRST)
    }

    /// ASCII, like `2026-01-02T03:04:05.678Z`. An event and its state record hold ten times, so it is written without a format
    /// description.
    fn extended(self) -> [u8; 24] {
        let moment = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1000)).expect("in the years 0 to 9999");
        let ((year, month, day), (hour, minute, second)) = (moment.to_calendar_date(), moment.to_hms());
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |at: std::ops::Range<usize>, number: i32| {
            text[at].iter_mut().rev().fold(number, |rest, digit| {
                *digit = b'0' + (rest % 10) as u8;
                rest / 10
            });
        };
        put(0..4, year);
        put(5..7, i32::from(u8::from(month)));
        put(8..10, i32::from(day));
        put(11..13, i32::from(hour));
        put(14..16, i32::from(minute));
        put(17..19, i32::from(second));
        put(20..23, self.0.rem_euclid(1000) as i32);
        text
    }
}

fn text(ascii: &[u8; 24]) -> &str {
    std::str::from_utf8(ascii).expect("digits and punctuation are ASCII")
}

/// A number of seconds or milliseconds since 1970. In the years that are plausible no number can be both.
fn from_epoch(text: &str) -> Option<Timestamp> {
    let number = plain(text)?;
    let (whole, places) = number.split_once('.').unwrap_or((&number, ""));
    let whole: i64 = whole.parse().ok()?;
    if PLAUSIBLE_MS.contains(&whole) {
        return Some(Timestamp(whole));
    }
    let ms: i64 = format!("{places:0<3}").get(..3)?.parse().ok()?;
    Some(Timestamp(whole.checked_mul(1000)?.checked_add(ms)?))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(text(&self.extended()))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text(&self.extended()))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a time like 2026-01-02T03:04:05.678Z", Self::parse_sns)
    }
}

const EXTENDED_MS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
/// From 2000-01-01 to the end of 2200: a time outside of these years is a wrong unit or a placeholder.
const PLAUSIBLE_MS: std::ops::Range<i64> = 946_684_800_000..7_289_654_400_000;

#[cfg(test)]
mod amazon_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_path_parses_the_same_time() {
        let a_day_and_a_bit = Duration::from_millis(86_400_000 + 3_723_456);
        let mut moment = Timestamp::parse("1999-12-31T23:59:59.999Z", EXTENDED_MS).unwrap();
        for _ in 0..40_000 {
            moment = moment.plus(a_day_and_a_bit);
            let text = moment.to_string();
            let short = Timestamp::parse_plain(text.as_bytes());
            assert_eq!(
                (Timestamp::parse(&text, EXTENDED_MS), short.unwrap_or(moment)),
                (Some(moment), moment),
                "{text}"
            );
            assert_eq!(short.is_none(), &text[8..10] > "28");
        }
        for text in [
            "2026-02-29T00:00:00.000Z",
            "2026-01-01T24:00:00.000Z",
            "2026-1-001T00:00:00.000Z",
            "2026-01-0éT0:00:00.00Z",
        ] {
            assert_eq!(Timestamp::parse_sns(text), None, "{text}");
        }
    }

    #[test]
    fn sns_time_requires_milliseconds_and_z() {
        assert!(Timestamp::parse_sns("2026-01-02T03:04:05.678Z").is_some());
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.6789Z",
            "2026-01-02T03:04:05.678Z\n",
            "2026-13-02T03:04:05.678Z",
            "right now",
            "",
        ] {
            assert_eq!(Timestamp::parse_sns(text), None, "{text:?}");
        }
    }
}
