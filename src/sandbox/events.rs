//! An independent `read_committed` consumer of the events topic, as a merchant's service would be.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::Error;
use crate::config::Kafka;
use crate::kafka::event_stream::EventStream;
use crate::kafka::topic_reader::{End, ReadRange, ReaderSettings, TopicReader};

/// Reads events.
pub struct EventReader(Source);

enum Source {
    Topic(EventStream),
    Broadcast(broadcast::Receiver<Arc<Value>>),
}

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
        Ok(Self(Source::Topic(EventStream::start(reader, range)?)))
    }

    /// Reads what another reader broadcasts from now on.
    pub(super) fn subscribe(broadcast: &broadcast::Sender<Arc<Value>>) -> Self {
        Self(Source::Broadcast(broadcast.subscribe()))
    }

    /// The next event, or none within `patience`.
    pub async fn next(&mut self, patience: Duration) -> Option<Value> {
        tokio::time::timeout(patience, self.take()).await.ok().flatten()
    }

    /// Gives every event to those who have subscribed before it comes.
    pub(super) fn broadcast(mut self) -> broadcast::Sender<Arc<Value>> {
        let (sender, _) = broadcast::channel(KEPT_FOR_SUBSCRIBERS);
        let events = sender.clone();
        tokio::spawn(async move {
            while let Some(event) = self.take().await {
                // Without a subscriber the event is dropped.
                let _ = events.send(Arc::new(event));
            }
        });
        sender
    }

    /// The next event; none at the end.
    async fn take(&mut self) -> Option<Value> {
        match &mut self.0 {
            Source::Topic(stream) => Some(stream.next().await?.ok()?.event),
            Source::Broadcast(events) => loop {
                match events.recv().await {
                    Ok(event) => return Some(Value::clone(&event)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            },
        }
    }
}

/// A subscriber that is further behind misses events.
const KEPT_FOR_SUBSCRIBERS: usize = 16_384;
