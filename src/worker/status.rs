//! What others may know of a running worker, and how it is asked to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What others may know of a running worker.
#[derive(Debug, Default)]
pub struct Status {
    /// Whether it owns its partitions and has rebuilt their state.
    pub is_working: AtomicBool,
    /// Merchants whose reads are held back, because none of them can succeed now.
    held_back: Mutex<Vec<String>>,
    pub(super) stop: AtomicBool,
}

impl Status {
    /// Merchants whose reads are held back.
    pub fn held_back(&self) -> Vec<String> {
        self.held_back.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nothing of the last assignment counts any more.
    pub(super) fn note_reset(&self) {
        self.is_working.store(false, Ordering::Relaxed);
        self.note_held_back(Vec::new());
    }

    pub(super) fn note_held_back(&self, accounts: Vec<String>) {
        *self.held_back.lock().unwrap_or_else(PoisonError::into_inner) = accounts;
    }
}
