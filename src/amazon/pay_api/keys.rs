//! The merchants' API keys. Key files are reloaded when they change, so a key is rotated without a restart.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::config::{Credentials, Fingerprint, KeyFiles, MerchantAccount};
use crate::domain::pay::{Account, ApiKey, Region};
use crate::telemetry::log_throttle::LogThrottle;

/// Each account's region and key. Clones share them.
#[derive(Clone)]
pub struct ApiKeys(Arc<HashMap<Account, AccountKey>>);

struct AccountKey {
    region: Region,
    files: KeyFiles,
    /// The key in use, and the fingerprint of the files that it was loaded from.
    current: RwLock<(Arc<ApiKey>, Fingerprint)>,
}

impl ApiKeys {
    /// The keys as the configuration loaded them.
    pub fn new(accounts: Vec<MerchantAccount>) -> Self {
        let kept =
            accounts.into_iter().filter_map(|MerchantAccount { merchant, region, credentials, update_url: _ }| {
                let Credentials { api_key, files, fingerprint } = credentials?;
                Some((
                    merchant.account,
                    AccountKey { region, files, current: RwLock::new((Arc::new(api_key), fingerprint)) },
                ))
            });
        Self(Arc::new(kept.collect()))
    }

    /// The region and the current key of an account.
    pub(super) fn get(&self, account: &Account) -> Option<(Region, Arc<ApiKey>)> {
        let key = self.0.get(account)?;
        Some((key.region, key.current.read().0.clone()))
    }

    /// Reloads changed key files at this interval, forever.
    pub async fn keep_fresh(self, every: Duration) {
        let log_throttle = LogThrottle::new(LOG_EVERY);
        loop {
            tokio::time::sleep(every).await;
            let keys = self.clone();
            let errors = tokio::task::spawn_blocking(move || keys.reload()).await.unwrap_or_default();
            for (account, error) in errors {
                if let Some(suppressed) = log_throttle.allow(account.clone()) {
                    tracing::error!(
                        merchant = %account.merchant_id, environment = %account.environment, error, suppressed,
                        "a changed API key cannot be used; the previous key stays in use; correct the merchant's key files"
                    );
                }
            }
        }
    }

    /// Loads the keys whose files changed. Returns the errors; their accounts keep the previous key.
    fn reload(&self) -> Vec<(Account, String)> {
        let mut errors = Vec::new();
        for (account, key) in self.0.iter() {
            let fingerprint = match key.files.fingerprint() {
                Ok(fingerprint) => fingerprint,
                Err(io) => {
                    errors.push((account.clone(), io.to_string()));
                    continue;
                }
            };
            if key.current.read().1 == fingerprint {
                continue;
            }
            match key.files.load() {
                Ok((api_key, fingerprint)) => {
                    tracing::info!(
                        merchant = %account.merchant_id, environment = %account.environment, api_key = ?api_key,
                        "changed API key loaded; reads use it from now on"
                    );
                    metrics::counter!("ipn_receiver_api_key_reloads_total").increment(1);
                    *key.current.write() = (Arc::new(api_key), fingerprint);
                }
                Err((_, error)) => errors.push((account.clone(), error)),
            }
        }
        errors
    }
}

const LOG_EVERY: Duration = Duration::from_mins(5);
