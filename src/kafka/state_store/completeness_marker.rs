//! What a partition of the state topic says about itself: that from this log start on it holds everything that was told.
//!
//! A compacted topic's log start does not move by itself. Where it lies beyond the mark, or where there is no mark,
//! records were cut off, or the topic was made anew.

use std::collections::BTreeMap;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use serde::{Deserialize, Serialize};

use super::ASK_TIMEOUT;
use crate::domain::state::schema_version::Newer;

/// The record with the key [`COMPLETENESS_MARKER_KEY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompletenessMarker {
    version: u32,
    /// The log start when it was written.
    pub log_start: i64,
    /// False while what was lost is being written anew, in several transactions.
    pub is_complete: bool,
}

/// What was found of each partition.
#[derive(Clone, Debug, Default)]
pub struct CompletenessMarkers {
    log_starts: BTreeMap<i32, i64>,
    marks: BTreeMap<i32, CompletenessMarker>,
}

impl CompletenessMarker {
    /// For a partition whose log starts there.
    pub fn new(log_start: i64, is_complete: bool) -> Self {
        Self { version: VERSION, log_start, is_complete }
    }
}

impl CompletenessMarkers {
    /// Asks where each partition starts.
    pub(super) fn ask(consumer: &BaseConsumer, topic: &str, partitions: &[i32]) -> Result<Self, KafkaError> {
        let start = |partition: &i32| Ok((*partition, consumer.fetch_watermarks(topic, *partition, ASK_TIMEOUT)?.0));
        let log_starts = partitions.iter().map(start).collect::<Result<_, KafkaError>>()?;
        Ok(Self { log_starts, marks: BTreeMap::new() })
    }

    /// Looks whether this record is one. One that cannot be read is as good as none; one of a later release is refused.
    pub(super) fn note(&mut self, message: &BorrowedMessage<'_>) -> Result<(), Newer> {
        if message.key() == Some(COMPLETENESS_MARKER_KEY.as_bytes()) {
            let json = message.payload().unwrap_or_default();
            Newer::check_json(json, VERSION)?;
            self.marks
                .extend(serde_json::from_slice(json).ok().map(|mark: CompletenessMarker| (message.partition(), mark)));
        }
        Ok(())
    }

    /// Where the log of a partition starts, and its mark.
    pub fn of(&self, partition: i32) -> (i64, Option<CompletenessMarker>) {
        (self.log_starts.get(&partition).copied().unwrap_or(0), self.marks.get(&partition).copied())
    }
}

/// The format of a mark.
const VERSION: u32 = 1;
/// The key of a mark.
pub const COMPLETENESS_MARKER_KEY: &str = "__complete";
