//! The time of day. Verification and requests are judged by it, so tests and the sandbox can set it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::timestamp::Timestamp;

/// A clock that runs; by default the machine's.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    at: Timestamp,
    started: Instant,
    is_system: bool,
}

impl Clock {
    /// The machine's clock, with all its corrections.
    pub fn system() -> Self {
        Self { at: Timestamp::from_unix_ms(0), started: Instant::now(), is_system: true }
    }

    /// A clock that shows `at` now and runs on from there.
    pub fn starting_at(at: Timestamp) -> Self {
        Self { at, started: Instant::now(), is_system: false }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        if !self.is_system {
            return self.at.plus(self.started.elapsed());
        }
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_ms(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}
