//! A worker as others hold it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::error::KafkaError;

use super::{Plan, Status, Worker};

/// A worker on its thread.
pub struct Handle {
    thread: std::thread::JoinHandle<()>,
    silence_max: Duration,
    /// How it is.
    pub status: Arc<Status>,
}

impl Plan {
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
