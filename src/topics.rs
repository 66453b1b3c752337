//! The four topics: what they must be like, making them, and refusing to start on ones that break a promise.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::config::Kafka;

/// What is wrong with the topics, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka did not answer.
    #[error(
        "Kafka at {bootstrap_servers} cannot be reached: {what}; check kafka.bootstrap_servers and kafka.properties"
    )]
    Unreachable {
        /// Where it was looked for.
        bootstrap_servers: String,
        /// What librdkafka says.
        what: String,
    },
    /// Topics that are not there.
    #[error("missing topics: {}; create them with: ipn-receiver topics --config FILE", .0.join(", "))]
    Missing(Vec<String>),
    /// A topic that would break a guarantee.
    #[error("topic {topic} {what}")]
    Unfit {
        /// Which.
        topic: String,
        /// What is wrong and what would be right.
        what: String,
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

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// `min.insync.replicas` of the inbox.
    pub min_in_sync_replicas: usize,
    /// What works, but promises less than it should.
    pub warnings: Vec<String>,
}

/// A topic as the cluster has it.
#[derive(Clone, Copy)]
struct Shape {
    partitions: i32,
    replicas: usize,
}

/// Creates the topics that are missing. Gives the names of those it made.
pub async fn create(kafka: &Kafka) -> Result<Vec<String>, Error> {
    let admin = admin(kafka)?;
    let plans = plans(kafka);
    let min_in_sync = if kafka.replication_factor >= 3 { "2" } else { "1" };
    let new: Vec<NewTopic<'_>> = plans
        .iter()
        .map(|plan| {
            let replication = TopicReplication::Fixed(kafka.replication_factor);
            let topic =
                NewTopic::new(&plan.name, kafka.partitions, replication).set("min.insync.replicas", min_in_sync);
            plan.settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
        })
        .collect();
    let results = admin.create_topics(&new, &options()).await.map_err(|error| unreachable(kafka, &error))?;
    let mut made = Vec::new();
    for result in results {
        match result {
            Ok(topic) => made.push(topic),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(Error::NotCreated { topic, code }),
        }
    }
    Ok(made)
}

/// Refuses what breaks a guarantee: a missing topic, a partition count that differs from the settings in the
/// inbox or the state topic, a state topic that is not compacted or another that is, an inbox that does not keep its
/// records for more than `inbox_keeps`.
pub async fn check(kafka: &Kafka, inbox_keeps: Duration) -> Result<Found, Error> {
    let admin = admin(kafka)?;
    let shapes = shapes(kafka).await?;
    let plans = plans(kafka);
    let missing: Vec<String> =
        plans.iter().zip(&shapes).filter(|(_, shape)| shape.is_none()).map(|(plan, _)| plan.name.clone()).collect();
    if !missing.is_empty() {
        return Err(Error::Missing(missing));
    }
    let resources: Vec<ResourceSpecifier<'_>> = plans.iter().map(|plan| ResourceSpecifier::Topic(&plan.name)).collect();
    let settings = admin.describe_configs(&resources, &options()).await.map_err(|error| unreachable(kafka, &error))?;
    let mut frail = Vec::new();
    let mut found = Found { min_in_sync_replicas: 1, warnings: Vec::new() };
    for ((plan, shape), settings) in plans.iter().zip(shapes.into_iter().flatten()).zip(settings) {
        let unfit = |what: String| Error::Unfit { topic: plan.name.clone(), what };
        if plan.partitions_are_fixed && shape.partitions != kafka.partitions {
            let count = shape.partitions;
            return Err(unfit(format!(
                "has {count} partitions, but kafka.partitions is {}; the count is fixed for life: set kafka.partitions = {count}, or another topic_prefix for a new start",
                kafka.partitions
            )));
        }
        let settings = settings
            .map_err(|code| unfit(format!("cannot be described: {code}; the right DescribeConfigs is needed")))?;
        let value = |name: &str| settings.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
        let (policy, wanted) = (value("cleanup.policy"), plan.cleanup_policy());
        if policy != wanted {
            return Err(unfit(format!("has cleanup.policy={policy}; {wanted} is needed")));
        }
        let min_in_sync: usize = value("min.insync.replicas").parse().unwrap_or(1);
        if plan.is_inbox {
            found.min_in_sync_replicas = min_in_sync;
            if !keeps_longer(&value("retention.ms"), inbox_keeps) {
                return Err(unfit(format!(
                    "has retention.ms={}, and must keep its records for more than {} h, since dead letters are made from them: raise it, or lower worker.pending_age_max_h (two days are added to that)",
                    value("retention.ms"),
                    inbox_keeps.as_secs() / 3600,
                )));
            }
            if !["", "-1"].contains(&value("retention.bytes").as_str()) {
                found.warnings.push(format!(
                    "{} has retention.bytes={}: a flood can push out records before their time, and dead letters lose their originals",
                    plan.name,
                    value("retention.bytes"),
                ));
            }
        }
        if shape.replicas < 3 || min_in_sync < 2 {
            frail.push(format!("{} ({} and {min_in_sync})", plan.name, shape.replicas));
        }
    }
    if !frail.is_empty() {
        found.warnings.push(format!(
            "the loss of one broker can lose what was acknowledged: replication factor 3 and min.insync.replicas 2 are right \
             for production, and these topics have less: {}",
            frail.join(", "),
        ));
    }
    Ok(found)
}

/// Whether a topic with this `retention.ms` keeps records for longer; -1 is for ever.
fn keeps_longer(retention_ms: &str, than: Duration) -> bool {
    match retention_ms.parse::<i64>() {
        Ok(ms) => u64::try_from(ms).map_or(true, |ms| Duration::from_millis(ms) > than),
        Err(_) => true, // a cluster that does not tell it cannot be refused for it
    }
}

async fn shapes(kafka: &Kafka) -> Result<Vec<Option<Shape>>, Error> {
    let asked = kafka.clone();
    let metadata = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer<Reasons> =
            asked.client().create_with_context(Reasons::default()).map_err(|error| unreachable(&asked, &error))?;
        consumer.fetch_metadata(None, TIMEOUT).map_err(|source| {
            let reason = consumer.context().last.lock().unwrap_or_else(PoisonError::into_inner).take();
            unreachable(&asked, &reason.map_or_else(|| source.to_string(), |reason| format!("{source} ({reason})")))
        })
    })
    .await
    .expect("asking for metadata does not panic")?;
    let shape = |plan: Plan| {
        let topic = metadata.topics().iter().find(|topic| topic.name() == plan.name && topic.error().is_none())?;
        let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min()?;
        Some(Shape { partitions: i32::try_from(topic.partitions().len()).ok()?, replicas })
    };
    Ok(plans(kafka).into_iter().map(shape).collect())
}

/// Keeps the client's last complaint: "connection refused" tells more than "transport failure".
#[derive(Default)]
struct Reasons {
    last: Mutex<Option<String>>,
}

impl ClientContext for Reasons {
    fn log(&self, level: RDKafkaLogLevel, _: &str, message: &str) {
        if level as i32 <= RDKafkaLogLevel::Error as i32 {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.to_owned());
        }
    }

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Reasons {}

struct Plan {
    name: String,
    settings: &'static [(&'static str, &'static str)],
    partitions_are_fixed: bool,
    is_inbox: bool,
}

impl Plan {
    fn cleanup_policy(&self) -> &'static str {
        self.settings.iter().find(|(name, _)| *name == "cleanup.policy").map_or("delete", |(_, value)| value)
    }
}

fn plans(kafka: &Kafka) -> Vec<Plan> {
    let topics = kafka.topics();
    let plan =
        |name: String, settings, partitions_are_fixed| Plan { name, settings, partitions_are_fixed, is_inbox: false };
    vec![
        Plan { is_inbox: true, ..plan(topics.inbox, INBOX, true) },
        plan(topics.state, STATE, true),
        plan(topics.events, NINETY_DAYS, false),
        plan(topics.dead_letters, NINETY_DAYS, false),
    ]
}

/// 14 days. The broker's own time of appending is what "appended before the read began" is judged by.
const INBOX: &[(&str, &str)] =
    &[("cleanup.policy", "delete"), ("retention.ms", "1209600000"), ("message.timestamp.type", "LogAppendTime")];
const STATE: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("message.timestamp.type", "LogAppendTime"),
    ("min.cleanable.dirty.ratio", "0.3"),
    ("segment.ms", "86400000"),
    ("delete.retention.ms", "86400000"),
    ("max.compaction.lag.ms", "604800000"),
];
const NINETY_DAYS: &[(&str, &str)] = &[("cleanup.policy", "delete"), ("retention.ms", "7776000000")];
const TIMEOUT: Duration = Duration::from_secs(15);

fn admin(kafka: &Kafka) -> Result<AdminClient<DefaultClientContext>, Error> {
    kafka.client().create().map_err(|error| unreachable(kafka, &error))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

fn unreachable(kafka: &Kafka, what: &dyn std::fmt::Display) -> Error {
    Error::Unreachable { bootstrap_servers: kafka.bootstrap_servers.clone(), what: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_ever_is_longer_than_any_time_and_the_same_time_is_not() {
        for (retention_ms, longer) in [("-1", true), ("3600001", true), ("3600000", false), ("0", false), ("", true)] {
            assert_eq!(keeps_longer(retention_ms, Duration::from_hours(1)), longer, "{retention_ms}");
        }
    }
}
