//! A genuine message that is to be stored in the inbox, with its content, its object and its record key.

use super::Message;
use super::routing::{Merchants, Unroutable};
use crate::domain::pay::ObjectRef;
use crate::domain::sns::{Envelope, Policy, TopicPolicy, Verified};

/// A genuine message to store in the inbox. It can be made from a [`Verified`] envelope only.
#[derive(Debug)]
pub struct Notification {
    envelope: Verified<Envelope>,
    message: Message,
    object: Option<ObjectRef>,
    key: String,
}

impl Notification {
    /// Parses the message of a genuine envelope and routes it to its merchant.
    pub fn new(envelope: Verified<Envelope>, merchants: &Merchants, policy: &Policy) -> Self {
        let message = Message::parse(&envelope.get().message);
        let Routed { object, key } = Routed::new(envelope.get(), &message, merchants, &policy.topics);
        let key = key.unwrap_or_default().to_owned();
        Self { envelope, message, object, key }
    }

    /// The envelope of the message.
    pub fn envelope(&self) -> &Envelope {
        self.envelope.get()
    }

    /// The content of the message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The object that the message asks to read, if it is an IPN of a configured merchant.
    pub fn object(&self) -> Option<&ObjectRef> {
        self.object.as_ref()
    }

    /// The key of the inbox record.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Where a message belongs.
pub(in crate::domain) struct Routed<'a> {
    /// The object to read, if the message is an IPN of a configured merchant.
    pub(in crate::domain) object: Option<ObjectRef>,
    /// The key of the inbox record: the merchant's id, so that one worker owns a merchant's whole quota, or the topic's
    /// owner if the merchant is unknown. `None` if neither is configured.
    pub(in crate::domain) key: Option<&'a str>,
}

impl<'a> Routed<'a> {
    pub(in crate::domain) fn new(
        envelope: &Envelope,
        message: &'a Message,
        merchants: &Merchants,
        topics: &'a TopicPolicy,
    ) -> Self {
        let Message::Ipn(ipn) = message else {
            return Self { object: None, key: topics.owner_of(&envelope.topic_arn) };
        };
        match merchants.route(&envelope.topic_arn, ipn) {
            Ok(object) => Self { object: Some(object), key: Some(ipn.merchant_id.as_str()) },
            Err(Unroutable::Misrouted) => Self { object: None, key: Some(ipn.merchant_id.as_str()) },
            Err(Unroutable::UnknownMerchant) => Self { object: None, key: topics.owner_of(&envelope.topic_arn) },
        }
    }
}
