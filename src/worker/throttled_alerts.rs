//! Says once in a while that Amazon Pay cannot be read and who must act; the work itself waits.

use std::time::Duration;

use super::error::Error;
use crate::amazon::pay_api::Blame;
use crate::domain::pay::{Account, ObjectKind, ObjectRef};
use crate::telemetry::log_throttle::LogThrottle;

/// What was told a moment ago: each account's error, and that the worker started over.
#[derive(Debug)]
pub(super) struct ThrottledAlerts {
    accounts: LogThrottle<(Account, Blame)>,
    throttled: LogThrottle<(Account, ObjectKind)>,
    resets: LogThrottle<()>,
}

impl Default for ThrottledAlerts {
    fn default() -> Self {
        Self { accounts: LogThrottle::new(EVERY), throttled: LogThrottle::new(EVERY), resets: LogThrottle::new(EVERY) }
    }
}

impl ThrottledAlerts {
    /// Tells that the worker starts over, unless it did so a moment ago for whatever reason.
    pub(super) fn tell_reset(&self, error: &Error) {
        let is_told = self.resets.allow(()).is_some();
        let (is_stuck, error) = (error.is_stuck(), error.to_string());
        if is_told && is_stuck {
            tracing::error!(
                error,
                "known state cannot be read, so this worker tells nothing of its partitions; their IPNs wait in the inbox. In a \
                 rollout this ends when the last worker of the older release is gone; otherwise run the release that is named"
            );
        } else if is_told {
            tracing::warn!(
                error,
                "the worker starts over from what Kafka holds; nothing is lost, nothing is told twice"
            );
        } else {
            tracing::debug!(error, "the worker starts over again");
        }
    }

    /// Tells that Amazon wants fewer reads, unless it was told a moment ago.
    pub(super) fn tell_throttled(&self, object: &ObjectRef, retry_after: Option<Duration>) {
        let Some(n_before) = self.throttled.allow((object.account.clone(), object.kind)) else { return };
        tracing::warn!(
            account = %object.account, operation = %object.kind, n_before, retry_after_s = retry_after.map(|wait| wait.as_secs()),
            "Amazon Pay throttles us (429): half of the rate for now, and slowly back. If it goes on, another program \
             takes more of the quota than quota.share leaves it, or quota.live or quota.sandbox is more than Amazon allows"
        );
    }

    /// Tells of error, unless the same was told a moment ago.
    pub(super) fn raise(&self, account: &Account, blame: Blame, what: &str) {
        if self.accounts.allow((account.clone(), blame)).is_none() {
            return;
        }
        match blame {
            Blame::Credentials => tracing::error!(
                %account,
                what,
                "Amazon Pay refuses our credentials; check public_key_id, private_key_file and this machine's clock. \
                 Work of this merchant waits, nothing is lost"
            ),
            Blame::Amazon => {
                tracing::warn!(%account, what, "Amazon Pay is in trouble; work of this merchant waits, nothing is lost");
            }
            Blame::Network => {
                tracing::warn!(%account, what, "Amazon Pay cannot be reached; work of this merchant waits, nothing is lost");
            }
        }
    }
}

const EVERY: Duration = Duration::from_secs(30);
