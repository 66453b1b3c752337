//! The file as it is written: defaults, environment variables that override it, and allowed ranges.

use serde::Deserialize;
use toml::{Table, Value};

use super::development::DevelopmentSetting;
use super::merchants::{MerchantSetting, is_update_url};
use super::{
    Admin, Events, Ingress, Kafka, Mistake, PayApi, QuotaSetting, Quotas, Reconciliation, Role, Shutdown, Sns,
    Telemetry, Worker, mistake, ranges,
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
    /// Numbers that are too small or too large.
    #[serde(skip)]
    out_of_range: Vec<Mistake>,
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
    let out_of_range = ranges::mistakes(&table);
    let file: File = serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        // `merchants[0].region` is `merchants.0.region` in a variable's name.
        let as_variable = path.replace('[', ".").replace(']', "");
        let variable = overridden.iter().find(|(overridden, _)| *overridden == as_variable);
        let setting = match (variable, path.as_str()) {
            (Some((_, variable)), _) => format!("environment variable {variable}"),
            (None, ".") => String::new(),
            (None, path) => path.to_owned(),
        };
        mistake(setting, without_value(error.inner().message()))
    })?;
    Ok(File { out_of_range, ..file })
}

/// The text of a type error without the value, which may be a secret in the wrong place.
fn without_value(message: &str) -> String {
    for kind in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) = message.strip_prefix(kind).and_then(|rest| rest.rsplit_once(", expected ")) {
            let type_name = found.split(['"', '`']).next().unwrap_or_default().trim();
            return format!("{kind}{type_name}, expected {expected}");
        }
    }
    message.to_owned()
}

impl File {
    /// Values that can be parsed but are not allowed.
    pub(super) fn mistakes(&self) -> Vec<Mistake> {
        let rules = self.ingest_rules().into_iter().chain(self.worker_rules());
        let broken = rules.filter(|rule| !rule.holds).map(|rule| mistake(rule.setting, rule.requirement));
        let broken = self.out_of_range.iter().cloned().chain(broken);
        broken.chain(self.telemetry.mistake()).chain(self.kafka.property_mistakes()).collect()
    }

    /// Rules for `[kafka]` and `[ingress]`.
    fn ingest_rules(&self) -> Vec<Rule> {
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
                is_topic_prefix(&self.kafka.topic_prefix),
                "kafka.topic_prefix",
                "must be 1 to 100 characters of a-z, A-Z, 0-9, hyphen and dot (no underscore: Kafka's metrics confuse it with a dot)",
            ),
            rule(
                self.kafka.append_timeout_ms < self.ingress.deadline_ms,
                "kafka.append_timeout_ms",
                "must be below ingress.deadline_ms, so that the answer is sent in time",
            ),
            rule(
                self.kafka.append_linger_ms < self.kafka.append_timeout_ms,
                "kafka.append_linger_ms",
                "must be below kafka.append_timeout_ms, so that a record is sent before its time is over",
            ),
            rule(
                self.ingress.body_bytes_in_flight_max >= self.ingress.body_bytes_max,
                "ingress.body_bytes_in_flight_max",
                "must be at least ingress.body_bytes_max",
            ),
        ]
    }

    /// Rules for the settings of the worker: quota, reads, events and merchants.
    fn worker_rules(&self) -> Vec<Rule> {
        vec![
            rule(
                [&self.events.update_urls.na, &self.events.update_urls.eu, &self.events.update_urls.jp]
                    .iter()
                    .all(|url| is_update_url(url)),
                "events.update_urls",
                "each must start with https:// and have no other placeholder than {ChargePermissionId}, at most once",
            ),
            rule(self.quota.live.is_sane(), "quota.live", QuotaSetting::REQUIREMENT),
            rule(self.quota.sandbox.is_sane(), "quota.sandbox", QuotaSetting::REQUIREMENT),
            rule(
                !self.worker.confirm_reads_after_ms.is_empty() && self.worker.confirm_reads_after_ms.is_sorted(),
                "worker.confirm_reads_after_ms",
                "must have at least one time, and the times must grow",
            ),
            rule(
                self.worker.stub_after_d <= self.worker.forget_after_d,
                "worker.forget_after_d",
                "must be at least worker.stub_after_d",
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
    const REQUIREMENT: &'static str = "burst must be between 1 and 1000000, and per_second between 0.001 and 1000000";

    fn is_sane(self) -> bool {
        (1.0..=1e6).contains(&self.burst) && (0.001..=1e6).contains(&self.per_second)
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
