//! Messages for the simulated SNS to sign, and the string to sign.
//!
//! Written from Amazon's guide and independent of the receiver's own string-to-sign.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

/// The signature algorithm of a message, which is a setting of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureVersion {
    /// RSASSA-PKCS1-v1_5 with SHA-1, the default of topics.
    V1,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    V2,
}

/// A message for SNS to sign.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The ARN of the topic.
    pub topic_arn: String,
    /// The message: for Amazon Pay a string that holds a JSON object.
    pub message: String,
    /// Notifications only; absent from the IPNs of Amazon Pay.
    pub subject: Option<String>,
    /// A UUID.
    pub message_id: String,
    /// `yyyy-mm-ddThh:mm:ss.mmmZ`.
    pub timestamp: String,
    /// The signature algorithm.
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
            timestamp: now.to_offset(time::UtcOffset::UTC).format(TIMESTAMP).expect("the format fits every time"),
            version: SignatureVersion::V2,
        }
    }
}

/// Amazon SNS developer guide, "Verifying the signatures of Amazon SNS messages": each name and each value
/// on a line of its own, names in byte order, a line feed after the last. Takes signed fields only; Subject is signed only
/// if it is present.
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
    fn draft_timestamp_has_the_format_of_sns() {
        let now = OffsetDateTime::from_unix_timestamp(1_767_323_045).unwrap();
        assert_eq!(Draft::new("", "", now).timestamp, "2026-01-02T03:04:05.000Z");
    }
}
