//! What was told, read back from the events topic where the state topic lost it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::{ASK_EVERY, ASK_TIMEOUT, Error, PATIENCE};
use crate::config::Kafka;
use crate::domain::events::{History, PublishedEvent};
use crate::domain::state::partitioner::owning_partition;

/// Reads the whole events topic and keeps what is about merchants of `partitions`. `still_ours` is asked now and then.
///
/// An event of a former owner whose transaction marker is not written yet is missed. It would be told once more with the
/// same id, which is what consumers know an event by.
pub fn read_told(
    kafka: &Kafka,
    partitions: &BTreeSet<i32>,
    mut still_ours: impl FnMut() -> bool,
) -> Result<History, Error> {
    let mut reader = kafka.reader("rebuild");
    reader.set("auto.offset.reset", "earliest").set("enable.partition.eof", "true").set("fetch.wait.max.ms", "50");
    let consumer = BaseConsumer::from_config(&reader)?;
    let mut open = assign_all(&consumer, &kafka.topics().events)?;
    let (mut history, mut n_events, mut n_strange) = (History::default(), 0_u64, 0_u64);
    let (mut asked, mut told, mut last_record) = (Instant::now(), Instant::now(), Instant::now());
    while open > 0 {
        if asked.elapsed() > ASK_EVERY {
            asked = Instant::now();
            if !still_ours() {
                return Err(Error::Interrupted);
            }
        }
        if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            tracing::info!(n_events, n_partitions_left = open, "reading back what was told");
        }
        let message = match consumer.poll(ASK_EVERY) {
            Some(Ok(message)) => message,
            Some(Err(KafkaError::PartitionEOF(_))) => {
                open -= 1;
                continue;
            }
            Some(Err(error)) => return Err(error.into()),
            None if last_record.elapsed() > PATIENCE => return Err(Error::Stuck(PATIENCE)),
            None => continue,
        };
        last_record = Instant::now();
        n_events += 1;
        match published_event(&message) {
            Some(event)
                if partitions.contains(&owning_partition(&event.object.account.merchant_id, kafka.partitions)) =>
            {
                history.add(event);
            }
            Some(_) => {}
            None => n_strange += 1,
        }
    }
    tracing::info!(n_events, n_strange, "what was told is read back");
    Ok(history)
}

/// From the beginning. Gives how many partitions there are.
fn assign_all(consumer: &BaseConsumer, topic: &str) -> Result<usize, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), ASK_TIMEOUT)?;
    let mut assignment = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions) {
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    Ok(assignment.count())
}

fn published_event(message: &BorrowedMessage<'_>) -> Option<PublishedEvent> {
    let headers = message.headers();
    let header = |name: &str| headers?.iter().find(|header| header.key == name)?.value;
    PublishedEvent::read(header, message.payload()?)
}

const TELL_EVERY: Duration = Duration::from_secs(5);
