//! The completeness marker: a partition of the state topic states that it holds everything published, from this log start on.
//!
//! The log start of a compacted topic does not move by itself. If it is beyond the marker's, or if there is no marker,
//! records were deleted or the topic was recreated.

use std::collections::BTreeMap;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use serde::{Deserialize, Serialize};

use super::ASK_TIMEOUT;
use crate::kafka::TopicReader;

/// The record with the key [`COMPLETENESS_MARKER_KEY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompletenessMarker {
    version: u32,
    /// The log start when it was written.
    pub log_start: i64,
    /// False while lost state is being rebuilt, which takes several transactions.
    pub is_complete: bool,
}

/// The log start and the marker of each partition.
#[derive(Clone, Debug, Default)]
pub struct CompletenessMarkers {
    log_starts: BTreeMap<i32, i64>,
    markers: BTreeMap<i32, CompletenessMarker>,
}

impl CompletenessMarker {
    /// For a partition with this log start.
    pub fn new(log_start: i64, is_complete: bool) -> Self {
        Self { version: VERSION, log_start, is_complete }
    }
}

impl CompletenessMarkers {
    /// Fetches the log start of each partition; the markers are still to be read.
    pub(super) fn fetch_log_starts(reader: &TopicReader, partitions: &[i32]) -> Result<Self, KafkaError> {
        let start = |partition: &i32| {
            let (start, _) = reader.consumer().fetch_watermarks(reader.topic(), *partition, ASK_TIMEOUT)?;
            Ok((*partition, start))
        };
        let log_starts = partitions.iter().map(start).collect::<Result<_, KafkaError>>()?;
        Ok(Self { log_starts, markers: BTreeMap::new() })
    }

    /// Keeps the record if it is a marker. One that cannot be read, or that a later release wrote, counts as missing: what
    /// the events topic knows is then added to the state, and nothing of it is replaced.
    pub(super) fn note(&mut self, message: &BorrowedMessage<'_>) {
        if message.key() != Some(COMPLETENESS_MARKER_KEY.as_bytes()) {
            return;
        }
        let marker: Option<CompletenessMarker> = serde_json::from_slice(message.payload().unwrap_or_default()).ok();
        match marker.filter(|marker| marker.version <= VERSION) {
            Some(marker) => self.markers.insert(message.partition(), marker),
            None => self.markers.remove(&message.partition()),
        };
    }

    /// The log start of a partition, and its marker.
    pub fn of(&self, partition: i32) -> (i64, Option<CompletenessMarker>) {
        (self.log_starts.get(&partition).copied().unwrap_or(0), self.markers.get(&partition).copied())
    }
}

/// The version of a marker's format.
const VERSION: u32 = 1;
/// The key of a marker.
pub const COMPLETENESS_MARKER_KEY: &str = "__complete";
