//! The sandbox's Kafka: a real cluster, or librdkafka's mock broker in this process.
//!
//! The mock broker creates topics only through its own call, stores no offsets of transactions and shows aborted
//! records. So it does not provide exactly-once.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::Error;
use crate::commands::broker_flag::check_reachable;
use crate::config::Kafka;
use crate::kafka;
use crate::kafka::topics;

/// The Kafka that the receiver uses.
pub enum Broker {
    /// A mock broker in this process.
    Mock(MockCluster<'static, DefaultProducerContext>),
    /// Bootstrap servers of a real cluster.
    Real(String),
}

impl Broker {
    /// Uses the cluster at `bootstrap_servers`, or starts a mock broker.
    pub fn start(bootstrap_servers: Option<&str>) -> Result<Self, Error> {
        Ok(match bootstrap_servers {
            Some(servers) => Self::Real(servers.to_owned()),
            None => Self::Mock(MockCluster::new(1)?),
        })
    }

    /// The bootstrap servers.
    pub fn bootstrap_servers(&self) -> String {
        match self {
            Self::Mock(cluster) => cluster.bootstrap_servers(),
            Self::Real(servers) => servers.clone(),
        }
    }

    /// The kind that the receiver is started with: it checks topics of a real broker only.
    pub fn kind(&self) -> kafka::Broker {
        match self {
            Self::Mock(_) => kafka::Broker::Mock,
            Self::Real(_) => kafka::Broker::Real,
        }
    }

    /// Creates the receiver's four topics.
    pub async fn create_topics(&self, kafka: &Kafka) -> Result<(), Error> {
        match self {
            Self::Real(_) => {
                let asked = kafka.clone();
                tokio::task::spawn_blocking(move || check_reachable(&asked)).await??;
                topics::create(kafka).await?;
            }
            Self::Mock(cluster) => {
                let topics = kafka.topics();
                for topic in [&topics.inbox, &topics.events, &topics.state, &topics.dead_letters] {
                    cluster.create_topic(topic, kafka.partitions, 1)?;
                }
            }
        }
        Ok(())
    }
}
