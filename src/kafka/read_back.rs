//! Reads single inbox records back, for dead letters: the worker keeps positions, not bodies.
//!
//! One consumer serves all of them. It joins no group and is assigned by hand; it reads each partition upward and skips what
//! lies between the wanted records. A caller gives it a budget of time at each call and does other work in between, while
//! librdkafka fetches.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfig as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::config::Kafka;
use crate::domain::work::InboxPosition;
use crate::kafka::inbox::InboxRecord;
use crate::kafka::topic_reader::needs_no_stop;

/// The consumer, and what it is to read.
pub struct ReadBack {
    consumer: BaseConsumer,
    topic: String,
    /// Partitions with records that were not found yet.
    wanted: BTreeMap<i32, Wanted>,
    found: HashMap<InboxPosition, InboxRecord>,
    /// How long calls have waited for a record since the last one came.
    waited: Duration,
}

/// What is left to read of one partition.
struct Wanted {
    /// Where reading began.
    from: i64,
    offsets: BTreeSet<i64>,
    /// Where the last seek led.
    sought: i64,
}

impl ReadBack {
    /// A consumer for the inbox; connects in the background.
    pub fn new(kafka: &Kafka) -> Result<Self, KafkaError> {
        let mut client = kafka.reader("read-back");
        client
            // At the end of the log, or after a reset to its start, the wanted records are gone.
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            // Records after the wanted ones are fetched for nothing.
            .set("fetch.message.max.bytes", "131072")
            .set("queued.min.messages", "1")
            .set("queued.max.messages.kbytes", "1024")
            // A fetch of one partition that waits for records delays the seeks of the others.
            .set("fetch.wait.max.ms", "10")
            .set("fetch.queue.backoff.ms", "2");
        let consumer = BaseConsumer::from_config(&client)?;
        let (wanted, found) = (BTreeMap::new(), HashMap::new());
        Ok(Self { consumer, topic: kafka.topics().inbox, wanted, found, waited: Duration::ZERO })
    }

    /// Starts to read these records. What is left of an earlier call is dropped.
    pub fn begin(&mut self, positions: &[InboxPosition]) -> Result<(), KafkaError> {
        self.cancel();
        let mut offsets: BTreeMap<i32, BTreeSet<i64>> = BTreeMap::new();
        for InboxPosition { partition, offset } in positions {
            offsets.entry(*partition).or_default().insert(*offset);
        }
        let mut assignment = TopicPartitionList::new();
        for (partition, offsets) in offsets {
            let Some(from) = offsets.first().copied() else { continue };
            assignment.add_partition_offset(&self.topic, partition, Offset::Offset(from))?;
            self.wanted.insert(partition, Wanted { from, offsets, sought: from });
        }
        // An assignment before the leaders are known waits for half a second until it asks for them again. After an error it
        // only takes longer.
        let _ = self.consumer.fetch_metadata(Some(&self.topic), LEADERS_TIMEOUT);
        self.consumer.assign(&assignment)?;
        // A partition may have been paused by an earlier call.
        self.consumer.resume(&assignment)
    }

    /// Reads on for at most `budget`. Returns the records when all wanted ones were looked for; one that is not among them is
    /// gone. An error means that the consumer must be replaced.
    pub fn read_on(&mut self, budget: Duration) -> Result<Option<HashMap<InboxPosition, InboxRecord>>, KafkaError> {
        let began = Instant::now();
        while !self.wanted.is_empty() {
            let left = budget.saturating_sub(began.elapsed());
            if left.is_zero() {
                self.waited += budget;
                let is_stalled = self.waited > PATIENCE;
                let stalled = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
                return if is_stalled { Err(stalled) } else { Ok(None) };
            }
            let record = match self.consumer.poll(left) {
                Some(Ok(message)) => {
                    let position = InboxPosition { partition: message.partition(), offset: message.offset() };
                    (position, self.wants(position).then(|| InboxRecord::from_message(&message)))
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.close(partition);
                    continue;
                }
                Some(Err(error)) if !needs_no_stop(&error) => return Err(error),
                Some(Err(_)) | None => continue,
            };
            self.note(record.0, record.1)?;
        }
        let found = std::mem::take(&mut self.found);
        self.cancel();
        Ok(Some(found))
    }

    /// Stops to read, and fetches nothing more.
    pub fn cancel(&mut self) {
        self.wanted.clear();
        self.found.clear();
        self.waited = Duration::ZERO;
        if let Err(error) = self.consumer.unassign() {
            tracing::debug!(%error, "the consumer of originals could not be unassigned");
        }
    }

    fn wants(&self, InboxPosition { partition, offset }: InboxPosition) -> bool {
        self.wanted.get(&partition).is_some_and(|wanted| wanted.offsets.contains(&offset))
    }

    /// Keeps a record, if it is wanted, and skips those before the next one.
    fn note(&mut self, position: InboxPosition, record: Option<InboxRecord>) -> Result<(), KafkaError> {
        let InboxPosition { partition, offset } = position;
        let Some(wanted) = self.wanted.get_mut(&partition) else { return Ok(()) };
        self.waited = Duration::ZERO;
        self.found.extend(record.map(|record| (position, record)));
        // Earlier ones are gone: a later record comes in place of them.
        wanted.offsets = wanted.offsets.split_off(&(offset + 1));
        let next = wanted.offsets.first().copied().filter(|_| offset >= wanted.from);
        match next {
            // The records are gone, or the log is now shorter than they say.
            None => self.close(partition),
            Some(next) if next - offset > SKIPPED_BY_READING && next != wanted.sought => {
                wanted.sought = next;
                self.consumer.seek(&self.topic, partition, Offset::Offset(next), Duration::ZERO)?;
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Fetches no more of a partition.
    fn close(&mut self, partition: i32) {
        self.wanted.remove(&partition);
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        if let Err(error) = self.consumer.pause(&list) {
            tracing::debug!(%error, partition, "a partition of the inbox that was read back could not be paused");
        }
    }
}

/// The next record is fetched by the same request, or by the next one, if it is at most this far away.
const SKIPPED_BY_READING: i64 = 100;
/// How long calls may wait for a record before the consumer counts as broken.
const PATIENCE: Duration = Duration::from_secs(10);
const LEADERS_TIMEOUT: Duration = Duration::from_secs(1);
