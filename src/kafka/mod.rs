//! Every client of the Kafka cluster: the inbox, the outbox, the state store, the topics, the ACLs and the connection.

pub mod inbox;
pub mod outbox;
pub mod state_store;

pub mod acls;
pub mod connection;
pub mod topics;

/// What kind of Kafka there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broker {
    /// Apache Kafka or what is compatible with it: the topics are checked.
    Real,
    /// librdkafka's mock broker, which cannot describe topics and guarantees nothing.
    Mock,
}
