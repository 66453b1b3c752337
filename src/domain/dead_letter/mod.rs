//! What could not be told, kept with its reason for a human and for a later redrive.

pub mod redrive;

use std::fmt;
use std::time::Duration;

use super::pay::ObjectRef;
use super::timestamp::Timestamp;
use super::work::InboxPosition;

/// Why an inbox record became a dead letter. Only trouble of the message or the object itself: trouble of
/// ours or of Amazon's waits instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeadLetterReason {
    /// Genuine, but its Message is no IPN that this version knows.
    NotUnderstood,
    /// Its merchant is not configured.
    UnknownMerchant,
    /// Its merchant is, but not for that topic or environment.
    Misrouted,
    /// Amazon does not know the object, and neither do we: a test IPN, most likely.
    UnknownObject,
    /// Amazon no longer knows an object that we know.
    Vanished,
    /// Amazon's answer about the object could not be read for longer than `pending_age_max`.
    Undecodable,
}

/// One record for the dead-letter topic: the original, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Why.
    pub reason: DeadLetterReason,
    /// One sentence more.
    pub detail: String,
    /// What was tried.
    pub history: History,
    /// Where the original stands in the inbox.
    pub position: InboxPosition,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value; empty if the inbox no longer held it.
    pub value: Vec<u8>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What happened to a dead letter before it became one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// What it is about, as far as it was understood.
    pub object: Option<ObjectRef>,
    /// When the first cause of it was taken in.
    pub first_seen: Option<Timestamp>,
    /// How many causes there were: notifications, rechecks, and other objects that needed this one.
    pub causes_seen: u32,
    /// How many reads failed for a reason of the object's own.
    pub attempts: u32,
    /// For how long they did.
    pub failing_for: Duration,
}

/// Who writes a dead letter, and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The inbox topic.
    pub inbox: &'a str,
    /// The producer's transactional id.
    pub instance: &'a str,
    /// This program's version.
    pub version: &'a str,
    /// The present moment.
    pub now: Timestamp,
}

/// What the names of this program's own headers on dead letters begin with; the others are the original's.
pub const OWN_HEADERS: &str = "ipn-dlq-";
const HEADER_BYTES_MAX: usize = 1024;

impl History {
    /// Of a record that was never read for.
    pub fn of_one(first_seen: Timestamp) -> Self {
        Self { first_seen: Some(first_seen), causes_seen: 1, ..Self::default() }
    }
}

impl DeadLetter {
    /// The headers that tell its history, beside the original's: text of at most 1 KiB each.
    pub fn told(&self, writer: &Writer<'_>) -> Vec<(&'static str, String)> {
        let History { object, first_seen, causes_seen, attempts, failing_for } = &self.history;
        let InboxPosition { partition, offset } = self.position;
        let told = [
            ("ipn-dlq-reason", Some(self.reason.to_string())),
            ("ipn-dlq-detail", Some(self.detail.clone())),
            ("ipn-dlq-source", Some(format!("{}/{partition}/{offset}", writer.inbox))),
            ("ipn-dlq-object", object.as_ref().map(ObjectRef::state_key)),
            ("ipn-dlq-first-seen-at", first_seen.map(|first_seen| first_seen.to_string())),
            ("ipn-dlq-cause-count", Some(causes_seen.to_string())),
            ("ipn-dlq-failed-reads", Some(attempts.to_string())),
            ("ipn-dlq-failing-seconds", Some(failing_for.as_secs().to_string())),
            ("ipn-dlq-written-at", Some(writer.now.to_string())),
            ("ipn-dlq-transactional-id", Some(writer.instance.to_owned())),
            ("ipn-dlq-receiver-version", Some(writer.version.to_owned())),
        ];
        told.into_iter().filter_map(|(name, text)| Some((name, shortened(text?)))).collect()
    }
}

/// The text of a record's header; the last one counts where a name stands twice.
pub fn header<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().rfind(|(known, _)| known == name)?;
    std::str::from_utf8(value).ok()
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(HEADER_BYTES_MAX));
    text
}

impl DeadLetterReason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NotUnderstood,
        Self::UnknownMerchant,
        Self::Misrouted,
        Self::UnknownObject,
        Self::Vanished,
        Self::Undecodable,
    ];

    /// The word in headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotUnderstood => "not_understood",
            Self::UnknownMerchant => "unknown_merchant",
            Self::Misrouted => "misrouted",
            Self::UnknownObject => "unknown_object",
            Self::Vanished => "vanished",
            Self::Undecodable => "undecodable",
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
    use super::*;

    #[test]
    fn a_letter_tells_its_whole_story_and_no_header_is_longer_than_one_kib() {
        let letter = DeadLetter {
            reason: DeadLetterReason::Undecodable,
            detail: "é".repeat(2000),
            history: History { attempts: 3, failing_for: Duration::from_hours(1), ..History::of_one(at(0)) },
            position: InboxPosition { partition: 1, offset: 42 },
            key: vec![],
            value: vec![],
            headers: vec![],
        };
        let told = letter.told(&Writer { inbox: "inbox", instance: "me", version: "0.1.0", now: at(1) });
        let text = |name: &str| told.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str());
        assert_eq!(text("ipn-dlq-source"), Some("inbox/1/42"));
        assert_eq!(text("ipn-dlq-first-seen-at"), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!((text("ipn-dlq-cause-count"), text("ipn-dlq-failed-reads")), (Some("1"), Some("3")));
        assert_eq!((text("ipn-dlq-failing-seconds"), text("ipn-dlq-receiver-version")), (Some("3600"), Some("0.1.0")));
        assert_eq!((text("ipn-dlq-detail").map(str::len), text("ipn-dlq-object")), (Some(1024), None));
        assert!(told.iter().all(|(name, _)| name.starts_with(OWN_HEADERS)));
    }

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1000)
    }
}
