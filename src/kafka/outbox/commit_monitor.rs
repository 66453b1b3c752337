//! Watches a transactional producer: whether its commit is certain, and whether it may begin another transaction.
//!
//! When no answer comes to a request that ends a transaction, librdkafka sends the request again and does not report it. The
//! first request may then still be in flight. A producer keeps its epoch from one transaction to the next (librdkafka does not
//! implement the client's part of KIP-890), so a late request would end the next transaction half-way: state without its event.
//! A new producer has a new epoch, which fences the request. So the monitor looks for each answer in librdkafka's debug log,
//! the only place where it is reported.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

use super::{InDoubt, in_doubt};

/// Watches one producer.
#[derive(Default)]
pub(super) struct CommitMonitor {
    observations: Mutex<Observations>,
    n_callbacks: AtomicU64,
}

/// What was observed since the last reset.
#[derive(Default)]
struct Observations {
    /// The first error, or the missing ACL that caused it.
    error: Option<InDoubt>,
    /// Whether a broker answered a request to end a transaction.
    is_answered: bool,
    /// librdkafka's error for such a request without an answer.
    unanswered: Option<String>,
}

impl CommitMonitor {
    /// The value of librdkafka's property `debug`: what the monitor needs, added to what the settings contain.
    pub(super) fn debug(client: &ClientConfig) -> String {
        client.get("debug").map_or_else(|| DEBUG_CONTEXT.to_owned(), |wanted| format!("{wanted},{DEBUG_CONTEXT}"))
    }

    /// How many callbacks came so far.
    pub(super) fn n_callbacks(&self) -> u64 {
        self.n_callbacks.load(Ordering::Relaxed)
    }

    /// Discards all observations.
    pub(super) fn reset(&self) {
        *self.observations() = Observations::default();
    }

    /// Returns the error that was observed, if any.
    pub(super) fn check(&self) -> Result<(), InDoubt> {
        self.observations().error.take().map_or(Ok(()), Err)
    }

    /// Checks that each request to commit was answered, so that none can still be in flight.
    pub(super) fn commit_is_clear(&self) -> Result<(), InDoubt> {
        let observations = self.observations();
        if let Some(why) = &observations.unanswered {
            return Err(in_doubt(format!(
                "EndTxn was sent again ({why}), and the first request may still be in flight"
            )));
        }
        // Without any answer in the log the commit is in doubt: another version of librdkafka may log other words.
        if observations.is_answered { Ok(()) } else { Err(in_doubt("no response to EndTxn was observed".to_owned())) }
    }

    fn observations(&self) -> MutexGuard<'_, Observations> {
        self.observations.lock()
    }

    fn note(&self, error: InDoubt) {
        let first = &mut self.observations().error;
        // A missing ACL is the cause; other errors follow from it.
        if first.as_ref().is_none_or(|before| before.refused.is_none() && error.refused.is_some()) {
            *first = Some(error);
        }
    }

    /// Reads a line such as `EndTxn returned NO_ERROR in state …`. Names of librdkafka's own errors begin with an underscore.
    fn note_end(&self, message: &str) {
        let Some((_, returned)) = message.split_once("EndTxn returned ") else { return };
        let error = returned.split_whitespace().next().unwrap_or_default();
        let mut observations = self.observations();
        if error.starts_with('_') {
            observations.unanswered = Some(error.to_owned());
        } else {
            observations.is_answered = true;
        }
    }
}

impl ClientContext for CommitMonitor {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.n_callbacks.fetch_add(1, Ordering::Relaxed);
        if facility == "ENDTXN" {
            self.note_end(message);
        }
        DefaultClientContext.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.n_callbacks.fetch_add(1, Ordering::Relaxed);
        let error = InDoubt::from(error);
        self.note(InDoubt { what: format!("{} ({reason})", error.what), ..error });
    }
}

impl ProducerContext for CommitMonitor {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.n_callbacks.fetch_add(1, Ordering::Relaxed);
        if let Err((error, _)) = result {
            let error = InDoubt::from(error.clone());
            self.note(InDoubt { what: format!("a record was not delivered: {}", error.what), ..error });
        }
    }
}

/// librdkafka's debug context for transactions.
const DEBUG_CONTEXT: &str = "eos";

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&str]) -> Result<(), String> {
        let monitor = CommitMonitor::default();
        lines.iter().for_each(|line| monitor.log(RDKafkaLogLevel::Debug, "ENDTXN", line));
        monitor.commit_is_clear().map_err(|in_doubt| in_doubt.to_string())
    }

    #[test]
    fn commit_is_clear_if_each_request_was_answered() {
        let answered = "[thrd:main]: EndTxn returned NO_ERROR in state CommittingTransaction (may_retry=true)";
        let retried =
            "[thrd:main]: EndTxn returned CONCURRENT_TRANSACTIONS in state CommittingTransaction (may_retry=true)";
        let lost = "[thrd:main]: EndTxn returned _TRANSPORT in state CommittingTransaction (may_retry=true)";
        let late = "[thrd:main]: EndTxn returned _TIMED_OUT in state CommittingTransaction (may_retry=true)";
        assert_eq!(after(&[answered]), Ok(()));
        assert_eq!(after(&[retried, answered]), Ok(()));
        for unclear in
            [vec![lost, answered], vec![answered, lost], vec![late, retried, answered], vec![], vec!["other words"]]
        {
            assert!(after(&unclear).is_err(), "{unclear:?}");
        }
    }
}
