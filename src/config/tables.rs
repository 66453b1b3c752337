//! The tables of the file and their defaults. [`reference`](super::reference) describes each setting.
#![expect(missing_docs, reason = "`reference` describes each setting")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use crate::domain::events::{Mode, TYPE_PREFIX};
use crate::domain::pay::FreeText;
use crate::domain::state::retention::Retention;

/// Which part of the receiver a process runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Both parts.
    #[default]
    All,
    /// Receives IPNs and stores them in the inbox. Needs no API key.
    Ingest,
    /// Reads the Amazon Pay API and publishes events.
    Worker,
}

/// `[ingress]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingress {
    pub listen: SocketAddr,
    pub deadline_ms: u64,
    pub body_bytes_max: usize,
    pub body_timeout_ms: u64,
    pub body_bytes_in_flight_max: usize,
    pub connections_max: usize,
    pub threads: usize,
    pub retry_after_s: u64,
    pub messages_remembered_max: u64,
    pub topic_messages_per_s_max: u32,
    pub late_messages_per_s_max: u32,
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    pub listen: SocketAddr,
    pub probe_interval_ms: u64,
    pub clock_offset_max_s: u64,
}

/// `[kafka]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    pub bootstrap_servers: String,
    pub topic_prefix: String,
    pub partitions: i32,
    pub replication_factor: i32,
    pub group_id: String,
    pub session_timeout_ms: u64,
    pub transaction_timeout_ms: u64,
    pub append_timeout_ms: u64,
    pub append_linger_ms: u64,
    pub properties: BTreeMap<String, String>,
}

/// `[sns]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sns {
    pub topic_accounts: Vec<String>,
    pub ipn_age_max_h: u64,
    pub ipn_ahead_max_s: u64,
    pub certificate_timeout_ms: u64,
    pub confirmation_timeout_ms: u64,
    pub certificate_bytes_max: usize,
    pub certificates_max: u64,
    pub certificate_fetches_max: usize,
    pub certificate_unknown_per_s_max: u32,
    pub certificate_failure_ms: u64,
}

/// `[pay_api]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PayApi {
    pub connect_timeout_ms: u64,
    pub key_reload_ms: u64,
    pub timeout_ms: u64,
    pub answer_bytes_max: usize,
}

/// `[worker]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    pub reads_in_flight_max: usize,
    pub records_per_round_max: usize,
    pub records_open_max: usize,
    pub answers_kept_max: usize,
    pub parent_wait_max_ms: u64,
    pub pending_after_ms: u64,
    pub settle_slack_ms: u64,
    pub confirm_reads_after_ms: Vec<u64>,
    pub systemic_retry_ms: u64,
    pub breaker_failures: u32,
    pub breaker_probe_ms: u64,
    pub unknown_object_retries_ms: Vec<u64>,
    pub aged_after_ms: u64,
    pub pending_age_max_h: u64,
    pub stub_after_d: f64,
    pub forget_after_d: f64,
}

/// `[reconciliation]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reconciliation {
    pub enabled: bool,
    pub period_factor: f64,
}

/// `[quota]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    pub share: f64,
    pub reconciliation_share: f64,
    pub live: QuotaSetting,
    pub sandbox: QuotaSetting,
}

/// Requests at once, and requests a second.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaSetting {
    pub burst: f64,
    pub per_second: f64,
}

/// `[events]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    pub type_prefix: String,
    pub free_text: FreeText,
    pub mode: Mode,
    pub expiring_before_d: f64,
    pub limit_near_percent: u32,
    pub dispute_deadline_before_h: u64,
    pub update_urls: UpdateUrls,
}

/// `[events.update_urls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateUrls {
    pub na: String,
    pub eu: String,
    pub jp: String,
}

/// `[shutdown]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    pub notice_ms: u64,
    pub grace_ms: u64,
}

impl Role {
    /// Whether this role receives IPNs.
    pub fn receives_ipns(self) -> bool {
        self != Self::Worker
    }

    /// Whether this role runs the worker, which reads objects and publishes events.
    pub fn runs_worker(self) -> bool {
        self != Self::Ingest
    }

    /// Its name in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Ingest => "ingest",
            Self::Worker => "worker",
        }
    }
}

impl Worker {
    /// How long an inbox record must be kept for a dead letter: as long as an object may fail, and two days to repair things.
    pub fn inbox_keeps(&self) -> Duration {
        Duration::from_hours(self.pending_age_max_h.saturating_add(48))
    }

    /// For how long what is known of an object in a final state is kept.
    pub fn keeping(&self) -> Retention {
        let days = |days: f64| Duration::from_secs_f64(days * 86_400.0);
        Retention { stub_after: days(self.stub_after_d), delete_after: days(self.forget_after_d) }
    }
}

impl Default for Ingress {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            deadline_ms: 10_000,
            body_bytes_max: 524_288,
            body_timeout_ms: 5_000,
            body_bytes_in_flight_max: 16_777_216,
            connections_max: 0,
            threads: 0,
            retry_after_s: 20,
            messages_remembered_max: 10_000,
            topic_messages_per_s_max: 20_000,
            late_messages_per_s_max: 10,
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9090)),
            probe_interval_ms: 2_000,
            clock_offset_max_s: 60,
        }
    }
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            bootstrap_servers: String::new(),
            topic_prefix: "amazonpay".to_owned(),
            partitions: 12,
            replication_factor: 3,
            group_id: String::new(),
            session_timeout_ms: 30_000,
            transaction_timeout_ms: 15_000,
            append_timeout_ms: 8_000,
            append_linger_ms: 0,
            properties: BTreeMap::new(),
        }
    }
}

impl Default for Sns {
    fn default() -> Self {
        Self {
            topic_accounts: vec!["291180941288".to_owned()],
            ipn_age_max_h: 360,
            ipn_ahead_max_s: 900,
            certificate_timeout_ms: 5_000,
            confirmation_timeout_ms: 5_000,
            certificate_bytes_max: 65_536,
            certificates_max: 64,
            certificate_fetches_max: 32,
            certificate_unknown_per_s_max: 2,
            certificate_failure_ms: 10_000,
        }
    }
}

impl Default for PayApi {
    fn default() -> Self {
        Self { connect_timeout_ms: 3_000, key_reload_ms: 10_000, timeout_ms: 10_000, answer_bytes_max: 1_048_576 }
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            reads_in_flight_max: 16,
            records_per_round_max: 500,
            records_open_max: 10_000,
            answers_kept_max: 1_000,
            parent_wait_max_ms: 120_000,
            pending_after_ms: 10_000,
            settle_slack_ms: 5_000,
            confirm_reads_after_ms: vec![30_000, 120_000, 600_000, 3_600_000],
            systemic_retry_ms: 5_000,
            breaker_failures: 5,
            breaker_probe_ms: 10_000,
            unknown_object_retries_ms: vec![60_000, 300_000, 900_000, 2_100_000],
            aged_after_ms: 300_000,
            pending_age_max_h: 168,
            stub_after_d: 30.0,
            forget_after_d: 730.0,
        }
    }
}

impl Default for Reconciliation {
    fn default() -> Self {
        Self { enabled: true, period_factor: 1.0 }
    }
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            share: 0.8,
            reconciliation_share: 0.1,
            live: QuotaSetting { burst: 20.0, per_second: 4.0 },
            sandbox: QuotaSetting { burst: 5.0, per_second: 1.0 },
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self {
            type_prefix: TYPE_PREFIX.to_owned(),
            free_text: FreeText::Dropped,
            mode: Mode::Structured,
            expiring_before_d: 14.0,
            limit_near_percent: 10,
            dispute_deadline_before_h: 72,
            update_urls: UpdateUrls::default(),
        }
    }
}

impl Default for UpdateUrls {
    fn default() -> Self {
        Self {
            na: "https://payments.amazon.com/jr/your-account/ba/{ChargePermissionId}".to_owned(),
            eu: "https://pay.amazon.com/".to_owned(),
            jp: "https://pay.amazon.com/jp/jr/your-account/ba/{ChargePermissionId}".to_owned(),
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { notice_ms: 5_000, grace_ms: 20_000 }
    }
}
