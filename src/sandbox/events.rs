//! An independent consumer of the events topic, as a merchant's service would be: `read_committed`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Error;
use crate::config::Kafka;
use crate::domain::events::decode;
use crate::kafka::inbox::InboxRecord;

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
                let InboxRecord { headers, value, .. } = InboxRecord::from_message(&message);
                if sender.send(decode(&headers, &value)).is_err() {
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

impl Drop for EventReader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
