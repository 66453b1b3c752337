//! An independent `read_committed` consumer of the events topic, as a merchant's service would be.

use std::time::Duration;

use serde_json::Value;

use super::Error;
use crate::config::Kafka;
use crate::kafka::event_stream::EventStream;
use crate::kafka::topic_reader::{End, ReadRange, ReaderSettings, TopicReader};

/// Reads events.
pub struct EventReader(EventStream);

impl EventReader {
    /// Starts at the beginning of the topic, which must exist.
    pub fn start(kafka: &Kafka) -> Result<Self, Error> {
        let settings = ReaderSettings {
            topic: kafka.topics().events,
            purpose: "events",
            end: End::WhenClosed,
            properties: &[("fetch.wait.max.ms", "50")],
        };
        let reader = TopicReader::new(kafka, settings)?;
        let range =
            ReadRange { is_temporary: |_| true, ..ReadRange::from_beginning(0..kafka.partitions, Duration::MAX) };
        Ok(Self(EventStream::start(reader, range)?))
    }

    /// The next event, or none within `patience`.
    pub async fn next(&mut self, patience: Duration) -> Option<Value> {
        let record = tokio::time::timeout(patience, self.0.next()).await.ok().flatten()?;
        Some(record.ok()?.event)
    }
}
