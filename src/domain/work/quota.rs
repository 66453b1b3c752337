//! Amazon's throttling as a token bucket: a burst and a rate per second, for each merchant, environment and
//! operation ("Amazon Pay API: throttling limits").

use std::time::Duration;

use crate::domain::timestamp::Timestamp;

/// A quota of Amazon Pay, or the receiver's share of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    /// Requests at once.
    pub burst: f64,
    /// Requests a second after that.
    pub per_second: f64,
}

impl Quota {
    /// The receiver's share; the shop's own calls use the rest.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        Self { burst: (self.burst * share).max(1.0), per_second: self.per_second * share }
    }
}

/// A bucket that starts empty: whoever owned the merchant before may still be spending.
///
/// It learns from 429: the rate is halved, and comes back slowly, since the shop may be taking more than its part. 429s without
/// any other answer in between say nothing about the rate that Amazon accepts afterwards, so after them it comes back fast.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    quota: Quota,
    tokens: f64,
    filled_at: Timestamp,
    closed_until: Timestamp,
    /// Which part of the quota is used just now.
    factor: f64,
    /// Up to this part, the rate comes back fast.
    fast_up_to: f64,
    /// The part that was used when Amazon throttled first; `None` if it has answered otherwise since.
    throttled_at: Option<f64>,
}

impl TokenBucket {
    /// An empty bucket.
    pub fn empty(quota: Quota, now: Timestamp) -> Self {
        Self { quota, tokens: 0.0, filled_at: now, closed_until: now, factor: 1.0, fast_up_to: 0.0, throttled_at: None }
    }

    /// Whether there is a token.
    pub fn has(&mut self, now: Timestamp) -> bool {
        self.fill(now);
        self.tokens >= 1.0
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: Timestamp) -> bool {
        let may = self.has(now);
        if may {
            self.tokens -= 1.0;
        }
        may
    }

    /// Amazon answered 429: no tokens for `pause`, no burst after it, and half the rate. Answers to concurrent requests
    /// count once.
    pub fn throttled(&mut self, now: Timestamp, pause: Duration) {
        self.fill(now);
        if now >= self.closed_until {
            self.fast_up_to = self.throttled_at.map_or(0.0, |first| first * FAST_PART);
            self.throttled_at.get_or_insert(self.factor);
            self.factor = (self.factor / 2.0).max(FACTOR_MIN);
        }
        self.closed_until = self.closed_until.max(now.plus(pause));
        // Empty, and filled only from then on.
        self.tokens = 0.0;
        self.filled_at = self.closed_until;
    }

    /// Amazon answered a read, and not with 429.
    pub fn served(&mut self) {
        self.throttled_at = None;
    }

    /// Which part of the quota is used just now: 1 unless Amazon throttled lately.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// How many tokens are in it.
    pub fn tokens(&self, now: Timestamp) -> f64 {
        let mut filled = *self;
        filled.fill(now);
        filled.tokens
    }

    /// How many tokens it gives a second just now.
    pub fn per_second(&self) -> f64 {
        self.quota.per_second * self.factor
    }

    fn fill(&mut self, now: Timestamp) {
        let elapsed_s = now.since(self.filled_at).as_secs_f64();
        let before = self.factor;
        let fast = (before * (elapsed_s / DOUBLED_IN_S).exp2()).min(self.fast_up_to);
        self.factor = (before + elapsed_s * RECOVERED_PER_S).max(fast).min(1.0);
        let gained = elapsed_s * self.quota.per_second * f64::midpoint(before, self.factor);
        let most = (self.quota.burst * self.factor).max(1.0);
        self.tokens = (self.tokens + gained).min(most);
        self.filled_at = self.filled_at.max(now);
    }
}

/// From half of the rate back to all of it in two and a half minutes.
const RECOVERED_PER_S: f64 = 1.0 / 300.0;
/// From the least part of the rate to most of it in twenty seconds, if that is known to be right.
const DOUBLED_IN_S: f64 = 5.0;
/// Of the rate at which a storm of 429s began.
const FAST_PART: f64 = 0.9;
/// However often Amazon throttles, this part is tried.
const FACTOR_MIN: f64 = 1.0 / 16.0;

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
    fn bucket_starts_empty_and_refills_up_to_the_burst() {
        let mut bucket = TokenBucket::empty(Quota { burst: 20.0, per_second: 4.0 }, at(0));
        assert_eq!(takes(&mut bucket, 0, 10_010), 40);
        assert!((bucket.tokens(at(100_000)) - 20.0).abs() < 1e-9, "tokens() takes none");
        assert_eq!((0..100).filter(|_| bucket.take(at(100_000))).count(), 20);
    }

    #[test]
    fn clock_set_back_adds_no_tokens() {
        let mut bucket = TokenBucket::empty(Quota { burst: 20.0, per_second: 4.0 }, at(10_000));
        assert_eq!(takes(&mut bucket, 0, 10_000), 0);
        assert_eq!(takes(&mut bucket, 10_000, 11_010), 4);
    }

    #[test]
    fn throttling_pauses_and_halves_the_rate() {
        let mut bucket = TokenBucket::empty(Quota { burst: 20.0, per_second: 4.0 }, at(0));
        assert!(bucket.take(at(60_000)));
        bucket.throttled(at(60_000), Duration::from_secs(5));
        assert_eq!(takes(&mut bucket, 60_000, 65_000), 0);
        assert_eq!(takes(&mut bucket, 65_000, 75_000), 20);
        assert!((bucket.factor() - 0.533).abs() < 0.001, "{}", bucket.factor());
    }

    #[test]
    fn concurrent_429s_halve_the_rate_once() {
        let mut bucket = TokenBucket::empty(Quota { burst: 20.0, per_second: 4.0 }, at(0));
        for _ in 0..10 {
            bucket.throttled(at(1000), Duration::from_secs(1));
        }
        assert_eq!(takes(&mut bucket, 1000, 2000), 0);
        assert!((bucket.factor() - 0.5).abs() < 1e-9);
        takes(&mut bucket, 2000, 152_010);
        assert!((bucket.factor() - 1.0).abs() < 1e-9);
        for s in 0..100 {
            bucket.throttled(at(200_000 + s * 1000), Duration::from_millis(500));
        }
        assert!(bucket.factor() >= FACTOR_MIN);
        assert!(takes(&mut bucket, 300_000, 400_000) > 20, "the rate never falls to zero");
    }

    #[test]
    fn rate_comes_back_fast_only_after_nothing_but_429s() {
        let factor_after = |is_served: bool| {
            let mut bucket = TokenBucket::empty(Quota { burst: 20.0, per_second: 4.0 }, at(0));
            for s in (60..120).step_by(6) {
                bucket.throttled(at(s * 1000), Duration::from_secs(5));
                if is_served {
                    bucket.served();
                }
            }
            [119, 139, 179].map(|s| {
                bucket.take(at(s * 1000));
                (bucket.factor() * 100.0).round() as u32
            })
        };
        assert_eq!(factor_after(false), [6, 90, 100]);
        assert_eq!(factor_after(true), [6, 13, 26]);
    }

    /// A model of Amazon's quota, half of which the shop's own calls use.
    #[test]
    fn competing_shop_causes_few_429s() {
        let amazon_quota = Quota { burst: 20.0, per_second: 4.0 };
        let mut amazon = TokenBucket::empty(amazon_quota, at(-60_000));
        let mut ours = TokenBucket::empty(amazon_quota.share(0.8), at(0));
        let (mut n_read, mut n_throttled) = (0_u32, 0_u32);
        for ms in (0..3_600_000).step_by(10) {
            if ms % 500 == 0 {
                amazon.take(at(ms));
            }
            if ours.take(at(ms)) {
                if amazon.take(at(ms)) {
                    n_read += 1;
                    ours.served();
                } else {
                    n_throttled += 1;
                    ours.throttled(at(ms), Duration::from_secs(5));
                }
            }
        }
        assert!(f64::from(n_throttled) <= 0.01 * f64::from(n_read + n_throttled), "{n_throttled} of {n_read}");
        assert!(n_read > 5000, "{n_read}");
    }
}
