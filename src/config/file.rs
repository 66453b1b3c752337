//! The file as it is written: defaults, environment variables that override it, and allowed ranges.

use serde::Deserialize;
use toml::{Table, Value};

use super::development::DevelopmentSetting;
use super::merchants::{MerchantSetting, is_update_url};
use super::{
    Admin, Events, Ingress, Kafka, Mistake, PayApi, QuotaSetting, Quotas, Reconciliation, Role, Shutdown, Sns,
    Telemetry, Worker, mistake,
};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) role: Role,
    #[serde(default)]
    pub(super) ingress: Ingress,
    #[serde(default)]
    pub(super) admin: Admin,
    #[serde(default)]
    pub(super) kafka: Kafka,
    #[serde(default)]
    pub(super) sns: Sns,
    #[serde(default)]
    pub(super) pay_api: PayApi,
    #[serde(default)]
    pub(super) worker: Worker,
    #[serde(default)]
    pub(super) quota: Quotas,
    #[serde(default)]
    pub(super) reconciliation: Reconciliation,
    #[serde(default)]
    pub(super) events: Events,
    #[serde(default)]
    pub(super) telemetry: Telemetry,
    #[serde(default)]
    pub(super) shutdown: Shutdown,
    pub(super) development: Option<DevelopmentSetting>,
    #[serde(default)]
    pub(super) merchants: Vec<MerchantSetting>,
}

/// Environment variables with this prefix override the file: `IPN_RECEIVER__KAFKA__BOOTSTRAP_SERVERS`,
/// `IPN_RECEIVER__MERCHANTS__0__PUBLIC_KEY_ID`, `IPN_RECEIVER__KAFKA__PROPERTIES__SECURITY_PROTOCOL`.
const ENVIRONMENT_PREFIX: &str = "IPN_RECEIVER__";

/// Parses the text of the file and the variables that override it.
pub(super) fn parse(text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Result<File, Mistake> {
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
        // The text of the line is left out: it may hold a password.
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        mistake(format!("line {line}"), format!("not TOML: {}", error.message()))
    })?;
    let mut overridden = Vec::new();
    for (name, value) in environment {
        if let Some(path) = name.strip_prefix(ENVIRONMENT_PREFIX) {
            let path: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
            override_setting(&mut table, &path, &value).map_err(|what| mistake(&name, what))?;
            overridden.push((path.join("."), name));
        }
    }
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        // `merchants[0].region` is `merchants.0.region` in a variable's name.
        let as_variable = path.replace('[', ".").replace(']', "");
        let variable = overridden.iter().find(|(overridden, _)| *overridden == as_variable);
        let setting = match (variable, path.as_str()) {
            (Some((_, variable)), _) => format!("environment variable {variable}"),
            (None, ".") => String::new(),
            (None, path) => path.to_owned(),
        };
        mistake(setting, error.inner().message())
    })
}

impl File {
    /// Values that can be parsed but are not allowed.
    pub(super) fn mistakes(&self) -> Vec<Mistake> {
        let rules = self.kafka_rules().into_iter().chain(self.ingress_rules()).chain(self.worker_rules());
        let broken = rules.filter(|rule| !rule.holds).map(|rule| mistake(rule.setting, rule.requirement));
        broken.chain(self.telemetry.mistakes()).chain(self.kafka.property_mistakes()).collect()
    }

    /// Rules for `[kafka]`.
    fn kafka_rules(&self) -> Vec<Rule> {
        vec![
            rule(
                !self.kafka.bootstrap_servers.is_empty(),
                "kafka.bootstrap_servers",
                "is missing; name at least one broker, as host:port",
            ),
            rule(
                self.kafka.bootstrap_servers.is_empty() || self.kafka.bootstrap_servers.split(',').all(is_server),
                "kafka.bootstrap_servers",
                "must be host:port, or several separated by commas; TLS is set in kafka.properties",
            ),
            rule(
                self.kafka.replication_factor >= 1,
                "kafka.replication_factor",
                "must be at least 1; 3 survives the loss of a broker",
            ),
            rule(
                is_topic_prefix(&self.kafka.topic_prefix),
                "kafka.topic_prefix",
                "must be 1 to 100 characters of a-z, A-Z, 0-9, hyphen and dot (no underscore: Kafka's metrics confuse it with a dot)",
            ),
            rule((1..=1000).contains(&self.kafka.partitions), "kafka.partitions", "must be between 1 and 1000"),
            rule(
                (2_000..=900_000).contains(&self.kafka.transaction_timeout_ms),
                "kafka.transaction_timeout_ms",
                "must be between 2000 and 900000 (Kafka's default maximum)",
            ),
            rule(
                (1_000..=1_800_000).contains(&self.kafka.session_timeout_ms),
                "kafka.session_timeout_ms",
                "must be between 1000 and 1800000, and within group.min.session.timeout.ms of the brokers (6000 by default)",
            ),
            rule(
                self.kafka.append_timeout_ms < self.ingress.deadline_ms,
                "kafka.append_timeout_ms",
                "must be below ingress.deadline_ms, so that the answer is sent in time",
            ),
        ]
    }

    /// Rules for the settings of the ingress: `[ingress]` and `[sns]`.
    fn ingress_rules(&self) -> Vec<Rule> {
        vec![
            rule(
                (1..=14_000).contains(&self.ingress.deadline_ms),
                "ingress.deadline_ms",
                "must be between 1 and 14000: SNS gives up after 15 s",
            ),
            rule(
                (1024..=524_288).contains(&self.ingress.body_bytes_max),
                "ingress.body_bytes_max",
                "must be between 1024 and 524288 (512 KiB)",
            ),
            rule(self.ingress.body_timeout_ms > 0, "ingress.body_timeout_ms", "must be at least 1"),
            rule(
                self.ingress.body_bytes_in_flight_max >= self.ingress.body_bytes_max,
                "ingress.body_bytes_in_flight_max",
                "must be at least ingress.body_bytes_max",
            ),
            rule(self.ingress.connections_max > 0, "ingress.connections_max", "must be at least 1"),
            rule(self.sns.certificates_max > 0, "sns.certificates_max", "must be at least 1"),
            rule(
                (1..=1000).contains(&self.sns.certificate_fetches_max),
                "sns.certificate_fetches_max",
                "must be between 1 and 1000",
            ),
            rule(
                self.sns.ipn_age_max_h <= 87_600,
                "sns.ipn_age_max_h",
                "must be at most 87600 (ten years); 0 accepts any age",
            ),
        ]
    }

    /// Rules for the settings of the worker: quota, reads, events and merchants.
    fn worker_rules(&self) -> Vec<Rule> {
        vec![
            rule((0.01..=1.0).contains(&self.quota.share), "quota.share", "must be between 0.01 and 1"),
            rule(
                (0.01..=1.0).contains(&self.quota.reconciliation_share),
                "quota.reconciliation_share",
                "must be between 0.01 and 1",
            ),
            rule(
                [&self.events.update_urls.na, &self.events.update_urls.eu, &self.events.update_urls.jp]
                    .iter()
                    .all(|url| is_update_url(url)),
                "events.update_urls",
                "each must start with https:// and have no other placeholder than {ChargePermissionId}, at most once",
            ),
            rule(
                (0.0..=365.0).contains(&self.events.expiring_before_d),
                "events.expiring_before_d",
                "must be between 0 and 365; 0 switches the event off",
            ),
            rule(
                self.events.limit_near_percent <= 100,
                "events.limit_near_percent",
                "must be between 0 and 100; 0 switches the event off",
            ),
            rule(
                self.events.dispute_deadline_before_h <= 720,
                "events.dispute_deadline_before_h",
                "must be between 0 and 720; 0 switches the event off",
            ),
            rule(self.quota.live.is_sane(), "quota.live", "burst must be at least 1 and per_second above 0"),
            rule(self.quota.sandbox.is_sane(), "quota.sandbox", "burst must be at least 1 and per_second above 0"),
            rule(self.pay_api.key_reload_ms > 0, "pay_api.key_reload_ms", "must be at least 1"),
            rule(self.worker.reads_in_flight_max > 0, "worker.reads_in_flight_max", "must be at least 1"),
            rule(self.worker.parent_wait_max_ms > 0, "worker.parent_wait_max_ms", "must be at least 1"),
            rule(self.worker.breaker_failures > 0, "worker.breaker_failures", "must be at least 1"),
            rule(self.worker.records_per_round_max > 0, "worker.records_per_round_max", "must be at least 1"),
            rule(
                !self.worker.confirm_reads_after_ms.is_empty() && self.worker.confirm_reads_after_ms.is_sorted(),
                "worker.confirm_reads_after_ms",
                "must have at least one time, and the times must grow",
            ),
            rule(self.worker.stub_after_d > 0.0, "worker.stub_after_d", "must be above 0; fractions are allowed"),
            rule(
                (self.worker.stub_after_d..=36_500.0).contains(&self.worker.forget_after_d),
                "worker.forget_after_d",
                "must be at least worker.stub_after_d, and at most 36500 (a hundred years)",
            ),
            rule(
                self.reconciliation.period_factor > 0.0 && self.reconciliation.period_factor <= 1000.0,
                "reconciliation.period_factor",
                "must be above 0 and at most 1000; 2 reads half as often, enabled = false never",
            ),
            rule(!self.merchants.is_empty(), "merchants", "is empty; add a [[merchants]] table"),
        ]
    }
}

/// What a setting must fulfil.
struct Rule {
    holds: bool,
    setting: &'static str,
    requirement: &'static str,
}

fn rule(holds: bool, setting: &'static str, requirement: &'static str) -> Rule {
    Rule { holds, setting, requirement }
}

/// Whether the text is the address of a broker, with or without a port.
fn is_server(text: &str) -> bool {
    let (host, port) = text.trim().rsplit_once(':').unwrap_or((text.trim(), "9092"));
    !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
}

impl QuotaSetting {
    fn is_sane(self) -> bool {
        self.burst >= 1.0 && self.per_second > 0.0 && self.burst.is_finite() && self.per_second.is_finite()
    }
}

fn is_topic_prefix(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

fn override_setting(table: &mut Table, path: &[String], text: &str) -> Result<(), &'static str> {
    const NO_PATH: &str = "is not the path of a setting; write IPN_RECEIVER__TABLE__SETTING, for merchants IPN_RECEIVER__MERCHANTS__0__SETTING";
    let (name, rest) = path.split_first().filter(|(name, _)| !name.is_empty()).ok_or(NO_PATH)?;
    if name == "properties" {
        // Names of librdkafka's properties have dots, which environment variables cannot have.
        let properties = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
        properties
            .as_table_mut()
            .ok_or(NO_PATH)?
            .insert(rest.join("_").replace('_', "."), Value::String(text.to_owned()));
        return Ok(());
    }
    match rest {
        [] => {
            table.insert(name.clone(), scalar(text));
            Ok(())
        }
        [index, deeper @ ..] if name == "merchants" => {
            let list = table.entry(name).or_insert_with(|| Value::Array(Vec::new())).as_array_mut().ok_or(NO_PATH)?;
            let index: usize = index.parse().map_err(|_| NO_PATH)?;
            if index > list.len() {
                return Err("skips a merchant: the numbers start at 0 and have no gap");
            }
            if index == list.len() {
                list.push(Value::Table(Table::new()));
            }
            override_setting(list[index].as_table_mut().ok_or(NO_PATH)?, deeper, text)
        }
        deeper => {
            let inner = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
            override_setting(inner.as_table_mut().ok_or(NO_PATH)?, deeper, text)
        }
    }
}

/// A number, boolean or list if the text is one in TOML, otherwise the text itself.
fn scalar(text: &str) -> Value {
    match format!("x = {text}").parse::<Table>() {
        Ok(mut table) if table.len() == 1 => table.remove("x").unwrap_or_else(|| Value::String(text.to_owned())),
        _ => Value::String(text.to_owned()),
    }
}
