//! Throttling of the simulated Amazon Pay API: a burst and a rate for each key and operation.
//!
//! Shares no code with the receiver's own quota.

use std::collections::HashMap;
use std::time::Instant;

use super::{Environment, ObjectKind};

/// The quota for each key and operation.
#[derive(Clone, Copy, Debug)]
pub struct Throttling {
    /// Requests that are allowed at once.
    pub burst: u32,
    /// Requests per second after the burst.
    pub per_second: u32,
    /// Requests per second that the merchant's shop uses, unknown to the receiver.
    pub used_by_shop_per_second: u32,
}

/// The quota that is in force.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quotas {
    /// The published quota of each environment.
    Published,
    /// The same quota in both environments.
    Same(Throttling),
}

impl Throttling {
    /// The published limits of live ("Amazon Pay API: throttling limits").
    pub const LIVE: Self = Self { burst: 20, per_second: 4, used_by_shop_per_second: 0 };
    const SANDBOX: Self = Self { burst: 5, per_second: 1, used_by_shop_per_second: 0 };
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

/// A leaky bucket for each key and operation.
#[derive(Default)]
pub(super) struct Meters(HashMap<(String, ObjectKind), Meter>);

struct Meter {
    used: f64,
    at: Instant,
}

impl Meters {
    /// Counts a request and returns true if it is within the quota.
    pub(super) fn admit(&mut self, throttling: &Throttling, key_id: &str, kind: ObjectKind, now: Instant) -> bool {
        let meter = self.0.entry((key_id.to_owned(), kind)).or_insert(Meter { used: 0.0, at: now });
        let restored = f64::from(throttling.per_second) - f64::from(throttling.used_by_shop_per_second);
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
    fn quota_is_burst_then_rate_minus_use_of_the_shop() {
        let throttling = Throttling { burst: 5, per_second: 4, used_by_shop_per_second: 2 };
        let (mut meters, began) = (Meters::default(), Instant::now());
        let mut admitted = |ms: u64, kind| {
            let now = began + Duration::from_millis(ms);
            (0..100).filter(|_| meters.admit(&throttling, "K", kind, now)).count()
        };
        assert_eq!([0, 0, 500, 1500, 60_000].map(|ms| admitted(ms, ObjectKind::Charge)), [5, 0, 1, 2, 5]);
        assert_eq!(admitted(60_000, ObjectKind::Refund), 5, "each operation has its own quota");
    }
}
