//! Redrive: which dead letters a filter selects, and the inbox record that each becomes.

use std::collections::BTreeSet;
use std::fmt;

use uuid::Uuid;

use super::DeadLetterReason;
use crate::domain::RECORD_BYTES_MAX;
use crate::domain::events::NAMESPACE;
use crate::domain::ipn::in_charge_request::{self, SetInChargeSince};
use crate::domain::ipn::notification::Routed;
use crate::domain::ipn::recheck_request::{self, Recheck};
use crate::domain::ipn::routing::Merchants;
use crate::domain::ipn::{Ipn, Message};
use crate::domain::pay::{MerchantId, ObjectId};
use crate::domain::record_headers::{
    DLQ_OBJECT, DLQ_PREFIX, DLQ_REASON, DLQ_WRITTEN_AT, RECORD_KIND, REDRIVE_COUNT, REDRIVEN_FROM, header,
};
use crate::domain::sns::{Envelope, TopicPolicy};
use crate::domain::timestamp::Timestamp;

/// A record of the dead-letter topic.
#[derive(Debug)]
pub struct DeadLetterRecord {
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    written_at: Timestamp,
    content: Content,
}

/// Decoded content of the original.
#[derive(Debug)]
enum Content {
    Sns(Box<(Envelope, Message)>),
    Recheck(Box<Recheck>),
    /// The merchant is absent if the request cannot be read.
    InChargeRequest(Option<MerchantId>),
    Unreadable,
}

/// Selects dead letters. Terms with the same key are alternatives; all keys must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    terms: BTreeSet<(Key, String)>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// A key of the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Reason,
    Merchant,
    Object,
    TopicArn,
    MessageId,
}

/// An inbox record made of a dead letter, and of nothing else. The message was verified when it first arrived, so its age and
/// certificate are not checked again.
#[derive(Debug)]
pub struct Redriven {
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

impl DeadLetterRecord {
    /// Reads a record of the dead-letter topic.
    pub fn read(key: Vec<u8>, value: Vec<u8>, headers: Vec<(String, Vec<u8>)>, appended_at: Timestamp) -> Self {
        let written_at = header(&headers, DLQ_WRITTEN_AT).and_then(Timestamp::parse_sns).unwrap_or(appended_at);
        let content = Content::of(&value, &headers);
        Self { key, value, headers, written_at, content }
    }

    /// Value of [`DeadLetterReason`]; `unknown` if the header is missing.
    pub fn reason(&self) -> &str {
        self.header(DLQ_REASON).unwrap_or("unknown")
    }

    /// Merchant id, if the original or a header names one.
    pub fn merchant(&self) -> Option<&str> {
        match &self.content {
            Content::Recheck(recheck) => Some(recheck.object.account.merchant_id.as_str()),
            Content::InChargeRequest(merchant) => merchant.as_ref().map(MerchantId::as_str),
            Content::Sns(_) | Content::Unreadable => match self.ipn() {
                Some((_, ipn)) => Some(ipn.merchant_id.as_str()),
                None => self.object_header().map(|(merchant, _)| merchant),
            },
        }
    }

    /// Object id, if the original or a header names one.
    pub fn object(&self) -> Option<&str> {
        match &self.content {
            Content::Recheck(recheck) => Some(recheck.object.id.as_str()),
            Content::InChargeRequest(_) => None,
            Content::Sns(_) | Content::Unreadable => match self.ipn() {
                Some((_, ipn)) => Some(ipn.object_id.as_str()),
                None => self.object_header().map(|(_, object)| object),
            },
        }
    }

    /// Whether the original is present and fits into an inbox record. Without it nothing can be redriven.
    pub fn has_original(&self) -> bool {
        let of_headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        let bytes = self.key.len() + self.value.len() + of_headers.sum::<usize>();
        !self.value.is_empty() && bytes <= RECORD_BYTES_MAX
    }

    /// Whether the original is an operator's request of `in-charge-since`. It is not redriven: it would be applied as if it was
    /// made now, and replace a newer one.
    pub fn is_in_charge_request(&self) -> bool {
        matches!(self.content, Content::InChargeRequest(_))
    }

    /// Whether the current settings still cannot route the original, so that a redrive would make it a dead letter again.
    pub fn is_unroutable(&self, merchants: &Merchants) -> bool {
        match &self.content {
            Content::Recheck(recheck) => !merchants.has(&recheck.object.account),
            Content::Sns(_) | Content::InChargeRequest(_) | Content::Unreadable => {
                self.ipn().is_none_or(|(envelope, ipn)| merchants.route(&envelope.topic_arn, ipn).is_err())
            }
        }
    }

    /// When the dead letter was written.
    pub fn written_at(&self) -> Timestamp {
        self.written_at
    }

    /// The text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    fn envelope(&self) -> Option<&Envelope> {
        match &self.content {
            Content::Sns(sns) => Some(&sns.0),
            Content::Recheck(_) | Content::InChargeRequest(_) | Content::Unreadable => None,
        }
    }

    fn ipn(&self) -> Option<(&Envelope, &Ipn)> {
        match &self.content {
            Content::Sns(sns) => match &**sns {
                (envelope, Message::Ipn(ipn)) => Some((envelope, ipn)),
                (_, Message::LegacyV1 { .. } | Message::NotUnderstood(_)) => None,
            },
            Content::Recheck(_) | Content::InChargeRequest(_) | Content::Unreadable => None,
        }
    }

    fn current_key<'a>(&'a self, merchants: &Merchants, topics: &'a TopicPolicy) -> Option<&'a str> {
        match &self.content {
            Content::Sns(sns) => Routed::new(&sns.0, &sns.1, merchants, topics).key,
            Content::Recheck(recheck) => Some(recheck.object.account.merchant_id.as_str()),
            Content::InChargeRequest(_) | Content::Unreadable => None,
        }
    }

    /// Merchant and object of the header `merchant/environment/object`.
    fn object_header(&self) -> Option<(&str, &str)> {
        let (account, object) = self.header(DLQ_OBJECT)?.rsplit_once('/')?;
        Some((account.split('/').next()?, object))
    }
}

impl Content {
    fn of(value: &[u8], headers: &[(String, Vec<u8>)]) -> Self {
        if header(headers, RECORD_KIND) == Some(recheck_request::KIND) {
            return Recheck::parse(value).map_or(Self::Unreadable, |recheck| Self::Recheck(Box::new(recheck)));
        }
        if header(headers, RECORD_KIND) == Some(in_charge_request::KIND) {
            let request = SetInChargeSince::parse(value).ok();
            return Self::InChargeRequest(request.map(|request| request.account.merchant_id));
        }
        let Ok(envelope) = Envelope::parse(value) else { return Self::Unreadable };
        let message = Message::parse(&envelope.message);
        Self::Sns(Box::new((envelope, message)))
    }
}

impl Redriven {
    /// The inbox record of `record`, which is at position `from` in the dead-letter topic. `None` if the original is missing
    /// or an in-charge request.
    /// The current settings decide the key, so that the record reaches the worker of its merchant.
    pub fn new(record: DeadLetterRecord, from: &str, merchants: &Merchants, topics: &TopicPolicy) -> Option<Self> {
        if !record.has_original() || record.is_in_charge_request() {
            return None;
        }
        let n_before: u32 = record.header(REDRIVE_COUNT).and_then(|count| count.parse().ok()).unwrap_or(0);
        let key = record.current_key(merchants, topics).map(|key| key.as_bytes().to_vec());
        let DeadLetterRecord { key: former_key, value, mut headers, .. } = record;
        headers.retain(|(name, _)| !name.starts_with(DLQ_PREFIX) && name != REDRIVEN_FROM && name != REDRIVE_COUNT);
        headers.push((REDRIVEN_FROM.to_owned(), from.as_bytes().to_vec()));
        headers.push((REDRIVE_COUNT.to_owned(), n_before.saturating_add(1).to_string().into_bytes()));
        Some(Self { key: key.unwrap_or(former_key), value, headers })
    }

    /// The record key, as the original had it.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The original's value, unchanged.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The original's headers, and those that mark the redrive.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }
}

impl Filter {
    /// Parses `key=value` terms. The error names the valid keys or values.
    pub fn parse(terms: &[String], since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Self, String> {
        let terms = terms.iter().map(|term| Key::parse_term(term)).collect::<Result<_, _>>()?;
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err(format!("--since {since} is not before --until {until}, so nothing could match"));
        }
        Ok(Self { terms, since, until })
    }

    /// Whether the filter selects `record`.
    pub fn accepts(&self, record: &DeadLetterRecord) -> bool {
        let is_in_time = self.since.is_none_or(|since| since <= record.written_at)
            && self.until.is_none_or(|until| record.written_at < until);
        let agrees = |key: Key| {
            let mut wanted = self.terms.iter().filter(|(of, _)| *of == key).peekable();
            wanted.peek().is_none() || wanted.any(|(_, value)| key.of(record) == Some(value))
        };
        is_in_time && Key::ALL.into_iter().all(agrees)
    }

    /// Identifies the filter in the consumer group that stores its progress. Equal terms in any order give the same id.
    pub fn id(&self) -> String {
        let id = Uuid::new_v5(&NAMESPACE, self.to_string().as_bytes()).simple().to_string();
        id[..16].to_owned()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = self.terms.iter().map(|(key, value)| format!("{}={value}", key.as_str()));
        let since = self.since.map(|since| format!("since {since}"));
        let until = self.until.map(|until| format!("until {until}"));
        let parts: Vec<String> = terms.chain(since).chain(until).collect();
        f.write_str(if parts.is_empty() { "everything".to_owned() } else { parts.join(", ") }.as_str())
    }
}

impl Key {
    const ALL: [Self; 5] = [Self::Reason, Self::Merchant, Self::Object, Self::TopicArn, Self::MessageId];

    fn as_str(self) -> &'static str {
        match self {
            Self::Reason => "reason",
            Self::Merchant => "merchant",
            Self::Object => "object",
            Self::TopicArn => "topic-arn",
            Self::MessageId => "message-id",
        }
    }

    fn of(self, record: &DeadLetterRecord) -> Option<&str> {
        match self {
            Self::Reason => Some(record.reason()),
            Self::Merchant => record.merchant(),
            Self::Object => record.object(),
            Self::TopicArn => record.envelope().map(|envelope| envelope.topic_arn.as_str()),
            Self::MessageId => record.envelope().map(|envelope| envelope.message_id.as_str()),
        }
    }

    /// Parses one `key=value`. A value that can never match is an error, so that a typing mistake is not mistaken for an empty
    /// result.
    fn parse_term(term: &str) -> Result<(Self, String), String> {
        let keys = || Self::ALL.map(Self::as_str).join(", ");
        let (name, value) =
            term.split_once('=').ok_or_else(|| format!("--filter {term:?} is not key=value; keys are {}", keys()))?;
        let key = Self::ALL
            .into_iter()
            .find(|key| key.as_str() == name)
            .ok_or_else(|| format!("--filter {term:?}: there is no key {name:?}; keys are {}", keys()))?;
        let reasons = DeadLetterReason::ALL.map(DeadLetterReason::as_str);
        let is_possible = match key {
            Self::Reason => reasons.contains(&value),
            Self::Merchant => MerchantId::parse(value).is_some(),
            Self::Object => ObjectId::parse(value).is_some(),
            Self::TopicArn | Self::MessageId => !value.is_empty(),
        };
        if is_possible {
            return Ok((key, value.to_owned()));
        }
        Err(match key {
            Self::Reason => format!("--filter {term:?}: reasons are {}", reasons.join(", ")),
            _ => format!("--filter {term:?}: {value:?} cannot be the {name} of any dead letter"),
        })
    }
}

#[cfg(test)]
mod tests;
