//! What others may know of a running worker, and how it is asked to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What others may know of a running worker.
#[derive(Debug)]
pub struct Status {
    /// Whether it owns its partitions and has rebuilt their state.
    pub is_working: AtomicBool,
    /// Merchants whose reads are held back, because none of them can succeed now.
    held_back: Mutex<Vec<String>>,
    pub(super) stop: AtomicBool,
    /// When its thread last showed that it goes on.
    alive_at: Mutex<Instant>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            is_working: AtomicBool::new(false),
            held_back: Mutex::default(),
            stop: AtomicBool::new(false),
            alive_at: Mutex::new(Instant::now()),
        }
    }
}

impl Status {
    /// For how long its thread has shown no sign of life: it waits for Kafka, or hangs.
    pub fn silent_for(&self) -> Duration {
        self.alive_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// To metrics: asked for when they are, since a thread that hangs would not tell.
    pub fn show(&self) {
        metrics::gauge!("worker_working").set(f64::from(u8::from(self.is_working.load(Ordering::Relaxed))));
        metrics::gauge!("worker_silent_seconds").set(self.silent_for().as_secs_f64());
    }

    pub(super) fn note_alive(&self) {
        *self.alive_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

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
