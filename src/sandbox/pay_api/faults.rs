//! Faults that tests inject into the simulated Amazon Pay API.

use std::time::{Duration, Instant};

use serde_json::Value;

/// One fault of the Amazon Pay API, the network or the receiver's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status, with the error body that Amazon Pay gives it.
    Status(u16),
    /// 429, with `Retry-After` if Amazon gives one.
    Throttled {
        /// Seconds.
        retry_after_s: Option<u64>,
    },
    /// 401, as for a request whose `x-amz-pay-date` is too far from Amazon's clock.
    ClockSkew,
    /// The correct answer, delayed.
    Delay(Duration),
    /// The object as it was this long ago; 404 if it did not exist yet.
    Lag(Duration),
    /// The correct answer with the id of another object.
    WrongObject,
    /// The first half of the correct answer.
    Truncated,
    /// 200 with this body.
    Body(String),
    /// The connection is closed without an answer.
    Drop,
}

/// A fault that is set, with its rate and its end.
#[derive(Clone, Debug)]
pub(super) struct ActiveFault {
    pub(super) fault: Fault,
    /// Applies to every n-th request.
    pub(super) one_in: u32,
    pub(super) until: Option<Instant>,
    seen: u32,
}

impl Fault {
    /// The names that [`Fault::parse`] accepts.
    pub const USAGE: &str = "status-503 (any number), throttled, throttled-7 (with a Retry-After of 7 s), clock-skew, \
                             delay-2000 (ms), lag-5000 (ms), wrong-object, truncated, html, drop";

    /// Parses a name such as `status-503` or `lag-5000`.
    pub fn parse(word: &str) -> Option<Self> {
        let (name, number) = match word.rsplit_once('-') {
            Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => (name, number.parse().ok()),
            _ => (word, None),
        };
        Some(match (name, number) {
            ("status", Some(status @ 100..=599)) => Self::Status(status as u16),
            ("throttled", retry_after_s) => Self::Throttled { retry_after_s },
            ("clock-skew", None) => Self::ClockSkew,
            ("delay", Some(ms)) => Self::Delay(Duration::from_millis(ms)),
            ("lag", Some(ms)) => Self::Lag(Duration::from_millis(ms)),
            ("wrong-object", None) => Self::WrongObject,
            ("truncated", None) => Self::Truncated,
            ("html", None) => Self::Body("<html><body>Service Unavailable</body></html>".to_owned()),
            ("drop", None) => Self::Drop,
            _ => return None,
        })
    }
}

impl ActiveFault {
    pub(super) fn always(fault: Fault) -> Self {
        Self::now_and_then(fault, 1, None)
    }

    pub(super) fn now_and_then(fault: Fault, one_in: u32, until: Option<Instant>) -> Self {
        Self { fault, one_in: one_in.max(1), until, seen: 0 }
    }

    /// Counts a request. Returns the fault if it applies to this request.
    pub(super) fn applies(&mut self, now: Instant) -> Option<Fault> {
        if self.until.is_some_and(|until| now >= until) {
            return None;
        }
        self.seen += 1;
        self.seen.is_multiple_of(self.one_in).then(|| self.fault.clone())
    }
}

/// All versions of one object, oldest first, each with the time since which it can be read.
#[derive(Default)]
pub(super) struct History(Vec<(Instant, Value)>);

impl History {
    pub(super) fn add(&mut self, now: Instant, version: Value) {
        self.0.push((now, version));
    }

    pub(super) fn newest(&self) -> Option<&Value> {
        self.0.last().map(|(_, version)| version)
    }

    pub(super) fn versions(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().map(|(_, version)| version)
    }

    pub(super) fn at(&self, then: Instant) -> Option<&Value> {
        self.0.iter().rev().find(|(since, _)| *since <= then).map(|(_, version)| version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_in_the_usage_are_faults() {
        for entry in Fault::USAGE.split(", ") {
            let word = entry.split(' ').next().unwrap();
            assert!(Fault::parse(word).is_some(), "{word}");
        }
        for word in ["", "status", "status-7", "status-", "drop-3", "lag", "delay-x", "nonsense"] {
            assert_eq!(Fault::parse(word), None, "{word}");
        }
        assert_eq!(Fault::parse("lag-3600000"), Some(Fault::Lag(Duration::from_hours(1))));
    }

    #[test]
    fn fault_applies_at_its_rate_until_its_end() {
        let now = Instant::now();
        let mut active = ActiveFault::now_and_then(Fault::Drop, 3, Some(now + Duration::from_secs(1)));
        let applies: Vec<bool> = (0..6).map(|_| active.applies(now).is_some()).collect();
        assert_eq!(applies, [false, false, true, false, false, true]);
        assert!((0..6).all(|_| active.applies(now + Duration::from_secs(1)).is_none()));
    }
}
