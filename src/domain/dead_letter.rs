//! What could not be told, kept with its reason for a human and for a later redrive.

use std::fmt;

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
    /// Where the original stands in the inbox.
    pub position: InboxPosition,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value; empty if the inbox no longer held it.
    pub value: Vec<u8>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl DeadLetterReason {
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
