//! When Amazon last published a genuine IPN of each merchant, as a metric: silence raises an alert.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::domain::ipn::routing::Merchants;
use crate::domain::pay::Account;
use crate::domain::timestamp::Timestamp;

/// The newest publication of an IPN that was stored.
#[derive(Debug)]
pub struct LastGenuine(Mutex<HashMap<Account, Timestamp>>);

impl LastGenuine {
    /// No IPN was stored yet. Sets the metric to 0 for every merchant, so that it exists.
    pub fn new(merchants: &Merchants) -> Self {
        merchants.accounts().for_each(|account| set(account, 0.0));
        Self(Mutex::default())
    }

    /// An IPN was stored that SNS published then. A copy of an old one, which anyone may send who has it, changes nothing.
    pub(super) fn note(&self, account: &Account, published: Timestamp) {
        let mut newest = self.0.lock();
        if newest.get(account).is_some_and(|newest| *newest >= published) {
            return;
        }
        newest.insert(account.clone(), published);
        set(account, published.unix_ms() as f64 / 1000.0);
    }
}

fn set(account: &Account, at_s: f64) {
    let labels = [("merchant", account.merchant_id.to_string()), ("environment", account.environment.to_string())];
    metrics::gauge!("ipn_receiver_last_genuine_ipn_timestamp_seconds", &labels).set(at_s);
}
