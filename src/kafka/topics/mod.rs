//! The four topics: making them, telling how they differ from what they must be, and refusing to start on ones that
//! break a promise.

mod cluster;

mod compare;
mod difference;
mod plan;
mod rules;

mod partition_count;

use std::fmt::Write as _;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use self::compare::{compare, compare_record, together};
use self::difference::Wanted;
pub use self::difference::{Difference, Severity};
use self::partition_count::RecordedCount;
use self::plan::plans;
use crate::config::{Config, Kafka};
use crate::domain::state::schema_version::Newer;
use crate::kafka::acls::{AclEntry, Operation, PrincipalRole, Resource, is_refusal};

/// What is wrong with the topics, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka did not answer.
    #[error("Kafka at {bootstrap_servers} cannot be reached: {what}")]
    Unreachable {
        /// Where it was looked for.
        bootstrap_servers: String,
        /// What librdkafka says, and what to do.
        what: String,
    },
    /// Topics that are not there.
    #[error("missing topics: {}; create them with: ipn-receiver topics --config FILE", .0.join(", "))]
    Missing(Vec<String>),
    /// Topics that would break a guarantee: each difference that is refused.
    #[error("the topics would break what is guaranteed, so nothing is started:{}", lines(.0))]
    Unfit(Vec<Difference>),
    /// A right is missing: which, and the command that gives it.
    #[error("{told}")]
    Forbidden {
        /// Which.
        right: Box<AclEntry>,
        /// All of it in words.
        told: String,
    },
    /// The settings of a topic could not be read.
    #[error("topic {topic} cannot be described: {code}")]
    NotDescribed {
        /// Which.
        topic: String,
        /// Kafka's word.
        code: RDKafkaErrorCode,
    },
    /// The partition count on record could not be read or written.
    #[error("the partition count on record in {topic} cannot be {verb}: {what}")]
    Record {
        /// The state topic.
        topic: String,
        /// "read" or "written".
        verb: &'static str,
        /// What librdkafka says.
        what: KafkaError,
    },
    /// The partition count on record is of a later release's format.
    #[error("the partition count on record in {topic} cannot be read by this release: {newer}")]
    NewerRecord {
        /// The state topic.
        topic: String,
        /// Which format.
        newer: Newer,
    },
    /// A topic could not be made.
    #[error("topic {topic} could not be created: {code}{}", if *.code == RDKafkaErrorCode::InvalidReplicationFactor { "; the cluster has fewer brokers than kafka.replication_factor (set it to 1 for a try on a single one)" } else { "" })]
    NotCreated {
        /// Which.
        topic: String,
        /// Kafka's word.
        code: RDKafkaErrorCode,
    },
}

/// How the topics are.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Those that are not there.
    pub missing: Vec<String>,
    /// How the others differ from what they must be; what is refused comes first.
    pub differences: Vec<Difference>,
    /// `min.insync.replicas` of the inbox.
    pub min_in_sync_replicas: usize,
    /// How many seconds the inbox keeps a record, infinity for ever; none if the cluster does not tell.
    pub inbox_keeps_s: Option<f64>,
    on_record: RecordedCount,
}

/// Creates the topics that are missing, and puts the partition count on record in a new state topic. Gives the names
/// of those it made.
pub async fn create(kafka: &Kafka) -> Result<Vec<String>, Error> {
    // Its words say more than those of a request that nobody answered.
    cluster::connected(kafka, |_| Ok(())).await?;
    let admin: AdminClient<DefaultClientContext> =
        kafka.client().create().map_err(|error| unreachable(kafka, &error))?;
    let plans = plans(kafka);
    let new: Vec<NewTopic<'_>> = plans
        .iter()
        .map(|plan| {
            let replication = TopicReplication::Fixed(kafka.replication_factor);
            let topic = NewTopic::new(&plan.name, kafka.partitions, replication);
            plan.settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
        })
        .collect();
    let results = admin.create_topics(&new, &options()).await.map_err(|error| unreachable(kafka, &error))?;
    let mut made = Vec::new();
    for result in results {
        match result {
            Ok(topic) => made.push(topic),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) if is_refusal(code) => return Err(forbidden(kafka, Operation::Create, &topic)),
            Err((topic, code)) => return Err(Error::NotCreated { topic, code }),
        }
    }
    if made.contains(&kafka.topics().state) {
        put_on_record(kafka).await?;
    }
    Ok(made)
}

/// What [`create`] would make, as lines for people.
pub fn describe_plans(kafka: &Kafka, missing: &[String]) -> Vec<String> {
    let is_missing = |name: &String| missing.contains(name);
    plans(kafka)
        .iter()
        .filter(|plan| is_missing(&plan.name))
        .map(|plan| {
            let (count, replicas) = (kafka.partitions, kafka.replication_factor);
            let start = format!("{} with {count} partitions, {replicas} replicas", plan.name);
            plan.settings.iter().fold(start, |line, (name, value)| format!("{line}, {name}={value}"))
        })
        .collect()
}

/// Compares what is there with what must be.
pub async fn look(config: &Config) -> Result<Comparison, Error> {
    let kafka = &config.kafka;
    let (plans, found) = (plans(kafka), cluster::found(kafka).await?);
    let missing = plans.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(plan, _)| plan.name.clone());
    let missing: Vec<String> = missing.collect();
    let state_topic = kafka.topics().state;
    let on_record = if missing.contains(&state_topic) { RecordedCount::EmptyTopic } else { read_record(kafka).await? };
    let wanted = Wanted {
        bootstrap_servers: kafka.bootstrap_servers.clone(),
        partitions: kafka.partitions,
        recorded_partitions: if let RecordedCount::Count(count) = on_record { Some(count) } else { None },
        replication_factor: kafka.replication_factor,
        inbox_keeps: config.worker.inbox_keeps(),
    };
    let there = || plans.iter().zip(&found).filter_map(|(plan, found)| Some((plan, found.as_ref()?)));
    let of_topics = there().flat_map(|(plan, found)| compare(&wanted, plan, found));
    let differences = together(compare_record(&wanted, &state_topic).into_iter().chain(of_topics));
    let of_inbox = |name| found[0].as_ref()?.settings.get(name)?.parse::<i64>().ok();
    let in_sync = of_inbox("min.insync.replicas").and_then(|count| usize::try_from(count).ok());
    let keeps_s = |ms: i64| if ms < 0 { f64::INFINITY } else { ms as f64 / 1000.0 };
    Ok(Comparison {
        missing,
        differences,
        min_in_sync_replicas: in_sync.unwrap_or(1),
        inbox_keeps_s: of_inbox("retention.ms").map(keeps_s),
        on_record,
    })
}

/// For `serve`: refuses what breaks a guarantee, all of it in one error. A worker puts the partition count on record where
/// it is not, since the topics may have been made by something else than `topics`.
pub async fn check(config: &Config) -> Result<Comparison, Error> {
    let found = look(config).await?;
    if !found.missing.is_empty() {
        return Err(Error::Missing(found.missing));
    }
    let refused: Vec<Difference> = found.refused().cloned().collect();
    if !refused.is_empty() {
        return Err(Error::Unfit(refused));
    }
    if config.role.works() {
        found.keep_on_record(&config.kafka).await?;
    }
    Ok(found)
}

impl Error {
    fn forbidden(kafka: &Kafka, right: AclEntry) -> Self {
        Self::Forbidden { told: right.missing(kafka), right: Box::new(right) }
    }

    /// The same, with a missing right as the table of these users has it: to see a topic, who reads or writes it needs no
    /// right beside that.
    #[must_use]
    pub fn to_users(self, kafka: &Kafka, users: &[PrincipalRole]) -> Self {
        match self {
            Self::Forbidden { right, .. } => Self::forbidden(kafka, right.in_the_table_of(kafka, users)),
            other => other,
        }
    }
}

impl Comparison {
    /// What breaks a guarantee.
    pub fn refused(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.severity == Severity::Refused)
    }

    /// What works, but promises less than it should.
    pub fn warned(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.severity == Severity::Warned)
    }

    /// Puts the partition count on record where it is not. Only for topics of which nothing is refused: then the counts
    /// agree.
    pub async fn keep_on_record(&self, kafka: &Kafka) -> Result<(), Error> {
        let partitions = kafka.partitions;
        match self.on_record {
            // One of a later release ended the look already.
            RecordedCount::Count(_) | RecordedCount::Newer(_) => return Ok(()),
            RecordedCount::EmptyTopic => tracing::info!(partitions, "the partition count is put on record"),
            RecordedCount::Missing => tracing::warn!(
                partitions,
                "the state topic does not say how many partitions it was begun with: an earlier version made it, or its \
                 beginning was cut off; the present count is put on record"
            ),
        }
        put_on_record(kafka).await
    }
}

async fn read_record(kafka: &Kafka) -> Result<RecordedCount, Error> {
    let asked = kafka.clone();
    let read = tokio::task::spawn_blocking(move || partition_count::read(&asked, TIMEOUT)).await;
    let read = read.expect("reading a record does not panic");
    match read.map_err(|what| not_on_record(kafka, ("read", Operation::Read), what))? {
        RecordedCount::Newer(newer) => Err(Error::NewerRecord { topic: kafka.topics().state, newer }),
        found => Ok(found),
    }
}

async fn put_on_record(kafka: &Kafka) -> Result<(), Error> {
    let written = partition_count::write(kafka, kafka.partitions, TIMEOUT).await;
    written.map_err(|what| not_on_record(kafka, ("written", Operation::Write), what))
}

fn not_on_record(kafka: &Kafka, (verb, operation): (&'static str, Operation), what: KafkaError) -> Error {
    let topic = kafka.topics().state;
    match what.rdkafka_error_code() {
        Some(code) if is_refusal(code) => forbidden(kafka, operation, &topic),
        _ => Error::Record { topic, verb, what },
    }
}

fn forbidden(kafka: &Kafka, operation: Operation, topic: &str) -> Error {
    Error::forbidden(kafka, AclEntry { operation, resource: Resource::Topic(topic.to_owned()), why: LOOKED_AT })
}

const LOOKED_AT: &str = "the topics are compared with what they must be before anything starts";

fn lines(differences: &[Difference]) -> String {
    differences.iter().fold(String::new(), |mut lines, difference| {
        write!(lines, "\n  topic {difference}").expect("a string takes everything");
        lines
    })
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

fn unreachable(kafka: &Kafka, what: &dyn std::fmt::Display) -> Error {
    let what = format!("{what}; check kafka.bootstrap_servers and kafka.properties");
    Error::Unreachable { bootstrap_servers: kafka.bootstrap_servers.clone(), what }
}

const TIMEOUT: Duration = Duration::from_secs(15);
