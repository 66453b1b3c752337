//! Step 8. The Kafka transaction: events, known state, dead letters and inbox offsets, all of them or none.
//!
//! librdkafka retries by itself and may not know the outcome of a commit. Every outcome that is not certain is [`InDoubt`].
//! The caller then opens a new producer, which commits or aborts the old transaction, and restores the state from Kafka. A
//! transaction contains no request to Amazon and takes well under a second.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};

use self::commit_monitor::CommitMonitor;
use crate::config::{Kafka, Topics};
use crate::domain::dead_letter::redrive::Redriven;
use crate::domain::dead_letter::{DeadLetter, Writer};
use crate::domain::events::{Encoded, Event, Wire};
use crate::domain::record_headers;
use crate::domain::state::in_charge::InCharge;
use crate::domain::state::partitioner::partition_of;
use crate::domain::state::{KnownState, VERSION};
use crate::domain::timestamp::Timestamp;
use crate::failpoints;
use crate::kafka::acls;
use crate::kafka::state_store::{BARRIER_KEY, COMPLETENESS_MARKER_KEY, CompletenessMarker};

mod commit_monitor;

/// What a transaction writes besides the offsets.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events and their sequence numbers, in order.
    pub events: Vec<(Event, u64)>,
    /// Changed state records.
    pub records: Vec<StateRecord>,
    /// Changed records of since when a merchant has been in our charge, with the partition that owns the merchant.
    pub in_charge: Vec<(i32, InCharge)>,
    /// Dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// Completeness markers of partitions of the state topic.
    pub markers: Vec<(i32, CompletenessMarker)>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        let Self { events, records, in_charge, dead_letters, markers } = self;
        events.is_empty() && records.is_empty() && in_charge.is_empty() && dead_letters.is_empty() && markers.is_empty()
    }
}

/// Always, but where a fault test breaks it.
fn commits_offsets() -> bool {
    !failpoints::breaks("fencing") && !failpoints::breaks("offsets-in-transaction")
}

/// A record of the state topic.
#[derive(Debug)]
pub struct StateRecord {
    /// Its key.
    pub key: String,
    /// The partition that owns its merchant.
    pub partition: i32,
    /// The known state; none for a tombstone.
    pub value: Option<KnownState>,
}

/// The outcome of a transaction is not known, or the transaction failed, or its producer may not begin another one. The
/// text says why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", if *.is_committed { "transaction committed, but its producer may not begin another one" } else { "transaction in doubt" })]
pub struct InDoubt {
    what: String,
    /// Kafka's error code, if an ACL is missing.
    pub refused: Option<RDKafkaErrorCode>,
    /// Whether the transaction was committed, so that only its producer must be replaced.
    pub is_committed: bool,
}

/// An initialised transactional producer.
pub struct Outbox {
    producer: BaseProducer<CommitMonitor>,
    topics: Topics,
    wire: Wire,
    /// How many partitions of the events topic hold events; all of them, if it is not known.
    events_partitions: Option<i32>,
    instance: String,
    /// The nonce of the last barrier. Each state record names the barrier under which it was written.
    barrier: String,
}

impl Outbox {
    /// A new producer. Its `InitProducerId` completes or aborts the transaction that an earlier producer of the same
    /// transactional id left open. Blocks.
    pub fn open(kafka: &Kafka, transactional_id: &str, wire: Wire) -> Result<Self, InDoubt> {
        let mut client = kafka.client();
        let debug = CommitMonitor::debug(&client);
        client
            .set("debug", debug)
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", kafka.transaction_timeout_ms.to_string())
            .set("message.timeout.ms", (kafka.transaction_timeout_ms * 2 / 3).to_string())
            // librdkafka refuses a timeout above the transaction's.
            .set("socket.timeout.ms", kafka.transaction_timeout_ms.min(10_000).to_string())
            .set("linger.ms", "0")
            .set("message.max.bytes", MESSAGE_BYTES_MAX)
            .set("queue.buffering.max.messages", "100000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("compression.type", "lz4")
            .set("partitioner", "murmur2_random")
            .set_log_level(RDKafkaLogLevel::Debug);
        let producer = BaseProducer::from_config_and_context(&client, CommitMonitor::default())?;
        // Without a connection, librdkafka looks for the coordinator again only after half a second, which would delay a
        // rebalance. The first answer names the brokers and ends its own connection; the second one comes over a connection
        // that stays open. After an error, only that delay remains.
        for _ in 0..2 {
            let _ = producer.client().fetch_metadata(Some(&kafka.topics().inbox), CONNECT_TIMEOUT);
        }
        producer.init_transactions(Duration::from_millis(kafka.transaction_timeout_ms))?;
        Ok(Self {
            producer,
            topics: kafka.topics(),
            wire,
            events_partitions: None,
            instance: transactional_id.to_owned(),
            barrier: String::new(),
        })
    }

    /// Publishes events to this many partitions, also if partitions are added to the topic: the events of a charge permission
    /// must stay in one partition.
    #[must_use]
    pub fn with_events_partitions(self, events_partitions: Option<i32>) -> Self {
        Self { events_partitions, ..self }
    }

    /// Writes a barrier into each partition of the state topic. Once it is committed, no earlier owner can commit a
    /// transaction there, so a `read_committed` reader that has reached the barrier has read everything.
    pub fn barrier(
        &mut self,
        nonce: &str,
        positions: &BTreeMap<i32, i64>,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), InDoubt> {
        nonce.clone_into(&mut self.barrier);
        let none = BTreeMap::new();
        let offsets = if failpoints::breaks("barrier-offset") { &none } else { positions };
        self.transaction(&self.topics.inbox, offsets, group, || {
            positions.keys().try_for_each(|partition| {
                self.send(BaseRecord::to(&self.topics.state).key(BARRIER_KEY).payload(nonce).partition(*partition))
            })
        })
    }

    /// Publishes a batch. `positions` holds an offset for every assigned partition, also for those that did not move: a
    /// transaction without offsets sends no `TxnOffsetCommit`, so no group coordinator would check the member's generation.
    pub fn commit(
        &self,
        batch: &Batch,
        positions: &BTreeMap<i32, i64>,
        group: &ConsumerGroupMetadata,
        now: Timestamp,
    ) -> Result<(), InDoubt> {
        // Without offsets nothing is left to commit, and librdkafka sends no EndTxn.
        if batch.is_empty() && !commits_offsets() {
            return Ok(());
        }
        self.transaction(&self.topics.inbox, positions, group, || {
            for (event, sequence) in &batch.events {
                self.send_event(event, *sequence)?;
            }
            if !batch.events.is_empty() {
                failpoints::reach("events-sent");
            }
            for StateRecord { key, partition, value } in &batch.records {
                self.send_state(key, *partition, value.as_ref().map(json).as_deref())?;
            }
            for (partition, in_charge) in &batch.in_charge {
                let value = serde_json::to_vec(in_charge).expect("ids and times are plain data");
                self.send_state(&InCharge::key_of(&in_charge.account), *partition, Some(&value))?;
            }
            for (partition, marker) in &batch.markers {
                let value = serde_json::to_vec(marker).expect("a marker is plain data");
                self.send(
                    BaseRecord::to(&self.topics.state)
                        .key(COMPLETENESS_MARKER_KEY)
                        .payload(&value)
                        .partition(*partition),
                )?;
            }
            batch.dead_letters.iter().try_for_each(|dead_letter| self.send_dead_letter(dead_letter, now))
        })
    }

    /// Appends dead letters to the inbox again, and commits the offsets up to which the dead-letter topic was processed.
    pub fn redrive(
        &self,
        dead_letters: &[Redriven],
        positions: &BTreeMap<i32, i64>,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), InDoubt> {
        self.transaction(&self.topics.dead_letters, positions, group, || {
            dead_letters.iter().try_for_each(|dead_letter| {
                let record = BaseRecord::to(&self.topics.inbox).key(dead_letter.key()).payload(dead_letter.value());
                self.send(record.headers(to_kafka(dead_letter.headers())))
            })
        })
    }

    /// Commits what `write` sends together with the group's offsets in `topic`.
    fn transaction(
        &self,
        topic: &str,
        positions: &BTreeMap<i32, i64>,
        group: &ConsumerGroupMetadata,
        write: impl FnOnce() -> Result<(), InDoubt>,
    ) -> Result<(), InDoubt> {
        let started = Instant::now();
        // Errors from the time without an open transaction, such as a restarted broker, do not concern this one.
        self.poll_events();
        self.producer.context().reset();
        self.producer.begin_transaction()?;
        write()?;
        failpoints::reach("after-produce");
        self.await_deliveries()?;
        let mut offsets = TopicPartitionList::new();
        for (partition, position) in positions {
            offsets.add_partition_offset(topic, *partition, Offset::Offset(*position))?;
        }
        if commits_offsets() {
            self.producer.send_offsets_to_transaction(&offsets, group, Duration::from_secs(10))?;
        }
        failpoints::reach("after-send-offsets");
        self.producer.commit_transaction(Timeout::Never)?;
        failpoints::reach("after-commit");
        metrics::histogram!("ipn_receiver_transaction_seconds").record(started.elapsed().as_secs_f64());
        // It is committed. Whether this producer may write another transaction depends on how the commit was answered.
        self.poll_events();
        if failpoints::breaks("commit-in-doubt") {
            return Ok(());
        }
        let (took, monitor) = (started.elapsed(), self.producer.context());
        let was_quick =
            if took > COMMIT_TIME_MAX { Err(in_doubt(format!("the commit took {took:?}"))) } else { Ok(()) };
        let is_clear = was_quick.and_then(|()| monitor.commit_is_clear()).and_then(|()| monitor.check());
        is_clear.map_err(|in_doubt| InDoubt { is_committed: true, ..in_doubt })
    }

    /// Polls until the client has no more callbacks to run: a poll without waiting runs one.
    fn poll_events(&self) {
        let context = self.producer.context();
        let mut before = None;
        while before != Some(context.n_callbacks()) {
            before = Some(context.n_callbacks());
            self.producer.poll(Duration::ZERO);
        }
    }

    /// Waits until every record is acknowledged. A commit before that takes 100 ms longer in librdkafka.
    fn await_deliveries(&self) -> Result<(), InDoubt> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.producer.in_flight_count() > 0 {
            if Instant::now() > deadline {
                return Err(in_doubt("records were not acknowledged in time".to_owned()));
            }
            self.producer.poll(Duration::from_millis(1));
        }
        self.producer.context().check()
    }

    fn send_event(&self, event: &Event, sequence: u64) -> Result<(), InDoubt> {
        let Encoded { headers, value } = self.wire.encode(event, sequence);
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let key = event.charge_permission_id.as_str();
        let record = BaseRecord::to(&self.topics.events).key(key).payload(&value).headers(headers);
        self.send(match self.events_partitions {
            Some(count) => record.partition(partition_of(key, count)),
            None => record,
        })
    }

    /// Sends a state record, which names the barrier of its writer; without a value it is a tombstone.
    fn send_state(&self, key: &str, partition: i32, value: Option<&[u8]>) -> Result<(), InDoubt> {
        let headers =
            OwnedHeaders::new().insert(Header { key: record_headers::BARRIER_ID, value: Some(&self.barrier) });
        let record = BaseRecord::<str, [u8]>::to(&self.topics.state).key(key).partition(partition).headers(headers);
        self.send(match value {
            Some(value) => record.payload(value),
            None => record,
        })
    }

    fn send_dead_letter(&self, dead_letter: &DeadLetter, now: Timestamp) -> Result<(), InDoubt> {
        let mut headers = to_kafka(&dead_letter.headers);
        let (inbox, instance) = (self.topics.inbox.as_str(), self.instance.as_str());
        for (key, value) in
            dead_letter.own_headers(&Writer { inbox, instance, version: env!("CARGO_PKG_VERSION"), now })
        {
            headers = headers.insert(Header { key, value: Some(&value) });
        }
        self.send(
            BaseRecord::to(&self.topics.dead_letters)
                .key(&dead_letter.key)
                .payload(&dead_letter.value)
                .headers(headers),
        )
    }

    /// Waits for room in the producer's buffer, so that no batch is too large for it.
    fn send<K: rdkafka::message::ToBytes + ?Sized, P: rdkafka::message::ToBytes + ?Sized>(
        &self,
        mut record: BaseRecord<'_, K, P>,
    ) -> Result<(), InDoubt> {
        let deadline = Instant::now() + SEND_TIMEOUT;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused))
                    if Instant::now() < deadline =>
                {
                    self.producer.poll(Duration::from_millis(1));
                    record = refused;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
}

/// The value of a state record. A failpoint makes a worker act as the next release, with the next version of the format.
fn json(state: &KnownState) -> Vec<u8> {
    let later = failpoints::breaks("next-version").then(|| KnownState { version: VERSION + 1, ..state.clone() });
    serde_json::to_vec(later.as_ref().unwrap_or(state)).expect("known state is plain data")
}

fn in_doubt(what: String) -> InDoubt {
    InDoubt { what, refused: None, is_committed: false }
}

fn to_kafka(headers: &[(String, Vec<u8>)]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }))
}

impl From<KafkaError> for InDoubt {
    fn from(error: KafkaError) -> Self {
        let refused = error.rdkafka_error_code().filter(|code| acls::is_refusal(*code));
        Self { refused, ..in_doubt(acls::describe_error(&error)) }
    }
}

/// A commit that takes longer may have been sent twice.
const COMMIT_TIME_MAX: Duration = Duration::from_secs(5);
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Room for a record of [`RECORD_BYTES_MAX`](crate::domain::RECORD_BYTES_MAX). Each topic takes batches of this size.
pub(super) const MESSAGE_BYTES_MAX: &str = "1000000";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
