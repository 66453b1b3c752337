//! Amazon's throttling as a token bucket: a burst and a rate per second, for each merchant, environment and
//! operation ("Amazon Pay API: throttling limits").

use std::time::Duration;

use crate::domain::timestamp::Timestamp;

/// What Amazon allows, and which part of it is ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    /// Requests at once.
    pub burst: f64,
    /// Requests a second after that.
    pub per_second: f64,
}

impl Quota {
    /// The part of it that is ours; the shop's own calls share the rest.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        Self { burst: (self.burst * share).max(1.0), per_second: self.per_second * share }
    }
}

/// A bucket that starts empty: whoever owned the merchant before may still be spending.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    quota: Quota,
    tokens: f64,
    filled_at: Timestamp,
    closed_until: Timestamp,
}

impl TokenBucket {
    /// An empty bucket.
    pub fn empty(quota: Quota, now: Timestamp) -> Self {
        Self { quota, tokens: 0.0, filled_at: now, closed_until: now }
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: Timestamp) -> bool {
        self.fill(now);
        let may = self.tokens >= 1.0 && now >= self.closed_until;
        if may {
            self.tokens -= 1.0;
        }
        may
    }

    /// Amazon said that it was too much: nothing more for `pause`, and no burst after it.
    pub fn throttled(&mut self, now: Timestamp, pause: Duration) {
        self.closed_until = self.closed_until.max(now.plus(pause));
        self.tokens = 0.0;
        self.filled_at = self.closed_until;
    }

    fn fill(&mut self, now: Timestamp) {
        let gained = now.since(self.filled_at).as_secs_f64() * self.quota.per_second;
        self.tokens = (self.tokens + gained).min(self.quota.burst);
        self.filled_at = self.filled_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn takes(bucket: &mut TokenBucket, from_ms: i64, to_ms: i64) -> usize {
        (from_ms..to_ms).step_by(10).filter(|ms| bucket.take(at(*ms))).count()
    }

    #[test]
    fn it_starts_empty_and_gives_the_rate_and_after_a_rest_the_burst() {
        let mut bucket = TokenBucket::empty(Quota { burst: 20.0, per_second: 4.0 }, at(0));
        assert_eq!(takes(&mut bucket, 0, 10_010), 40);
        assert_eq!((0..100).filter(|_| bucket.take(at(100_000))).count(), 20);
    }

    #[test]
    fn a_clock_set_back_gives_nothing_for_free() {
        let mut bucket = TokenBucket::empty(Quota { burst: 20.0, per_second: 4.0 }, at(10_000));
        assert_eq!(takes(&mut bucket, 0, 10_000), 0);
        assert_eq!(takes(&mut bucket, 10_000, 11_010), 4);
    }

    #[test]
    fn after_a_429_it_is_closed_and_then_gives_the_rate_without_a_burst() {
        let mut bucket = TokenBucket::empty(Quota { burst: 20.0, per_second: 4.0 }, at(0));
        assert!(bucket.take(at(60_000)));
        bucket.throttled(at(60_000), Duration::from_secs(5));
        assert_eq!(takes(&mut bucket, 60_000, 65_000), 0);
        assert_eq!(takes(&mut bucket, 65_000, 70_010), 20);
    }
}
