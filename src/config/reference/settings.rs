//! The settings, table by table, in the order of the document.

mod worker;

use self::worker::WORKER;
use super::DefaultValue::{Other, Required, Toml};
use super::{DefaultValue, Setting, SettingsTable};

/// Every table.
pub const TABLES: &[SettingsTable] = &[
    SettingsTable {
        name: "",
        purpose: "A top-level setting, before the first table of the file.",
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
            setting("deadline_ms", Toml("10000"), "The receiver answers within this time. SNS gives up after 15 s.").between(1.0, 14_000.0),
            setting("body_bytes_max", Toml("524288"), "Largest accepted body.").between(16_384.0, 524_288.0),
            setting("body_timeout_ms", Toml("5000"), "A body must arrive within this time.").between(1.0, 60_000.0),
            setting(
                "body_bytes_in_flight_max",
                Toml("16777216"),
                "Limit for the sum of all bodies that are being received. The first 16 KiB of each body do not count, and an IPN is smaller than that.",
            ).between(16_384.0, 1_099_511_627_776.0),
            setting(
                "connections_max",
                Toml("0"),
                "Connections open at the same time. At the limit the connection ends that has waited for its sender for the longest time. 0 takes what fits into the memory limit of the container, 10000 at most: (limit - 128 MiB - `ingress.body_bytes_in_flight_max`) / 96 KiB.",
            )
            .between(0.0, 1_000_000.0),
            setting("threads", Toml("0"), "Threads of the HTTP server. 0 means one per core.").between(0.0, 1024.0),
            setting("retry_after_s", Toml("20"), "The `Retry-After` header of a 503.").between(0.0, 3600.0),
            setting(
                "messages_remembered_max",
                Toml("10000"),
                "The process remembers this many messages that it stored. A copy of one of them is answered 200 and not stored again. 0 stores every copy; the worker publishes nothing twice either way.",
            )
            .between(0.0, 1_000_000.0),
            setting(
                "topic_messages_per_s_max",
                Toml("20000"),
                "Messages of one topic that are stored each second, with ten times as many at once. Further messages are answered 503.",
            )
            .between(1.0, 1_000_000.0),
            setting(
                "late_messages_per_s_max",
                Toml("10"),
                "The same for messages that are older than two hours. Amazon SNS repeats a message for an hour at most, so these are copies.",
            )
            .between(1.0, 1_000_000.0),
        ],
    },
    SettingsTable {
        name: "admin",
        purpose: "The port for health checks and metrics. It must never be public.",
        settings: &[
            setting("listen", Toml(r#""0.0.0.0:9090""#), "Address of `/healthz`, `/readyz` and `/metrics`."),
            setting(
                "probe_interval_ms",
                Toml("2000"),
                "How often the receiver checks that Kafka would accept an inbox record.",
            ).between(10.0, 60_000.0),
            setting(
                "clock_offset_max_s",
                Toml("60"),
                "A clock that differs from Amazon's by more than this is reported in the log and in `/readyz`.",
            ).between(1.0, 86_400.0),
        ],
    },
    SettingsTable {
        name: "kafka",
        purpose: "The cluster and its topics. Properties for TLS and SASL are in [kafka.md](kafka.md).",
        settings: &[
            setting(
                "bootstrap_servers",
                Required,
                "`bootstrap.servers`: brokers to connect to first, as `host:port`, separated by commas.",
            ),
            setting("topic_prefix", Toml(r#""amazonpay""#), "The names of the four topics begin with this and a dot."),
            setting(
                "partitions",
                Toml("12"),
                "Partitions of each topic that `topics` creates. The count of the inbox and the state topic cannot be changed later.",
            ).between(1.0, 1000.0),
            setting(
                "replication_factor",
                Toml("3"),
                "Replicas of each partition of the topics that `topics` creates. `serve` refuses a topic with fewer replicas. With 2 or more, `topics` sets `min.insync.replicas` to 2.",
            ).between(1.0, 100.0),
            setting(
                "group_id",
                Other("`<topic_prefix>.worker`"),
                "Consumer group of the workers, and the prefix of their transactional ids.",
            ),
            setting(
                "session_timeout_ms",
                Toml("30000"),
                "`session.timeout.ms`: if a worker sends no heartbeat for this time, the group removes it and reassigns its partitions.",
            ).between(1000.0, 1_800_000.0),
            setting(
                "transaction_timeout_ms",
                Toml("15000"),
                "`transaction.timeout.ms`: the broker aborts a transaction that stays open for longer, for example because its process died.",
            ).between(2000.0, 900_000.0),
            setting(
                "append_timeout_ms",
                Toml("8000"),
                "If Kafka does not acknowledge an inbox record within this time, the IPN is answered 503.",
            ).between(1.0, 14_000.0),
            setting(
                "append_linger_ms",
                Toml("0"),
                "`linger.ms` of the inbox producer: how long it waits for more records to send in one batch.",
            ).between(0.0, 1000.0),
            setting(
                "properties",
                Other("none"),
                r#"Any other property of librdkafka, such as `"security.protocol" = "ssl"`. The receiver does not start with a property that a guarantee depends on, such as `acks`, or that loads code or runs a command, such as `plugin.library.paths`."#,
            ),
        ],
    },
    SettingsTable {
        name: "sns",
        purpose: "Checks of SNS messages, signing certificates and subscriptions.",
        settings: &[
            setting("topic_accounts", Toml(r#"["291180941288"]"#), "AWS accounts that own Amazon Pay's topics."),
            setting("ipn_age_max_h", Toml("360"), "An older message is answered 503. 0 accepts any age.").between(0.0, 87_600.0),
            setting(
                "ipn_ahead_max_s",
                Toml("900"),
                "A message whose timestamp is further in the future is answered 503.",
            ).between(0.0, 31_536_000.0),
            setting(
                "certificate_timeout_ms",
                Toml("5000"),
                "Time to fetch a signing certificate, including its issuer's.",
            ).between(1.0, 60_000.0),
            setting("confirmation_timeout_ms", Toml("5000"), "Time to confirm a subscription.").between(1.0, 60_000.0),
            setting("certificate_bytes_max", Toml("65536"), "Largest certificate file.").between(4096.0, 16_777_216.0),
            setting("certificates_max", Toml("64"), "Certificates kept in memory.").between(1.0, 100_000.0),
            setting(
                "certificate_fetches_max",
                Toml("32"),
                "Limit for fetches of certificates at the same time. Half of them are kept for certificates that were valid before or that a recent message in the inbox names. A message that needs one more fetch is answered 503.",
            ).between(1.0, 1000.0),
            setting(
                "certificate_unknown_per_s_max",
                Toml("2"),
                "Fetches of certificates that were never seen, per second, with ten times as many at once. Anybody can name such a certificate.",
            ).between(1.0, 1000.0),
            setting(
                "certificate_failure_ms",
                Toml("10000"),
                "After a failed fetch the receiver waits this long before it fetches the same certificate again.",
            ).between(0.0, 3_600_000.0),
        ],
    },
    SettingsTable {
        name: "pay_api",
        purpose: "Requests to the Amazon Pay API.",
        settings: &[
            setting("connect_timeout_ms", Toml("3000"), "Time to connect.").between(1.0, 600_000.0),
            setting(
                "key_reload_ms",
                Toml("10000"),
                "How often the key files are checked for changes. A changed key is used without a restart.",
            ).between(1.0, 86_400_000.0),
            setting("timeout_ms", Toml("10000"), "Time for a whole read.").between(1.0, 600_000.0),
            setting("answer_bytes_max", Toml("1048576"), "Largest accepted response.").between(16_384.0, 134_217_728.0),
        ],
    },
    WORKER,
    SettingsTable {
        name: "quota",
        purpose: "How much of Amazon's quota the receiver uses.",
        settings: &[
            setting(
                "share",
                Toml("0.8"),
                "The fraction of Amazon's quota that the receiver uses. The shop's own calls use the rest.",
            ).between(0.01, 1.0),
            setting(
                "reconciliation_share",
                Toml("0.1"),
                "The fraction of `quota.share` that reconciliation may use.",
            ).between(0.01, 1.0),
            setting(
                "live",
                Toml("{ burst = 20.0, per_second = 4.0 }"),
                "Amazon's quota in live, for each merchant and operation.",
            ),
            setting(
                "sandbox",
                Toml("{ burst = 5.0, per_second = 1.0 }"),
                "Amazon's quota in sandbox, for each merchant and operation.",
            ),
        ],
    },
    SettingsTable {
        name: "reconciliation",
        purpose: "Reads of objects that may have changed without an IPN.",
        settings: &[
            setting(
                "enabled",
                Toml("true"),
                "Whether the receiver periodically reads objects that may still change, without an IPN.",
            ),
            setting(
                "period_factor",
                Toml("1.0"),
                "Factor for all intervals between these reads: with 2, objects are read half as often.",
            ).between(0.000_001, 1000.0),
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
            setting(
                "expiring_before_d",
                Toml("14.0"),
                "`PermissionExpiring` is published this many days before the expiry of a charge permission. Fractions are allowed; 0 switches it off.",
            ).between(0.0, 365.0),
            setting(
                "limit_near_percent",
                Toml("10"),
                "`PermissionLimitNear` is published when at most this percentage of a charge permission's limit is left; 0 switches it off.",
            ).between(0.0, 100.0),
            setting(
                "dispute_deadline_before_h",
                Toml("72"),
                "`DisputeDeadlineNear` is published this many hours before the deadline of a dispute; 0 switches it off.",
            ).between(0.0, 720.0),
        ],
    },
    SettingsTable {
        name: "events.update_urls",
        purpose: "Where buyers update their payment method, for `nextAction.url`. `{ChargePermissionId}` is replaced; it may appear once.",
        settings: &[
            setting(
                "na",
                Toml(r#""https://payments.amazon.com/jr/your-account/ba/{ChargePermissionId}""#),
                "North America. The URL is in Amazon's integration guide.",
            ),
            setting(
                "eu",
                Toml(r#""https://pay.amazon.com/""#),
                "Europe. The buyer's account page, because Amazon documents no page for a single permission. The pages differ by country, so set `merchants[].update_url`.",
            ),
            setting(
                "jp",
                Toml(r#""https://pay.amazon.com/jp/jr/your-account/ba/{ChargePermissionId}""#),
                "Japan. The URL is in Amazon's integration guide.",
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
                "The fraction of the traces that begin in the receiver and are recorded. If a request has a `traceparent`, its sampled flag decides.",
            ).between(0.0, 1.0),
        ],
    },
    SettingsTable {
        name: "shutdown",
        purpose: "How a process ends.",
        settings: &[
            setting(
                "notice_ms",
                Toml("5000"),
                "How long the receiver still accepts requests after `/readyz` answers 503, so that load balancers stop sending requests.",
            ).between(0.0, 3_600_000.0),
            setting(
                "grace_ms",
                Toml("20000"),
                "Time limit for running requests to finish. Then the worker gets the same time to finish its reads and its last transaction.",
            ).between(0.0, 3_600_000.0),
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
                "A file with the id, used instead of `public_key_id` to rotate the id together with the key.",
            ),
            setting(
                "private_key_file",
                Required,
                "Private key in PEM, PKCS#8 or PKCS#1. A relative path starts at the folder of the configuration file.",
            ),
            setting(
                "topic_owners",
                Other("the merchant itself"),
                "Merchant ids of the accounts in which the Merchant URL was entered in Seller Central, such as a solution provider's.",
            ),
            setting("topic_arns", Toml("[]"), "Further topics, whose names do not follow Amazon Pay's pattern."),
            setting(
                "topic_regions",
                Other("na: `us-east-1`; eu: `eu-west-1`; jp: `ap-northeast-1`, `us-west-2`, `us-east-1`"),
                "AWS regions of the topics. Certificates are fetched only from these regions; the message of another one is answered 503 (`region-not-allowed`), and the log names the region. Regions of AWS China, GovCloud and other partitions cannot be used. For Japan no real IPN was available to verify the list: if the log says that a region or topic is not allowed, add its region.",
            ),
            setting(
                "signature_version_min",
                Toml("1"),
                "Lowest accepted `SignatureVersion`, 1 or 2. Set 2 once the owner of the topic signs with SHA-256.",
            ),
            setting(
                "update_url",
                Other("that of the region: `events.update_urls`"),
                "Where the buyers of this merchant update their payment method; `{ChargePermissionId}` is replaced and may appear once. In Europe the page differs by country: plugins use `https://payments.amazon.de`, `.co.uk`, `.fr`, `.it` or `.es` with `/jr/your-account/orders/`. It is not confirmed that `/jr/your-account/ba/{ChargePermissionId}` exists there: try it with a permission of your own first.",
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
                "Further origins of signing certificates, as `http://HOST:PORT/FOLDER/`. For a certificate from there only the signature of the message is checked, not issuer and name of the certificate.",
            ),
            setting(
                "trust_anchor_files",
                Toml("[]"),
                "PEM files with further root certificates, for signing certificates and for TLS to these endpoints. Not with the chart.",
            ),
            setting("topic_arns", Toml("[]"), "Further topics, accepted for every merchant."),
            setting(
                "pay_api_endpoint",
                Other("Amazon's"),
                "Base URL of the Amazon Pay API, such as `https://localhost:8443`.",
            ),
            setting("sns_endpoint", Other("Amazon's"), "Base URL of the SNS API, which confirms subscriptions."),
        ],
    },
];

const fn setting(name: &'static str, default: DefaultValue, meaning: &'static str) -> Setting {
    Setting { name, default, range: None, meaning }
}
