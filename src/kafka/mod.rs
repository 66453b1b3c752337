//! Every client of the Kafka cluster: inbox, outbox, state store, topics and ACLs.

pub mod inbox;
pub mod outbox;
pub mod state_store;

pub mod acls;
pub mod topics;

mod client;
pub mod connection;
pub mod event_stream;
pub mod read_back;
pub mod recent_messages;
pub mod topic_reader;

pub use self::topic_reader::TopicReader;

/// Which kind of broker the receiver talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broker {
    /// Apache Kafka, or a broker compatible with it. The topics are checked at the start.
    Real,
    /// librdkafka's mock broker, for the sandbox. It cannot describe topics and keeps no guarantee.
    Mock,
}
