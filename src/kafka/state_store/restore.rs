//! Restores the known state from the state topic.

use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};

use super::{CompletenessMarkers, PATIENCE, StateStore};
use crate::config::Kafka;
use crate::domain::state::Unusable;
use crate::domain::timestamp::Timestamp;
use crate::failpoints;
use crate::kafka::acls;
use crate::kafka::topic_reader::{End, ReadError, ReadRange, ReaderSettings, Step, TopicReader};

/// The result of a restore.
#[derive(Debug, Default)]
pub struct Restored {
    /// The known state.
    pub store: StateStore,
    /// The completeness markers of the partitions.
    pub markers: CompletenessMarkers,
    /// When the broker appended the barrier, by the broker's clock.
    pub barrier_at: Option<Timestamp>,
}

/// Why the state could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka returned an error.
    #[error("cannot read the topics to restore state: {}", acls::describe_error(.0))]
    Kafka(#[from] KafkaError),
    /// A topic was not read to its end in time.
    #[error("restoring state stalled: no record came for {0:?}, although there are more")]
    Stalled(Duration),
    /// The partitions were revoked during the restore.
    #[error("partitions were reassigned during the restore")]
    Interrupted,
}

/// Reads the state of `partitions` up to the barrier with this nonce. Calls `is_still_assigned` every 100 ms at most, and
/// stops when it returns false. Blocks.
pub fn restore(
    kafka: &Kafka,
    partitions: &[i32],
    nonce: &str,
    mut is_still_assigned: impl FnMut() -> bool,
) -> Result<Restored, Error> {
    let topic = kafka.topics().state;
    let settings = ReaderSettings { topic, purpose: "restore", end: End::WhenClosed, properties: FETCHING };
    let reader = TopicReader::new(kafka, settings)?;
    reader.await_leaders();
    let markers = CompletenessMarkers::fetch_log_starts(&reader, partitions)?;
    let mut restored = Restored { markers, ..Restored::default() };
    let mut records = reader.read(ReadRange::from_beginning(partitions.iter().copied(), PATIENCE))?;
    loop {
        let message = match records.step()? {
            Step::Record(message) => message,
            Step::Tick if is_still_assigned() => continue,
            Step::Tick => return Err(Error::Interrupted),
            Step::End => break,
        };
        let partition = message.partition();
        if message.key() == Some(BARRIER_KEY.as_bytes()) && message.payload() == Some(nonce.as_bytes()) {
            // While this worker owns the partition, no other one commits records there after the barrier.
            records.close(partition);
            restored.barrier_at = message.timestamp().to_millis().map(Timestamp::from_unix_ms);
            continue;
        }
        restored.apply(&message, kafka.partitions);
        failpoints::reach("during-restore");
        // A partition without a marker would be judged incomplete and be rebuilt.
        if failpoints::breaks("restore-to-barrier") && restored.markers.of(partition).1.is_some() {
            records.close(partition);
        }
    }
    restored.store.set_aside.report();
    Ok(restored)
}

impl Restored {
    /// Applies a record. One that cannot be used is set aside.
    fn apply(&mut self, message: &BorrowedMessage<'_>, partitions: i32) {
        let (partition, key, value) = (message.partition(), message.key().unwrap_or_default(), message.payload());
        self.markers.note(message);
        let owner = StateStore::owner_of(key, partitions);
        if owner.is_some_and(|owner| owner != partition) {
            return self.store.set_aside.add(
                partition,
                "",
                &Unusable::Foreign("it is in the partition of another merchant"),
            );
        }
        if let Err(why) = self.store.apply(partition, key, value) {
            tracing::debug!(partition, offset = message.offset(), error = %why, "a state record is set aside");
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Kafka(error) => Self::Kafka(error),
            ReadError::Stalled(patience) => Self::Stalled(patience),
        }
    }
}

/// The key of a barrier record; its value is the nonce.
pub const BARRIER_KEY: &str = "__barrier";
const FETCHING: &[(&str, &str)] = &[
    // A fetch of partitions that are read to their ends delays those that join later, so it waits for little.
    ("fetch.wait.max.ms", "10"),
    // A partition whose queue was full is fetched again after this. With the default of one second, half of a restore was
    // this pause.
    ("fetch.queue.backoff.ms", "2"),
];
