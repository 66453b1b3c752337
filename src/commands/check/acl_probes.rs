//! ACL probes: each one uses an ACL in a way that has no visible effect, and so finds out whether the ACL is granted.
//!
//! The probe of Write sends a record that is larger than the topic accepts: the broker first checks the ACL and then rejects
//! the record. Two things remain on the brokers: the transactional id of a probe, until `transactional.id.expiration.ms` (7 days), and
//! an abort marker in `__consumer_offsets`.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, FutureProducer, FutureRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::config::Kafka;
use crate::kafka::acls::{AclEntry, Operation, Resource, is_refusal};
use crate::kafka::connection::{cause, committed_offsets};

/// The result of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AclProbe {
    Granted,
    Missing,
    /// The probe failed for another reason.
    Unknown(String),
}

/// Probes one ACL.
pub(super) async fn probe(kafka: &Kafka, acl: &AclEntry) -> AclProbe {
    let outcome = match (acl.operation, &acl.resource) {
        (Operation::Create, Resource::TopicsFrom(prefix)) => create(kafka, &format!("{prefix}check")).await,
        (Operation::DescribeConfigs, Resource::Topic(topic)) => max_message_bytes(kafka, topic).await.map(drop),
        (Operation::Write, Resource::Topic(topic)) => write(kafka, topic).await,
        _ => {
            let (kafka, acl) = (kafka.clone(), acl.clone());
            let probed = tokio::task::spawn_blocking(move || probe_blocking(&kafka, &acl)).await;
            probed.expect("a probe does not panic")
        }
    };
    outcome.map_or_else(Failure::result, |()| AclProbe::Granted)
}

/// Why a probe did not succeed.
struct Failure {
    code: Option<RDKafkaErrorCode>,
    what: String,
}

impl Failure {
    fn result(self) -> AclProbe {
        if self.code.is_some_and(is_refusal) { AclProbe::Missing } else { AclProbe::Unknown(self.what) }
    }
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Self {
        Self { code: error.rdkafka_error_code(), what: error.to_string() }
    }
}

impl From<RDKafkaErrorCode> for Failure {
    fn from(code: RDKafkaErrorCode) -> Self {
        Self { code: Some(code), what: code.to_string() }
    }
}

fn unknown(what: &str) -> Failure {
    Failure { code: None, what: what.to_owned() }
}

fn probe_blocking(kafka: &Kafka, acl: &AclEntry) -> Result<(), Failure> {
    let (_, name, is_prefix) = acl.resource.parts();
    // Two checks at the same time must not fence each other.
    let name = if is_prefix { format!("{name}check-{}", uuid::Uuid::new_v4()) } else { name.to_owned() };
    match (acl.operation, &acl.resource) {
        (Operation::Read, Resource::Topic(_)) => read(kafka, &name),
        (_, Resource::Topic(_) | Resource::TopicsFrom(_)) => describe(kafka, &name),
        (Operation::Read, Resource::Group(_) | Resource::GroupsFrom(_)) => commit_in_transaction(kafka, &name),
        (_, Resource::Group(_) | Resource::GroupsFrom(_)) => fetch_offsets(kafka, &name),
        (_, Resource::TransactionalIdsFrom(_)) => init_producer(kafka, &name).map(drop),
    }
}

/// The broker validates the request and creates no topic.
async fn create(kafka: &Kafka, topic: &str) -> Result<(), Failure> {
    let admin = AdminClient::<DefaultClientContext>::from_config(&kafka.client())?;
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let outcome = admin.create_topics(&[new], &options().validate_only(true)).await?;
    match outcome.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => Err(code.into()),
        _ => Ok(()),
    }
}

async fn max_message_bytes(kafka: &Kafka, topic: &str) -> Result<usize, Failure> {
    let admin = AdminClient::<DefaultClientContext>::from_config(&kafka.client())?;
    let described = admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options()).await?;
    let described = described.into_iter().next().ok_or_else(|| unknown("Kafka described no topic"))??;
    // librdkafka reports a refusal as a topic without settings; a real topic always has some.
    if described.entries.is_empty() {
        return Err(RDKafkaErrorCode::TopicAuthorizationFailed.into());
    }
    let setting = described.get("max.message.bytes").and_then(|entry| entry.value.as_ref()?.parse().ok());
    Ok(setting.unwrap_or(usize::MAX))
}

/// Sends a record that the topic rejects for its size, after the broker has checked the ACL.
async fn write(kafka: &Kafka, topic: &str) -> Result<(), Failure> {
    let size = match max_message_bytes(kafka, topic).await {
        Ok(size) => size.saturating_add(1),
        Err(Failure { code: Some(code), .. }) if is_refusal(code) => {
            return Err(unknown(
                "its probe needs the settings of the topic: the topic or the ACL DescribeConfigs on it is missing",
            ));
        }
        Err(failure) => return Err(failure),
    };
    if size > PROBE_BYTES_MAX {
        return Err(unknown("max.message.bytes of the topic is too large for a probe"));
    }
    let mut client = kafka.client();
    client
        .set("acks", "all")
        // An idempotent producer requests a producer id, as the receiver's own producers do.
        .set("enable.idempotence", "true")
        .set("message.max.bytes", (size + 1024).to_string())
        .set("compression.type", "none")
        .set("linger.ms", "0")
        .set("message.timeout.ms", TIMEOUT.as_millis().to_string());
    let producer = FutureProducer::<DefaultClientContext>::from_config(&client)?;
    let payload = vec![0_u8; size];
    // Without a key: the compacted state topic would reject the record for that, too.
    let record = FutureRecord::<(), _>::to(topic).payload(&payload).partition(0);
    match producer.send(record, Duration::ZERO).await {
        Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => Ok(()),
        Err((error, _)) => Err(cause(&producer, error).into()),
        Ok(_) => Err(unknown("the topic accepted a record that is larger than its max.message.bytes")),
    }
}

fn describe(kafka: &Kafka, topic: &str) -> Result<(), Failure> {
    let consumer = BaseConsumer::<rdkafka::consumer::DefaultConsumerContext>::from_config(&kafka.client())?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    match metadata.topics().first().and_then(rdkafka::metadata::MetadataTopic::error) {
        Some(error) => Err(RDKafkaErrorCode::from(error).into()),
        None => Ok(()),
    }
}

/// Reads from the end of the topic until the broker reports the end.
fn read(kafka: &Kafka, topic: &str) -> Result<(), Failure> {
    let mut reader = kafka.reader("start");
    reader.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "50").set("auto.offset.reset", "latest");
    let consumer = BaseConsumer::<rdkafka::consumer::DefaultConsumerContext>::from_config(&reader)?;
    describe(kafka, topic)?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::End)?;
    consumer.assign(&assignment)?;
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            // The error is about the group, and reading needs none.
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {}
            Some(Err(error)) if error.rdkafka_error_code().is_some_and(is_refusal) => return Err(error.into()),
            Some(Err(_)) | None => {}
        }
    }
    Err(unknown("the topic did not answer in time"))
}

/// Fetches the committed offsets of a group.
fn fetch_offsets(kafka: &Kafka, group: &str) -> Result<(), Failure> {
    let mut client = kafka.client();
    client.set("group.id", group).set("enable.auto.commit", "false");
    let consumer = BaseConsumer::<rdkafka::consumer::DefaultConsumerContext>::from_config(&client)?;
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition(&kafka.topics().state, 0);
    committed_offsets(&consumer, &wanted, TIMEOUT)?;
    Ok(())
}

/// Commits an offset of the group in a transaction, and aborts it. Joining the group would cause a rebalance of the workers.
fn commit_in_transaction(kafka: &Kafka, group: &str) -> Result<(), Failure> {
    fetch_offsets(kafka, group)?;
    let (id, topic) = if group == kafka.group() {
        (format!("{group}-check-{}", uuid::Uuid::new_v4()), kafka.topics().inbox)
    } else {
        // `redrive` uses one name as group id and as transactional id.
        (group.to_owned(), kafka.topics().dead_letters)
    };
    let producer = init_producer(kafka, &id).map_err(|failure| match failure.code {
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => {
            unknown("its probe needs the ACL Write on the transactional id, which is missing")
        }
        _ => failure,
    })?;
    let mut client = kafka.client();
    client.set("group.id", group);
    let consumer = BaseConsumer::<rdkafka::consumer::DefaultConsumerContext>::from_config(&client)?;
    let metadata = consumer.group_metadata().ok_or_else(|| unknown("Kafka's client has no group metadata"))?;
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&topic, 0, Offset::Offset(0))?;
    producer.begin_transaction()?;
    let sent = producer.send_offsets_to_transaction(&offsets, &metadata, TIMEOUT);
    let aborted = producer.abort_transaction(TIMEOUT);
    sent.map_err(|error| match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            unknown("its probe needs the ACL Read on the topic, which is missing")
        }
        _ => error.into(),
    })?;
    Ok(aborted?)
}

fn init_producer(kafka: &Kafka, id: &str) -> Result<BaseProducer, Failure> {
    let mut client = kafka.client();
    client
        .set("transactional.id", id)
        .set("transaction.timeout.ms", kafka.transaction_timeout_ms.to_string())
        .set("message.timeout.ms", (kafka.transaction_timeout_ms * 2 / 3).to_string())
        .set("socket.timeout.ms", kafka.transaction_timeout_ms.min(10_000).to_string());
    let producer: BaseProducer = BaseProducer::from_config(&client)?;
    producer.init_transactions(TIMEOUT)?;
    Ok(producer)
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

const TIMEOUT: Duration = Duration::from_secs(10);
/// The probe of Write sends one byte more than the topic's `max.message.bytes`.
const PROBE_BYTES_MAX: usize = 16 << 20;
