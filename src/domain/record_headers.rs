//! The names of all headers on records that the receiver writes to Kafka, and how to read one.
//!
//! The headers of events are not here: CloudEvents defines them (`events::cloudevent`).

/// Version of an inbox record's format: the headers that exist, and what the value holds.
pub const SCHEMA_VERSION: &str = "ipn-schema-version";
/// Kind of an inbox record. A record without this header holds an SNS message.
pub const RECORD_KIND: &str = "ipn-record-kind";
/// When the receiver accepted the SNS message.
pub const RECEIVED_AT: &str = "ipn-received-at";
/// `MessageId` of the SNS message.
pub const SNS_MESSAGE_ID: &str = "ipn-sns-message-id";
/// `TopicArn` of the SNS message.
pub const SNS_TOPIC_ARN: &str = "ipn-sns-topic-arn";
/// The certificate that signed the SNS message, in base64, on some of the records: a new process takes it from there.
pub const SIGNING_CERT: &str = "ipn-signing-cert";
/// Trace of the IPN, under the name that W3C Trace Context gives it.
pub const TRACEPARENT: &str = "traceparent";

/// On state records: nonce of the barrier after which their writer began. A record that follows another writer's barrier
/// would show that fencing failed.
pub const BARRIER_ID: &str = "ipn-barrier-id";

/// On redriven inbox records: the dead letter they were made of, `topic/partition/offset`.
pub const REDRIVEN_FROM: &str = "ipn-redriven-from";
/// On redriven inbox records: how often the record was redriven.
pub const REDRIVE_COUNT: &str = "ipn-redrive-count";

/// Prefix of the headers that the receiver adds to dead letters. All other headers are the original's.
pub const DLQ_PREFIX: &str = "ipn-dlq-";
/// [`DeadLetterReason`](super::dead_letter::DeadLetterReason) of a dead letter.
pub const DLQ_REASON: &str = "ipn-dlq-reason";
/// One sentence that explains the reason.
pub const DLQ_DETAIL: &str = "ipn-dlq-detail";
/// The original's `topic/partition/offset` in the inbox.
pub const DLQ_SOURCE: &str = "ipn-dlq-source";
/// The object, `merchant/environment/object id`.
pub const DLQ_OBJECT: &str = "ipn-dlq-object";
/// When the object's first cause arrived.
pub const DLQ_FIRST_SEEN_AT: &str = "ipn-dlq-first-seen-at";
/// Number of causes.
pub const DLQ_CAUSE_COUNT: &str = "ipn-dlq-cause-count";
/// Number of reads that failed for a reason of the object's own.
pub const DLQ_FAILED_READS: &str = "ipn-dlq-failed-reads";
/// For how long those reads failed.
pub const DLQ_FAILING_SECONDS: &str = "ipn-dlq-failing-seconds";
/// When the dead letter was written.
pub const DLQ_WRITTEN_AT: &str = "ipn-dlq-written-at";
/// Transactional id of the producer that wrote the dead letter.
pub const DLQ_TRANSACTIONAL_ID: &str = "ipn-dlq-transactional-id";
/// Version of the receiver that wrote the dead letter.
pub const DLQ_RECEIVER_VERSION: &str = "ipn-dlq-receiver-version";

/// The text of a header. Where a name occurs twice, the last one counts.
pub fn header<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().rfind(|(known, _)| known == name)?;
    std::str::from_utf8(value).ok()
}
