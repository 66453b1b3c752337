//! Lets the same thing be told once in a while: a flood of one kind of trouble is one line and a number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When each thing was last told, and how often it was held back since.
#[derive(Debug)]
pub struct LogThrottle<K> {
    every: Duration,
    told: Mutex<HashMap<K, (Instant, u64)>>,
}

impl<K: Eq + Hash> LogThrottle<K> {
    /// Everything may be told at once, then again after `every`.
    pub fn new(every: Duration) -> Self {
        Self { every, told: Mutex::default() }
    }

    /// Whether `key` may be told now, and how often it happened untold before.
    pub fn allow(&self, key: K) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= KEYS_MAX {
            told.retain(|_, (at, _)| at.elapsed() < self.every);
        }
        if told.len() >= KEYS_MAX && !told.contains_key(&key) {
            return None;
        }
        match told.get_mut(&key) {
            Some((at, n_untold)) if at.elapsed() < self.every => {
                *n_untold += 1;
                None
            }
            Some(known) => Some(std::mem::replace(known, (Instant::now(), 0)).1),
            None => {
                told.insert(key, (Instant::now(), 0));
                Some(0)
            }
        }
    }
}

/// Kinds of trouble at a time; more are not told, but counted in the metrics.
const KEYS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_the_next_are_counted_and_strange_keys_take_no_memory_without_bound() {
        let log_throttle = LogThrottle::new(Duration::from_hours(1));
        assert_eq!([log_throttle.allow(1), log_throttle.allow(1), log_throttle.allow(2)], [Some(0), None, Some(0)]);
        (0..10_000).for_each(|key| _ = log_throttle.allow(key));
        assert_eq!(log_throttle.told.lock().expect("not poisoned").len(), KEYS_MAX);
        let at_once = LogThrottle::new(Duration::ZERO);
        assert_eq!([at_once.allow(1), at_once.allow(1)], [Some(0), Some(0)]);
    }
}
