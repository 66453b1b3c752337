//! Records of the state topic that cannot be used. Each stops only its own object.
//!
//! - A damaged record is rebuilt from the events topic.
//! - A record of a later release is left alone: its object is held back, and its IPNs wait in the inbox, until that release
//!   runs again.
//! - A foreign record, under a key or in a partition where the receiver writes none, is ignored.

use std::collections::BTreeMap;

use crate::domain::pay::{Account, ObjectRef};
use crate::domain::schema_version::NewerVersion;
use crate::domain::state::Unusable;
use crate::domain::state::in_charge::InCharge;

/// The last record of each key, where it cannot be used.
#[derive(Debug, Default)]
pub struct SetAside {
    damaged: BTreeMap<String, DamagedRecord>,
    /// With the version of each.
    held_back: BTreeMap<String, NewerVersion>,
    n_foreign: u64,
}

/// Where a damaged record is, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRecord {
    /// Its partition.
    pub partition: i32,
    what: String,
}

impl SetAside {
    /// A record of this key can be used, or was deleted.
    pub(super) fn forget(&mut self, key: &str) {
        if !self.is_empty() {
            self.damaged.remove(key);
            self.held_back.remove(key);
        }
    }

    pub(super) fn add(&mut self, partition: i32, key: &str, why: &Unusable) {
        match why {
            Unusable::Newer(newer) => {
                self.held_back.insert(key.to_owned(), *newer);
            }
            Unusable::Damaged(what) => {
                self.damaged.insert(key.to_owned(), DamagedRecord { partition, what: what.clone() });
            }
            Unusable::Foreign(_) => self.n_foreign += 1,
        }
    }

    /// Whether a later release wrote the record of the object or of its account.
    pub fn holds_back(&self, object: &ObjectRef) -> bool {
        !self.held_back.is_empty()
            && (self.held_back.contains_key(&object.state_key()) || self.holds_back_account(&object.account))
    }

    /// Whether a later release wrote since when the merchant of this account has been in our charge.
    pub fn holds_back_account(&self, account: &Account) -> bool {
        !self.held_back.is_empty() && self.held_back.contains_key(&InCharge::key_of(account))
    }

    /// The damaged records, by key.
    pub fn damaged(&self) -> &BTreeMap<String, DamagedRecord> {
        &self.damaged
    }

    /// Takes the damaged records, to replace them.
    pub fn take_damaged(&mut self) -> BTreeMap<String, DamagedRecord> {
        std::mem::take(&mut self.damaged)
    }

    /// Logs and counts what was found in a restore.
    pub(super) fn report(&self) {
        let count = |what: &'static str, n: u64| {
            metrics::counter!("ipn_receiver_unreadable_records_total", "what" => what).increment(n);
        };
        count("damaged", self.damaged.len() as u64);
        count("newer", self.held_back.len() as u64);
        count("foreign", self.n_foreign);
        for (key, DamagedRecord { partition, what }) in self.damaged.iter().take(LINES_MAX) {
            tracing::error!(
                key,
                partition,
                error = what,
                "a state record cannot be read: it is rebuilt from the events topic, and the inbox is read again for its \
                 pending work; all other objects continue. Only ipn-receiver may write to this topic"
            );
        }
        for (key, newer) in self.held_back.iter().take(LINES_MAX) {
            tracing::error!(
                key, error = %newer,
                "a later release wrote this state record: its object is held back, and its IPNs wait in the inbox, until a worker \
                 of that release takes over; all other objects continue"
            );
        }
        let n_unlisted = self.damaged.len().saturating_sub(LINES_MAX) + self.held_back.len().saturating_sub(LINES_MAX);
        if n_unlisted > 0 || self.n_foreign > 0 {
            tracing::warn!(
                n_foreign = self.n_foreign,
                n_unlisted,
                "the state topic holds foreign records, which are ignored, or more unusable records than are listed"
            );
        }
    }

    fn is_empty(&self) -> bool {
        self.damaged.is_empty() && self.held_back.is_empty()
    }
}

/// Each restore lists at most so many records of each kind.
const LINES_MAX: usize = 20;
