//! Which properties of librdkafka the configuration may set.

use super::{Kafka, Mistake, mistake};

impl Kafka {
    /// `security.protocol` in lower case; librdkafka ignores case, and without it connects in plain text.
    pub fn security_protocol(&self) -> String {
        self.properties
            .get("security.protocol")
            .map_or_else(|| "plaintext".to_owned(), |protocol| protocol.to_lowercase())
    }

    /// Properties that would break a guarantee, those that load code or run commands, and those that librdkafka does not know.
    pub(super) fn property_mistakes(&self) -> Vec<Mistake> {
        let wrong = |name: &String, value: &String| {
            if OWNED_PROPERTIES.contains(&name.as_str()) {
                return Some("is set by ipn-receiver, because its guarantees depend on it; remove it");
            }
            // librdkafka must not see these: it loads a plugin as soon as the property is set.
            if RUNS_CODE.iter().any(|prefix| name.starts_with(prefix)) {
                return Some(
                    "would load code or run a command; the configuration must not be able to do that: remove it",
                );
            }
            let refused = rdkafka::ClientConfig::new().set(name, value).create_native_config().is_err();
            refused.then_some(
                "is not a property of librdkafka, or has a value that it does not accept; see its CONFIGURATION.md",
            )
        };
        let setting = |name: &str| format!("kafka.properties.\"{name}\"");
        let lacks_mechanism = self.security_protocol().starts_with("sasl")
            && !self.properties.contains_key("sasl.mechanism")
            && !self.properties.contains_key("sasl.mechanisms");
        let lacking = "is missing: set PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, whichever the brokers offer";
        let wrong =
            self.properties.iter().filter_map(|(name, value)| Some(mistake(setting(name), wrong(name, value)?)));
        wrong.chain(lacks_mechanism.then(|| mistake(setting("sasl.mechanism"), lacking))).collect()
    }
}

/// Properties that the clients set themselves.
const OWNED_PROPERTIES: &[&str] = &[
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "group.protocol",
    "acks",
    "enable.idempotence",
    "transactional.id",
    "transaction.timeout.ms",
    "isolation.level",
    "enable.auto.commit",
    "auto.commit.enable",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "partition.assignment.strategy",
    "partitioner",
    "session.timeout.ms",
    "max.poll.interval.ms",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "linger.ms",
    "queue.buffering.max.ms",
    "allow.auto.create.topics",
    "enable.partition.eof",
    "message.max.bytes",
    "batch.size",
    "batch.num.messages",
    "queue.buffering.max.messages",
    "queue.buffering.max.kbytes",
    "receive.message.max.bytes",
    "request.timeout.ms",
    "request.required.acks",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "retries",
    "message.send.max.retries",
    "enable.gapless.guarantee",
    "group.instance.id",
    "heartbeat.interval.ms",
    "topic.blacklist",
    "test.mock.num.brokers",
];

/// How the names of properties begin that name code to load or a command to run.
const RUNS_CODE: &[&str] = &["plugin.", "ssl.engine.", "ssl.providers", "sasl.kerberos.", "interceptor."];
