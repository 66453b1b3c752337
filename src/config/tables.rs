//! The tables of the file, setting by setting, and their defaults.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use crate::domain::events::Mode;
use crate::domain::pay::FreeText;
use crate::domain::state::retention::Retention;

/// `role`: which half of the receiver a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Both.
    #[default]
    All,
    /// Takes notifications and makes them durable. Needs no API key.
    Ingest,
    /// Reads, derives and publishes.
    Worker,
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
    /// Reads of a merchant and environment under way at once.
    pub reads_in_flight_max: usize,
    /// Records taken from the inbox in one round.
    pub records_per_round_max: usize,
    /// Inbox records of a merchant and environment that wait for their answer; above it their work is written as pending.
    pub records_open_max: usize,
    /// Answers kept until another object was read that they wait for; those beyond are read again.
    pub answers_kept_max: usize,
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
    /// What has been due for this long has every second read of its operation, before what is new.
    pub aged_after_ms: u64,
    /// Longest time in an object's own trouble before it is a dead letter.
    pub pending_age_max_h: u64,
    /// An inbox record this much older than the last read of its object needs no other read.
    pub inbox_clock_margin_ms: u64,
    /// After so many quiet days what is known of an object in a final state shrinks to a stub.
    pub stub_after_d: f64,
    /// After so many it is forgotten.
    pub forget_after_d: f64,
}

/// `[reconciliation]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reconciliation {
    /// Whether objects are looked at that nobody told us of.
    pub enabled: bool,
    /// Scales every time between two looks.
    pub period_factor: f64,
}

/// `[quota]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// The part of Amazon's quota that is ours; the shop's own calls share the rest.
    pub share: f64,
    /// The part of ours that may be used for looking at what nobody told us of.
    pub reconciliation_share: f64,
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
    /// Whether events carry text that a merchant writes for a buyer.
    pub free_text: FreeText,
    /// Where an event's attributes stand.
    pub mode: Mode,
    /// Where buyers update their payment method.
    pub update_urls: UpdateUrls,
}

/// `[events.update_urls]`: for each region, with `{ChargePermissionId}` where the permission's id goes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateUrls {
    /// North America ("Manage recurring payments").
    pub na: String,
    /// Europe: the buyer's own page, since no page of one permission is documented.
    pub eu: String,
    /// Japan: seen in Amazon's older code.
    pub jp: String,
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

impl Role {
    /// Whether it takes notifications.
    pub fn takes(self) -> bool {
        self != Self::Worker
    }

    /// Whether it reads and publishes.
    pub fn works(self) -> bool {
        self != Self::Ingest
    }

    /// The word in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Ingest => "ingest",
            Self::Worker => "worker",
        }
    }
}

impl Worker {
    /// For how long an inbox record may still be read back: as long as an object may fail, and two days to mend things.
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
            body_bytes_in_flight_max: 67_108_864,
            connections_max: 10_000,
            threads: 0,
            retry_after_s: 20,
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
            pending_after_ms: 10_000,
            settle_slack_ms: 5_000,
            confirm_after_ms: 30_000,
            systemic_retry_ms: 5_000,
            breaker_failures: 5,
            breaker_probe_ms: 10_000,
            unknown_object_retries_ms: vec![60_000, 300_000, 900_000, 2_100_000],
            aged_after_ms: 300_000,
            pending_age_max_h: 168,
            inbox_clock_margin_ms: 10_000,
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
            type_prefix: "amazonpay".to_owned(),
            free_text: FreeText::Dropped,
            mode: Mode::Structured,
            update_urls: UpdateUrls::default(),
        }
    }
}

impl Default for UpdateUrls {
    fn default() -> Self {
        Self {
            na: "https://payments.amazon.com/jr/your-account/ba/{ChargePermissionId}".to_owned(),
            eu: "https://pay.amazon.com/".to_owned(),
            jp: "https://payments.amazon.co.jp/jr/your-account/ba/{ChargePermissionId}".to_owned(),
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { notice_ms: 5_000, grace_ms: 20_000 }
    }
}
