//! The settings, table by table, in the order of the document.

use super::DefaultValue::{Other, Required, Toml};
use super::{DefaultValue, Setting, SettingsTable};

/// Every table.
pub const TABLES: &[SettingsTable] = &[
    SettingsTable {
        name: "",
        purpose: "The setting outside of all tables.",
        settings: &[setting(
            "role",
            Toml(r#""all""#),
            "Which part of the receiver the process runs: `ingest` receives IPNs and needs no API key, `worker` reads the Amazon Pay API and publishes events, `all` does both. `serve --role` overrides it.",
        )],
    },
    SettingsTable {
        name: "ingress",
        purpose: "The HTTP endpoint that Amazon SNS posts to.",
        settings: &[
            setting("listen", Toml(r#""0.0.0.0:8080""#), "Address of `POST /ipn`."),
            setting("deadline_ms", Toml("10000"), "The receiver answers within this time. SNS gives up after 15 s."),
            setting("body_bytes_max", Toml("524288"), "Largest accepted body."),
            setting("body_timeout_ms", Toml("5000"), "A body must arrive within this time."),
            setting(
                "body_bytes_in_flight_max",
                Toml("67108864"),
                "Limit for all bodies that are being received, beyond the first 16 KiB of each. An IPN needs none of it.",
            ),
            setting(
                "connections_max",
                Toml("10000"),
                "Connections open at the same time. More wait in the system's queue.",
            ),
            setting("threads", Toml("0"), "Threads. 0 means one per core."),
            setting("retry_after_s", Toml("20"), "The `Retry-After` header of a 503."),
        ],
    },
    SettingsTable {
        name: "admin",
        purpose: "The port for health checks and metrics. It must never be public.",
        settings: &[
            setting("listen", Toml(r#""0.0.0.0:9090""#), "Address of `/healthz`, `/readyz` and `/metrics`."),
            setting("probe_interval_ms", Toml("2000"), "How often the receiver checks that Kafka would take a record."),
            setting(
                "clock_offset_max_s",
                Toml("60"),
                "A clock that differs from Amazon's by more than this is reported in the log and in `/readyz`.",
            ),
        ],
    },
    SettingsTable {
        name: "kafka",
        purpose: "The cluster and its topics. Properties for TLS and SASL are in [kafka.md](kafka.md).",
        settings: &[
            setting("bootstrap_servers", Required, "Brokers to connect to first, as `host:port`, separated by commas."),
            setting("topic_prefix", Toml(r#""amazonpay""#), "The names of the four topics begin with this and a dot."),
            setting(
                "partitions",
                Toml("12"),
                "Partitions of the inbox and the state topic. The count cannot be changed later.",
            ),
            setting(
                "replication_factor",
                Toml("3"),
                "Replicas of each partition when `topics` creates them; a topic with fewer is refused. With 2 or more, `min.insync.replicas` is 2.",
            ),
            setting("group_id", Other("`<topic_prefix>.worker`"), "Consumer group of the workers."),
            setting(
                "session_timeout_ms",
                Toml("30000"),
                "The group waits this long for a member that sends no heartbeat.",
            ),
            setting(
                "transaction_timeout_ms",
                Toml("15000"),
                "The broker aborts the transaction of a dead process after this time.",
            ),
            setting(
                "append_timeout_ms",
                Toml("8000"),
                "A record that Kafka does not acknowledge within this time is answered 503.",
            ),
            setting(
                "append_linger_ms",
                Toml("0"),
                "The inbox producer waits this long for more records to send together.",
            ),
            setting(
                "properties",
                Other("none"),
                r#"Any other property of librdkafka, such as `"security.protocol" = "ssl"`. Properties that a guarantee depends on are refused."#,
            ),
        ],
    },
    SettingsTable {
        name: "sns",
        purpose: "Checks of SNS messages, signing certificates and subscriptions.",
        settings: &[
            setting("topic_accounts", Toml(r#"["291180941288"]"#), "AWS accounts that own Amazon Pay's topics."),
            setting("ipn_age_max_h", Toml("360"), "An older message is answered 503. 0 accepts any age."),
            setting(
                "ipn_ahead_max_s",
                Toml("900"),
                "A message whose timestamp is further in the future is answered 503.",
            ),
            setting(
                "certificate_timeout_ms",
                Toml("5000"),
                "Time to fetch a signing certificate, including its issuer's.",
            ),
            setting("confirmation_timeout_ms", Toml("5000"), "Time to confirm a subscription."),
            setting("certificate_bytes_max", Toml("65536"), "Largest certificate file."),
            setting("certificates_max", Toml("64"), "Certificates kept in memory."),
            setting(
                "certificate_fetches_max",
                Toml("32"),
                "Certificates fetched at the same time. A message that needs one more is answered 503.",
            ),
            setting(
                "certificate_failure_ms",
                Toml("10000"),
                "After a failed fetch the receiver waits this long before it fetches the same certificate again.",
            ),
        ],
    },
    SettingsTable {
        name: "pay_api",
        purpose: "Requests to the Amazon Pay API.",
        settings: &[
            setting("connect_timeout_ms", Toml("3000"), "Time to connect."),
            setting(
                "key_reload_ms",
                Toml("10000"),
                "How often the key files are checked for changes. A changed key is used without a restart.",
            ),
            setting("timeout_ms", Toml("10000"), "Time for a whole read."),
            setting("answer_bytes_max", Toml("1048576"), "Largest accepted response."),
        ],
    },
    SettingsTable {
        name: "worker",
        purpose: "How the worker reads objects and publishes events.",
        settings: &[
            setting("reads_in_flight_max", Toml("16"), "Reads at the same time, for each merchant and environment."),
            setting("records_per_round_max", Toml("500"), "Inbox records that the worker takes in one round."),
            setting(
                "records_open_max",
                Toml("10000"),
                "Inbox records without an answer, for each merchant and environment. Beyond it their work is written to the state topic.",
            ),
            setting(
                "answers_kept_max",
                Toml("1000"),
                "Refunds and disputes that are kept in memory until their charge has been read. More are read again.",
            ),
            setting(
                "pending_after_ms",
                Toml("10000"),
                "Work without an answer after this time is written to the state topic, and the inbox moves on.",
            ),
            setting(
                "settle_slack_ms",
                Toml("5000"),
                "If an object's last update is older than its IPN by more than this, the object is read again: confirming reads.",
            ),
            setting(
                "confirm_reads_after_ms",
                Toml("[30000, 120000, 600000, 3600000]"),
                "Confirming reads come at these times after the IPN, or up to half as much later, until the object is as new as the IPN. An ATTRIBUTE_CHANGE IPN that nothing explains is published after the first of these times.",
            ),
            setting(
                "systemic_retry_ms",
                Toml("5000"),
                "Wait after an error of the network, of Amazon or of credentials.",
            ),
            setting(
                "breaker_failures",
                Toml("5"),
                "After this many such errors in a row the reads of a merchant are held back.",
            ),
            setting(
                "breaker_probe_ms",
                Toml("10000"),
                "While the reads of a merchant are held back, one read is tried at this interval.",
            ),
            setting(
                "unknown_object_retries_ms",
                Toml("[60000, 300000, 900000, 2100000]"),
                "Waits between reads of an object that neither Amazon nor the receiver knows. After them the IPN becomes a dead letter.",
            ),
            setting(
                "aged_after_ms",
                Toml("300000"),
                "Work that has been due for longer gets every second read of its operation. Otherwise IPNs come first, then charges that a refund or dispute needs (at least one read in four), then confirming reads, then retries.",
            ),
            setting(
                "pending_age_max_h",
                Toml("168"),
                "Longest time that an object may fail for a reason of its own. After it the IPN becomes a dead letter.",
            ),
            setting(
                "inbox_clock_margin_ms",
                Toml("10000"),
                "An IPN that is older than the last read of its object by more than this needs no further read.",
            ),
            setting(
                "stub_after_d",
                Toml("30.0"),
                "After this many quiet days, the known state of an object in a final state is reduced to state, time and last event. Fractions are allowed.",
            ),
            setting(
                "forget_after_d",
                Toml("730.0"),
                "After this many days without activity, the known state of an object in a final state is deleted.",
            ),
        ],
    },
    SettingsTable {
        name: "quota",
        purpose: "Which part of Amazon's quota the receiver uses.",
        settings: &[
            setting(
                "share",
                Toml("0.8"),
                "The receiver's part of Amazon's quota, from 0.01 to 1. The shop's own calls use the rest.",
            ),
            setting("reconciliation_share", Toml("0.1"), "The part of that share for reconciliation, from 0.01 to 1."),
            setting(
                "live",
                Toml("{ burst = 20.0, per_second = 4.0 }"),
                "Amazon's quota in live, for each merchant and operation.",
            ),
            setting("sandbox", Toml("{ burst = 5.0, per_second = 1.0 }"), "The same in sandbox."),
        ],
    },
    SettingsTable {
        name: "reconciliation",
        purpose: "Reads of objects that may have changed without an IPN.",
        settings: &[
            setting("enabled", Toml("true"), "Whether objects that may still change are read although no IPN came."),
            setting(
                "period_factor",
                Toml("1.0"),
                "Multiplies every time between two such reads: 2 reads half as often.",
            ),
        ],
    },
    SettingsTable {
        name: "events",
        purpose: "The format of published events.",
        settings: &[
            setting("type_prefix", Toml(r#""amazonpay""#), "The `type` of an event is `<type_prefix>.<EventName>.v1`."),
            setting(
                "free_text",
                Toml(r#""dropped""#),
                "With `published`, events carry `noteToBuyer` and `customInformation`, which may name a buyer.",
            ),
            setting(
                "mode",
                Toml(r#""structured""#),
                "CloudEvents content mode. `binary` puts the attributes into headers and only `data` into the value.",
            ),
        ],
    },
    SettingsTable {
        name: "events.update_urls",
        purpose: "Where buyers update their payment method, for `nextAction.url`. `{ChargePermissionId}` is replaced.",
        settings: &[
            setting(
                "na",
                Toml(r#""https://payments.amazon.com/jr/your-account/ba/{ChargePermissionId}""#),
                "North America, as Amazon's guide gives it.",
            ),
            setting(
                "eu",
                Toml(r#""https://pay.amazon.com/""#),
                "Europe: the buyer's own page, since Amazon documents no page for a single permission.",
            ),
            setting(
                "jp",
                Toml(r#""https://payments.amazon.co.jp/jr/your-account/ba/{ChargePermissionId}""#),
                "Japan, from older code of Amazon.",
            ),
        ],
    },
    SettingsTable {
        name: "telemetry",
        purpose: "Traces.",
        settings: &[
            setting(
                "otlp_endpoint",
                Other("none: no traces"),
                "Where [traces](operate.md#traces) are sent as OTLP over HTTP, such as `http://collector:4318/v1/traces`.",
            ),
            setting(
                "sample_ratio",
                Toml("1.0"),
                "Which part of the traces that begin in the receiver is recorded, from 0 to 1. A message with a `traceparent` follows its sampled flag.",
            ),
        ],
    },
    SettingsTable {
        name: "shutdown",
        purpose: "How a process ends.",
        settings: &[
            setting(
                "notice_ms",
                Toml("5000"),
                r#"Time between "not ready" and the last accepted request, so that load balancers notice."#,
            ),
            setting("grace_ms", Toml("20000"), "Time to finish requests, and then the same again for the worker."),
        ],
    },
    SettingsTable {
        name: "merchants[]",
        purpose: "One `[[merchants]]` table for each merchant and environment.",
        settings: &[
            setting("id", Required, "Merchant id. It may appear once for each environment."),
            setting("region", Required, "`na`, `eu` or `jp`."),
            setting("environment", Required, "`live` or `sandbox`."),
            setting(
                "public_key_id",
                Other("required, unless `public_key_id_file` is given"),
                "Id of the API key: Seller Central, Integration Central.",
            ),
            setting(
                "public_key_id_file",
                Other("none"),
                "A file that holds the id instead, to rotate it together with the key.",
            ),
            setting(
                "private_key_file",
                Required,
                "Private key in PEM, PKCS#8 or PKCS#1. A relative path starts at the folder of the configuration file.",
            ),
            setting(
                "topic_owners",
                Other("the merchant itself"),
                "Merchant ids of those who entered the URL in Seller Central, such as a solution provider.",
            ),
            setting("topic_arns", Toml("[]"), "Further topics, whose names do not follow Amazon Pay's pattern."),
            setting(
                "topic_regions",
                Other("na: `us-east-1`; eu: `eu-west-1`; jp: `ap-northeast-1`, `us-west-2`, `us-east-1`"),
                "AWS regions of the topics. For Japan no sample is known, so check the log there.",
            ),
            setting(
                "signature_version_min",
                Toml("1"),
                "Lowest accepted `SignatureVersion`, 1 or 2. Set 2 once the owner of the topic signs with SHA-256.",
            ),
        ],
    },
    SettingsTable {
        name: "development",
        purpose: "Endpoints and certificates that are not Amazon's, for tests. The table is refused if any merchant is `live`.",
        settings: &[
            setting(
                "certificate_origins",
                Toml("[]"),
                "Further origins of signing certificates, as `http://HOST:PORT/FOLDER/`. There only the signature is checked, neither issuer nor name.",
            ),
            setting(
                "trust_anchor_files",
                Toml("[]"),
                "PEM files with further root certificates, for signing certificates and for TLS to these endpoints. Not with the chart.",
            ),
            setting("topic_arns", Toml("[]"), "Further topics of every merchant."),
            setting(
                "pay_api_endpoint",
                Other("Amazon's"),
                "Where the Amazon Pay API is, such as `https://localhost:8443`.",
            ),
            setting("sns_endpoint", Other("Amazon's"), "Where the SNS API is, for confirming subscriptions."),
        ],
    },
];

const fn setting(name: &'static str, default: DefaultValue, meaning: &'static str) -> Setting {
    Setting { name, default, meaning }
}
