//! Reads a topic from given offsets to an end, in `read_committed`, without joining a consumer group.
//!
//! A [`TopicReader`] is the consumer. [`TopicReader::read`] assigns partitions and gives [`TopicRecords`], which the caller
//! steps through: a record, the end, or every [`TICK`] a chance to report progress or to stop. Nothing is copied or
//! allocated for a record. Callers differ in [`ReaderSettings`] and [`ReadRange`] only.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfig as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};

use crate::config::Kafka;

/// A consumer of one topic.
pub struct TopicReader {
    consumer: BaseConsumer,
    topic: String,
}

/// How the consumer of a topic is set up.
pub struct ReaderSettings<'a> {
    /// The topic.
    pub topic: String,
    /// The end of the group id `<group>-<purpose>`: librdkafka requires one, although no group is joined.
    pub purpose: &'a str,
    /// Where a partition ends.
    pub end: End,
    /// Further properties of librdkafka, which override those of this module.
    pub properties: &'a [(&'a str, &'a str)],
}

/// Where a partition ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the end of the log, or at the offset of [`ReadRange::to`] if that comes first.
    OfLog,
    /// Where the caller [closes](TopicRecords::close) it. At the end of the log the reader waits for more records.
    WhenClosed,
}

/// What to read, and how long to wait for it.
pub struct ReadRange {
    /// The first offset of each partition. A partition that is not named here is not read.
    pub from: BTreeMap<i32, Offset>,
    /// The first offset of each partition that is not read any more.
    pub to: BTreeMap<i32, i64>,
    /// How long one step may wait for a record.
    pub patience: Duration,
    /// Errors after which reading goes on, since librdkafka retries by itself.
    pub is_temporary: fn(&KafkaError) -> bool,
}

/// One pass through the records of a topic.
pub struct TopicRecords<'a> {
    consumer: &'a BaseConsumer,
    /// Partitions that have not ended.
    open: BTreeMap<i32, Extent>,
    patience: Duration,
    is_temporary: fn(&KafkaError) -> bool,
    ticked_at: Instant,
    /// Since when the caller waits for the next record.
    waiting_since: Option<Instant>,
}

/// One step through a topic.
pub enum Step<'a> {
    /// The next record.
    Record(BorrowedMessage<'a>),
    /// [`TICK`] has passed since the last one.
    Tick,
    /// Every partition has ended.
    End,
}

/// Why a topic was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Kafka returned an error.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// No record came in time.
    #[error("no record came for {0:?}")]
    Stalled(Duration),
}

/// What is left of a partition.
#[derive(Clone, Copy)]
struct Extent {
    next: i64,
    end: i64,
}

impl TopicReader {
    /// A consumer for the topic; connects in the background.
    pub fn new(kafka: &Kafka, settings: ReaderSettings<'_>) -> Result<Self, KafkaError> {
        let mut client = kafka.reader(settings.purpose);
        client.set("auto.offset.reset", "earliest");
        if settings.end == End::OfLog {
            client.set("enable.partition.eof", "true");
        }
        for (name, value) in settings.properties {
            client.set(*name, *value);
        }
        Ok(Self { consumer: BaseConsumer::from_config(&client)?, topic: settings.topic })
    }

    /// The consumer, for requests about the topic and the group.
    pub fn consumer(&self) -> &BaseConsumer {
        &self.consumer
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Waits until the leaders of the partitions are known. An assignment before that waits half a second until it asks
    /// for them again. After an error the assignment only takes longer. Blocks.
    pub fn await_leaders(&self) {
        let _ = self.consumer.fetch_metadata(Some(&self.topic), LEADERS_TIMEOUT);
    }

    /// The partitions of the topic. Blocks.
    pub fn partitions(&self, timeout: Duration) -> Result<Vec<i32>, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), timeout)?;
        let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        Ok(partitions.map(rdkafka::metadata::MetadataPartition::id).collect())
    }

    /// Starts to read. The records of an earlier call are not continued.
    pub fn read(&self, range: ReadRange) -> Result<TopicRecords<'_>, KafkaError> {
        let ReadRange { from, to, patience, is_temporary } = range;
        let mut assignment = TopicPartitionList::new();
        let mut open = BTreeMap::new();
        for (partition, start) in from {
            let next = if let Offset::Offset(offset) = start { offset } else { 0 };
            let end = to.get(&partition).copied().unwrap_or(i64::MAX);
            if next < end {
                assignment.add_partition_offset(&self.topic, partition, start)?;
                open.insert(partition, Extent { next, end });
            }
        }
        self.consumer.assign(&assignment)?;
        let (consumer, ticked_at) = (&self.consumer, Instant::now());
        Ok(TopicRecords { consumer, open, patience, is_temporary, ticked_at, waiting_since: None })
    }
}

impl ReadRange {
    /// All of these partitions, from their first records on.
    pub fn from_beginning(partitions: impl IntoIterator<Item = i32>, patience: Duration) -> Self {
        Self {
            from: partitions.into_iter().map(|partition| (partition, Offset::Beginning)).collect(),
            to: BTreeMap::new(),
            patience,
            is_temporary: |_| false,
        }
    }
}

impl<'a> TopicRecords<'a> {
    /// Waits for the next record, for the end, or until a tick is due. Blocks.
    pub fn step(&mut self) -> Result<Step<'a>, ReadError> {
        while !self.open.is_empty() {
            let now = Instant::now();
            let waiting_since = *self.waiting_since.get_or_insert(now);
            if now.duration_since(self.ticked_at) > TICK {
                self.ticked_at = now;
                return Ok(Step::Tick);
            }
            match self.consumer.poll(TICK) {
                Some(Ok(message)) if self.takes(&message) => {
                    self.waiting_since = None;
                    return Ok(Step::Record(message));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => self.close(partition),
                Some(Err(error)) if !(self.is_temporary)(&error) => return Err(error.into()),
                _ if waiting_since.elapsed() > self.patience => return Err(ReadError::Stalled(self.patience)),
                _ => {}
            }
        }
        Ok(Step::End)
    }

    /// The next record, or none at the end. Blocks.
    pub fn next_record(&mut self) -> Result<Option<BorrowedMessage<'a>>, ReadError> {
        loop {
            match self.step()? {
                Step::Record(message) => return Ok(Some(message)),
                Step::Tick => {}
                Step::End => return Ok(None),
            }
        }
    }

    /// Reads no more of this partition.
    pub fn close(&mut self, partition: i32) {
        self.open.remove(&partition);
    }

    /// How many partitions have not ended.
    pub fn n_open(&self) -> usize {
        self.open.len()
    }

    /// How many offsets are left up to [`ReadRange::to`].
    pub fn n_left(&self) -> usize {
        self.open.values().map(|extent| usize::try_from(extent.end - extent.next).unwrap_or(0)).sum()
    }

    /// Whether the record is in the range to read; advances its partition.
    fn takes(&mut self, message: &BorrowedMessage<'_>) -> bool {
        let (partition, offset) = (message.partition(), message.offset());
        let Some(extent) = self.open.get_mut(&partition) else { return false };
        let is_before_end = offset < extent.end;
        extent.next = offset + 1;
        if extent.next >= extent.end {
            self.close(partition);
        }
        is_before_end
    }
}

impl From<ReadError> for KafkaError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Kafka(error) => error,
            ReadError::Stalled(_) => Self::MessageConsumption(RDKafkaErrorCode::OperationTimedOut),
        }
    }
}

/// For [`ReadRange::is_temporary`]: a connection that does not exist yet, or no longer, since librdkafka retries. Or a missing
/// ACL on the group: reading without joining it needs none.
pub fn needs_no_stop(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, GroupAuthorizationFailed};
    matches!(error, KafkaError::MessageConsumption(BrokerTransportFailure | AllBrokersDown | GroupAuthorizationFailed))
}

/// How often [`TopicRecords::step`] returns to its caller at least.
pub const TICK: Duration = Duration::from_millis(100);
const LEADERS_TIMEOUT: Duration = Duration::from_secs(1);
