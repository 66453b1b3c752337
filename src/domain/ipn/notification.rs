//! The inbox entry: a verified message with its parsed content and its record key.

use super::Message;
use super::routing::Merchants;
use crate::domain::sns::{Envelope, Policy, TopicPolicy, Verified};

/// A genuine message to store in the inbox. Only a [`Verified`] envelope can become one.
#[derive(Debug)]
pub struct Notification {
    envelope: Verified<Envelope>,
    message: Message,
    key: String,
}

impl Notification {
    /// Parses the message and chooses the record key: the merchant's id, so that one worker owns a merchant's whole quota, or
    /// the topic's owner if the merchant is unknown.
    pub fn new(envelope: Verified<Envelope>, merchants: &Merchants, policy: &Policy) -> Self {
        let message = Message::parse(&envelope.get().message);
        let key = key_of(envelope.get(), &message, merchants, &policy.topics).unwrap_or_default().to_owned();
        Self { envelope, message, key }
    }

    pub fn envelope(&self) -> &Envelope {
        self.envelope.get()
    }

    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The record key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// The record key of an envelope; `None` if neither its merchant nor its topic is configured.
pub(in crate::domain) fn key_of<'a>(
    envelope: &Envelope,
    message: &'a Message,
    merchants: &Merchants,
    topics: &'a TopicPolicy,
) -> Option<&'a str> {
    match message {
        Message::Ipn(ipn) if merchants.knows(&ipn.merchant_id) => Some(ipn.merchant_id.as_str()),
        _ => topics.owner_of(&envelope.topic_arn),
    }
}
