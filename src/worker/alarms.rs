//! Says once in a while that Amazon Pay cannot be read and who must act; the work itself waits.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::domain::pay::Account;
use crate::pay_api::Blame;

/// When each account's trouble was last told.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    told: HashMap<(Account, Blame), Instant>,
    reset_told: Option<Instant>,
}

impl Alarms {
    /// Tells that the worker starts over, unless it did so a moment ago for whatever reason.
    pub(super) fn tell_reset(&mut self, trouble: &str) {
        if self.reset_told.is_none_or(|at| at.elapsed() >= EVERY) {
            self.reset_told = Some(Instant::now());
            tracing::warn!(
                trouble,
                "the worker starts over from what Kafka holds; nothing is lost, nothing is told twice"
            );
        } else {
            tracing::debug!(trouble, "the worker starts over again");
        }
    }

    /// Tells of trouble, unless the same was told a moment ago.
    pub(super) fn raise(&mut self, account: &Account, blame: Blame, what: &str) {
        let last = self.told.get(&(account.clone(), blame));
        if last.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        self.told.insert((account.clone(), blame), Instant::now());
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
