//! Fetches the topics and their settings from the cluster.

use std::collections::BTreeMap;

use rdkafka::admin::{AdminClient, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer as _;
use rdkafka::types::RDKafkaErrorCode;

use super::difference::Found;
use super::plan::{Plan, plans};
use super::{Error, TIMEOUT, forbidden, options, unreachable};
use crate::config::Kafka;
use crate::kafka::acls::{Operation, is_refusal};
use crate::kafka::connection::Connection;

/// Each planned topic as it is, if it exists, in the order of the plans.
pub(super) async fn found(kafka: &Kafka) -> Result<Vec<Option<Found>>, Error> {
    let mut found = shapes(kafka).await?;
    let plans = plans(kafka);
    let existing: Vec<usize> = (0..plans.len()).filter(|at| found[*at].is_some()).collect();
    if existing.is_empty() {
        return Ok(found);
    }
    let admin: AdminClient<DefaultClientContext> =
        kafka.client().create().map_err(|error| unreachable(kafka, &error))?;
    let resources: Vec<ResourceSpecifier<'_>> =
        existing.iter().map(|at| ResourceSpecifier::Topic(&plans[*at].name)).collect();
    let described = admin.describe_configs(&resources, &options()).await.map_err(|error| unreachable(kafka, &error))?;
    for (at, described) in existing.into_iter().zip(described) {
        let described = described.map_err(|code| not_described(kafka, &plans[at].name, code))?;
        // librdkafka reports a missing ACL as a topic without settings; a real topic always has some.
        if described.entries.is_empty() {
            return Err(forbidden(kafka, Operation::DescribeConfigs, &plans[at].name));
        }
        let settings = described.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
        if let Some(found) = &mut found[at] {
            found.settings = settings.collect();
        }
    }
    Ok(found)
}

fn not_described(kafka: &Kafka, topic: &str, code: RDKafkaErrorCode) -> Error {
    if is_refusal(code) {
        forbidden(kafka, Operation::DescribeConfigs, topic)
    } else {
        Error::NotDescribed { topic: topic.to_owned(), code }
    }
}

/// Counts of partitions and replicas; the settings are not fetched yet.
async fn shapes(kafka: &Kafka) -> Result<Vec<Option<Found>>, Error> {
    let asked = kafka.clone();
    connected(kafka, move |connection| plans(&asked).iter().map(|plan| shape(&asked, connection, plan)).collect()).await
}

/// Runs a request on a new connection.
pub(super) async fn connected<T: Send + 'static>(
    kafka: &Kafka,
    ask: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let kafka = kafka.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let bootstrap_servers = kafka.bootstrap_servers.clone();
        let connection = Connection::open(&kafka, TIMEOUT);
        ask(&connection.map_err(|what| Error::Unreachable { bootstrap_servers, what: what.to_string() })?)
    });
    asked.await.expect("fetching metadata does not panic")
}

/// Fetches one topic by its name: a list of all topics omits those without an ACL.
fn shape(kafka: &Kafka, connection: &Connection, plan: &Plan) -> Result<Option<Found>, Error> {
    let metadata = connection.consumer().fetch_metadata(Some(&plan.name), TIMEOUT);
    let metadata = metadata.map_err(|error| unreachable(kafka, &error))?;
    let Some(topic) = metadata.topics().first() else { return Ok(None) };
    if topic.error().is_some_and(|error| is_refusal(error.into())) {
        return Err(forbidden(kafka, Operation::Describe, &plan.name));
    }
    let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
    let replicas = replicas.filter(|_| topic.error().is_none()).and_then(|count| i32::try_from(count).ok());
    Ok(replicas.map(|replicas| Found {
        partitions: i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX),
        replicas,
        settings: BTreeMap::new(),
    }))
}
