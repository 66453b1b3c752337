//! The merchants' API keys, read again when their files change, so that a key is rotated without a restart.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::config::{Credentials, Fingerprint, KeyFiles, MerchantAccount};
use crate::domain::pay::{Account, ApiKey, Region};
use crate::telemetry::log_throttle::LogThrottle;

/// Each account's region and key. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct ApiKeys(Arc<HashMap<Account, Kept>>);

struct Kept {
    region: Region,
    files: KeyFiles,
    /// The key in use, and what the files held when it was read.
    current: RwLock<(Arc<ApiKey>, Fingerprint)>,
}

impl ApiKeys {
    /// The keys as the configuration loaded them.
    pub fn new(accounts: Vec<MerchantAccount>) -> Self {
        let kept = accounts.into_iter().filter_map(|MerchantAccount { merchant, region, credentials }| {
            let Credentials { api_key, files, fingerprint } = credentials?;
            Some((merchant.account, Kept { region, files, current: RwLock::new((Arc::new(api_key), fingerprint)) }))
        });
        Self(Arc::new(kept.collect()))
    }

    /// An account's region and present key.
    pub(super) fn get(&self, account: &Account) -> Option<(Region, Arc<ApiKey>)> {
        let kept = self.0.get(account)?;
        Some((kept.region, kept.current.read().unwrap_or_else(PoisonError::into_inner).0.clone()))
    }

    /// Looks at the files now and then, for ever.
    pub async fn keep_fresh(self, every: Duration) {
        let told = LogThrottle::new(TELL_EVERY);
        loop {
            tokio::time::sleep(every).await;
            let keys = self.clone();
            let told = &told;
            let troubles = tokio::task::spawn_blocking(move || keys.refresh()).await.unwrap_or_default();
            for (account, what) in troubles {
                if told.allow(account.clone()).is_some() {
                    tracing::error!(%account, what, "a changed API key cannot be used; the one before stays in use");
                }
            }
        }
    }

    /// Takes over what has changed; what cannot be used is returned, and the key before it stays.
    fn refresh(&self) -> Vec<(Account, String)> {
        let mut troubles = Vec::new();
        for (account, kept) in self.0.iter() {
            let fingerprint = match kept.files.fingerprint() {
                Ok(fingerprint) => fingerprint,
                Err(io) => {
                    troubles.push((account.clone(), io.to_string()));
                    continue;
                }
            };
            if kept.current.read().unwrap_or_else(PoisonError::into_inner).1 == fingerprint {
                continue;
            }
            match kept.files.load() {
                Ok((key, fingerprint)) => {
                    tracing::info!(%account, key = ?key, "API key changed");
                    metrics::counter!("ipn_receiver_api_key_reloads_total").increment(1);
                    *kept.current.write().unwrap_or_else(PoisonError::into_inner) = (Arc::new(key), fingerprint);
                }
                Err((_, what)) => troubles.push((account.clone(), what)),
            }
        }
        troubles
    }
}

const TELL_EVERY: Duration = Duration::from_mins(5);
