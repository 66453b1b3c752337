//! Amazon's throttling, as the loopback Amazon Pay API enforces it: for each key and operation a burst and a rate.
//!
//! Promises: code that shares nothing with the receiver's own pacing. Never forgets a request it let in.

use std::collections::HashMap;
use std::time::Instant;

use super::{Environment, ObjectKind};

/// What is let in, for each key and operation.
#[derive(Clone, Copy, Debug)]
pub struct Throttling {
    /// Requests at once.
    pub burst: u32,
    /// Requests a second after that.
    pub per_second: u32,
    /// Of these requests a second the shop itself takes so many, without telling anyone.
    pub taken_by_the_shop: u32,
}

/// Which figures hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quotas {
    /// Those that Amazon publishes for each environment.
    Published,
    /// These, in both.
    Same(Throttling),
}

impl Throttling {
    /// "Amazon Pay API: throttling limits", for live; for sandbox 5 and 1.
    pub const LIVE: Self = Self { burst: 20, per_second: 4, taken_by_the_shop: 0 };
    const SANDBOX: Self = Self { burst: 5, per_second: 1, taken_by_the_shop: 0 };
}

impl Quotas {
    pub(super) fn of(self, environment: Environment) -> Throttling {
        match (self, environment) {
            (Self::Same(throttling), _) => throttling,
            (Self::Published, Environment::Live) => Throttling::LIVE,
            (Self::Published, Environment::Sandbox) => Throttling::SANDBOX,
        }
    }
}

/// How much is used up: each request adds a second's part of the rate, and time takes it away.
#[derive(Default)]
pub(super) struct Meters(HashMap<(String, ObjectKind), Meter>);

struct Meter {
    used: f64,
    at: Instant,
}

impl Meters {
    /// Whether one more request is within the quota now; if so it is counted.
    pub(super) fn admit(&mut self, throttling: &Throttling, key_id: &str, kind: ObjectKind, now: Instant) -> bool {
        let meter = self.0.entry((key_id.to_owned(), kind)).or_insert(Meter { used: 0.0, at: now });
        let restored = f64::from(throttling.per_second) - f64::from(throttling.taken_by_the_shop);
        let elapsed = now.saturating_duration_since(meter.at).as_secs_f64();
        meter.used = (meter.used - elapsed * restored).max(0.0);
        meter.at = now;
        if meter.used + 1.0 > f64::from(throttling.burst) {
            return false;
        }
        meter.used += 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_and_then_the_rate_less_what_the_shop_takes() {
        let throttling = Throttling { burst: 5, per_second: 4, taken_by_the_shop: 2 };
        let (mut meters, began) = (Meters::default(), Instant::now());
        let mut admitted = |ms: u64, kind| {
            let now = began + Duration::from_millis(ms);
            (0..100).filter(|_| meters.admit(&throttling, "K", kind, now)).count()
        };
        assert_eq!([0, 0, 500, 1500, 60_000].map(|ms| admitted(ms, ObjectKind::Charge)), [5, 0, 1, 2, 5]);
        assert_eq!(admitted(60_000, ObjectKind::Refund), 5, "each operation has its own");
    }
}
