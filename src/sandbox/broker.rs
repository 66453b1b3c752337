//! The sandbox's broker: a real one if there is one, otherwise librdkafka's mock in this process.
//!
//! The mock creates topics only through its own call, keeps no offsets of transactions and hides no aborted
//! record. It shows the way of an event, never exactly-once.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::Error;
use crate::config::Kafka;
use crate::kafka;
use crate::kafka::topics;

/// Where records go.
pub enum Broker {
    /// In this process.
    Mock(MockCluster<'static, DefaultProducerContext>),
    /// Somewhere else.
    Real(String),
}

impl Broker {
    /// The broker at `bootstrap_servers`, or a mock.
    pub fn start(bootstrap_servers: Option<&str>) -> Result<Self, Error> {
        Ok(match bootstrap_servers {
            Some(servers) => Self::Real(servers.to_owned()),
            None => Self::Mock(MockCluster::new(1)?),
        })
    }

    /// Where clients find it.
    pub fn bootstrap_servers(&self) -> String {
        match self {
            Self::Mock(cluster) => cluster.bootstrap_servers(),
            Self::Real(servers) => servers.clone(),
        }
    }

    /// Whether the receiver may check its topics.
    pub fn kind(&self) -> kafka::Broker {
        match self {
            Self::Mock(_) => kafka::Broker::Mock,
            Self::Real(_) => kafka::Broker::Real,
        }
    }

    /// Makes the four topics.
    pub async fn create_topics(&self, kafka: &Kafka) -> Result<(), Error> {
        match self {
            Self::Real(_) => {
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
