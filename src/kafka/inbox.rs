//! Step 4. The inbox topic: a genuine IPN is stored here before SNS is answered 200, and the worker reads it from here.
//!
//! An append succeeds when all in-sync replicas have acknowledged it. The value is the message of SNS, with the fields that
//! verification needs and no others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use crate::config::Kafka;
use crate::domain::ipn::in_charge_request::{self, SetInChargeSince};
use crate::domain::ipn::notification::Notification;
use crate::domain::ipn::recheck_request::{self, Recheck};
use crate::domain::record_headers::{self, header};
use crate::domain::schema_version::NewerVersion;
use crate::domain::sns::SigningCert;
use crate::domain::timestamp::Timestamp;
use crate::domain::trace::TraceParent;
use crate::domain::work::InboxPosition;
use crate::kafka::acls;
use crate::kafka::connection::cause;
use crate::kafka::outbox::MESSAGE_BYTES_MAX;

/// Appends to the inbox.
pub struct Inbox {
    producer: FutureProducer<AppendContext>,
    topic: String,
    min_in_sync_replicas: usize,
    n_appended: AtomicU64,
}

/// Why a record was not stored. It is never the fault of whoever posted the message.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The producer's buffer is full: Kafka is slower than SNS.
    #[error("the append buffer is full: Kafka takes records more slowly than they are received")]
    Full,
    /// Kafka did not acknowledge the record.
    #[error("Kafka did not acknowledge the record: {}", acls::describe_error(.0))]
    NotAcknowledged(KafkaError),
}

/// A record of the inbox.
#[derive(Clone, Debug)]
pub struct InboxRecord {
    /// Its position.
    pub position: InboxPosition,
    /// When the broker appended it, by the broker's clock.
    pub appended_at: Timestamp,
    /// Its key.
    pub key: Vec<u8>,
    /// The SNS message, or an operator's request.
    pub value: Vec<u8>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl AppendError {
    /// Kafka's error code, if the error is Kafka's.
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
            // Records that come during a request go into the next one: fewer, larger requests. With more than one
            // request in flight, librdkafka's thread spins while a partition waits for the broker.
            .set("max.in.flight.requests.per.connection", "1")
            .set("linger.ms", kafka.append_linger_ms.to_string())
            .set("message.timeout.ms", kafka.append_timeout_ms.to_string())
            .set("request.timeout.ms", (kafka.append_timeout_ms / 2).max(1).to_string())
            .set("socket.timeout.ms", (kafka.append_timeout_ms / 2).max(1000).to_string())
            .set("message.max.bytes", MESSAGE_BYTES_MAX)
            .set("queue.buffering.max.messages", "20000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("compression.type", "lz4")
            .set("partitioner", "murmur2_random");
        let producer = FutureProducer::from_config_and_context(&client, AppendContext)?;
        Ok(Self { producer, topic: kafka.topics().inbox, min_in_sync_replicas, n_appended: AtomicU64::new(0) })
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Stores a notification that `signing_cert` signed.
    pub async fn append(
        &self,
        notification: &Notification,
        signing_cert: &SigningCert,
        received_at: Timestamp,
        traceparent: TraceParent,
    ) -> Result<(), AppendError> {
        let envelope = notification.envelope();
        let (received_at, traceparent) = (received_at.to_string(), traceparent.to_string());
        let mut headers = OwnedHeaders::new_with_capacity(6)
            .insert(Header { key: record_headers::SCHEMA_VERSION, value: Some(SCHEMA) })
            .insert(Header { key: record_headers::RECEIVED_AT, value: Some(&received_at) })
            .insert(Header { key: record_headers::SNS_MESSAGE_ID, value: Some(&envelope.message_id) })
            .insert(Header { key: record_headers::SNS_TOPIC_ARN, value: Some(envelope.topic_arn.as_str()) })
            .insert(Header { key: record_headers::TRACEPARENT, value: Some(&traceparent) });
        // A certificate is larger than most messages, and a new process finds it in one of the newest records.
        if self.n_appended.fetch_add(1, Ordering::Relaxed).is_multiple_of(RECORDS_PER_CERT) {
            let cert = signing_cert.to_base64();
            headers = headers.insert(Header { key: record_headers::SIGNING_CERT, value: Some(&cert) });
        }
        self.deliver(notification.key(), &envelope.to_json(), headers).await
    }

    /// Stores an operator's request to recheck an object.
    pub async fn append_recheck(&self, recheck: &Recheck) -> Result<(), AppendError> {
        let headers = request_headers(recheck_request::KIND);
        self.deliver(recheck.object.account.merchant_id.as_str(), &recheck.to_json(), headers).await
    }

    /// Stores an operator's request to set since when a merchant has been in our charge.
    pub async fn append_in_charge_since(&self, request: &SetInChargeSince) -> Result<(), AppendError> {
        let headers = request_headers(in_charge_request::KIND);
        self.deliver(request.account.merchant_id.as_str(), &request.to_json(), headers).await
    }

    async fn deliver(&self, key: &str, value: &[u8], headers: OwnedHeaders) -> Result<(), AppendError> {
        let record = FutureRecord::to(&self.topic).key(key).payload(value).headers(headers);
        // `send` would wait for room in the buffer; SNS gets its 503 at once instead, and retries.
        let delivery = self.producer.send_result(record).map_err(|(error, _)| match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => AppendError::Full,
            other => AppendError::NotAcknowledged(other),
        })?;
        match delivery.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => Err(AppendError::NotAcknowledged(cause(&self.producer, error))),
            Err(_) => Err(AppendError::NotAcknowledged(KafkaError::Canceled)),
        }
    }

    /// Checks that Kafka could take a record now: every partition has a leader and enough in-sync replicas. Blocks.
    pub fn probe(&self, timeout: Duration) -> Result<(), String> {
        let metadata = self
            .producer
            .client()
            .fetch_metadata(Some(&self.topic), timeout)
            .map_err(|error| format!("cannot fetch metadata of {} from Kafka: {error}", self.topic))?;
        let topic = metadata.topics().first().ok_or("Kafka returned no topic")?;
        if let Some(error) = topic.error() {
            return Err(format!("{}: {}", self.topic, RDKafkaErrorCode::from(error)));
        }
        for partition in topic.partitions() {
            let in_sync = partition.isr().len();
            // Kafka requires no more replicas than a partition has.
            let needed = self.min_in_sync_replicas.min(partition.replicas().len());
            if partition.leader() < 0 || in_sync < needed {
                return Err(format!(
                    "{} partition {} has {in_sync} in-sync replicas ({needed} are needed) and leader {}",
                    self.topic,
                    partition.id(),
                    partition.leader(),
                ));
            }
        }
        Ok(())
    }

    /// Whether the producer has failed for good, for example after a missing ACL. A new one is needed.
    pub fn has_failed(&self) -> bool {
        self.producer.client().fatal_error().is_some()
    }

    /// Waits until records in flight are acknowledged. Blocks.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.producer.flush(timeout)
    }
}

impl InboxRecord {
    /// The text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Checks that this release reads the record's schema version. A record without the header has the first one.
    pub fn check_schema(&self) -> Result<(), String> {
        let Some(found) = self.header(record_headers::SCHEMA_VERSION) else { return Ok(()) };
        let number = |text: &str| {
            text.parse().map_err(|_| format!("{} is {found:.16}, which is no version", record_headers::SCHEMA_VERSION))
        };
        NewerVersion::check(number(found)?, number(SCHEMA)?)
            .map_err(|newer| format!("an inbox record: {newer}, then redrive it"))
    }

    /// Copies a message.
    pub fn from_message(message: &BorrowedMessage<'_>) -> Self {
        let copy = |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.unwrap_or_default().to_vec());
        let headers = headers_of(message).map(copy).collect();
        Self {
            position: InboxPosition { partition: message.partition(), offset: message.offset() },
            appended_at: Timestamp::from_unix_ms(message.timestamp().to_millis().unwrap_or(0)),
            key: message.key().unwrap_or_default().to_vec(),
            value: message.payload().unwrap_or_default().to_vec(),
            headers,
        }
    }
}

/// The headers of a record, without those whose name is not text: the Rust client panics on such a name, and a producer of
/// another program can write one.
pub fn headers_of<'a>(message: &'a BorrowedMessage<'_>) -> impl Iterator<Item = Header<'a, &'a [u8]>> {
    let headers = message.headers();
    let get = move |index| catch_unwind(AssertUnwindSafe(|| headers?.try_get(index))).ok().flatten();
    (0..headers.map_or(0, Headers::count)).filter_map(get)
}

/// The headers of an operator's request of this kind.
fn request_headers(kind: &str) -> OwnedHeaders {
    OwnedHeaders::new_with_capacity(2)
        .insert(Header { key: record_headers::SCHEMA_VERSION, value: Some(SCHEMA) })
        .insert(Header { key: record_headers::RECORD_KIND, value: Some(kind) })
}

/// One record in so many holds the certificate of its message.
const RECORDS_PER_CERT: u64 = 8;

/// Version of the inbox records that this release writes.
const SCHEMA: &str = "1";

/// Logs librdkafka's errors at debug level only: the probe and each failed append report them.
struct AppendContext;

impl ClientContext for AppendContext {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "inbox producer reported an error");
    }
}
