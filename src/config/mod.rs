//! The configuration: one TOML file, overridden by environment variables, checked completely before anything starts.
//!
//! All mistakes are reported at once, each with the file, the path of the setting and what would be right.
#![warn(missing_docs)]

mod development;
mod file;
mod kafka_properties;
mod key_files;
mod merchants;
mod ranges;
pub mod reference;
mod tables;
mod telemetry;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::development::Development;
pub use self::key_files::{Fingerprint, KeyFiles};
pub use self::merchants::{Credentials, MerchantAccount};
pub use self::tables::{
    Admin, Events, Ingress, Kafka, PayApi, QuotaSetting, Quotas, Reconciliation, Role, Shutdown, Sns, UpdateUrls,
    Worker,
};
pub use self::telemetry::Telemetry;
use crate::domain::events::Wire;
use crate::domain::ipn::routing::Merchants;
use crate::domain::pay::{Account, Region};
use crate::domain::sns::Policy;
use crate::domain::state::NoticeRules;
use crate::domain::work::{BreakerRule, Quota, Rules};

/// The whole configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// Which part of the receiver the process runs.
    pub role: Role,
    /// Where SNS posts.
    pub ingress: Ingress,
    /// Health, readiness and metrics.
    pub admin: Admin,
    /// The cluster and its topics.
    pub kafka: Kafka,
    /// Signing certificates.
    pub sns: Sns,
    /// Requests to Amazon Pay.
    pub pay_api: PayApi,
    /// Reading objects and publishing events.
    pub worker: Worker,
    /// Amazon's quotas.
    pub quota: Quotas,
    /// Reading objects that may have changed without an IPN.
    pub reconciliation: Reconciliation,
    /// The format of events.
    pub events: Events,
    /// Where traces go.
    pub telemetry: Telemetry,
    /// How the process ends.
    pub shutdown: Shutdown,
    /// Additions for tests, without any live merchant.
    pub development: Option<Development>,
    /// The merchants, in the order of the file.
    pub merchants: Vec<MerchantAccount>,
}

/// The environment variable that overrides the setting `role`.
pub const ROLE_VARIABLE: &str = "IPN_RECEIVER__ROLE";

/// The names of the four topics.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Verified IPNs.
    pub inbox: String,
    /// Published events.
    pub events: String,
    /// Known state; private.
    pub state: String,
    /// Dead letters.
    pub dead_letters: String,
}

/// Every mistake in the configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    file: PathBuf,
    mistakes: Vec<Mistake>,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Path of the setting, such as `merchants[0].region`.
    pub setting: String,
    /// What is wrong and what would be right.
    pub what: String,
}

impl Config {
    /// Reads `file`, overrides it with `environment`, and checks everything including the key files.
    pub fn load(file: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Error> {
        let error = |mistakes| Error { file: file.to_owned(), mistakes };
        let text = std::fs::read_to_string(file).map_err(|io| {
            error(vec![mistake("", format!("cannot be read: {io}; name an existing TOML file with --config"))])
        })?;
        Self::from_toml(&text, environment, file.parent().unwrap_or(Path::new("."))).map_err(error)
    }

    /// The same from text. Relative paths start at `folder`.
    pub fn from_toml(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        folder: &Path,
    ) -> Result<Self, Vec<Mistake>> {
        let file = file::parse(text, environment).map_err(|mistake| vec![mistake])?;
        let mut mistakes = file.mistakes();
        let development = file.development.map(|table| development::load(&table, folder, &mut mistakes));
        let extra_topics = development.as_ref().map(|table| table.topics.as_slice()).unwrap_or_default();
        // The role `ingest` sends no request to Amazon Pay, so it needs no key.
        let keys_in = file.role.runs_worker().then_some(folder);
        let merchants =
            merchants::load(&file.merchants, (&file.sns.topic_accounts, extra_topics), keys_in, &mut mistakes);
        if development.is_some() {
            development::check_nothing_is_live(&merchants, &mut mistakes);
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            role: file.role,
            ingress: file.ingress,
            admin: file.admin,
            kafka: file.kafka,
            sns: file.sns,
            pay_api: file.pay_api,
            worker: file.worker,
            quota: file.quota,
            reconciliation: file.reconciliation,
            events: file.events,
            telemetry: file.telemetry,
            shutdown: file.shutdown,
            development,
            merchants,
        })
    }

    /// Which genuine messages are accepted.
    pub fn policy(&self, merchants: &Merchants) -> Policy {
        let hours = self.sns.ipn_age_max_h;
        let origins = self.development.as_ref().map(|table| table.certificate_origins.clone());
        Policy {
            age_max: (hours > 0).then(|| Duration::from_hours(hours)),
            ahead_max: Duration::from_secs(self.sns.ipn_ahead_max_s),
            development_origins: origins.unwrap_or_default(),
            ..Policy::of(merchants.topic_policy())
        }
    }
}

impl Kafka {
    /// The names of the topics.
    pub fn topics(&self) -> Topics {
        let name = |rest: &str| format!("{}.{rest}", self.topic_prefix);
        Topics {
            inbox: name("ipn.inbox.v1"),
            events: name("events.v1"),
            state: name("state.v1"),
            dead_letters: name("ipn.dlq.v1"),
        }
    }

    /// The consumer group.
    pub fn group(&self) -> String {
        if self.group_id.is_empty() { format!("{}.worker", self.topic_prefix) } else { self.group_id.clone() }
    }

    /// How long a worker may go without polling before its group removes it: longer than a transaction and the initialisation
    /// of the next producer may take, and not longer, since a rebalance waits for this time.
    pub fn poll_interval_max(&self) -> Duration {
        Duration::from_millis((2 * self.transaction_timeout_ms + 15_000).max(self.session_timeout_ms))
    }

    /// How long an append may take.
    pub fn append_timeout(&self) -> Duration {
        Duration::from_millis(self.append_timeout_ms)
    }
}

impl Events {
    /// The format of published events.
    pub fn wire(&self) -> Wire {
        Wire { type_prefix: self.type_prefix.clone(), mode: self.mode }
    }

    /// When merchants are warned of dates and limits.
    pub fn notices(&self) -> NoticeRules {
        NoticeRules {
            expiring_before: Duration::from_secs_f64(self.expiring_before_d * 86_400.0),
            limit_near_percent: self.limit_near_percent,
            dispute_deadline_before: Duration::from_hours(self.dispute_deadline_before_h),
        }
    }
}

impl UpdateUrls {
    /// The URL of each account.
    pub fn by_account(&self, accounts: &[MerchantAccount]) -> HashMap<Account, String> {
        let of = |region| match region {
            Region::Na => &self.na,
            Region::Eu => &self.eu,
            Region::Jp => &self.jp,
        };
        let of = |account: &MerchantAccount| account.update_url.as_ref().unwrap_or(of(account.region)).clone();
        accounts.iter().map(|account| (account.merchant.account.clone(), of(account))).collect()
    }
}

impl Quotas {
    /// The rules for reading the Amazon Pay API.
    pub fn rules(&self, worker: &Worker) -> Rules {
        let share =
            |setting: QuotaSetting| Quota { burst: setting.burst, per_second: setting.per_second }.share(self.share);
        Rules {
            live: share(self.live),
            sandbox: share(self.sandbox),
            reconciliation_share: self.reconciliation_share,
            breaker: BreakerRule {
                failures: worker.breaker_failures,
                probe_every: Duration::from_millis(worker.breaker_probe_ms),
            },
            aged_after: Duration::from_millis(worker.aged_after_ms),
            reads_in_flight_max: worker.reads_in_flight_max,
            records_open_max: worker.records_open_max,
        }
    }
}

impl Error {
    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The mistakes.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl Mistake {
    /// Whether it is about an API key or its file.
    pub fn is_about_a_key(&self) -> bool {
        ["private_key_file", "public_key_id", "public_key_id_file"].iter().any(|field| self.setting.ends_with(field))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is wrong:")?;
        for mistake in &self.mistakes {
            write!(f, "\n  {}: {mistake}", self.file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.setting.as_str() {
            "" => f.write_str(&self.what),
            setting => write!(f, "{setting}: {}", self.what),
        }
    }
}

fn mistake(setting: impl Into<String>, what: impl Into<String>) -> Mistake {
    Mistake { setting: setting.into(), what: what.into() }
}

#[cfg(test)]
mod tests;
