//! Errors after which the worker drops its ledger and restores the state from Kafka.

use rdkafka::error::KafkaError;

use crate::kafka::acls;
use crate::kafka::outbox::InDoubt;
use crate::kafka::state_store;

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Outbox(#[from] InDoubt),
    #[error(transparent)]
    Restore(#[from] state_store::Error),
    #[error("Kafka: {}", acls::describe_error(.0))]
    Kafka(#[from] KafkaError),
    #[error("fatal error of the inbox consumer: {}", acls::describe_error(.0))]
    Consumer(KafkaError),
    #[error("the committed offset of inbox partition {0} is beyond the end of its log")]
    InboxEnd(i32),
}

impl Error {
    /// Whether the transaction was committed and only its producer must be replaced.
    pub(super) fn is_committed(&self) -> bool {
        matches!(self, Self::Outbox(in_doubt) if in_doubt.is_committed)
    }
}
