//! Reads a topic from given offsets to its current end offsets, for commands: log start and end, committed offsets, progress
//! and errors.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Offset, TopicPartitionList};

use super::{Error, explained};
use crate::commands::progress::{Medium, Progress};
use crate::config::Kafka;
use crate::domain::timestamp::Timestamp;
use crate::kafka::acls::{self, PrincipalRole};
use crate::kafka::connection::committed_offsets;
use crate::kafka::event_stream::EventStream;
use crate::kafka::topic_reader::{
    End, ReadError, ReadRange, ReaderSettings, Step, TopicReader, TopicRecords, needs_no_stop,
};

/// Offsets by partition.
pub(super) type Offsets = BTreeMap<i32, i64>;

/// A topic with the extent that it had when it was opened.
pub(super) struct Topic {
    reader: TopicReader,
    pub(super) starts: Offsets,
    pub(super) ends: Offsets,
    /// How long the transaction of a killed run may hide its offsets.
    transaction_end_timeout: Duration,
    kafka: Kafka,
    /// Its ACLs are named in errors.
    role: PrincipalRole,
}

/// One pass through a topic.
pub(super) struct TopicScan<'a> {
    topic: &'a Topic,
    records: TopicRecords<'a>,
    of: usize,
    progress: Option<Progress>,
}

impl Topic {
    /// Asks Kafka for the topic's extent. `purpose` is the end of the consumer's group id.
    pub(super) fn open(kafka: &Kafka, name: String, role: PrincipalRole, purpose: &str) -> Result<Self, Error> {
        Self::open_with(kafka, role, ReaderSettings { topic: name, purpose, end: End::OfLog, properties: &[] })
    }

    /// The same, for [`Self::follow`] with [`End::WhenClosed`].
    pub(super) fn open_with(kafka: &Kafka, role: PrincipalRole, settings: ReaderSettings<'_>) -> Result<Self, Error> {
        let reader = TopicReader::new(kafka, settings)?;
        let (name, consumer) = (reader.topic(), reader.consumer());
        let unreachable = |error: KafkaError| -> Error {
            format!(
                "cannot ask Kafka at {} about {name}: {}; check kafka.bootstrap_servers and kafka.properties",
                kafka.bootstrap_servers,
                explained(kafka, role, name, &error)
            )
            .into()
        };
        let metadata = consumer.fetch_metadata(Some(name), ANSWER_TIMEOUT).map_err(unreachable)?;
        let refused =
            metadata.topics().first().and_then(|topic| acls::missing_acl(kafka, role, name, topic.error()?.into()));
        if let Some(missing) = refused {
            return Err(format!("cannot describe {name}: {missing}").into());
        }
        let found = metadata.topics().first().filter(|topic| topic.error().is_none() && !topic.partitions().is_empty());
        let found = found
            .ok_or_else(|| format!("topic {name} is missing; create it with: ipn-receiver topics --config FILE"))?;
        let (mut starts, mut ends) = (Offsets::new(), Offsets::new());
        for partition in found.partitions() {
            let (start, end) = consumer.fetch_watermarks(name, partition.id(), ANSWER_TIMEOUT).map_err(unreachable)?;
            starts.insert(partition.id(), start);
            ends.insert(partition.id(), end);
        }
        let transaction_end_timeout = Duration::from_millis(kafka.transaction_timeout_ms) + BROKER_CLEANUP_INTERVAL;
        Ok(Self { reader, starts, ends, transaction_end_timeout, kafka: kafka.clone(), role })
    }

    /// Reads only these partitions from now on.
    pub(super) fn keep(&mut self, partitions: &BTreeSet<i32>) {
        self.starts.retain(|partition, _| partitions.contains(partition));
        self.ends.retain(|partition, _| partitions.contains(partition));
    }

    /// The committed offsets of this consumer's group, of the partitions that have one.
    pub(super) fn committed(&self) -> Result<Offsets, Error> {
        let mut wanted = TopicPartitionList::new();
        for partition in self.ends.keys() {
            wanted.add_partition(self.name(), *partition);
        }
        let committed =
            committed_offsets(self.reader.consumer(), &wanted, ANSWER_TIMEOUT + self.transaction_end_timeout);
        let committed = committed.map_err(|error| self.read_error(&error))?;
        let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        };
        Ok(committed.elements().iter().filter_map(offset).collect())
    }

    /// The offset of each partition's first record that was written at this time or later, else its end.
    pub(super) fn offsets_at(&self, time: Timestamp) -> Result<Offsets, Error> {
        let consumer = self.reader.consumer();
        let is_mock = consumer.client().fetch_cluster_id(ANSWER_TIMEOUT).is_some_and(|id| id.starts_with(MOCK_CLUSTER));
        if is_mock {
            return Ok(self.starts.clone());
        }
        let mut wanted = TopicPartitionList::new();
        for partition in self.ends.keys() {
            wanted.add_partition_offset(self.name(), *partition, Offset::Offset(time.unix_ms()))?;
        }
        let found = consumer.offsets_for_times(wanted, ANSWER_TIMEOUT).map_err(|error| self.read_error(&error))?;
        let mut offsets = self.ends.clone();
        for element in found.elements() {
            if let Offset::Offset(offset) = element.offset() {
                offsets.insert(element.partition(), offset);
            }
        }
        Ok(offsets)
    }

    /// Reads on from these offsets, on a thread of its own. `is_temporary` says after which errors.
    pub(super) fn follow(self, from: Offsets, is_temporary: fn(&KafkaError) -> bool) -> Result<EventStream, Error> {
        let from = from.into_iter().map(|(partition, offset)| (partition, Offset::Offset(offset))).collect();
        let range = ReadRange { from, is_temporary, ..ReadRange::from_beginning([], Duration::MAX) };
        Ok(EventStream::start(self.reader, range)?)
    }

    /// Whether it holds no record.
    pub(super) fn is_empty(&self) -> bool {
        self.starts == self.ends
    }

    pub(super) fn read_error(&self, error: &KafkaError) -> Error {
        format!("cannot read {}: {}", self.name(), explained(&self.kafka, self.role, self.name(), error)).into()
    }

    /// The consumer's group, for offsets that are committed in a transaction.
    pub(super) fn group(&self) -> Result<rdkafka::consumer::ConsumerGroupMetadata, Error> {
        Ok(self.reader.consumer().group_metadata().ok_or("Kafka's client has no group metadata")?)
    }

    pub(super) fn name(&self) -> &str {
        self.reader.topic()
    }

    /// Reads from `from`, else from the log start, up to the end that the topic had when it was opened.
    pub(super) fn scan(&self, from: &Offsets, shown_as: Option<&'static str>) -> Result<TopicScan<'_>, Error> {
        let start = |(partition, start): (&i32, &i64)| {
            (*partition, Offset::Offset(from.get(partition).map_or(*start, |from| *from.max(start))))
        };
        let from = self.starts.iter().map(start).collect();
        // These have no ACL on a group.
        let needs_no_group = matches!(self.role, PrincipalRole::Recheck | PrincipalRole::Listen);
        let is_temporary = if needs_no_group { needs_no_stop } else { |_: &KafkaError| false };
        let range = ReadRange { from, to: self.ends.clone(), is_temporary, ..ReadRange::from_beginning([], PATIENCE) };
        let records = self.reader.read(range)?;
        let of = records.n_left();
        let is_worth_it = of >= WORTH_SHOWING;
        let progress = shown_as.filter(|_| is_worth_it).map(|what| Progress::new(Medium::Stderr, what, of));
        Ok(TopicScan { topic: self, records, of, progress })
    }
}

impl<'a> TopicScan<'a> {
    /// The next record, or none at the end.
    pub(super) fn next(&mut self) -> Result<Option<BorrowedMessage<'a>>, Error> {
        loop {
            match self.records.step() {
                Ok(Step::Record(message)) => return Ok(Some(message)),
                Ok(Step::Tick) => {
                    if let Some(progress) = &self.progress {
                        progress.at(self.of - self.records.n_left().min(self.of), None);
                    }
                }
                Ok(Step::End) => {
                    if let Some(progress) = self.progress.take() {
                        progress.at(self.of, None);
                        progress.end();
                    }
                    return Ok(None);
                }
                Err(ReadError::Kafka(error)) => return Err(self.topic.read_error(&error)),
                Err(ReadError::Stalled(patience)) => {
                    return Err(format!("{}: no record came for {} s", self.topic.name(), patience.as_secs()).into());
                }
            }
        }
    }
}

/// The cluster id of librdkafka's mock broker begins with this. It knows no times: it answers that no record is so late.
const MOCK_CLUSTER: &str = "mockCluster";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a broker ends transactions that took too long (`transaction.abort.timed.out.transaction.cleanup.interval.ms`).
const BROKER_CLEANUP_INTERVAL: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_mins(1);
/// A shorter scan shows no progress.
const WORTH_SHOWING: usize = 10_000;
