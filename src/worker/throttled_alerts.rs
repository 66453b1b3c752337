//! Throttled log lines about failed reads and about restores after an error: what failed, and who must act.

use std::time::Duration;

use super::error::Error;
use crate::amazon::pay_api::{Blame, cause_of};
use crate::domain::pay::{Account, ObjectKind, ObjectRef};
use crate::telemetry::log_throttle::LogThrottle;

/// One throttle for each kind of alert, with a key for each cause, so that one cause never hides another.
#[derive(Debug)]
pub(super) struct ThrottledAlerts {
    failed_reads: LogThrottle<(Account, String)>,
    throttled: LogThrottle<(Account, ObjectKind)>,
    resets: LogThrottle<String>,
}

impl Default for ThrottledAlerts {
    fn default() -> Self {
        Self {
            failed_reads: LogThrottle::new(EVERY),
            throttled: LogThrottle::new(EVERY),
            resets: LogThrottle::new(EVERY),
        }
    }
}

impl ThrottledAlerts {
    /// The worker drops its state in memory and restores it.
    pub(super) fn started_over(&self, error: &Error) {
        let error = error.to_string();
        let Some(suppressed) = self.resets.allow(error.clone()) else {
            tracing::debug!(error, "the worker drops its state in memory again and restores it from Kafka");
            return;
        };
        tracing::warn!(
            error,
            suppressed,
            "after an error the worker drops its state in memory and restores it from Kafka; nothing is lost, nothing is \
             published twice"
        );
    }

    /// Amazon Pay answered 429.
    pub(super) fn throttled(&self, object: &ObjectRef, retry_after: Option<Duration>) {
        let Some(suppressed) = self.throttled.allow((object.account.clone(), object.kind)) else { return };
        tracing::warn!(
            merchant = %object.account.merchant_id, environment = %object.account.environment, operation = %object.kind,
            suppressed, retry_after_s = retry_after.map(|wait| wait.as_secs()),
            "Amazon Pay throttles the receiver (429): it halves its read rate and raises it slowly again. If this repeats, \
             another program uses more of the quota than quota.share leaves it, or quota.live or quota.sandbox is higher \
             than Amazon Pay allows"
        );
    }

    /// A read failed for a reason that is not its object's.
    pub(super) fn read_failed(&self, account: &Account, blame: Blame, error: &str) {
        let Some(suppressed) = self.failed_reads.allow((account.clone(), cause_of(error))) else { return };
        let (merchant, environment) = (&account.merchant_id, account.environment);
        match blame {
            Blame::Credentials => tracing::error!(
                %merchant, %environment, error, suppressed,
                "Amazon Pay rejects the credentials; work of this merchant waits, nothing is lost. Check public_key_id, \
                 private_key_file and this machine's clock"
            ),
            Blame::Amazon => tracing::warn!(
                %merchant, %environment, error, suppressed,
                "Amazon Pay answers with errors; work of this merchant waits and is retried, nothing is lost"
            ),
            Blame::Network | Blame::Timeout => tracing::warn!(
                %merchant, %environment, error, suppressed,
                "Amazon Pay cannot be reached; work of this merchant waits and is retried, nothing is lost. If this lasts, \
                 check DNS, firewall and proxy"
            ),
        }
    }
}

const EVERY: Duration = Duration::from_secs(30);
