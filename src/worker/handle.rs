//! Starting and stopping the worker, and its status for the rest of the process.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::error::KafkaError;

use super::{Worker, WorkerContext};
use crate::domain::timestamp::Timestamp;

/// A worker on its thread.
pub struct Handle {
    thread: std::thread::JoinHandle<()>,
    heartbeat_age_max: Duration,
    /// Whether the worker works, and the time of its last heartbeat.
    pub status: Arc<Status>,
}

impl WorkerContext {
    /// Starts the worker's thread. Reads run on the current async runtime.
    pub fn start(self) -> Result<Handle, KafkaError> {
        let status = Arc::new(Status::default());
        // By then the consumer group has long removed the member.
        let heartbeat_age_max = self.kafka.poll_interval_max() * 2;
        let worker = Worker::new(self, status.clone())?;
        let thread = std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || worker.run())
            .expect("the system can start a thread");
        Ok(Handle { thread, heartbeat_age_max, status })
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

    /// Whether the thread has ended or hangs in a request to Kafka (librdkafka#5456). Then the process must be restarted.
    pub fn has_failed(&self) -> bool {
        let heartbeat_age = self.status.heartbeat_age();
        if heartbeat_age > self.heartbeat_age_max {
            tracing::error!(
                silent_s = heartbeat_age.as_secs(),
                "the worker hangs in a request to Kafka; the process exits with an error so that its supervisor restarts it"
            );
        }
        self.thread.is_finished() || heartbeat_age > self.heartbeat_age_max
    }
}

/// The status of a running worker.
#[derive(Debug)]
pub struct Status {
    /// Whether the worker owns its partitions and has restored their state.
    pub is_working: AtomicBool,
    /// Merchants and operations whose circuit breaker is open.
    held_back: Mutex<Vec<String>>,
    outage: Mutex<Option<KafkaOutage>>,
    resets: Mutex<Resets>,
    pub(super) stop: AtomicBool,
    /// The last heartbeat of the thread: it writes one in each round.
    heartbeat_at: Mutex<Instant>,
}

/// When errors made the worker drop its state and restore it.
#[derive(Debug, Default)]
struct Resets {
    /// The newest, oldest first.
    newest: VecDeque<Instant>,
    error: String,
}

/// Kafka cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaOutage {
    /// Since when, by this machine's clock.
    pub since: Timestamp,
    /// The error of the last probe.
    pub error: String,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            is_working: AtomicBool::new(false),
            held_back: Mutex::default(),
            outage: Mutex::default(),
            resets: Mutex::default(),
            stop: AtomicBool::new(false),
            heartbeat_at: Mutex::new(Instant::now()),
        }
    }
}

impl Status {
    /// The time since the last heartbeat of the thread. A long time means that the thread waits for Kafka or hangs.
    pub fn heartbeat_age(&self) -> Duration {
        self.heartbeat_at.lock().elapsed()
    }

    /// Sets the gauges. Called at each scrape, because a thread that hangs cannot do it.
    pub fn show(&self) {
        let is_ready =
            self.is_working.load(Ordering::Relaxed) && self.outage().is_none() && self.starts_over().is_none();
        metrics::gauge!("ipn_receiver_worker_ready").set(f64::from(u8::from(is_ready)));
        metrics::gauge!("ipn_receiver_worker_heartbeat_age_seconds").set(self.heartbeat_age().as_secs_f64());
    }

    pub(super) fn note_heartbeat(&self) {
        *self.heartbeat_at.lock() = Instant::now();
    }

    /// Notes whether Kafka could be reached just now.
    pub fn note_kafka(&self, probe: Result<(), String>, now: Timestamp) {
        let mut outage = self.outage.lock();
        let since = outage.as_ref().map_or(now, |outage| outage.since);
        *outage = probe.err().map(|error| KafkaOutage { since, error });
    }

    /// The outage of Kafka, if it cannot be reached.
    pub fn outage(&self) -> Option<KafkaOutage> {
        self.outage.lock().clone()
    }

    /// Notes and counts that an error made the worker drop its state and restore it.
    pub(super) fn note_started_over(&self, error: &str, now: Instant) {
        metrics::counter!("ipn_receiver_worker_resets_total").increment(1);
        let mut resets = self.resets.lock();
        error.clone_into(&mut resets.error);
        resets.newest.push_back(now);
        if resets.newest.len() > RESETS_MAX {
            resets.newest.pop_front();
        }
    }

    /// The last error, if the worker starts over again and again: it publishes little or nothing, although it owns its
    /// partitions in between.
    pub fn starts_over(&self) -> Option<String> {
        self.starts_over_at(Instant::now())
    }

    fn starts_over_at(&self, now: Instant) -> Option<String> {
        let resets = self.resets.lock();
        let is_often = resets.newest.len() == RESETS_MAX && now.duration_since(resets.newest[0]) < RESETS_WITHIN;
        is_often.then(|| resets.error.clone())
    }

    /// The merchants and operations whose reads the circuit breakers hold back.
    pub fn held_back(&self) -> Vec<String> {
        self.held_back.lock().clone()
    }

    /// Forgets the last assignment.
    pub(super) fn note_reset(&self) {
        self.is_working.store(false, Ordering::Relaxed);
        self.note_held_back(Vec::new());
    }

    pub(super) fn note_held_back(&self, operations: Vec<String>) {
        *self.held_back.lock() = operations;
    }
}

/// A broker restart causes one or two.
const RESETS_MAX: usize = 5;
const RESETS_WITHIN: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_that_starts_over_often_is_noticed() {
        let (status, began) = (Status::default(), Instant::now());
        let after = |s: u64| began + Duration::from_secs(s);
        for s in [0, 200, 210, 220] {
            status.note_started_over("a broker restarts", after(s));
            assert_eq!(status.starts_over_at(after(s)), None);
        }
        status.note_started_over("a record is too large", after(230));
        assert_eq!(status.starts_over_at(after(299)), Some("a record is too large".to_owned()));
        assert_eq!(status.starts_over_at(after(301)), None, "the first of the five is long ago");
        status.note_started_over("a record is too large", after(310));
        assert!(status.starts_over_at(after(311)).is_some());
        assert_eq!(status.starts_over_at(after(501)), None);
    }
}
