//! The clock that signature checks and signed requests use, and the clock of an assignment. Tests and the sandbox set it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::timestamp::Timestamp;
use crate::failpoints;

/// A running clock: the system clock, or one that starts at a given time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    at: Timestamp,
    started: Instant,
    is_system: bool,
}

impl Clock {
    /// The system clock. It follows every correction that the system makes.
    pub fn system() -> Self {
        Self { at: Timestamp::from_unix_ms(0), started: Instant::now(), is_system: true }
    }

    /// A clock that shows `at` now and advances from there. No correction of the system clock changes it.
    pub fn starting_at(at: Timestamp) -> Self {
        Self::started(at, Instant::now())
    }

    /// A clock that showed `at` at this instant.
    pub fn started(at: Timestamp, instant: Instant) -> Self {
        Self { at, started: instant, is_system: false }
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        if !self.is_system {
            return self.at.plus(self.started.elapsed());
        }
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_unix_ms(ms.saturating_add(failpoints::clock_ahead_ms()))
    }
}
