//! What a transactional producer says while it works: whether a commit can be trusted, and the next transaction begun.
//!
//! librdkafka sends a request to end a transaction again when its answer does not come, and tells nobody. The first may
//! still be under way then. A producer keeps its epoch from one transaction to the next (librdkafka has not the client's
//! half of KIP-890), so that a late request would end the next transaction half-way: state without its event. A new producer
//! has a new epoch, which fences it. So each answer is listened for, in librdkafka's debug log, where alone they are told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

use super::{InDoubt, doubt};

/// Listens to one producer.
#[derive(Default)]
pub(super) struct CommitMonitor {
    observations: Mutex<Observations>,
    n_heard: AtomicU64,
}

/// What was said since it was last forgotten.
#[derive(Default)]
struct Observations {
    /// The first thing that went wrong, or else a refusal.
    trouble: Option<InDoubt>,
    /// Whether the brokers answered a request to end a transaction.
    is_answered: bool,
    /// Why such a request was given up without an answer.
    unanswered: Option<String>,
}

impl CommitMonitor {
    /// librdkafka's setting of that name: what is listened for, beside what the settings ask for.
    pub(super) fn debug(client: &ClientConfig) -> String {
        client.get("debug").map_or_else(|| NEEDED.to_owned(), |wanted| format!("{wanted},{NEEDED}"))
    }

    /// How much was heard so far.
    pub(super) fn n_heard(&self) -> u64 {
        self.n_heard.load(Ordering::Relaxed)
    }

    /// From here on it counts.
    pub(super) fn forget(&self) {
        *self.observations() = Observations::default();
    }

    /// What went wrong.
    pub(super) fn trouble(&self) -> Result<(), InDoubt> {
        self.observations().trouble.take().map_or(Ok(()), Err)
    }

    /// Whether each request to commit was answered, so that none can be under way.
    pub(super) fn commit_is_clear(&self) -> Result<(), InDoubt> {
        let observations = self.observations();
        if let Some(why) = &observations.unanswered {
            return Err(doubt(format!(
                "the request to commit had to be sent again ({why}), and the first may still be under way"
            )));
        }
        // Silence is no answer: another librdkafka may use other words.
        if observations.is_answered { Ok(()) } else { Err(doubt("no answer to the commit was seen".to_owned())) }
    }

    fn observations(&self) -> MutexGuard<'_, Observations> {
        self.observations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, doubt: InDoubt) {
        let trouble = &mut self.observations().trouble;
        // What is missing tells more than what follows from it.
        if trouble.as_ref().is_none_or(|before| before.refused.is_none() && doubt.refused.is_some()) {
            *trouble = Some(doubt);
        }
    }

    /// `EndTxn returned NO_ERROR in state …`; the names of librdkafka's own errors begin with an underscore.
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
        self.n_heard.fetch_add(1, Ordering::Relaxed);
        if facility == "ENDTXN" {
            self.note_end(message);
        }
        DefaultClientContext.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.n_heard.fetch_add(1, Ordering::Relaxed);
        let doubt = InDoubt::from(error);
        self.note(InDoubt { what: format!("{} ({reason})", doubt.what), ..doubt });
    }
}

impl ProducerContext for CommitMonitor {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.n_heard.fetch_add(1, Ordering::Relaxed);
        if let Err((error, _)) = result {
            let doubt = InDoubt::from(error.clone());
            self.note(InDoubt { what: format!("a record was not delivered: {}", doubt.what), ..doubt });
        }
    }
}

/// The transaction manager's own lines.
const NEEDED: &str = "eos";

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&str]) -> Result<(), String> {
        let monitor = CommitMonitor::default();
        lines.iter().for_each(|line| monitor.log(RDKafkaLogLevel::Debug, "ENDTXN", line));
        monitor.commit_is_clear().map_err(|doubt| doubt.to_string())
    }

    #[test]
    fn a_commit_is_clear_if_each_request_was_answered() {
        let answered = "[thrd:main]: EndTxn returned NO_ERROR in state CommittingTransaction (may_retry=true)";
        let put_off =
            "[thrd:main]: EndTxn returned CONCURRENT_TRANSACTIONS in state CommittingTransaction (may_retry=true)";
        let lost = "[thrd:main]: EndTxn returned _TRANSPORT in state CommittingTransaction (may_retry=true)";
        let late = "[thrd:main]: EndTxn returned _TIMED_OUT in state CommittingTransaction (may_retry=true)";
        assert_eq!(after(&[answered]), Ok(()));
        assert_eq!(after(&[put_off, answered]), Ok(()));
        for unclear in
            [vec![lost, answered], vec![answered, lost], vec![late, put_off, answered], vec![], vec!["other words"]]
        {
            assert!(after(&unclear).is_err(), "{unclear:?}");
        }
    }
}
