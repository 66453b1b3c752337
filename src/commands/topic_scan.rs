//! A topic from somewhere to its present end, in `read_committed`, without joining a group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::{Error, explained};
use crate::commands::progress::{Medium, Progress};
use crate::config::Kafka;
use crate::kafka::acls::{self, PrincipalRole};
use crate::kafka::connection::committed_offsets;

/// Offsets by partition.
pub(super) type Offsets = BTreeMap<i32, i64>;

/// A topic as it was found, to be gone through.
pub(super) struct Topic {
    name: String,
    consumer: BaseConsumer,
    pub(super) starts: Offsets,
    pub(super) ends: Offsets,
    /// For so long a killed run's transaction may keep its offsets from being told.
    unsettled_for: Duration,
    /// Whose rights are asked for in an error.
    kafka: Kafka,
    user: PrincipalRole,
}

/// One way through a topic.
pub(super) struct TopicScan<'a> {
    topic: &'a Topic,
    /// What is still to come, by partition: the next offset and the end.
    open: BTreeMap<i32, (i64, i64)>,
    of: usize,
    progress: Option<Progress>,
}

impl Topic {
    /// Asks Kafka for the topic's extent. `purpose` is the consumer's own in Kafka's eyes.
    pub(super) fn open(kafka: &Kafka, name: String, user: PrincipalRole, purpose: &str) -> Result<Self, Error> {
        let mut reader = kafka.reader(purpose);
        reader.set("auto.offset.reset", "earliest").set("enable.partition.eof", "true");
        let consumer = BaseConsumer::from_config(&reader)?;
        let unreachable = |error: KafkaError| -> Error {
            format!(
                "Kafka at {} cannot be asked about {name}: {}; check kafka.bootstrap_servers and kafka.properties",
                kafka.bootstrap_servers,
                explained(kafka, user, &name, &error)
            )
            .into()
        };
        let metadata = consumer.fetch_metadata(Some(&name), ANSWER_TIMEOUT).map_err(unreachable)?;
        let refused =
            metadata.topics().first().and_then(|topic| acls::lacking(kafka, user, &name, topic.error()?.into()));
        if let Some(lacking) = refused {
            return Err(format!("{name} may not be seen: {lacking}").into());
        }
        let found = metadata.topics().first().filter(|topic| topic.error().is_none() && !topic.partitions().is_empty());
        let found = found
            .ok_or_else(|| format!("topic {name} is missing; create it with: ipn-receiver topics --config FILE"))?;
        let (mut starts, mut ends) = (Offsets::new(), Offsets::new());
        for partition in found.partitions() {
            let (start, end) = consumer.fetch_watermarks(&name, partition.id(), ANSWER_TIMEOUT).map_err(unreachable)?;
            starts.insert(partition.id(), start);
            ends.insert(partition.id(), end);
        }
        let unsettled_for = Duration::from_millis(kafka.transaction_timeout_ms) + BROKER_LOOKS_EVERY;
        Ok(Self { name, consumer, starts, ends, unsettled_for, kafka: kafka.clone(), user })
    }

    /// Where this consumer's group stands in it; partitions without a committed offset are not in it.
    pub(super) fn committed(&self) -> Result<Offsets, Error> {
        let mut wanted = TopicPartitionList::new();
        for partition in self.ends.keys() {
            wanted.add_partition(&self.name, *partition);
        }
        let committed = committed_offsets(&self.consumer, &wanted, ANSWER_TIMEOUT + self.unsettled_for);
        let committed = committed.map_err(|error| self.trouble(&error))?;
        let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        };
        Ok(committed.elements().iter().filter_map(offset).collect())
    }

    fn trouble(&self, error: &KafkaError) -> Error {
        format!("{} cannot be read: {}", self.name, explained(&self.kafka, self.user, &self.name, error)).into()
    }

    /// The consumer's group, for offsets that are committed in a transaction.
    pub(super) fn group(&self) -> Result<rdkafka::consumer::ConsumerGroupMetadata, Error> {
        Ok(self.consumer.group_metadata().ok_or("Kafka's client has no group metadata")?)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Goes through it from `from`, else from where its log starts, up to where it ended when it was opened.
    pub(super) fn scan(&self, from: &Offsets, shown_as: Option<&'static str>) -> Result<TopicScan<'_>, Error> {
        let mut open = BTreeMap::new();
        let mut assignment = TopicPartitionList::new();
        for (partition, end) in &self.ends {
            let start = self.starts[partition];
            let next = from.get(partition).map_or(start, |from| start.max(*from));
            if next < *end {
                assignment.add_partition_offset(&self.name, *partition, Offset::Offset(next))?;
                open.insert(*partition, (next, *end));
            }
        }
        self.consumer.assign(&assignment)?;
        let of = left(&open);
        let is_worth_it = of >= WORTH_SHOWING;
        let progress = shown_as.filter(|_| is_worth_it).map(|what| Progress::new(Medium::Stderr, what, of));
        Ok(TopicScan { topic: self, open, of, progress })
    }
}

impl TopicScan<'_> {
    /// The next record, or none at the end.
    pub(super) fn next(&mut self) -> Result<Option<BorrowedMessage<'_>>, Error> {
        let topic = self.topic;
        let deadline = Instant::now() + PATIENCE;
        while !self.open.is_empty() {
            if let Some(progress) = &self.progress {
                progress.at(self.of - left(&self.open), None);
            }
            match topic.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let Some((next, end)) = self.open.get_mut(&message.partition()) else { continue };
                    let is_beyond = message.offset() >= *end;
                    *next = message.offset() + 1;
                    if *next >= *end {
                        self.open.remove(&message.partition());
                    }
                    if !is_beyond {
                        return Ok(Some(message));
                    }
                }
                // What follows is a transaction's marker, or not committed.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.open.remove(&partition);
                }
                Some(Err(error)) => return Err(topic.trouble(&error)),
                None if Instant::now() > deadline => {
                    return Err(format!("{} gave nothing for {} s", topic.name, PATIENCE.as_secs()).into());
                }
                None => {}
            }
        }
        if let Some(progress) = self.progress.take() {
            progress.end();
        }
        Ok(None)
    }
}

fn left(open: &BTreeMap<i32, (i64, i64)>) -> usize {
    open.values().map(|(next, end)| usize::try_from(end - next).unwrap_or(0)).sum()
}

const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Kafka ends transactions that took too long at this interval (`transaction.abort.timed.out.transaction.cleanup.interval.ms`).
const BROKER_LOOKS_EVERY: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_mins(1);
/// What takes no time needs no bar.
const WORTH_SHOWING: usize = 10_000;
