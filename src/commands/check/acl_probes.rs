//! Whether one right is given, proven by using it, so that nothing is left behind that anybody would see.
//!
//! Write is proven by a record that is larger than the topic takes: the broker asks for the right first and then refuses the
//! record. What stays: the transactional id of a probe for the week that brokers keep idle ones, and in
//! `__consumer_offsets` the end of an aborted transaction.

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

/// What using it brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AclProbe {
    Given,
    Missing,
    /// Something else was in the way.
    Unknown(String),
}

/// Uses the right.
pub(super) async fn prove(kafka: &Kafka, right: &AclEntry) -> AclProbe {
    let outcome = match (right.operation, &right.resource) {
        (Operation::Create, Resource::TopicsFrom(prefix)) => create(kafka, &format!("{prefix}check")).await,
        (Operation::DescribeConfigs, Resource::Topic(topic)) => max_message_bytes(kafka, topic).await.map(drop),
        (Operation::Write, Resource::Topic(topic)) => write(kafka, topic).await,
        _ => {
            let (kafka, right) = (kafka.clone(), right.clone());
            let proven = tokio::task::spawn_blocking(move || prove_blocking(&kafka, &right)).await;
            proven.expect("a proof does not panic")
        }
    };
    outcome.map_or_else(Trouble::proof, |()| AclProbe::Given)
}

/// Why a proof did not succeed.
struct Trouble {
    code: Option<RDKafkaErrorCode>,
    what: String,
}

impl Trouble {
    fn proof(self) -> AclProbe {
        if self.code.is_some_and(is_refusal) { AclProbe::Missing } else { AclProbe::Unknown(self.what) }
    }
}

impl From<KafkaError> for Trouble {
    fn from(error: KafkaError) -> Self {
        Self { code: error.rdkafka_error_code(), what: error.to_string() }
    }
}

impl From<RDKafkaErrorCode> for Trouble {
    fn from(code: RDKafkaErrorCode) -> Self {
        Self { code: Some(code), what: code.to_string() }
    }
}

fn unknown(what: &str) -> Trouble {
    Trouble { code: None, what: what.to_owned() }
}

fn prove_blocking(kafka: &Kafka, right: &AclEntry) -> Result<(), Trouble> {
    let (_, name, is_prefix) = right.resource.parts();
    // Two checks at once must not take each other for dead.
    let name = if is_prefix { format!("{name}check-{}", uuid::Uuid::new_v4()) } else { name.to_owned() };
    match (right.operation, &right.resource) {
        (Operation::Read, Resource::Topic(_)) => read(kafka, &name),
        (_, Resource::Topic(_) | Resource::TopicsFrom(_)) => describe(kafka, &name),
        (Operation::Read, Resource::Group(_) | Resource::GroupsFrom(_)) => take_part(kafka, &name),
        (_, Resource::Group(_) | Resource::GroupsFrom(_)) => ask_for_offsets(kafka, &name),
        (_, Resource::TransactionalIdsFrom(_)) => transactional(kafka, &name).map(drop),
    }
}

/// The broker looks whether it could make the topic, and makes none.
async fn create(kafka: &Kafka, topic: &str) -> Result<(), Trouble> {
    let admin = AdminClient::<DefaultClientContext>::from_config(&kafka.client())?;
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let outcome = admin.create_topics(&[new], &options().validate_only(true)).await?;
    match outcome.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => Err(code.into()),
        _ => Ok(()),
    }
}

async fn max_message_bytes(kafka: &Kafka, topic: &str) -> Result<usize, Trouble> {
    let admin = AdminClient::<DefaultClientContext>::from_config(&kafka.client())?;
    let described = admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options()).await?;
    let described = described.into_iter().next().ok_or_else(|| unknown("Kafka named no topic"))??;
    // librdkafka tells a refusal of this kind as a topic without any setting, which there is not.
    if described.entries.is_empty() {
        return Err(RDKafkaErrorCode::TopicAuthorizationFailed.into());
    }
    let setting = described.get("max.message.bytes").and_then(|entry| entry.value.as_ref()?.parse().ok());
    Ok(setting.unwrap_or(usize::MAX))
}

/// A record that the topic refuses for its size, after the broker has asked for the right.
async fn write(kafka: &Kafka, topic: &str) -> Result<(), Trouble> {
    let size = match max_message_bytes(kafka, topic).await {
        Ok(size) => size.saturating_add(1),
        Err(Trouble { code: Some(code), .. }) if is_refusal(code) => {
            return Err(unknown(
                "without the right DescribeConfigs nobody knows which record the topic would refuse; the command itself tells",
            ));
        }
        Err(trouble) => return Err(trouble),
    };
    if size > PROOF_BYTES_MAX {
        return Err(unknown("the topic takes records that are too large for a proof"));
    }
    let mut client = kafka.client();
    client
        .set("acks", "all")
        // An idempotent producer would ask for its id at the end of this.
        .set("enable.idempotence", "true")
        .set("message.max.bytes", (size + 1024).to_string())
        .set("compression.type", "none")
        .set("linger.ms", "0")
        .set("message.timeout.ms", TIMEOUT.as_millis().to_string());
    let producer = FutureProducer::<DefaultClientContext>::from_config(&client)?;
    let payload = vec![0_u8; size];
    // The state topic takes no record without a key either.
    let record = FutureRecord::<(), _>::to(topic).payload(&payload).partition(0);
    match producer.send(record, Duration::ZERO).await {
        Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => Ok(()),
        Err((error, _)) => Err(cause(&producer, error).into()),
        Ok(_) => Err(unknown("the topic took a record that is larger than it says")),
    }
}

fn describe(kafka: &Kafka, topic: &str) -> Result<(), Trouble> {
    let consumer = BaseConsumer::<rdkafka::consumer::DefaultConsumerContext>::from_config(&kafka.client())?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    match metadata.topics().first().and_then(rdkafka::metadata::MetadataTopic::error) {
        Some(error) => Err(RDKafkaErrorCode::from(error).into()),
        None => Ok(()),
    }
}

/// Reads from the end on, where there is nothing yet, until the broker says so.
fn read(kafka: &Kafka, topic: &str) -> Result<(), Trouble> {
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
            // About the group; reading goes on without it.
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {}
            Some(Err(error)) if error.rdkafka_error_code().is_some_and(is_refusal) => return Err(error.into()),
            Some(Err(_)) | None => {}
        }
    }
    Err(unknown("nothing was heard of the topic in time"))
}

/// Asks for the offsets that a group has committed.
fn ask_for_offsets(kafka: &Kafka, group: &str) -> Result<(), Trouble> {
    let mut client = kafka.client();
    client.set("group.id", group).set("enable.auto.commit", "false");
    let consumer = BaseConsumer::<rdkafka::consumer::DefaultConsumerContext>::from_config(&client)?;
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition(&kafka.topics().state, 0);
    committed_offsets(&consumer, &wanted, TIMEOUT)?;
    Ok(())
}

/// Offers the group an offset in a transaction that is aborted: joining would make the workers share anew.
fn take_part(kafka: &Kafka, group: &str) -> Result<(), Trouble> {
    ask_for_offsets(kafka, group)?;
    let (id, topic) = if group == kafka.group() {
        (format!("{group}-check-{}", uuid::Uuid::new_v4()), kafka.topics().inbox)
    } else {
        // `redrive` names group and transactional id alike.
        (group.to_owned(), kafka.topics().dead_letters)
    };
    let producer = transactional(kafka, &id).map_err(|trouble| match trouble.code {
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => {
            unknown("it is proven in a transaction, and the right to the transactional id is missing")
        }
        _ => trouble,
    })?;
    let mut client = kafka.client();
    client.set("group.id", group);
    let consumer = BaseConsumer::<rdkafka::consumer::DefaultConsumerContext>::from_config(&client)?;
    let metadata = consumer.group_metadata().ok_or_else(|| unknown("Kafka's client has no group metadata"))?;
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&topic, 0, Offset::Offset(0))?;
    producer.begin_transaction()?;
    let offered = producer.send_offsets_to_transaction(&offsets, &metadata, TIMEOUT);
    let aborted = producer.abort_transaction(TIMEOUT);
    offered.map_err(|error| match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            unknown("it is proven with an offset of the topic, and the right to read that is missing")
        }
        _ => error.into(),
    })?;
    Ok(aborted?)
}

fn transactional(kafka: &Kafka, id: &str) -> Result<BaseProducer, Trouble> {
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
/// A proof of Write sends a record of the topic's `max.message.bytes` and one.
const PROOF_BYTES_MAX: usize = 16 << 20;
