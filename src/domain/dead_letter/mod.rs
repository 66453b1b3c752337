//! Dead letters: inbox records that cannot be published, kept with the reason for operators and for a later redrive.

pub mod redrive;

use std::fmt;

use super::RECORD_BYTES_MAX;
use super::record_headers;
use super::timestamp::Timestamp;
use super::work::{InboxPosition, ReadHistory};

/// Why an inbox record became a dead letter. Only problems of the message or of the object itself make a dead letter. While
/// the receiver or Amazon Pay has a problem, the record waits instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeadLetterReason {
    /// The message is genuine, but its `Message` is not an IPN that this version understands.
    NotUnderstood,
    /// The merchant is not configured.
    UnknownMerchant,
    /// The merchant is configured, but not for this SNS topic or environment.
    Misrouted,
    /// Neither Amazon Pay nor the receiver knows the object. Most likely a test IPN.
    UnknownObject,
    /// Amazon Pay no longer knows an object that the receiver knows.
    Vanished,
    /// Amazon Pay's answer about the object could not be decoded for longer than `pending_age_max`.
    Undecodable,
    /// What Amazon Pay answers about the object is too large for a record of Kafka.
    Unwritable,
    /// A CHARGEBACK IPN named a charge that cannot be read. Somebody must look for the dispute.
    Chargeback,
}

/// One record for the dead-letter topic: the original and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Why the IPN became a dead letter.
    pub reason: DeadLetterReason,
    /// One sentence that explains the reason.
    pub detail: String,
    /// What happened before.
    pub history: ReadHistory,
    /// Position of the original in the inbox.
    pub position: InboxPosition,
    /// Key of the original.
    pub key: Vec<u8>,
    /// Value of the original; empty if the inbox no longer held it.
    pub value: Vec<u8>,
    /// Headers of the original.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// The writer of a dead letter.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// Name of the inbox topic.
    pub inbox: &'a str,
    /// Transactional id of the producer.
    pub instance: &'a str,
    /// Version of the receiver.
    pub version: &'a str,
    /// Current time.
    pub now: Timestamp,
}

const HEADER_BYTES_MAX: usize = 1024;
/// Eleven headers with their names.
const OWN_HEADERS_BYTES_MAX: usize = 16 * HEADER_BYTES_MAX;

impl DeadLetter {
    /// The same, if it fits into a record. An original that does not is left out, and the detail says so.
    #[must_use]
    pub fn fitting(self) -> Self {
        let of_headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        let bytes = self.key.len() + self.value.len() + of_headers.sum::<usize>();
        if bytes <= RECORD_BYTES_MAX - OWN_HEADERS_BYTES_MAX {
            return self;
        }
        let detail = format!("the original of {bytes} bytes is too large for a dead letter; {}", self.detail);
        Self { detail, key: Vec::new(), value: Vec::new(), headers: Vec::new(), ..self }
    }

    /// The headers that the receiver adds to the original's, each at most 1 KiB.
    pub fn own_headers(&self, writer: &Writer<'_>) -> Vec<(&'static str, String)> {
        let ReadHistory { object, first_seen, causes_seen, attempts, failing_for } = &self.history;
        let InboxPosition { partition, offset } = self.position;
        let headers = [
            (record_headers::DLQ_REASON, Some(self.reason.to_string())),
            (record_headers::DLQ_DETAIL, Some(self.detail.clone())),
            (record_headers::DLQ_SOURCE, Some(format!("{}/{partition}/{offset}", writer.inbox))),
            (record_headers::DLQ_OBJECT, object.as_ref().map(|object| format!("{}/{}", object.account, object.id))),
            (record_headers::DLQ_FIRST_SEEN_AT, first_seen.map(|first_seen| first_seen.to_string())),
            (record_headers::DLQ_CAUSE_COUNT, Some(causes_seen.to_string())),
            (record_headers::DLQ_FAILED_READS, Some(attempts.to_string())),
            (record_headers::DLQ_FAILING_SECONDS, Some(failing_for.as_secs().to_string())),
            (record_headers::DLQ_WRITTEN_AT, Some(writer.now.to_string())),
            (record_headers::DLQ_TRANSACTIONAL_ID, Some(writer.instance.to_owned())),
            (record_headers::DLQ_RECEIVER_VERSION, Some(writer.version.to_owned())),
        ];
        headers.into_iter().filter_map(|(name, text)| Some((name, shortened(text?)))).collect()
    }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(HEADER_BYTES_MAX));
    text
}

impl DeadLetterReason {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::NotUnderstood,
        Self::UnknownMerchant,
        Self::Misrouted,
        Self::UnknownObject,
        Self::Vanished,
        Self::Undecodable,
        Self::Unwritable,
        Self::Chargeback,
    ];

    /// Value in headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotUnderstood => "not_understood",
            Self::UnknownMerchant => "unknown_merchant",
            Self::Misrouted => "misrouted",
            Self::UnknownObject => "unknown_object",
            Self::Vanished => "vanished",
            Self::Undecodable => "undecodable",
            Self::Unwritable => "unwritable",
            Self::Chargeback => "chargeback",
        }
    }
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dead_letter_headers_are_complete_and_short() {
        let dead_letter = DeadLetter {
            reason: DeadLetterReason::Undecodable,
            detail: "é".repeat(2000),
            history: ReadHistory { attempts: 3, failing_for: Duration::from_hours(1), ..ReadHistory::of_one(at(0)) },
            position: InboxPosition { partition: 1, offset: 42 },
            key: vec![],
            value: vec![],
            headers: vec![],
        };
        let headers = dead_letter.own_headers(&Writer { inbox: "inbox", instance: "me", version: "0.1.0", now: at(1) });
        let text = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str());
        assert_eq!(text("ipn-dlq-source"), Some("inbox/1/42"));
        assert_eq!(text("ipn-dlq-first-seen-at"), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!((text("ipn-dlq-cause-count"), text("ipn-dlq-failed-reads")), (Some("1"), Some("3")));
        assert_eq!((text("ipn-dlq-failing-seconds"), text("ipn-dlq-receiver-version")), (Some("3600"), Some("0.1.0")));
        assert_eq!((text("ipn-dlq-detail").map(str::len), text("ipn-dlq-object")), (Some(1024), None));
        assert!(headers.iter().all(|(name, _)| name.starts_with(record_headers::DLQ_PREFIX)));
    }

    #[test]
    fn original_that_is_too_large_is_left_out() {
        for (value, headers, is_kept) in [(900_000, 0, true), (950_000, 0, false), (1, 950_000, false)] {
            let dead_letter = DeadLetter {
                reason: DeadLetterReason::NotUnderstood,
                detail: "why".to_owned(),
                history: ReadHistory::default(),
                position: InboxPosition { partition: 1, offset: 42 },
                key: vec![1],
                value: vec![0; value],
                headers: vec![("name".to_owned(), vec![0; headers])],
            };
            let fitting = dead_letter.clone().fitting();
            assert_eq!((fitting == dead_letter, fitting.value.is_empty()), (is_kept, !is_kept));
            assert_eq!(fitting.detail.contains("too large for a dead letter; why"), !is_kept);
        }
    }

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1000)
    }
}
