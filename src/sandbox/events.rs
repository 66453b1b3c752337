//! An independent `read_committed` consumer of the events topic, as a merchant's service would be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::broadcast;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Error;
use crate::config::Kafka;
use crate::domain::events::decode;
use crate::kafka::inbox::InboxRecord;
use crate::kafka::topic_reader::{End, ReadRange, ReaderSettings, Step, TopicReader};

/// Reads events on a thread of its own.
pub struct EventReader {
    events: UnboundedReceiver<Value>,
    stop: Arc<AtomicBool>,
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
        let (sender, events) = unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::Builder::new().name("event-reader".to_owned()).spawn(move || {
            let Ok(mut records) = reader.read(range) else { return };
            while !stopped.load(Ordering::Relaxed) {
                let Ok(Step::Record(message)) = records.step() else { continue };
                let InboxRecord { headers, value, .. } = InboxRecord::from_message(&message);
                if sender.send(decode(&headers, &value)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { events, stop })
    }

    /// Reads what is broadcast from now on.
    pub(super) fn subscribe(broadcast: &broadcast::Sender<Arc<Value>>) -> Self {
        let (mut all, (sender, events)) = (broadcast.subscribe(), unbounded_channel());
        tokio::spawn(async move {
            loop {
                match all.recv().await {
                    Ok(event) if sender.send(Value::clone(&event)).is_err() => return,
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        Self { events, stop: Arc::default() }
    }

    /// The next event, or none within `patience`.
    pub async fn next(&mut self, patience: Duration) -> Option<Value> {
        tokio::time::timeout(patience, self.events.recv()).await.ok().flatten()
    }

    /// Gives every later event to each subscriber.
    pub(super) fn broadcast(mut self) -> broadcast::Sender<Arc<Value>> {
        let (sender, _) = broadcast::channel(KEPT_FOR_SUBSCRIBERS);
        let events = sender.clone();
        tokio::spawn(async move {
            while let Some(event) = self.events.recv().await {
                // Without a subscriber nobody waits for the event.
                let _ = events.send(Arc::new(event));
            }
        });
        sender
    }
}

/// A subscriber that is further behind misses events.
const KEPT_FOR_SUBSCRIBERS: usize = 16_384;

impl Drop for EventReader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
