//! The four topics: creates them, reports how they differ from the requirements, and refuses to start if a difference breaks
//! a guarantee.

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

use self::compare::{compare, compare_record, merged};
pub use self::difference::{Difference, Severity};
use self::difference::{Found, Wanted};
use self::partition_count::{Counts, RecordedCounts};
use self::plan::{Plan, Role, plans};
use crate::config::{Config, Kafka};
use crate::domain::schema_version::NewerVersion;
use crate::kafka::acls::{AclEntry, Operation, PrincipalRole, Resource, is_refusal};

/// What is wrong with the topics, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka did not answer.
    #[error("Kafka at {bootstrap_servers} cannot be reached: {what}")]
    Unreachable {
        /// The brokers of the settings.
        bootstrap_servers: String,
        /// librdkafka's error, and what to do.
        what: String,
    },
    /// Topics do not exist.
    #[error("missing topics: {}; create them with: ipn-receiver topics --config FILE", .0.join(", "))]
    Missing(Vec<String>),
    /// Differences that break a guarantee.
    #[error("topic settings would break a guarantee, so the receiver does not start:{}", lines(.0))]
    Unfit(Vec<Difference>),
    /// An ACL is missing.
    #[error("{text}")]
    Forbidden {
        /// The ACL.
        acl: Box<AclEntry>,
        /// The error text, with the command that grants the ACL.
        text: String,
    },
    /// The settings of a topic could not be read.
    #[error("cannot describe topic {topic}: {code}")]
    NotDescribed {
        /// The topic.
        topic: String,
        /// Kafka's error code.
        code: RDKafkaErrorCode,
    },
    /// The recorded partition count could not be read or written.
    #[error("cannot {verb} the recorded partition count in {topic}: {what}")]
    Record {
        /// The state topic.
        topic: String,
        /// "read" or "write".
        verb: &'static str,
        /// librdkafka's error.
        what: KafkaError,
    },
    /// A later release wrote the recorded partition count.
    #[error("cannot read the recorded partition count in {topic} with this release: {newer}")]
    NewerRecord {
        /// The state topic.
        topic: String,
        /// The versions.
        newer: NewerVersion,
    },
    /// A topic could not be created.
    #[error("cannot create topic {topic}: {code}{}", if *.code == RDKafkaErrorCode::InvalidReplicationFactor { "; the cluster has fewer brokers than kafka.replication_factor (for a test on a single broker set it to 1)" } else { "" })]
    NotCreated {
        /// The topic.
        topic: String,
        /// Kafka's error code.
        code: RDKafkaErrorCode,
    },
}

/// The topics compared with their requirements.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Topics that do not exist.
    pub missing: Vec<String>,
    /// Differences of the others; refused ones come first.
    pub differences: Vec<Difference>,
    /// `min.insync.replicas` of the inbox.
    pub min_in_sync_replicas: usize,
    /// How many seconds the inbox keeps a record, infinity if it never deletes one; none if the cluster does not report it.
    pub inbox_keeps_s: Option<f64>,
    recorded: RecordedCounts,
    /// The counts to record if there are none.
    counts: Counts,
}

/// Creates missing topics, and records the partition counts in a new state topic. Returns the names of the created topics.
pub async fn create(kafka: &Kafka) -> Result<Vec<String>, Error> {
    // A connection error says more than a request that timed out.
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
    let mut created = Vec::new();
    for result in results {
        match result {
            Ok(topic) => created.push(topic),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) if is_refusal(code) => return Err(forbidden(kafka, Operation::Create, &topic)),
            Err((topic, code)) => return Err(Error::NotCreated { topic, code }),
        }
    }
    if created.contains(&kafka.topics().state) {
        // The cluster may not report a new topic yet.
        let is_new = created.contains(&kafka.topics().events);
        let found = if is_new { Vec::new() } else { cluster::found(kafka).await? };
        record_counts(kafka, counts(kafka, &plans, &found)).await?;
    }
    Ok(created)
}

/// The topics that [`create`] would create, as lines for people.
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

/// Compares the topics with their requirements.
pub async fn look(config: &Config) -> Result<Comparison, Error> {
    let kafka = &config.kafka;
    let (plans, found) = (plans(kafka), cluster::found(kafka).await?);
    let missing = plans.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(plan, _)| plan.name.clone());
    let missing: Vec<String> = missing.collect();
    let state_topic = kafka.topics().state;
    let recorded = if missing.contains(&state_topic) { RecordedCounts::EmptyTopic } else { read_counts(kafka).await? };
    let wanted = Wanted {
        bootstrap_servers: kafka.bootstrap_servers.clone(),
        partitions: kafka.partitions,
        recorded: if let RecordedCounts::Counts(counts) = recorded { Some(counts) } else { None },
        replication_factor: kafka.replication_factor,
        inbox_keeps: config.worker.inbox_keeps(),
    };
    let there = || plans.iter().zip(&found).filter_map(|(plan, found)| Some((plan, found.as_ref()?)));
    let of_topics = there().flat_map(|(plan, found)| compare(&wanted, plan, found));
    let differences = merged(compare_record(&wanted, &state_topic).into_iter().chain(of_topics));
    let of_inbox = |name| found[0].as_ref()?.settings.get(name)?.parse::<i64>().ok();
    let in_sync = of_inbox("min.insync.replicas").and_then(|count| usize::try_from(count).ok());
    let keeps_s = |ms: i64| if ms < 0 { f64::INFINITY } else { ms as f64 / 1000.0 };
    Ok(Comparison {
        missing,
        differences,
        min_in_sync_replicas: in_sync.unwrap_or(1),
        inbox_keeps_s: of_inbox("retention.ms").map(keeps_s),
        recorded,
        counts: counts(kafka, &plans, &found),
    })
}

/// The counts of the topics as they are or as they would be created.
fn counts(kafka: &Kafka, plans: &[Plan], found: &[Option<Found>]) -> Counts {
    let events = plans.iter().zip(found).find(|(plan, _)| plan.role == Role::Events);
    let events_partitions = events.and_then(|(_, found)| Some(found.as_ref()?.partitions));
    Counts { partitions: kafka.partitions, events_partitions: events_partitions.unwrap_or(kafka.partitions) }
}

/// For `serve`: refuses every difference that breaks a guarantee, in one error. A worker records missing partition counts,
/// since the topics may have been created by something other than `topics`.
pub async fn check(config: &Config) -> Result<Comparison, Error> {
    let found = look(config).await?;
    if !found.missing.is_empty() {
        return Err(Error::Missing(found.missing));
    }
    let refused: Vec<Difference> = found.refused().cloned().collect();
    if !refused.is_empty() {
        return Err(Error::Unfit(refused));
    }
    if config.role.runs_worker() {
        found.record_counts_if_missing(&config.kafka).await?;
    }
    Ok(found)
}

impl Error {
    fn forbidden(kafka: &Kafka, acl: AclEntry) -> Self {
        Self::Forbidden { text: acl.missing(kafka), acl: Box::new(acl) }
    }

    /// The same error, with the missing ACL as the table of these roles has it: a role that reads or writes a topic needs no
    /// ACL to describe it.
    #[must_use]
    pub fn to_users(self, kafka: &Kafka, roles: &[PrincipalRole]) -> Self {
        match self {
            Self::Forbidden { acl, .. } => Self::forbidden(kafka, acl.in_the_table_of(kafka, roles)),
            other => other,
        }
    }
}

impl Comparison {
    /// Differences that break a guarantee.
    pub fn refused(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.severity == Severity::Refused)
    }

    /// Differences that only weaken one.
    pub fn warned(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.severity == Severity::Warned)
    }

    /// How many partitions of the events topic hold events.
    pub fn events_partitions(&self) -> i32 {
        match self.recorded {
            RecordedCounts::Counts(counts) => counts.events_partitions,
            RecordedCounts::EmptyTopic | RecordedCounts::Missing | RecordedCounts::NewerVersion(_) => {
                self.counts.events_partitions
            }
        }
    }

    /// Records the partition counts if they are missing. Only for topics without a refused difference: then the counts agree.
    pub async fn record_counts_if_missing(&self, kafka: &Kafka) -> Result<(), Error> {
        let Counts { partitions, events_partitions } = self.counts;
        match self.recorded {
            // For one of a later release `look` has returned an error.
            RecordedCounts::Counts(_) | RecordedCounts::NewerVersion(_) => return Ok(()),
            RecordedCounts::EmptyTopic => {
                tracing::info!(partitions, events_partitions, "partition counts recorded in the state topic");
            }
            RecordedCounts::Missing => tracing::warn!(
                partitions,
                events_partitions,
                "the state topic has no recorded partition counts: an earlier version created it, or its first record was \
                 deleted; the current partition counts are recorded"
            ),
        }
        record_counts(kafka, self.counts).await
    }
}

async fn read_counts(kafka: &Kafka) -> Result<RecordedCounts, Error> {
    let asked = kafka.clone();
    let read = tokio::task::spawn_blocking(move || partition_count::read(&asked, TIMEOUT)).await;
    let read = read.expect("reading the partition count does not panic");
    match read.map_err(|what| count_error(kafka, ("read", Operation::Read), what))? {
        RecordedCounts::NewerVersion(newer) => Err(Error::NewerRecord { topic: kafka.topics().state, newer }),
        found => Ok(found),
    }
}

async fn record_counts(kafka: &Kafka, counts: Counts) -> Result<(), Error> {
    let written = partition_count::write(kafka, counts, TIMEOUT).await;
    written.map_err(|what| count_error(kafka, ("write", Operation::Write), what))
}

fn count_error(kafka: &Kafka, (verb, operation): (&'static str, Operation), what: KafkaError) -> Error {
    let topic = kafka.topics().state;
    match what.rdkafka_error_code() {
        Some(code) if is_refusal(code) => forbidden(kafka, operation, &topic),
        _ => Error::Record { topic, verb, what },
    }
}

fn forbidden(kafka: &Kafka, operation: Operation, topic: &str) -> Error {
    Error::forbidden(kafka, AclEntry { operation, resource: Resource::Topic(topic.to_owned()), why: COMPARED })
}

const COMPARED: &str = "the topics are compared with their requirements before the receiver starts";

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
