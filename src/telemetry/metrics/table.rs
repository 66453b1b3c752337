//! The rows.

use super::Exporter::{Any, Ingest, Worker};
use super::{Exporter, Kind, Label, Metric, Values};

/// Every metric: those of all processes, of what takes notifications, of the worker.
#[rustfmt::skip] // A metric is a row of three lines: what it is, its HELP, its reading.
pub const METRICS: &[Metric] = &[
    row(Kind::Gauge, Any, "ipn_receiver_build_info", &[VERSION, ROLE],
        "1, with version and role of this process.",
        "Which versions run side by side during a rollout; none that takes IPNs is the alert IPNReceiverDown."),
    row(Kind::Gauge, Any, "process_start_time_seconds", NONE,
        "When the process started, in seconds since 1970.",
        "Restarts that nobody asked for."),
    row(Kind::Gauge, Any, "process_resident_memory_bytes", NONE,
        "Memory that the process holds (VmRSS; on Linux).",
        "What the memory limit must leave room for; it grows with ipn_receiver_known_objects and with what waits."),
    row(Kind::Gauge, Any, "ipn_receiver_development_settings", NONE,
        "1 while a [development] table is in force, otherwise 0.",
        "Must be 0 wherever events have effects."),
    row(Kind::Gauge, Any, "ipn_receiver_clock_offset_seconds", &[PEER],
        "How far this machine's clock is ahead of Amazon's (behind: negative), in whole seconds.",
        "More than a minute either way keeps genuine IPNs out: mend NTP."),
    row(Kind::Gauge, Any, "ipn_receiver_inbox_partitions", NONE,
        "Partitions of the inbox topic.",
        "What ipn_receiver_assigned_partitions of all workers must add up to."),
    row(Kind::Gauge, Any, "ipn_receiver_inbox_retention_seconds", NONE,
        "For how long Kafka keeps the inbox's records (retention.ms at the start; for ever: +Inf).",
        "What ipn_receiver_inbox_oldest_unread_age_seconds and ipn_receiver_backlog_oldest_age_seconds must stay far below."),
    row(Kind::Counter, Any, "ipn_receiver_trace_spans_total", &[SPAN_OUTCOME],
        "Spans of traces (telemetry.otlp_endpoint) by what became of them; dropped found the queue full, failed were not taken.",
        "What is lost is lost to traces only: nothing else waits for the collector."),
    row(Kind::Counter, Ingest, "ipn_receiver_requests_total", &[REQUEST_OUTCOME],
        "Requests to POST /ipn by what became of them.",
        "durable is what must flow. A 503 of a genuine IPN is the alert IPNsRefused; what strangers can cause is only counted."),
    row(Kind::Histogram(REQUEST), Ingest, "ipn_receiver_request_seconds", NONE,
        "Time from a request's headers to its answer, whatever the answer.",
        "Far below the 15 s after which SNS gives up."),
    row(Kind::Histogram(CPU), Ingest, "ipn_receiver_verification_seconds", NONE,
        "Time to verify one envelope with its certificate at hand.",
        "Grows only with a machine that has no CPU left."),
    row(Kind::Histogram(REQUEST), Ingest, "ipn_receiver_inbox_append_seconds", NONE,
        "Time until all in-sync replicas have acknowledged an IPN.",
        "The greatest part of ipn_receiver_request_seconds; grows with Kafka's trouble."),
    row(Kind::Gauge, Ingest, "ipn_receiver_inbox_writable", NONE,
        "1 if the last probe said that Kafka would take a record, otherwise 0.",
        "At 0 the process is not ready and IPNs are answered 503."),
    row(Kind::Gauge, Ingest, "ipn_receiver_last_genuine_ipn_timestamp_seconds", ACCOUNT,
        "When the last genuine IPN of a configured merchant became durable, in seconds since 1970; 0 if none did since the start.",
        "Take the maximum of all processes. How long is too long depends on the shop: the alert NoIPNsReceived takes a day."),
    row(Kind::Counter, Ingest, "ipn_receiver_signing_certificate_fetches_total", &[FETCH_OUTCOME],
        "Fetches of signing certificates by outcome; busy found no free slot.",
        "Rare: a certificate is fetched once. Strangers can cause failed ones, by naming a file that is not there."),
    row(Kind::Histogram(REQUEST), Ingest, "ipn_receiver_signing_certificate_fetch_seconds", NONE,
        "Time of a fetch of a signing certificate, its issuer's included.",
        "Must stay below sns.certificate_timeout_ms."),
    row(Kind::Counter, Ingest, "ipn_receiver_signing_certificate_cached_failures_total", NONE,
        "Requests that were refused because a fetch of their certificate failed a moment ago.",
        "With it the figure of failed fetches tells how many requests they cost."),
    row(Kind::Counter, Ingest, "ipn_receiver_signing_certificate_hash_mismatches_total", NONE,
        "Genuine certificates whose MD5 is not the one in their URL.",
        "0 with all that is known of Amazon SNS; a change is worth a look, and harmless."),
    row(Kind::Gauge, Ingest, "ipn_receiver_signing_certificate_not_after_timestamp_seconds", &[REGION],
        "notAfter of the newest signing certificate of a region that this process fetched, in seconds since 1970.",
        "Amazon SNS changes to another certificate long before; nothing is to be done here."),
    row(Kind::Counter, Ingest, "ipn_receiver_issuer_certificate_fetches_total", NONE,
        "Fetches of issuers' certificates, which are needed where the built-in one is not the issuer.",
        "More than a few mean that Amazon SNS has another issuer than the one built in."),
    row(Kind::Gauge, Worker, "ipn_receiver_assigned_partitions", NONE,
        "Partitions of the inbox that the group gave to this worker.",
        "All workers' together must be ipn_receiver_inbox_partitions."),
    row(Kind::Gauge, Worker, "ipn_receiver_worker_ready", NONE,
        "1 while the worker owns its partitions and has rebuilt their state, otherwise 0.",
        "0 for minutes is the alert WorkerStuck; a second worker that waits for its turn without partitions shows 1."),
    row(Kind::Gauge, Worker, "ipn_receiver_worker_heartbeat_age_seconds", NONE,
        "For how long the worker's thread has shown no sign of life.",
        "Below a second; more means that it waits for Kafka, or hangs."),
    row(Kind::Histogram(LONG), Worker, "ipn_receiver_state_restore_seconds", NONE,
        "Time from partitions being assigned to their state being rebuilt.",
        "How long publishing pauses in a rollout."),
    row(Kind::Counter, Worker, "ipn_receiver_worker_resets_total", NONE,
        "How often the worker threw away what it holds in memory and read it back from Kafka.",
        "A few around a rollout or a broker's restart; going on is the alert TransactionsFailing."),
    row(Kind::Gauge, Worker, "ipn_receiver_inbox_oldest_unread_age_seconds", NONE,
        "Age of the record up to which the inbox was read, in the partition that is furthest behind; 0 where all is read.",
        "Seconds. Unlike consumer lag it says how near unread records are to ipn_receiver_inbox_retention_seconds."),
    row(Kind::Gauge, Worker, "ipn_receiver_queued_objects", NONE,
        "Objects in the queue of reads, whatever for.",
        "See ipn_receiver_backlog_objects for whose they are."),
    row(Kind::Gauge, Worker, "ipn_receiver_backlog_objects", LANE,
        "Objects to be read or being read because an IPN, an operator or another object asked for it.",
        "The backlog. It shrinks by the quota: 3.2 a second of each operation of a live merchant by default."),
    row(Kind::Gauge, Worker, "ipn_receiver_backlog_oldest_age_seconds", LANE,
        "Age of the oldest undone work.",
        "What to scale and to alert on; consumer lag is not the backlog. A test IPN stays for an hour, a recheck of many ids for as long as it said."),
    row(Kind::Gauge, Worker, "ipn_receiver_reads_in_flight", NONE,
        "Reads of the Amazon Pay API under way.",
        "At worker.reads_in_flight_max of a merchant Amazon answers slowly."),
    row(Kind::Counter, Worker, "ipn_receiver_limit_hits_total", &[BOUND],
        "How often a bound of the configuration was hit.",
        "records_open_max in an outage is as intended; at other times raise what is hit again and again."),
    row(Kind::Gauge, Worker, "ipn_receiver_known_objects", NONE,
        "Objects whose state is known.",
        "A million take less than 400 MB."),
    row(Kind::Counter, Worker, "ipn_receiver_known_objects_expired_total", &[FATE],
        "Objects in a final state that shrank to a stub or were forgotten.",
        "Grows steadily in a shop that sells steadily."),
    row(Kind::Counter, Worker, "ipn_receiver_pay_api_reads_total", &[MERCHANT, ENVIRONMENT, OPERATION, READ_OUTCOME],
        "Reads of the Amazon Pay API by outcome.",
        "fetched is what must flow; credentials is the alert CredentialsRefused, throttled says that the quota is shared with more than quota.share allows for."),
    row(Kind::Histogram(REQUEST), Worker, "ipn_receiver_pay_api_read_seconds", &[OPERATION],
        "Time of a read of the Amazon Pay API, whatever its outcome.",
        "Amazon's own speed; at pay_api.timeout_ms it counts as network."),
    row(Kind::Gauge, Worker, "ipn_receiver_pay_api_quota_tokens", LANE,
        "Reads that could go out at once, of Amazon's quota and our share of it.",
        "At 0 with work in ipn_receiver_backlog_objects the quota is the limit, and more workers cannot help."),
    row(Kind::Gauge, Worker, "ipn_receiver_pay_api_quota_factor", LANE,
        "Which part of our quota is used just now; 1 unless Amazon throttled lately.",
        "Long below 1: another program uses the same merchant's quota."),
    row(Kind::Gauge, Worker, "ipn_receiver_pay_api_breaker_open", ACCOUNT,
        "1 while a merchant's reads are held back but for single probes, otherwise 0.",
        "Its work waits and nothing is lost; for long it is the alert AmazonPayUnreadable."),
    row(Kind::Counter, Worker, "ipn_receiver_api_key_reloads_total", NONE,
        "API keys that were taken over from changed files.",
        "Shows that a rotation arrived."),
    row(Kind::Counter, Worker, "ipn_receiver_events_published_total", &[EVENT_TYPE],
        "Events in committed transactions.",
        "The money events; compare with the shop's own figures."),
    row(Kind::Histogram(DELAY), Worker, "ipn_receiver_event_delay_seconds", NONE,
        "Time from Amazon's lastUpdatedTimestamp to the event being committed.",
        "Amazon's and SNS's time is in it, and what was found late counts in full."),
    row(Kind::Histogram(DELAY), Worker, "ipn_receiver_event_processing_seconds", NONE,
        "Time from the first IPN of an event being durable in the inbox to the event being committed. For work that was handed over in the state topic: from SNS's Timestamp.",
        "Our own part of the delay: about a second when nothing waits. The alert EventDelayAboveTarget takes a minute."),
    row(Kind::Counter, Worker, "ipn_receiver_transactions_total", &[TRANSACTION_OUTCOME],
        "Kafka transactions by outcome; after one in doubt the worker starts over.",
        "doubt belongs to broker restarts."),
    row(Kind::Histogram(REQUEST), Worker, "ipn_receiver_transaction_seconds", NONE,
        "Time of a committed transaction.",
        "Well under a second; above five it is not trusted any more."),
    row(Kind::Counter, Worker, "ipn_receiver_dead_letters_total", &[DEAD_LETTER_REASON],
        "Dead letters in committed transactions.",
        "unknown_object is a test IPN most likely; any other needs a person."),
    row(Kind::Counter, Worker, "ipn_receiver_missed_ipns_found_total", LANE,
        "Changes that were found although no IPN told of them.",
        "A few are looks that came before their IPN; many are an outage in which SNS gave up."),
    row(Kind::Counter, Worker, "ipn_receiver_permission_mismatches_total", NONE,
        "IPNs that named another charge permission than Amazon's API does.",
        "0; what the API said counts."),
    row(Kind::Counter, Worker, "ipn_receiver_kafka_data_loss_total", &[LOST],
        "Records or offsets that Kafka no longer had.",
        "Anything above 0 is the alert KafkaDataLost."),
    row(Kind::Gauge, Worker, "ipn_receiver_reconciliation_objects", LANE,
        "Known objects that may still change.",
        "What is looked at although nobody told us anything."),
    row(Kind::Gauge, Worker, "ipn_receiver_reconciliation_period_seconds", LANE,
        "How long looking at each of them takes within quota.reconciliation_share.",
        "Where it is longer than the README's table of looks, raise quota.reconciliation_share."),
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
const FETCH_OUTCOME: Label = Label { name: "outcome", values: Values::Words(&["fetched", "failed", "busy"]) };
const SPAN_OUTCOME: Label = Label { name: "outcome", values: Values::Words(&["exported", "failed", "dropped"]) };
const READ_OUTCOME: Label = Label {
    name: "outcome",
    values: Values::Words(&["fetched", "not_found", "object_trouble", "throttled", "network", "amazon", "credentials"]),
};
const TRANSACTION_OUTCOME: Label = Label { name: "outcome", values: Values::Words(&["committed", "doubt"]) };
const EVENT_TYPE: Label = Label { name: "type", values: Values::EventTypes };
const BOUND: Label =
    Label { name: "bound", values: Values::Words(&["reads_in_flight_max", "records_open_max", "answers_kept_max"]) };
const FATE: Label = Label { name: "to", values: Values::Words(&["stub", "forgotten"]) };
const DEAD_LETTER_REASON: Label = Label {
    name: "reason",
    values: Values::Words(&[
        "not_understood",
        "unknown_merchant",
        "misrouted",
        "unknown_object",
        "vanished",
        "undecodable",
    ]),
};
const LOST: Label = Label { name: "what", values: Values::Words(&["offsets", "inbox", "state"]) };
const REQUEST_OUTCOMES: &[&str] = &[
    "durable",
    "ignored-legacy-v1",
    "ignored-unsubscribe-confirmation",
    "confirmed-subscription",
    "not-an-envelope",
    "raw-delivery",
    "certificate-url-refused",
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
    "inbox-unavailable",
    "deadline-exceeded",
    "confirmation-failed",
];

/// Of a network and a disk: around the 15 s after which SNS gives up.
const REQUEST: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];
/// Of arithmetic.
const CPU: &[f64] = &[0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25];
/// Of reading a topic back.
const LONG: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// From a moment to the week after which SNS, the inbox and patience have ended.
const DELAY: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0, 604_800.0];
