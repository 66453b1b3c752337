//! An independent consumer of the events topic, as a merchant's service would be: `read_committed`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Map, Value};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Error;
use crate::config::Kafka;

/// Reads events on a thread of its own.
pub struct EventReader {
    events: UnboundedReceiver<Value>,
    stop: Arc<AtomicBool>,
}

impl EventReader {
    /// Starts at the beginning of the topic, which must be there.
    pub fn start(kafka: &Kafka) -> Result<Self, Error> {
        let topic = kafka.topics().events;
        let consumer = BaseConsumer::from_config(kafka.reader("events").set("fetch.wait.max.ms", "50"))?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..kafka.partitions {
            assignment.add_partition_offset(&topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        let (sender, events) = unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::Builder::new().name("event-reader".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) else { continue };
                if sender.send(event(&message)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { events, stop })
    }

    /// The next event, or none within `patience`.
    pub async fn next(&mut self, patience: Duration) -> Option<Value> {
        tokio::time::timeout(patience, self.events.recv()).await.ok().flatten()
    }
}

/// The event of a record, in whichever content mode it came.
fn event(message: &BorrowedMessage<'_>) -> Value {
    let value: Value = serde_json::from_slice(message.payload().unwrap_or_default()).unwrap_or(Value::Null);
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    let attributes = headers.filter_map(|header| {
        let text = String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned();
        Some((header.key.strip_prefix("ce_")?.to_owned(), Value::from(text)))
    });
    let mut event: Map<String, Value> = attributes.collect();
    if event.is_empty() {
        return value;
    }
    event.insert("datacontenttype".to_owned(), "application/json".into());
    event.insert("data".to_owned(), value);
    event.into()
}

impl Drop for EventReader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
