//! Reads times of ISO 8601 leniently: what can mean one moment only is read, in whatever form it is written.

use time::{Date, Month};

use super::Timestamp;

/// A time as it was written.
pub(super) struct Written {
    pub(super) moment: Timestamp,
    /// It says which zone it is in. Without a zone it was read as UTC.
    pub(super) has_zone: bool,
}

/// Basic or extended form; `T`, `t` or a space between date and time; seconds and a fraction of one to nine digits may be absent;
/// `Z`, `z`, `UTC`, an offset of hours or of hours and minutes, or nothing at the end. 24:00 is the end of a day, and a leap
/// second is the second after it.
pub(super) fn parse(text: &str) -> Option<Written> {
    let mut rest = Scanner(text.as_bytes());
    let midnight_ms = date(&mut rest)?;
    if !rest.skip_any(b"Tt ") {
        return None;
    }
    let time_ms = time_of_day(&mut rest)?;
    rest.skip(b' ');
    let has_zone = !rest.0.is_empty();
    let offset_ms = if has_zone { offset_ms(&mut rest)? } else { 0 };
    rest.0.is_empty().then_some(Written { moment: Timestamp(midnight_ms + time_ms - offset_ms), has_zone })
}

fn date(rest: &mut Scanner<'_>) -> Option<i64> {
    let year = rest.number(4)?;
    let is_extended = rest.skip(b'-');
    let month = rest.number(2)?;
    if is_extended != rest.skip(b'-') {
        return None;
    }
    let day = rest.number(2)?;
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    Some(date.midnight().assume_utc().unix_timestamp() * 1000)
}

fn time_of_day(rest: &mut Scanner<'_>) -> Option<i64> {
    let hour = rest.number(2)?;
    let is_extended = rest.skip(b':');
    let minute = rest.number(2)?;
    let has_second = if is_extended { rest.skip(b':') } else { rest.0.first().is_some_and(u8::is_ascii_digit) };
    let second = if has_second { rest.number(2)? } else { 0 };
    let fraction_ms = if has_second && rest.skip_any(b".,") { rest.fraction_ms()? } else { 0 };
    let time_ms = ((hour * 60 + minute) * 60 + second) * 1000 + fraction_ms;
    let is_usual = hour < 24 && minute < 60 && (second < 60 || (second == 60 && minute == 59));
    (is_usual || time_ms == DAY_MS && minute == 0).then_some(time_ms)
}

/// How far the written time is ahead of UTC.
fn offset_ms(rest: &mut Scanner<'_>) -> Option<i64> {
    if rest.skip_any(b"Zz") || rest.skip_word(b"UTC") || rest.skip_word(b"GMT") {
        return Some(0);
    }
    let sign = if rest.skip(b'-') { -1 } else { i64::from(rest.skip(b'+')) };
    let hours = rest.number(2).filter(|hours| *hours < 24 && sign != 0)?;
    let has_minutes = rest.skip(b':') || !rest.0.is_empty();
    let minutes = if has_minutes { rest.number(2).filter(|minutes| *minutes < 60)? } else { 0 };
    Some(sign * (hours * 60 + minutes) * 60_000)
}

/// What is left of the text.
struct Scanner<'a>(&'a [u8]);

impl Scanner<'_> {
    fn skip(&mut self, byte: u8) -> bool {
        self.skip_any(&[byte])
    }

    fn skip_any(&mut self, bytes: &[u8]) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if bytes.contains(first) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_word(&mut self, word: &[u8]) -> bool {
        self.0.strip_prefix(word).inspect(|rest| self.0 = rest).is_some()
    }

    /// Exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |n, byte| byte.is_ascii_digit().then(|| n * 10 + i64::from(byte - b'0')))
    }

    /// One to nine digits after a point. What is finer than a millisecond is cut off.
    fn fraction_ms(&mut self) -> Option<i64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        let nanoseconds = self.number(digits)? * 10_i64.pow(u32::try_from(9 - digits).ok()?);
        Some(nanoseconds / 1_000_000)
    }
}

const DAY_MS: i64 = 86_400_000;
