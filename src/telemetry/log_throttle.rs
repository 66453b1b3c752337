//! Limits equal log lines: each key is logged once per interval, with the number of lines that were suppressed.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Suppresses log lines with the same key within an interval, and counts them.
#[derive(Debug)]
pub struct LogThrottle<K> {
    every: Duration,
    entries: Mutex<HashMap<K, Entry>>,
}

#[derive(Debug)]
struct Entry {
    logged_at: Instant,
    suppressed: u64,
}

impl<K: Eq + Hash> LogThrottle<K> {
    /// A throttle that allows each key once in `every`.
    pub fn new(every: Duration) -> Self {
        Self { every, entries: Mutex::default() }
    }

    /// Whether to log `key` now. `Some` carries the number of lines suppressed since the last allowed one.
    pub fn allow(&self, key: K) -> Option<u64> {
        let mut entries = self.entries.lock();
        if entries.len() >= KEYS_MAX {
            entries.retain(|_, entry| entry.logged_at.elapsed() < self.every);
        }
        if entries.len() >= KEYS_MAX && !entries.contains_key(&key) {
            return None;
        }
        let new = Entry { logged_at: Instant::now(), suppressed: 0 };
        match entries.get_mut(&key) {
            Some(entry) if entry.logged_at.elapsed() < self.every => {
                entry.suppressed += 1;
                None
            }
            Some(entry) => Some(std::mem::replace(entry, new).suppressed),
            None => {
                entries.insert(key, new);
                Some(0)
            }
        }
    }
}

/// Keys at a time, so that untrusted keys take limited memory. Lines of further keys are suppressed.
const KEYS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_is_allowed_and_keys_are_limited() {
        let log_throttle = LogThrottle::new(Duration::from_hours(1));
        assert_eq!([log_throttle.allow(1), log_throttle.allow(1), log_throttle.allow(2)], [Some(0), None, Some(0)]);
        (0..10_000).for_each(|key| _ = log_throttle.allow(key));
        assert_eq!(log_throttle.entries.lock().len(), KEYS_MAX);
        let without_interval = LogThrottle::new(Duration::ZERO);
        assert_eq!([without_interval.allow(1), without_interval.allow(1)], [Some(0), Some(0)]);
    }
}
