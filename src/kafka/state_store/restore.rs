//! The rebuild from the topic.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::{ASK_EVERY, CompletenessMarkers, PATIENCE, StateStore};
use crate::config::Kafka;
use crate::domain::timestamp::Timestamp;
use crate::failpoints;
use crate::kafka::acls;

/// What a rebuild brought.
#[derive(Debug, Default)]
pub struct Restored {
    /// What is known.
    pub store: StateStore,
    /// What the partitions say about themselves.
    pub marks: CompletenessMarkers,
    /// When the broker says it appended the barrier: the broker's clock, beside ours.
    pub barrier_at: Option<Timestamp>,
}

/// Why the state could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka failed.
    #[error("state topic cannot be read: {}", acls::told(.0))]
    Kafka(#[from] KafkaError),
    /// A record of a later version of this program, or damage.
    #[error("state record at partition {partition} offset {offset} cannot be read by this release: {what}")]
    Record {
        /// Where.
        partition: i32,
        /// Where.
        offset: i64,
        /// What is wrong.
        what: String,
    },
    /// The barrier did not come.
    #[error("state topic gave nothing for {0:?}, although the barrier was written")]
    Stuck(Duration),
    /// The partitions were taken away meanwhile.
    #[error("partitions were reassigned during the rebuild")]
    Interrupted,
}

/// Reads the state of `partitions` up to the barrier with this nonce. `still_ours` is asked now and then.
pub fn restore(
    kafka: &Kafka,
    partitions: &[i32],
    nonce: &str,
    mut still_ours: impl FnMut() -> bool,
) -> Result<Restored, Error> {
    let mut restored = Restored::default();
    let topic = kafka.topics().state;
    let mut reader = kafka.reader("restore");
    // A partition whose queue is full is fetched on at once when there is room again, not a second later as by default: that
    // pause was half of the rebuild.
    // A fetch of partitions that are read to their ends holds up those that join later, so it waits for little.
    let fetching = [("auto.offset.reset", "earliest"), ("fetch.wait.max.ms", "10"), ("fetch.queue.backoff.ms", "2")];
    for (name, value) in fetching {
        reader.set(name, value);
    }
    let consumer = BaseConsumer::from_config(&reader)?;
    // An assignment whose leaders are not known yet waits for half a second before it asks again. If this fails it only waits.
    let _ = consumer.fetch_metadata(Some(&topic), LEADERS_TIMEOUT);
    let mut assignment = TopicPartitionList::new();
    for partition in partitions {
        assignment.add_partition_offset(&topic, *partition, Offset::Beginning)?;
    }
    restored.marks = CompletenessMarkers::ask(&consumer, &topic, partitions)?;
    consumer.assign(&assignment)?;
    let mut waiting: BTreeSet<i32> = partitions.iter().copied().collect();
    let mut last_record = Instant::now();
    let mut asked = Instant::now();
    while !waiting.is_empty() {
        if asked.elapsed() > ASK_EVERY {
            asked = Instant::now();
            if !still_ours() {
                return Err(Error::Interrupted);
            }
        }
        let Some(message) = consumer.poll(ASK_EVERY).transpose()? else {
            if last_record.elapsed() > PATIENCE {
                return Err(Error::Stuck(PATIENCE));
            }
            continue;
        };
        last_record = Instant::now();
        if !waiting.contains(&message.partition()) {
            continue; // beyond our barrier: written by nobody while we own it
        }
        if message.key() == Some(BARRIER_KEY.as_bytes()) && message.payload() == Some(nonce.as_bytes()) {
            waiting.remove(&message.partition());
            restored.barrier_at = message.timestamp().to_millis().map(Timestamp::from_unix_ms);
            continue;
        }
        let (partition, offset) = (message.partition(), message.offset());
        let (key, value) = (message.key().unwrap_or_default(), message.payload());
        let mark = restored.marks.note(&message).map_err(|newer| newer.to_string());
        mark.and_then(|()| restored.store.apply(partition, key, value)).map_err(|what| Error::Record {
            partition,
            offset,
            what,
        })?;
        failpoints::reach("during-restore");
        // Where the partition did not say that it is whole, it would be taken for damaged and be rebuilt.
        if failpoints::breaks("restore-to-barrier") && restored.marks.of(partition).1.is_some() {
            waiting.remove(&partition);
        }
    }
    Ok(restored)
}

/// The key of a barrier record; its value is the nonce.
pub const BARRIER_KEY: &str = "__barrier";
const LEADERS_TIMEOUT: Duration = Duration::from_secs(1);
