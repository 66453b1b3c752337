//! Circuit breakers: after consecutive systemic failures one holds reads back, and allows one probe at a time until one is
//! answered. Each operation of an account has one, since Amazon may refuse a single operation; and each account has one for
//! its connection, without which no operation works.

use std::time::Duration;

use crate::domain::pay::ObjectKind;
use crate::domain::timestamp::Timestamp;

/// When a breaker opens, and how often it probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRule {
    /// Systemic failures in a row that open it.
    pub failures: u32,
    /// Between probes while it is open.
    pub probe_every: Duration,
}

/// The breaker of an operation or of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    rule: BreakerRule,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Reads are sent; this many of the last ones failed.
    Closed { failures: u32 },
    /// No read is sent before `probe_at`; then one probe, and the next one when it is answered or after another interval.
    Open { probe_at: Timestamp },
}

/// What a systemic failure is evidence of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing was reached: all operations of the account are affected.
    Connection,
    /// No answer came in time: whether the connection works is unknown.
    Timeout,
    /// Amazon refused or failed this read: other operations may work.
    Refusal,
}

/// What an outcome did to the breakers of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldChange {
    /// What happened.
    pub change: BreakerChange,
    /// To which operation; none is all of the account.
    pub operation: Option<ObjectKind>,
}

/// What an outcome did to a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerChange {
    /// It has just opened.
    Opened,
    /// It has just closed.
    Closed,
}

impl Breaker {
    /// A closed one.
    pub fn new(rule: BreakerRule) -> Self {
        Self { rule, state: State::Closed { failures: 0 } }
    }

    /// Whether a read may be sent now.
    pub fn allows(&self, now: Timestamp) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { probe_at } => now >= probe_at,
        }
    }

    /// A read is sent: while the breaker is open, it is the probe.
    pub fn note_sent(&mut self, now: Timestamp) {
        if let State::Open { probe_at } = &mut self.state {
            *probe_at = now.plus(self.rule.probe_every);
        }
    }

    /// A read failed for a systemic reason.
    pub fn failed(&mut self, now: Timestamp) -> Option<BreakerChange> {
        let State::Closed { failures } = &mut self.state else { return None };
        *failures += 1;
        if *failures < self.rule.failures {
            return None;
        }
        self.state = State::Open { probe_at: now.plus(self.rule.probe_every) };
        Some(BreakerChange::Opened)
    }

    /// A read was answered, whatever the answer.
    pub fn answered(&mut self) -> Option<BreakerChange> {
        let was_open = self.is_open();
        self.state = State::Closed { failures: 0 };
        was_open.then_some(BreakerChange::Closed)
    }

    /// Whether reads are held back.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: BreakerRule = BreakerRule { failures: 3, probe_every: Duration::from_secs(10) };

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1000)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(RULE);
        assert_eq!([0, 0, 0].map(|s| breaker.failed(at(s))), [None, None, Some(BreakerChange::Opened)]);
        breaker
    }

    #[test]
    fn only_consecutive_failures_open_the_breaker() {
        let mut breaker = Breaker::new(RULE);
        for _ in 0..10 {
            assert_eq!((breaker.failed(at(0)), breaker.failed(at(0)), breaker.answered()), (None, None, None));
        }
        assert!(!breaker.is_open() && opened().is_open());
    }

    #[test]
    fn open_breaker_probes_every_10_s_until_an_answer() {
        let mut breaker = opened();
        let mut n_probes = 0;
        for s in 0..7200 {
            while breaker.allows(at(s)) {
                breaker.note_sent(at(s));
                n_probes += 1;
                assert_eq!(breaker.failed(at(s)), None, "the breaker is already open");
            }
        }
        assert_eq!(n_probes, 719);
        assert_eq!(breaker.answered(), Some(BreakerChange::Closed));
        assert!(breaker.allows(at(7200)) && breaker.allows(at(7200)));
    }

    #[test]
    fn unanswered_probe_is_followed_by_another() {
        let mut breaker = opened();
        breaker.note_sent(at(10));
        assert!(!breaker.allows(at(19)) && breaker.allows(at(20)));
    }
}
