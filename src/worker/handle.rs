//! Starting and stopping the worker, and its status for the rest of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::error::KafkaError;

use super::{Worker, WorkerContext};

/// A worker on its thread.
pub struct Handle {
    thread: std::thread::JoinHandle<()>,
    silence_max: Duration,
    /// Whether the worker works, and when it last showed a sign of life.
    pub status: Arc<Status>,
}

impl WorkerContext {
    /// Starts the worker's thread. Reads run on the current async runtime.
    pub fn start(self) -> Result<Handle, KafkaError> {
        let status = Arc::new(Status::default());
        // By then the consumer group has long removed the member.
        let silence_max = self.kafka.poll_interval_max() * 2;
        let worker = Worker::new(self, status.clone())?;
        let thread = std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || worker.run())
            .expect("the system can start a thread");
        Ok(Handle { thread, silence_max, status })
    }
}

impl Handle {
    /// Stops the worker: it finishes its reads, commits and leaves the group. Blocks until then.
    pub fn stop(self) {
        self.status.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("the worker panicked; the next owner of its partitions repeats the uncommitted work");
        }
    }

    /// Whether the thread has ended or hangs in a request to Kafka (librdkafka#5456). Only a new process helps then.
    pub fn has_failed(&self) -> bool {
        let silent_for = self.status.silent_for();
        if silent_for > self.silence_max {
            tracing::error!(
                silent_s = silent_for.as_secs(),
                "the worker hangs in a request to Kafka; the process exits with an error so that its supervisor restarts it"
            );
        }
        self.thread.is_finished() || silent_for > self.silence_max
    }
}

/// The status of a running worker.
#[derive(Debug)]
pub struct Status {
    /// Whether the worker owns its partitions and has restored their state.
    pub is_working: AtomicBool,
    /// Merchants whose circuit breaker is open.
    held_back: Mutex<Vec<String>>,
    pub(super) stop: AtomicBool,
    /// When the thread last showed a sign of life.
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
    /// How long ago the thread last showed a sign of life. A long time means that it waits for Kafka or hangs.
    pub fn silent_for(&self) -> Duration {
        self.alive_at.lock().elapsed()
    }

    /// Sets the gauges. Called at each scrape, because a thread that hangs cannot do it.
    pub fn show(&self) {
        metrics::gauge!("ipn_receiver_worker_ready").set(f64::from(u8::from(self.is_working.load(Ordering::Relaxed))));
        metrics::gauge!("ipn_receiver_worker_heartbeat_age_seconds").set(self.silent_for().as_secs_f64());
    }

    pub(super) fn note_alive(&self) {
        *self.alive_at.lock() = Instant::now();
    }

    /// The merchants whose reads the circuit breaker holds back.
    pub fn held_back(&self) -> Vec<String> {
        self.held_back.lock().clone()
    }

    /// Forgets the last assignment.
    pub(super) fn note_reset(&self) {
        self.is_working.store(false, Ordering::Relaxed);
        self.note_held_back(Vec::new());
    }

    pub(super) fn note_held_back(&self, accounts: Vec<String>) {
        *self.held_back.lock() = accounts;
    }
}
