//! Asks the cluster how the topics are.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rdkafka::admin::{AdminClient, ResourceSpecifier};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

use super::difference::Found;
use super::plan::plans;
use super::{Error, TIMEOUT, options, unreachable};
use crate::config::Kafka;

/// How each planned topic is, if it is there, in the order of the plans.
pub(super) async fn found(kafka: &Kafka) -> Result<Vec<Option<Found>>, Error> {
    let mut found = shapes(kafka).await?;
    let plans = plans(kafka);
    let there: Vec<usize> = (0..plans.len()).filter(|at| found[*at].is_some()).collect();
    if there.is_empty() {
        return Ok(found);
    }
    let admin: AdminClient<DefaultClientContext> =
        kafka.client().create().map_err(|error| unreachable(kafka, &error))?;
    let resources: Vec<ResourceSpecifier<'_>> =
        there.iter().map(|at| ResourceSpecifier::Topic(&plans[*at].name)).collect();
    let described = admin.describe_configs(&resources, &options()).await.map_err(|error| unreachable(kafka, &error))?;
    for (at, described) in there.into_iter().zip(described) {
        let described = described.map_err(|code| Error::NotDescribed { topic: plans[at].name.clone(), code })?;
        let settings = described.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
        if let Some(found) = &mut found[at] {
            found.settings = settings.collect();
        }
    }
    Ok(found)
}

/// Counts of partitions and replicas; the settings are still to be asked for.
async fn shapes(kafka: &Kafka) -> Result<Vec<Option<Found>>, Error> {
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
    let shape = |name: &str| {
        let topic = metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none())?;
        let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min()?;
        Some(Found {
            partitions: i32::try_from(topic.partitions().len()).ok()?,
            replicas: i32::try_from(replicas).ok()?,
            settings: BTreeMap::new(),
        })
    };
    Ok(plans(kafka).iter().map(|plan| shape(&plan.name)).collect())
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
