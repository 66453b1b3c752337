//! Step 4. The inbox topic: a genuine IPN is durable here before SNS is told 200, and the worker takes it from here.
//!
//! An append is acknowledged by all in-sync replicas or it failed. What is appended is the body as SNS sent it.

use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::config::Kafka;
use crate::domain::ipn::notification::Notification;
use crate::domain::ipn::recheck_request::{self, Recheck};
use crate::domain::record_headers::{self, header};
use crate::domain::state::schema_version::Newer;
use crate::domain::timestamp::Timestamp;
use crate::domain::trace::TraceParent;
use crate::domain::work::InboxPosition;
use crate::kafka::acls;
use crate::kafka::connection::cause;

/// The writing side.
pub struct Inbox {
    producer: FutureProducer<AppendContext>,
    topic: String,
    min_in_sync_replicas: usize,
}

/// Why a record was not made durable. Never the poster's fault.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The producer's own buffer is full: Kafka is slower than SNS.
    #[error("the append buffer is full; Kafka is slower than what is received")]
    Full,
    /// Kafka did not acknowledge it.
    #[error("Kafka did not acknowledge the record: {}", acls::told(.0))]
    NotAcknowledged(KafkaError),
}

/// One record as the worker reads it.
#[derive(Clone, Debug)]
pub struct InboxRecord {
    /// Where it stands.
    pub position: InboxPosition,
    /// When the broker appended it.
    pub appended_at: Timestamp,
    /// Its key.
    pub key: Vec<u8>,
    /// The SNS body.
    pub value: Vec<u8>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl AppendError {
    /// Kafka's word, if it is Kafka that refused.
    pub fn code(&self) -> Option<RDKafkaErrorCode> {
        match self {
            Self::Full => None,
            Self::NotAcknowledged(error) => error.rdkafka_error_code(),
        }
    }
}

impl Inbox {
    /// A producer for the inbox; connects in the background.
    pub fn new(kafka: &Kafka, min_in_sync_replicas: usize) -> Result<Self, KafkaError> {
        let mut client = kafka.client();
        client
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // What comes while a request is under way goes into the next one: fewer, larger requests. With more
            // than one under way, librdkafka's thread spins while a partition waits for the broker.
            .set("max.in.flight.requests.per.connection", "1")
            .set("linger.ms", kafka.append_linger_ms.to_string())
            .set("message.timeout.ms", kafka.append_timeout_ms.to_string())
            .set("request.timeout.ms", (kafka.append_timeout_ms / 2).max(1).to_string())
            .set("socket.timeout.ms", (kafka.append_timeout_ms / 2).max(1000).to_string())
            .set("queue.buffering.max.messages", "20000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("compression.type", "lz4")
            .set("partitioner", "murmur2_random");
        let producer = FutureProducer::from_config_and_context(&client, AppendContext)?;
        Ok(Self { producer, topic: kafka.topics().inbox, min_in_sync_replicas })
    }

    /// The inbox's topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Makes `notification` durable.
    pub async fn append(
        &self,
        notification: &Notification,
        received_at: Timestamp,
        traceparent: TraceParent,
    ) -> Result<(), AppendError> {
        let envelope = notification.envelope();
        let (received_at, traceparent) = (received_at.to_string(), traceparent.to_string());
        let headers = OwnedHeaders::new_with_capacity(5)
            .insert(Header { key: record_headers::SCHEMA_VERSION, value: Some(SCHEMA) })
            .insert(Header { key: record_headers::RECEIVED_AT, value: Some(&received_at) })
            .insert(Header { key: record_headers::SNS_MESSAGE_ID, value: Some(&envelope.message_id) })
            .insert(Header { key: record_headers::SNS_TOPIC_ARN, value: Some(envelope.topic_arn.as_str()) })
            .insert(Header { key: record_headers::TRACEPARENT, value: Some(&traceparent) });
        self.deliver(notification.key(), &envelope.body, headers).await
    }

    /// Makes what an operator asks for durable.
    pub async fn append_recheck(&self, recheck: &Recheck) -> Result<(), AppendError> {
        let headers = OwnedHeaders::new_with_capacity(2)
            .insert(Header { key: record_headers::SCHEMA_VERSION, value: Some(SCHEMA) })
            .insert(Header { key: record_headers::RECORD_KIND, value: Some(recheck_request::KIND) });
        self.deliver(recheck.object.account.merchant_id.as_str(), &recheck.to_json(), headers).await
    }

    async fn deliver(&self, key: &str, value: &[u8], headers: OwnedHeaders) -> Result<(), AppendError> {
        let record = FutureRecord::to(&self.topic).key(key).payload(value).headers(headers);
        // `send` would wait in a loop for room in the buffer; the poster is better told at once.
        let delivery = self.producer.send_result(record).map_err(|(error, _)| match error {
            KafkaError::MessageProduction(rdkafka::types::RDKafkaErrorCode::QueueFull) => AppendError::Full,
            other => AppendError::NotAcknowledged(other),
        })?;
        match delivery.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => Err(AppendError::NotAcknowledged(cause(&self.producer, error))),
            Err(_) => Err(AppendError::NotAcknowledged(KafkaError::Canceled)),
        }
    }

    /// Whether Kafka could take a record now: every partition has a leader and enough replicas in sync. Blocks.
    pub fn probe(&self, timeout: Duration) -> Result<(), String> {
        let metadata = self
            .producer
            .client()
            .fetch_metadata(Some(&self.topic), timeout)
            .map_err(|error| format!("Kafka cannot be asked about {}: {error}", self.topic))?;
        let topic = metadata.topics().first().ok_or("Kafka named no topic")?;
        if let Some(error) = topic.error() {
            return Err(format!("{}: {}", self.topic, RDKafkaErrorCode::from(error)));
        }
        for partition in topic.partitions() {
            let in_sync = partition.isr().len();
            // Kafka itself asks for no more replicas than a partition has.
            let needed = self.min_in_sync_replicas.min(partition.replicas().len());
            if partition.leader() < 0 || in_sync < needed {
                return Err(format!(
                    "{} partition {} has {in_sync} replicas in sync, {needed} are needed, and leader {}",
                    self.topic,
                    partition.id(),
                    partition.leader(),
                ));
            }
        }
        Ok(())
    }

    /// Whether the producer can do no more work in its life, which a right that was missing brings about, too.
    pub fn has_failed(&self) -> bool {
        self.producer.client().fatal_error().is_some()
    }

    /// Waits for records under way. Blocks.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.producer.flush(timeout)
    }
}

impl InboxRecord {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Whether its form is one that is read here. A record without the header has the first form.
    pub fn check_schema(&self) -> Result<(), String> {
        let Some(found) = self.header(record_headers::SCHEMA_VERSION) else { return Ok(()) };
        let number = |text: &str| {
            text.parse().map_err(|_| format!("{} is {found:.16}, which is no version", record_headers::SCHEMA_VERSION))
        };
        Newer::check(number(found)?, number(SCHEMA)?)
            .map_err(|newer| format!("an inbox record: {newer}, then redrive it"))
    }

    /// Copies a message out of librdkafka's hands.
    pub fn from_message(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
        });
        Self {
            position: InboxPosition { partition: message.partition(), offset: message.offset() },
            appended_at: Timestamp::from_unix_ms(message.timestamp().to_millis().unwrap_or(0)),
            key: message.key().unwrap_or_default().to_vec(),
            value: message.payload().unwrap_or_default().to_vec(),
            headers,
        }
    }
}

/// Reads single records back, for dead letters: the worker keeps positions, not bodies. A record that retention
/// has taken is `None`. Blocks.
pub fn read_back(
    kafka: &Kafka,
    positions: &[InboxPosition],
    timeout: Duration,
) -> Result<Vec<Option<InboxRecord>>, KafkaError> {
    let consumer = BaseConsumer::from_config(kafka.reader("read-back").set("auto.offset.reset", "error"))?;
    let topic = kafka.topics().inbox;
    positions.iter().map(|position| read_one(&consumer, &topic, *position, timeout)).collect()
}

fn read_one(
    consumer: &BaseConsumer,
    topic: &str,
    position: InboxPosition,
    timeout: Duration,
) -> Result<Option<InboxRecord>, KafkaError> {
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, position.partition, Offset::Offset(position.offset))?;
    consumer.assign(&assignment)?;
    let deadline = Instant::now() + timeout;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let is_it = message.partition() == position.partition && message.offset() == position.offset;
                return Ok(is_it.then(|| InboxRecord::from_message(&message)));
            }
            Some(Err(KafkaError::MessageConsumption(rdkafka::types::RDKafkaErrorCode::AutoOffsetReset))) => {
                return Ok(None);
            }
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
    Err(KafkaError::MessageConsumption(rdkafka::types::RDKafkaErrorCode::OperationTimedOut))
}

/// Version of the inbox records that this release writes.
const SCHEMA: &str = "1";

/// Keeps librdkafka's complaints for who asks; the probe and each failed append tell the trouble in one line.
struct AppendContext;

impl ClientContext for AppendContext {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "inbox producer");
    }
}
