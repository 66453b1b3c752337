//! A worker as others hold it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;

use super::{Worker, WorkerContext};

/// A worker on its thread.
pub struct Handle {
    thread: std::thread::JoinHandle<()>,
    silence_max: Duration,
    /// How it is.
    pub status: Arc<Status>,
}

impl WorkerContext {
    /// Starts the thread. Reads run on the runtime this is called in.
    pub fn start(self) -> Result<Handle, KafkaError> {
        let status = Arc::new(Status::default());
        // Its group has gone on without it for long by then.
        let silence_max = self.kafka.poll_interval_max() * 2;
        let worker = Worker::new(self, status.clone())?;
        let thread = std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || worker.run())
            .expect("the system lets us start a thread");
        Ok(Handle { thread, silence_max, status })
    }
}

impl Handle {
    /// Asks it to finish what is under way, commit and leave the group; waits for that. Blocks.
    pub fn stop(self) {
        self.status.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("the worker panicked");
        }
    }

    /// Whether its thread has ended, or hangs in a request to Kafka (librdkafka#5456): only a new process helps then.
    pub fn has_failed(&self) -> bool {
        let silent_for = self.status.silent_for();
        if silent_for > self.silence_max {
            tracing::error!(silent_s = silent_for.as_secs(), "the worker hangs in a request to Kafka");
        }
        self.thread.is_finished() || silent_for > self.silence_max
    }
}

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
        metrics::gauge!("ipn_receiver_worker_ready").set(f64::from(u8::from(self.is_working.load(Ordering::Relaxed))));
        metrics::gauge!("ipn_receiver_worker_heartbeat_age_seconds").set(self.silent_for().as_secs_f64());
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
