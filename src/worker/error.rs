//! Why the worker starts over.

use rdkafka::error::KafkaError;

use crate::kafka::acls;
use crate::kafka::outbox::InDoubt;
use crate::kafka::state_store;

/// Why the ledger cannot be trusted any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Outbox(#[from] InDoubt),
    #[error(transparent)]
    Restore(#[from] state_store::Error),
    #[error("Kafka: {}", acls::describe_error(.0))]
    Kafka(#[from] KafkaError),
    #[error("the consumer is of no more use: {}", acls::describe_error(.0))]
    Consumer(KafkaError),
    #[error("inbox partition {0} ends before what was read")]
    InboxEnd(i32),
}

impl Error {
    /// Whether all that was to be written is, so that only the next transaction needs another producer.
    pub(super) fn is_committed(&self) -> bool {
        matches!(self, Self::Outbox(doubt) if doubt.is_committed)
    }

    /// Whether starting over will not end it: a state record that this release cannot read.
    pub(super) fn is_stuck(&self) -> bool {
        matches!(self, Self::Restore(state_store::Error::Record { .. }))
    }
}
