//! What the loopback SNS is to sign, and the string it signs.
//!
//! Promises: written from Amazon's guide, independently of the receiver's own string-to-sign. Never holds a key.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

/// How the signature of a message is made: the `SignatureVersion` of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureVersion {
    /// RSASSA-PKCS1-v1_5 with SHA-1, the default of a topic.
    V1,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    V2,
}

/// What SNS is to sign and send.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The topic's ARN.
    pub topic_arn: String,
    /// The message itself: for Amazon Pay a JSON object in a string.
    pub message: String,
    /// Only of a notification, and absent in the IPNs of Amazon Pay.
    pub subject: Option<String>,
    /// A UUID.
    pub message_id: String,
    /// `yyyy-mm-ddThh:mm:ss.mmmZ`.
    pub timestamp: String,
    /// How it is signed.
    pub version: SignatureVersion,
}

impl SignatureVersion {
    /// The value of `SignatureVersion` on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2 => "2",
        }
    }
}

impl Draft {
    /// A message with a new id, sent at `now` and signed with SHA-256.
    pub fn new(topic_arn: &str, message: &str, now: OffsetDateTime) -> Self {
        Self {
            topic_arn: topic_arn.to_owned(),
            message: message.to_owned(),
            subject: None,
            message_id: Uuid::new_v4().to_string(),
            timestamp: now
                .to_offset(time::UtcOffset::UTC)
                .format(TIMESTAMP)
                .expect("every time of day has an hour, a minute and a second"),
            version: SignatureVersion::V2,
        }
    }
}

/// Amazon SNS developer guide, "Verifying the signatures of Amazon SNS messages": each signed name and value on a
/// line of its own, names in byte order, a line feed after the last. Every field here is a signed one, and Subject is
/// one only where it is present.
pub(super) fn string_to_sign(signed: &[(&str, &str)]) -> String {
    let mut sorted = signed.to_vec();
    sorted.sort_unstable();
    sorted.iter().flat_map(|(name, value)| [*name, "\n", *value, "\n"]).collect()
}

const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_has_the_timestamp_of_sns() {
        let now = OffsetDateTime::from_unix_timestamp(1_767_323_045).unwrap();
        assert_eq!(Draft::new("", "", now).timestamp, "2026-01-02T03:04:05.000Z");
    }
}
