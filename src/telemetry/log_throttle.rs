//! Limits equal log lines: each key is logged once per interval, with the number of lines that were suppressed.
//!
//! The number of keys is limited. Lines of further keys share one key, so they are logged and counted together.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Suppresses log lines with the same key within an interval, and counts them.
#[derive(Debug)]
pub struct LogThrottle<K> {
    every: Duration,
    entries: Mutex<Entries<K>>,
}

#[derive(Debug)]
struct Entries<K> {
    by_key: HashMap<K, Entry>,
    /// The lines of keys above the limit.
    further: Option<Entry>,
}

#[derive(Debug)]
struct Entry {
    logged_at: Instant,
    suppressed: u64,
}

impl<K: Eq + Hash> LogThrottle<K> {
    /// A throttle that allows each key once in `every`.
    pub fn new(every: Duration) -> Self {
        Self { every, entries: Mutex::new(Entries { by_key: HashMap::new(), further: None }) }
    }

    /// Whether to log `key` now. `Some` carries the number of lines suppressed since the last allowed one.
    pub fn allow(&self, key: K) -> Option<u64> {
        let now = Instant::now();
        let Entries { by_key, further } = &mut *self.entries.lock();
        if by_key.len() >= KEYS_MAX {
            by_key.retain(|_, entry| now - entry.logged_at < self.every);
        }
        if let Some(entry) = by_key.get_mut(&key) {
            return entry.allow(self.every, now);
        }
        if by_key.len() < KEYS_MAX {
            by_key.insert(key, Entry { logged_at: now, suppressed: 0 });
            return Some(0);
        }
        if let Some(entry) = further {
            return entry.allow(self.every, now);
        }
        *further = Some(Entry { logged_at: now, suppressed: 0 });
        Some(0)
    }
}

impl Entry {
    fn allow(&mut self, every: Duration, now: Instant) -> Option<u64> {
        if now - self.logged_at < every {
            self.suppressed += 1;
            return None;
        }
        self.logged_at = now;
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// Some 200 KB with keys of 200 bytes, also if a sender makes up keys. More causes in one interval need an operator anyway.
const KEYS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_is_allowed_and_keys_are_limited() {
        let log_throttle = LogThrottle::new(Duration::from_hours(1));
        assert_eq!([log_throttle.allow(1), log_throttle.allow(1), log_throttle.allow(2)], [Some(0), None, Some(0)]);
        let allowed = (0..10_000).filter(|key| log_throttle.allow(*key).is_some()).count();
        assert_eq!(allowed, KEYS_MAX - 2 + 1, "further keys share one line");
        let entries = log_throttle.entries.lock();
        let n_further = entries.further.as_ref().map(|entry| entry.suppressed);
        assert_eq!((entries.by_key.len(), n_further), (KEYS_MAX, Some(10_000 - KEYS_MAX as u64 - 1)));
        drop(entries);
        let without_interval = LogThrottle::new(Duration::ZERO);
        assert_eq!([without_interval.allow(1), without_interval.allow(1)], [Some(0), Some(0)]);
    }
}
