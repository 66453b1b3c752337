//! Since when the merchant of each account has been in our charge.
//!
//! The record of an account is written in the first transaction of a worker that owns it. Until the inbox was read to its
//! end, that worker cannot know whether an older IPN waits there; so the time moves back with each older record that is
//! consumed, also after a restart.

use super::Ledger;
use crate::domain::ipn::in_charge_request::SetInChargeSince;
use crate::domain::pay::Account;
use crate::domain::state::in_charge::InCharge;
use crate::domain::state::partitioner::owning_partition;
use crate::domain::timestamp::Timestamp;
use crate::kafka::inbox::InboxRecord;

impl Ledger {
    /// Starts the record of each configured account of the assigned partitions that has none.
    pub(super) fn take_charge(&mut self, now: Timestamp) {
        let merchants = self.merchants.clone();
        for account in merchants.accounts() {
            let is_owned = self.inbox.has_partition(self.in_charge_partition(account));
            let is_held_back = self.store.set_aside.holds_back_account(account);
            if is_owned && !is_held_back && !self.store.in_charge.contains_key(account) {
                tracing::info!(
                    merchant = %account.merchant_id, environment = %account.environment, since = %now,
                    "merchant taken in charge; older states that are read for the first time are published as …Updated"
                );
                self.store.in_charge.insert(account.clone(), InCharge::new(account.clone(), now));
                self.outgoing.in_charge.insert(account.clone());
            }
        }
    }

    /// Notes that the inbox holds a record of this account.
    pub(super) fn note_in_charge(&mut self, account: &Account, appended_at: Timestamp) {
        let known = self.store.in_charge.get_mut(account);
        if known.is_some_and(|in_charge| in_charge.move_back(appended_at)) {
            self.outgoing.in_charge.insert(account.clone());
        }
    }

    /// Applies an operator's request. It leaves the inbox in the transaction that writes the account's record.
    pub(super) fn set_in_charge_since(&mut self, request: SetInChargeSince, record: &InboxRecord) {
        let SetInChargeSince { account, since, requested_at } = request;
        if self.store.set_aside.holds_back_account(&account) {
            return;
        }
        self.inbox.done(&[record.position]);
        let new = || InCharge::new(account.clone(), since);
        let in_charge = self.store.in_charge.entry(account.clone()).or_insert_with(new);
        let former = in_charge.since;
        if in_charge.set(since, record.appended_at) {
            tracing::info!(
                merchant = %account.merchant_id, environment = %account.environment, %since, %former, %requested_at,
                "operator set since when the merchant has been in our charge"
            );
            self.outgoing.in_charge.insert(account);
        }
    }

    /// At first sight, what happened to an object of this account from then on is published under its own type. A deleted
    /// object must not come back as new, so the time is never older than what is kept.
    pub(super) fn in_charge_since(&self, account: &Account, now: Timestamp) -> Option<Timestamp> {
        let in_charge = self.store.in_charge.get(account)?;
        Some(in_charge.since.max(now.minus(self.settings.keeping().delete_after)))
    }

    /// Takes the records that the next transaction writes.
    pub(super) fn take_in_charge(&mut self) -> Vec<(i32, InCharge)> {
        let changed = std::mem::take(&mut self.outgoing.in_charge).into_iter();
        changed
            .filter_map(|account| {
                let in_charge = self.store.in_charge.get(&account)?.clone();
                Some((self.in_charge_partition(&account), in_charge))
            })
            .collect()
    }

    fn in_charge_partition(&self, account: &Account) -> i32 {
        owning_partition(&account.merchant_id, self.partitions)
    }
}
