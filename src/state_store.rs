//! Step 7. What is known of every object of the partitions this worker owns, rebuilt from the state topic whenever
//! partitions are assigned.
//!
//! The end of a topic says nothing in `read_committed` mode (markers trail behind, positions skip them), so the
//! rebuild reads up to a barrier record that this worker itself wrote in a committed transaction.

mod mark;
mod told;

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

pub use self::mark::{MARK_KEY, Mark, Marks};
pub use self::told::read_told;
use crate::config::Kafka;
use crate::domain::pay::ObjectRef;
use crate::domain::state::{KnownState, Observed, VERSION};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::Pending;
use crate::failpoints;

/// Known state by object, and the partition each lives in.
#[derive(Debug, Default)]
pub struct StateStore {
    records: HashMap<String, (i32, KnownState)>,
}

/// What a rebuild brought.
#[derive(Debug, Default)]
pub struct Restored {
    /// What is known.
    pub store: StateStore,
    /// What the partitions say about themselves.
    pub marks: Marks,
    /// When the broker says it appended the barrier: the broker's clock, beside ours.
    pub barrier_at: Option<Timestamp>,
}

/// Why the state could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka failed.
    #[error("state topic cannot be read: {0}")]
    Kafka(#[from] KafkaError),
    /// A record of a later version of this program, or damage.
    #[error("state record at partition {partition} offset {offset} cannot be read by this version: {what}")]
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

impl StateStore {
    /// What is known of an object.
    pub fn get(&self, object: &ObjectRef) -> Option<&KnownState> {
        self.records.get(&object.state_key()).map(|(_, state)| state)
    }

    /// What was last told of an object.
    pub fn observed(&self, object: &ObjectRef) -> Option<&Observed> {
        self.get(object)?.observed.as_ref()
    }

    /// The record of an object, blank if there is none yet.
    pub fn entry(&mut self, object: &ObjectRef, partition: i32) -> &mut KnownState {
        let blank = || (partition, KnownState::blank(object.clone()));
        &mut self.records.entry(object.state_key()).or_insert_with(blank).1
    }

    /// Hands out the work that is owed; what says nothing else is dropped.
    pub fn take_pending(&mut self) -> Vec<(ObjectRef, Pending)> {
        let mut owed = Vec::new();
        self.records.retain(|_, (_, state)| {
            owed.extend(state.pending.take().map(|pending| (state.object.clone(), pending)));
            !state.is_blank()
        });
        owed
    }

    /// Every record with its partition.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &KnownState)> {
        self.records.values().map(|(partition, state)| (*partition, state))
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn apply(&mut self, message: &BorrowedMessage<'_>) -> Result<(), String> {
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok()).ok_or("its key is no text")?;
        if key.starts_with(INTERNAL_KEYS) {
            return Ok(());
        }
        let Some(value) = message.payload() else {
            self.records.remove(key);
            return Ok(());
        };
        let state: KnownState = serde_json::from_slice(value).map_err(|error| format!("column {}", error.column()))?;
        if state.version > VERSION {
            return Err(format!("version {} is newer than {VERSION}", state.version));
        }
        self.records.insert(key.to_owned(), (message.partition(), state));
        Ok(())
    }
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
    reader.set("auto.offset.reset", "earliest").set("fetch.wait.max.ms", "50");
    let consumer = BaseConsumer::from_config(&reader)?;
    let mut assignment = TopicPartitionList::new();
    for partition in partitions {
        assignment.add_partition_offset(&topic, *partition, Offset::Beginning)?;
    }
    restored.marks = Marks::ask(&consumer, &topic, partitions)?;
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
        restored.marks.note(&message);
        let (partition, offset) = (message.partition(), message.offset());
        restored.store.apply(&message).map_err(|what| Error::Record { partition, offset, what })?;
        failpoints::reach("during-restore");
        if failpoints::breaks("restore-to-barrier") {
            break;
        }
    }
    Ok(restored)
}

/// The key of a barrier record; its value is the nonce.
pub const BARRIER_KEY: &str = "__barrier";
const INTERNAL_KEYS: &str = "__";
const ASK_EVERY: Duration = Duration::from_millis(100);
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_mins(1);
