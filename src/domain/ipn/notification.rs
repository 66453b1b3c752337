//! What is made durable: a genuine message, with what it says and the key it is kept under.

use super::Message;
use super::routing::Merchants;
use crate::domain::sns::{Envelope, Policy, TopicPolicy, Verified};

/// A genuine message that is to be made durable. It can be made from a [`Verified`] envelope only.
#[derive(Debug)]
pub struct Notification {
    envelope: Verified<Envelope>,
    message: Message,
    key: String,
}

impl Notification {
    /// What a genuine envelope is about, and under which key it is kept: the merchant's id, so that one worker
    /// owns a merchant's whole quota, or the topic's owner where the merchant cannot be told.
    pub fn new(envelope: Verified<Envelope>, merchants: &Merchants, policy: &Policy) -> Self {
        let message = Message::parse(&envelope.get().message);
        let key = key_of(envelope.get(), &message, merchants, &policy.topics).unwrap_or_default().to_owned();
        Self { envelope, message, key }
    }

    /// The envelope under it.
    pub fn envelope(&self) -> &Envelope {
        self.envelope.get()
    }

    /// What it says.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The key of its record.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// The key of what an envelope says; none if neither its merchant nor its topic is configured.
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
