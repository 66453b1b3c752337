//! The settings: one TOML file, environment variables over it, everything checked before anything starts.
//!
//! A mistake is told with the file, the path of the setting and what would be right; all mistakes at once.

mod development;
mod file;
mod key_files;
mod merchants;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rdkafka::ClientConfig;
use serde::Deserialize;

pub use self::development::Development;
pub use self::key_files::KeyFiles;
pub use self::merchants::MerchantAccount;
use crate::domain::merchants::Merchants;
use crate::domain::sns::Policy;
use crate::domain::work::Quota;

/// Everything that can be set.
#[derive(Debug)]
pub struct Config {
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
    /// Reading, deriving, publishing.
    pub worker: Worker,
    /// Amazon's throttling.
    pub quota: Quotas,
    /// How events are named.
    pub events: Events,
    /// How to leave.
    pub shutdown: Shutdown,
    /// What is added while nothing is live.
    pub development: Option<Development>,
    /// Whose IPNs, in order of the file.
    pub merchants: Vec<MerchantAccount>,
}

/// `[ingress]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingress {
    /// Address of `POST /ipn`.
    pub listen: SocketAddr,
    /// An answer is given within this; SNS gives up after 15 s.
    pub deadline_ms: u64,
    /// Largest body.
    pub body_bytes_max: usize,
    /// A body has arrived within this.
    pub body_timeout_ms: u64,
    /// Bytes of all bodies under way, beyond the first 16 KiB of each.
    pub body_bytes_in_flight_max: usize,
    /// Connections open at once; more wait in the system's queue.
    pub connections_max: usize,
    /// Threads; 0 = one a core.
    pub threads: usize,
    /// `Retry-After` of a 503.
    pub retry_after_s: u64,
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address of `/healthz`, `/readyz` and `/metrics`; never public.
    pub listen: SocketAddr,
    /// How often Kafka is asked whether it can take a record.
    pub probe_interval_ms: u64,
    /// A clock further from Amazon's than this is told in the log and in `/readyz`.
    pub clock_offset_max_s: u64,
}

/// `[kafka]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// `host:port,…`
    pub bootstrap_servers: String,
    /// What topic names begin with.
    pub topic_prefix: String,
    /// Partitions of the inbox and the state topic; fixed for life.
    pub partitions: i32,
    /// Copies of each partition, when `topics` creates them.
    pub replication_factor: i32,
    /// Consumer group; default `<topic_prefix>.worker`.
    pub group_id: String,
    /// How long the group waits for a member that fell silent.
    pub session_timeout_ms: u64,
    /// An open transaction of a dead process is ended by the broker after this.
    pub transaction_timeout_ms: u64,
    /// A record that is not acknowledged within this failed.
    pub append_timeout_ms: u64,
    /// How long the inbox producer waits for more records to send at once.
    pub append_linger_ms: u64,
    /// Any other librdkafka property, such as `security.protocol`.
    pub properties: BTreeMap<String, String>,
}

/// `[sns]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sns {
    /// AWS accounts of Amazon Pay's topics.
    pub topic_accounts: Vec<String>,
    /// An older message is not taken; 0 = any age.
    pub ipn_age_max_h: u64,
    /// A message from further in the future is not taken.
    pub ipn_ahead_max_s: u64,
    /// Time for one fetch of a certificate.
    pub certificate_timeout_ms: u64,
    /// Time to confirm a subscription.
    pub confirmation_timeout_ms: u64,
    /// Largest certificate file.
    pub certificate_bytes_max: usize,
    /// Certificates kept.
    pub certificates_max: u64,
    /// Certificates fetched at once; who comes then is told to come again.
    pub certificate_fetches_max: usize,
    /// A certificate that could not be had is asked for again after this.
    pub certificate_failure_ms: u64,
}

/// `[pay_api]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PayApi {
    /// Time to connect.
    pub connect_timeout_ms: u64,
    /// How often the key files are looked at.
    pub key_reload_ms: u64,
    /// Time for a whole read.
    pub timeout_ms: u64,
    /// Largest answer.
    pub answer_bytes_max: usize,
}

/// `[worker]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// Reads under way at once.
    pub reads_in_flight_max: usize,
    /// Records taken from the inbox in one round.
    pub records_per_round_max: usize,
    /// Inbox records that wait for their answer at once; above it their work is written as pending at once.
    pub records_open_max: usize,
    /// Work not answered within this is written into the state record and its inbox record passed.
    pub pending_after_ms: u64,
    /// A read settles notifications that are at most this much younger than the object's last update.
    pub settle_slack_ms: u64,
    /// A read that settles nothing is repeated after this and up to as much again.
    pub confirm_after_ms: u64,
    /// After trouble of the network, of Amazon or of credentials.
    pub systemic_retry_ms: u64,
    /// So many such troubles in a row hold a merchant's reads back; then single ones probe.
    pub breaker_failures: u32,
    /// Between those probes.
    pub breaker_probe_ms: u64,
    /// Waits between reads of an object that neither Amazon nor we know; then it is a dead letter.
    pub unknown_object_retries_ms: Vec<u64>,
    /// Longest time in an object's own trouble before it is a dead letter.
    pub pending_age_max_h: u64,
    /// An inbox record this much older than the last read of its object needs no other read.
    pub inbox_clock_margin_ms: u64,
}

/// `[quota]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// The part of Amazon's quota that is ours; the shop's own calls share the rest.
    pub share: f64,
    /// In live, for each merchant and operation.
    pub live: QuotaSetting,
    /// In sandbox.
    pub sandbox: QuotaSetting,
}

/// A burst and a rate.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaSetting {
    /// Requests at once.
    pub burst: f64,
    /// Requests a second.
    pub per_second: f64,
}

/// `[events]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// `type` of an event is `<this>.<EventName>.v1`.
    pub type_prefix: String,
}

/// `[shutdown]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// Time between "not ready" and the last accepted request, for load balancers to notice.
    pub notice_ms: u64,
    /// Time to finish what was begun.
    pub grace_ms: u64,
}

/// The names of the four topics.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Verified IPNs.
    pub inbox: String,
    /// The public contract.
    pub events: String,
    /// Known state; private.
    pub state: String,
    /// Dead letters.
    pub dead_letters: String,
}

/// Every mistake in the settings.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    file: PathBuf,
    mistakes: Vec<Mistake>,
}

/// One mistake.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Path of the setting, such as `merchants[0].region`.
    pub setting: String,
    /// What is wrong and what would be right.
    pub what: String,
}

impl Config {
    /// Reads `file`, lays `environment` over it and checks everything, key files included.
    pub fn load(file: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Error> {
        let error = |mistakes| Error { file: file.to_owned(), mistakes };
        let text = std::fs::read_to_string(file).map_err(|io| {
            error(vec![mistake("", format!("cannot be read: {io}; name an existing TOML file with --config"))])
        })?;
        Self::from_toml(&text, environment, file.parent().unwrap_or(Path::new("."))).map_err(error)
    }

    /// The same from text; relative key files are looked for in `folder`.
    pub fn from_toml(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        folder: &Path,
    ) -> Result<Self, Vec<Mistake>> {
        let file = file::parse(text, environment).map_err(|mistake| vec![mistake])?;
        let mut mistakes = file.mistakes();
        let development = file.development.map(|table| development::load(&table, folder, &mut mistakes));
        let extra_topics = development.as_ref().map(|table| table.topics.as_slice()).unwrap_or_default();
        let merchants =
            merchants::load(&file.merchants, (&file.sns.topic_accounts, extra_topics), folder, &mut mistakes);
        if development.is_some() {
            development::check_nothing_is_live(&merchants, &mut mistakes);
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            ingress: file.ingress,
            admin: file.admin,
            kafka: file.kafka,
            sns: file.sns,
            pay_api: file.pay_api,
            worker: file.worker,
            quota: file.quota,
            events: file.events,
            shutdown: file.shutdown,
            development,
            merchants,
        })
    }

    /// What is let in of what is genuine.
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
    /// What every client of the cluster starts from. The guarantees are set by each client after this, so no
    /// property can take them back.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        for (name, value) in &self.properties {
            client.set(name, value);
        }
        client
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", "ipn-receiver")
            // A broker that comes back should be noticed within a second, not after the default ten.
            .set("reconnect.backoff.max.ms", "1000")
            .set("allow.auto.create.topics", "false");
        client
    }

    /// What a consumer starts from that only reads: it joins no group, and `purpose` tells it apart in Kafka's eyes.
    pub fn reader(&self, purpose: &str) -> ClientConfig {
        let mut reader = self.client();
        reader
            .set("group.id", format!("{}-{purpose}", self.group()))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed");
        reader
    }

    /// The topics' names.
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

    /// How long an append may take.
    pub fn append_timeout(&self) -> Duration {
        Duration::from_millis(self.append_timeout_ms)
    }
}

impl Quotas {
    /// Our part in live and in sandbox.
    pub fn ours(&self) -> (Quota, Quota) {
        let ours =
            |setting: QuotaSetting| Quota { burst: setting.burst, per_second: setting.per_second }.share(self.share);
        (ours(self.live), ours(self.sandbox))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used:")?;
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
#[path = "config_tests.rs"]
mod tests;
