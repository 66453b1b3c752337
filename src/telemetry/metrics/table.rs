//! The rows of the metrics table.

use super::Exporter::{Any, Ingest, Worker};
use super::{Exporter, Kind, Label, Metric, Values};
use crate::domain::pay::FIELD_NAMES;

/// Every metric: of all processes, of the ingress, of the worker.
#[rustfmt::skip] // A metric is a row of three lines: its name and labels, its HELP, its reading.
pub const METRICS: &[Metric] = &[
    row(Kind::Gauge, Any, "ipn_receiver_build_info", &[VERSION, ROLE],
        "1, with the version and role of this process.",
        "Shows the versions that run side by side during a rollout. The alert IPNReceiverDown fires if no process receives IPNs."),
    row(Kind::Gauge, Any, "process_start_time_seconds", NONE,
        "Start time of the process, in seconds since 1970.",
        "A change is a restart."),
    row(Kind::Gauge, Any, "process_resident_memory_bytes", NONE,
        "Resident memory of the process (VmRSS; on Linux).",
        "The memory limit must leave room for it. Grows with ipn_receiver_known_objects and with the backlog."),
    row(Kind::Gauge, Any, "ipn_receiver_development_settings", NONE,
        "1 if the configuration has a [development] table, otherwise 0.",
        "Must be 0 in production."),
    row(Kind::Gauge, Any, "ipn_receiver_clock_offset_seconds", &[PEER],
        "Offset of this machine's clock from Amazon's, in whole seconds; positive if this machine's clock is ahead.",
        "More than a minute in either direction makes the receiver reject genuine IPNs: fix NTP."),
    row(Kind::Gauge, Any, "ipn_receiver_inbox_partitions", NONE,
        "Partitions of the inbox topic.",
        "The sum of ipn_receiver_assigned_partitions of all workers must equal it."),
    row(Kind::Gauge, Any, "ipn_receiver_inbox_retention_seconds", NONE,
        "How long Kafka keeps the records of the inbox topic (retention.ms at the start of the process; +Inf if unlimited).",
        "ipn_receiver_inbox_oldest_unread_age_seconds and ipn_receiver_backlog_oldest_age_seconds must stay far below."),
    row(Kind::Counter, Any, "ipn_receiver_trace_spans_total", &[SPAN_OUTCOME],
        "Spans of traces (telemetry.otlp_endpoint) by outcome: exported, dropped because the queue was full, or failed because the collector did not accept them.",
        "Lost spans are missing from traces only. The receiver never waits for the collector."),
    row(Kind::Counter, Ingest, "ipn_receiver_requests_total", &[REQUEST_OUTCOME],
        "Requests to POST /ipn by outcome.",
        "stored is the normal outcome. The alert IPNsRefused fires on a 503 for a genuine message, RegionNotAllowed on region-not-allowed, TooManyMessages on too-many-messages, SubscriptionRemoved on ignored-unsubscribe-confirmation; other outcomes that anyone can cause are only counted."),
    row(Kind::Counter, Ingest, "ipn_receiver_misdirected_requests_total", &[SENDER],
        "Requests to the public port with another path than /ipn or another method than POST; the sender is sns if a header of Amazon SNS says so.",
        "Scanners and health checks are other. Amazon SNS does not repeat what is answered 404 or 405: the alert IPNsMisdirected fires on sns."),
    row(Kind::Gauge, Ingest, "ipn_receiver_connections", &[CONNECTION_STATE],
        "Open connections of the public port: waiting for their sender, or working on a complete request.",
        "Together they stay at or below ipn_receiver_connections_limit."),
    row(Kind::Gauge, Ingest, "ipn_receiver_connections_limit", NONE,
        "Connections that may be open at the same time (ingress.connections_max).",
        "Derived from the memory limit of the container if the setting is 0."),
    row(Kind::Counter, Ingest, "ipn_receiver_connections_ended_total", &[CONNECTION_END],
        "Connections that the receiver ended: at the limit, the one that waited for its sender for the longest time; or for a head of more than 16 KiB.",
        "Normally 0. The alert ConnectionsAtLimit fires on limit."),
    row(Kind::Histogram(REQUEST), Ingest, "ipn_receiver_request_seconds", NONE,
        "Time from the headers of a request to its response, for every outcome.",
        "Must stay far below 15 s, after which SNS gives up."),
    row(Kind::Histogram(CPU), Ingest, "ipn_receiver_verification_seconds", NONE,
        "Time to verify one envelope, without fetching its certificate.",
        "Grows only if the machine has no CPU left."),
    row(Kind::Histogram(REQUEST), Ingest, "ipn_receiver_inbox_append_seconds", NONE,
        "Time until all in-sync replicas have acknowledged an IPN.",
        "The largest part of ipn_receiver_request_seconds. Grows when Kafka is slow."),
    row(Kind::Gauge, Ingest, "ipn_receiver_inbox_writable", NONE,
        "1 if the last probe found that Kafka accepts records for the inbox, otherwise 0.",
        "At 0 the process is not ready and IPNs are answered 503."),
    row(Kind::Gauge, Ingest, "ipn_receiver_last_genuine_ipn_timestamp_seconds", ACCOUNT,
        "Time at which Amazon SNS published the newest stored IPN of a configured merchant, in seconds since 1970; 0 if none was stored since the start. Copies of old IPNs do not change it.",
        "Take the maximum over all processes. The acceptable age depends on the shop; the alert NoIPNsReceived fires after a day."),
    row(Kind::Counter, Ingest, "ipn_receiver_signing_certificate_fetches_total", &[FETCH_OUTCOME],
        "Fetches of signing certificates by outcome; busy means that no fetch slot was free.",
        "Rare, since each certificate is fetched once. Anyone can cause failed fetches by naming a file that does not exist."),
    row(Kind::Histogram(REQUEST), Ingest, "ipn_receiver_signing_certificate_fetch_seconds", NONE,
        "Time to fetch a signing certificate, including its issuer's.",
        "Must stay below sns.certificate_timeout_ms."),
    row(Kind::Counter, Ingest, "ipn_receiver_signing_certificate_cached_failures_total", NONE,
        "Requests rejected because the fetch of their certificate failed a moment before.",
        "Shows how many requests the failed fetches affected."),
    row(Kind::Counter, Ingest, "ipn_receiver_signing_certificate_hash_mismatches_total", NONE,
        "Genuine certificates whose MD5 differs from the one in their URL.",
        "0 for every certificate known so far. A mismatch is harmless, but worth investigating."),
    row(Kind::Gauge, Ingest, "ipn_receiver_signing_certificate_not_after_timestamp_seconds", &[REGION],
        "notAfter of the newest signing certificate of a region that this process fetched, in seconds since 1970.",
        "Amazon SNS replaces its certificate long before. No action required."),
    row(Kind::Counter, Ingest, "ipn_receiver_issuer_certificate_fetches_total", NONE,
        "Fetches of issuers' certificates, needed if the built-in certificate is not the issuer.",
        "More than a few mean that Amazon SNS uses an issuer that is not built in."),
    row(Kind::Gauge, Worker, "ipn_receiver_assigned_partitions", NONE,
        "Inbox partitions assigned to this worker.",
        "The sum over all workers must equal ipn_receiver_inbox_partitions."),
    row(Kind::Gauge, Worker, "ipn_receiver_worker_ready", NONE,
        "1 while the worker owns its partitions, has restored their state and can reach Kafka, otherwise 0.",
        "The alert WorkerStuck fires if it is 0 for minutes. A standby worker without partitions shows 1."),
    row(Kind::Gauge, Worker, "ipn_receiver_worker_heartbeat_age_seconds", NONE,
        "Time since the last heartbeat of the worker's thread.",
        "Below a second. A larger value means that the thread waits for Kafka or hangs."),
    row(Kind::Histogram(LONG), Worker, "ipn_receiver_state_restore_seconds", NONE,
        "Time from the assignment of partitions until their state is restored.",
        "Publishing pauses for this time during a rollout."),
    row(Kind::Counter, Worker, "ipn_receiver_worker_resets_total", NONE,
        "How often the worker discarded its state in memory and restored it from Kafka.",
        "A few around a rollout or a broker restart are normal. The alert TransactionsFailing fires if resets continue."),
    row(Kind::Gauge, Worker, "ipn_receiver_inbox_oldest_unread_age_seconds", NONE,
        "Age of the last record read from the inbox, in the partition that is furthest behind; 0 if everything is read.",
        "Normally seconds. Unlike consumer lag it shows how close unread records are to ipn_receiver_inbox_retention_seconds."),
    row(Kind::Gauge, Worker, "ipn_receiver_queued_objects", NONE,
        "Objects in the read queue, for any cause.",
        "ipn_receiver_backlog_objects shows their merchants."),
    row(Kind::Gauge, Worker, "ipn_receiver_backlog_objects", LANE,
        "Objects to be read or being read because of an IPN, an operator or another object.",
        "The backlog. It shrinks at the rate of the quota: by default 3.2 reads per second for each operation of a live merchant."),
    row(Kind::Gauge, Worker, "ipn_receiver_backlog_oldest_age_seconds", LANE,
        "Age of the oldest pending work.",
        "Scale and alert on this metric; consumer lag is not the backlog. A test IPN stays for an hour; a recheck of many ids stays for the time that the command printed."),
    row(Kind::Gauge, Worker, "ipn_receiver_reads_in_flight", NONE,
        "Reads of the Amazon Pay API in flight.",
        "If it stays at worker.reads_in_flight_max, Amazon Pay answers slowly."),
    row(Kind::Counter, Worker, "ipn_receiver_limit_hits_total", &[LIMIT],
        "How often a limit of the configuration was reached.",
        "records_open_max is expected during an outage. Raise any other limit that is reached again and again."),
    row(Kind::Gauge, Worker, "ipn_receiver_known_objects", NONE,
        "Objects whose state is known.",
        "A million known objects take less than 400 MB."),
    row(Kind::Counter, Worker, "ipn_receiver_known_objects_expired_total", &[ACTION],
        "Objects in a final state that were reduced to a stub or deleted.",
        "Grows steadily in a shop that sells steadily."),
    row(Kind::Counter, Worker, "ipn_receiver_pay_api_reads_total", &[MERCHANT, ENVIRONMENT, OPERATION, READ_OUTCOME],
        "Reads of the Amazon Pay API by outcome.",
        "fetched is the normal outcome. The alert CredentialsRefused fires on credentials. throttled means that others use more of the quota than quota.share leaves them."),
    row(Kind::Counter, Worker, "ipn_receiver_unreadable_values_total", &[FIELD],
        "Values in Amazon Pay's answers that could not be read. Counted at each read of the object.",
        "Should be 0. Events are published without the value. The alert UnreadableValues fires on any value above 0; the log shows an object."),
    row(Kind::Counter, Worker, "ipn_receiver_unsettled_attributes_total", NONE,
        "Objects whose attributes differed at three reads in a row, so that the last read was published.",
        "Should be 0. The alert AttributesUnsettled fires on any value above 0; the log shows the object."),
    row(Kind::Histogram(REQUEST), Worker, "ipn_receiver_pay_api_read_seconds", &[OPERATION],
        "Time of a read of the Amazon Pay API, for every outcome.",
        "Shows how fast Amazon Pay answers; a read that reaches pay_api.timeout_ms counts as network."),
    row(Kind::Gauge, Worker, "ipn_receiver_pay_api_quota_tokens", LANE,
        "Reads that the receiver may send at once within its share of Amazon's quota.",
        "If it is 0 while ipn_receiver_backlog_objects is not, the quota is the limit, and more workers do not help."),
    row(Kind::Gauge, Worker, "ipn_receiver_pay_api_quota_factor", LANE,
        "Part of the receiver's quota in use; 1 unless Amazon throttled recently.",
        "If it stays below 1, another program uses the same merchant's quota."),
    row(Kind::Gauge, Worker, "ipn_receiver_pay_api_breaker_open", LANE,
        "1 while the reads of an operation are held back except for single probes, otherwise 0. Without a connection to Amazon Pay, all operations of the merchant are held back.",
        "The work waits and nothing is lost. The alert AmazonPayUnreadable fires if it lasts."),
    row(Kind::Counter, Worker, "ipn_receiver_api_key_reloads_total", NONE,
        "API keys that were loaded from changed files.",
        "Shows that a key rotation took effect."),
    row(Kind::Counter, Worker, "ipn_receiver_events_published_total", &[EVENT_TYPE],
        "Events in committed transactions.",
        "The business events; compare them with the shop's own figures."),
    row(Kind::Histogram(DELAY), Worker, "ipn_receiver_event_delay_seconds", NONE,
        "Time from Amazon's lastUpdatedTimestamp until the event is committed.",
        "Includes the delays of Amazon Pay and Amazon SNS. A change that reconciliation found late counts in full."),
    row(Kind::Histogram(DELAY), Worker, "ipn_receiver_event_processing_seconds", NONE,
        "Time from storing the first IPN of an event in the inbox until the event is committed. For work that was handed over in the state topic: from SNS's Timestamp.",
        "The receiver's own part of the delay: about a second without a backlog. The alert EventDelayAboveTarget fires above a minute."),
    row(Kind::Counter, Worker, "ipn_receiver_transactions_total", &[TRANSACTION_OUTCOME],
        "Kafka transactions by outcome. After a transaction in doubt the worker restores its state from Kafka.",
        "A few in_doubt during a broker restart are normal."),
    row(Kind::Histogram(REQUEST), Worker, "ipn_receiver_transaction_seconds", NONE,
        "Time of a committed transaction.",
        "Well under a second. The receiver treats a commit of more than five seconds as in doubt."),
    row(Kind::Counter, Worker, "ipn_receiver_dead_letters_total", &[DEAD_LETTER_REASON],
        "Dead letters in committed transactions.",
        "unknown_object is most likely a test IPN; every other reason needs action."),
    row(Kind::Counter, Worker, "ipn_receiver_missed_ipns_found_total", LANE,
        "Changes found by reconciliation without an IPN.",
        "A few are reads that came before their IPN. Many mean an outage after which SNS stopped repeating."),
    row(Kind::Counter, Worker, "ipn_receiver_older_answers_believed_total", NONE,
        "Older answers of Amazon Pay that were published as the truth, because it repeated them for about an hour.",
        "Should be 0. The alert OlderAnswersBelieved fires: ask Amazon Pay about the object."),
    row(Kind::Counter, Worker, "ipn_receiver_permission_mismatches_total", NONE,
        "IPNs whose charge permission differs from the one in the Amazon Pay API.",
        "Should be 0. The receiver uses the value of the API."),
    row(Kind::Counter, Worker, "ipn_receiver_kafka_data_loss_total", &[LOST],
        "Losses of records or offsets in Kafka.",
        "The alert KafkaDataLost fires on any value above 0."),
    row(Kind::Counter, Worker, "ipn_receiver_unreadable_records_total", &[UNREADABLE],
        "Records of the state topic and of the events topic that a worker could not use when it restored state: damaged ones, which it rebuilt; newer ones of a later release, whose objects it holds back; foreign ones, and records that are no event, which it ignored.",
        "Should be 0. The alert UnreadableRecords fires: only ipn-receiver may write to these topics."),
    row(Kind::Gauge, Worker, "ipn_receiver_reconciliation_objects", LANE,
        "Known objects that may still change.",
        "Reconciliation reads these objects without an IPN."),
    row(Kind::Gauge, Worker, "ipn_receiver_reconciliation_period_seconds", LANE,
        "Time that reconciliation needs to read all of them once within quota.reconciliation_share.",
        "If it is longer than the intervals in docs/operate.md, raise quota.reconciliation_share."),
];

const fn row(
    kind: Kind,
    exporter: Exporter,
    name: &'static str,
    labels: &'static [Label],
    help: &'static str,
    reading: &'static str,
) -> Metric {
    Metric { name, kind, exporter, labels, help, reading }
}

const NONE: &[Label] = &[];
const ACCOUNT: &[Label] = &[MERCHANT, ENVIRONMENT];
const LANE: &[Label] = &[MERCHANT, ENVIRONMENT, OPERATION];

const ENVIRONMENT: Label = Label { name: "environment", values: Values::Words(&["live", "sandbox"]) };
const MERCHANT: Label = Label { name: "merchant", values: Values::Given("`merchants[].id`") };
const OPERATION: Label =
    Label { name: "operation", values: Values::Words(&["ChargePermission", "Charge", "Refund", "Dispute"]) };
const VERSION: Label = Label { name: "version", values: Values::Given("this program's version") };
const ROLE: Label = Label { name: "role", values: Values::Words(&["all", "ingest", "worker"]) };
const REGION: Label = Label { name: "region", values: Values::Given("an AWS region of the merchants' topics") };
const PEER: Label = Label { name: "peer", values: Values::Words(&["certificate_host", "pay_api"]) };
const REQUEST_OUTCOME: Label = Label { name: "outcome", values: Values::Words(REQUEST_OUTCOMES) };
const SENDER: Label = Label { name: "sender", values: Values::Words(&["sns", "other"]) };
const FETCH_OUTCOME: Label = Label { name: "outcome", values: Values::Words(&["fetched", "failed", "busy"]) };
const SPAN_OUTCOME: Label = Label { name: "outcome", values: Values::Words(&["exported", "failed", "dropped"]) };
const READ_OUTCOME: Label = Label {
    name: "outcome",
    values: Values::Words(&["fetched", "not_found", "object_error", "throttled", "network", "amazon", "credentials"]),
};
const FIELD: Label = Label { name: "field", values: Values::Words(FIELD_NAMES) };
const TRANSACTION_OUTCOME: Label = Label { name: "outcome", values: Values::Words(&["committed", "in_doubt"]) };
const EVENT_TYPE: Label = Label { name: "event_type", values: Values::EventTypes };
const LIMIT: Label =
    Label { name: "limit", values: Values::Words(&["reads_in_flight_max", "records_open_max", "answers_kept_max"]) };
const ACTION: Label = Label { name: "action", values: Values::Words(&["stub", "deleted"]) };
const DEAD_LETTER_REASON: Label = Label {
    name: "reason",
    values: Values::Words(&[
        "not_understood",
        "unknown_merchant",
        "misrouted",
        "unknown_object",
        "vanished",
        "undecodable",
        "unwritable",
        "chargeback",
    ]),
};
const CONNECTION_STATE: Label = Label { name: "state", values: Values::Words(&["waiting", "working"]) };
const CONNECTION_END: Label = Label { name: "reason", values: Values::Words(&["limit", "head-too-large"]) };
const LOST: Label = Label { name: "what", values: Values::Words(&["offsets", "inbox", "state"]) };
const UNREADABLE: Label = Label { name: "what", values: Values::Words(&["damaged", "newer", "foreign", "event"]) };
const REQUEST_OUTCOMES: &[&str] = &[
    "stored",
    "already-stored",
    "ignored-legacy-v1",
    "ignored-unsubscribe-confirmation",
    "confirmed-subscription",
    "not-an-envelope",
    "raw-delivery",
    "upgrade-refused",
    "certificate-url-refused",
    "region-not-allowed",
    "signature-invalid",
    "body-too-large",
    "topic-not-allowed",
    "signature-version-too-low",
    "timestamp-out-of-range",
    "signature-version-unsupported",
    "certificate-unavailable",
    "issuer-unavailable",
    "certificate-unusable",
    "slow-body",
    "too-busy",
    "too-many-messages",
    "inbox-unavailable",
    "deadline-exceeded",
    "confirmation-failed",
];

/// For network and disk: up to the 15 s after which SNS gives up.
const REQUEST: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];
/// For computation.
const CPU: &[f64] = &[0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25];
/// For reading a topic to its end.
const LONG: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// From fractions of a second to a week, the longest delay that can occur.
const DELAY: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0, 604_800.0];
