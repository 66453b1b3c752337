//! Dead letters on their way back into the inbox: which are meant, and what becomes of each.

use std::collections::BTreeSet;
use std::fmt;

use uuid::Uuid;

use super::{DeadLetterReason, OWN_HEADERS, header};
use crate::domain::events::NAMESPACE;
use crate::domain::ipn::notification::Routed;
use crate::domain::ipn::recheck_request::{self, KIND_HEADER, Recheck};
use crate::domain::ipn::routing::Merchants;
use crate::domain::ipn::{Ipn, Message};
use crate::domain::pay::{MerchantId, ObjectId};
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

/// What the original says.
#[derive(Debug)]
enum Content {
    /// As SNS sent it.
    Sns(Box<(Envelope, Message)>),
    Recheck(Box<Recheck>),
    Unreadable,
}

/// Which dead letters are meant. Within a key any value will do; every key that is named must agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    terms: BTreeSet<(Key, String)>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// What can be filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Reason,
    Merchant,
    Object,
    TopicArn,
    MessageId,
}

/// An inbox record made of a dead letter, and of nothing else: what was genuine when it first came in still is, so age and
/// certificate are not asked about again.
#[derive(Debug)]
pub struct Redriven {
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

/// Where a record comes from that was appended again: `topic/partition/offset`.
pub const FROM_HEADER: &str = "ipn-redriven-from";
/// How often it was.
pub const COUNT_HEADER: &str = "ipn-redrive-count";

impl DeadLetterRecord {
    /// Reads a record of the dead-letter topic.
    pub fn read(key: Vec<u8>, value: Vec<u8>, headers: Vec<(String, Vec<u8>)>, appended_at: Timestamp) -> Self {
        let written_at = header(&headers, "ipn-dlq-written-at").and_then(Timestamp::parse_sns).unwrap_or(appended_at);
        let content = Content::of(&value, &headers);
        Self { key, value, headers, written_at, content }
    }

    /// Why it is one.
    pub fn reason(&self) -> &str {
        self.header("ipn-dlq-reason").unwrap_or("unknown")
    }

    /// Whose it is, as far as that can be told.
    pub fn merchant(&self) -> Option<&str> {
        match &self.content {
            Content::Recheck(recheck) => Some(recheck.object.account.merchant_id.as_str()),
            Content::Sns(_) | Content::Unreadable => match self.ipn() {
                Some((_, ipn)) => Some(ipn.merchant_id.as_str()),
                None => self.object_header().map(|(merchant, _)| merchant),
            },
        }
    }

    /// What it is about, as far as that can be told.
    pub fn object(&self) -> Option<&str> {
        match &self.content {
            Content::Recheck(recheck) => Some(recheck.object.id.as_str()),
            Content::Sns(_) | Content::Unreadable => match self.ipn() {
                Some((_, ipn)) => Some(ipn.object_id.as_str()),
                None => self.object_header().map(|(_, object)| object),
            },
        }
    }

    /// Whether the original is there; without it nothing can be appended again.
    pub fn has_original(&self) -> bool {
        !self.value.is_empty()
    }

    /// Whether it would be a dead letter again, since the settings still have no place for it.
    pub fn has_no_place(&self, merchants: &Merchants) -> bool {
        match &self.content {
            Content::Recheck(recheck) => !merchants.has(&recheck.object.account),
            Content::Sns(_) | Content::Unreadable => {
                self.ipn().is_none_or(|(envelope, ipn)| merchants.route(&envelope.topic_arn, ipn).is_err())
            }
        }
    }

    /// When it became one.
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
            Content::Recheck(_) | Content::Unreadable => None,
        }
    }

    fn ipn(&self) -> Option<(&Envelope, &Ipn)> {
        match &self.content {
            Content::Sns(sns) => match &**sns {
                (envelope, Message::Ipn(ipn)) => Some((envelope, ipn)),
                (_, Message::LegacyV1 { .. } | Message::NotUnderstood(_)) => None,
            },
            Content::Recheck(_) | Content::Unreadable => None,
        }
    }

    fn present_key<'a>(&'a self, merchants: &Merchants, topics: &'a TopicPolicy) -> Option<&'a str> {
        match &self.content {
            Content::Sns(sns) => Routed::new(&sns.0, &sns.1, merchants, topics).key,
            Content::Recheck(recheck) => Some(recheck.object.account.merchant_id.as_str()),
            Content::Unreadable => None,
        }
    }

    /// Merchant and object of the header that tells them: `merchant/environment/object`.
    fn object_header(&self) -> Option<(&str, &str)> {
        let (account, object) = self.header("ipn-dlq-object")?.rsplit_once('/')?;
        Some((account.split('/').next()?, object))
    }
}

impl Content {
    fn of(value: &[u8], headers: &[(String, Vec<u8>)]) -> Self {
        if header(headers, KIND_HEADER) == Some(recheck_request::KIND) {
            return Recheck::parse(value).map_or(Self::Unreadable, |recheck| Self::Recheck(Box::new(recheck)));
        }
        let Ok(envelope) = Envelope::parse(value.to_vec()) else { return Self::Unreadable };
        let message = Message::parse(&envelope.message);
        Self::Sns(Box::new((envelope, message)))
    }
}

impl Redriven {
    /// What is appended of `letter`, which stands at `from` in our own dead-letter topic; nothing if its original is gone.
    /// Its key is the one that the present settings give it: a merchant's letter finds the merchant's worker.
    pub fn new(letter: DeadLetterRecord, from: &str, merchants: &Merchants, topics: &TopicPolicy) -> Option<Self> {
        if !letter.has_original() {
            return None;
        }
        let n_before: u32 = letter.header(COUNT_HEADER).and_then(|count| count.parse().ok()).unwrap_or(0);
        let key = letter.present_key(merchants, topics).map(|key| key.as_bytes().to_vec());
        let DeadLetterRecord { key: former_key, value, mut headers, .. } = letter;
        headers.retain(|(name, _)| !name.starts_with(OWN_HEADERS) && name != FROM_HEADER && name != COUNT_HEADER);
        headers.push((FROM_HEADER.to_owned(), from.as_bytes().to_vec()));
        headers.push((COUNT_HEADER.to_owned(), n_before.saturating_add(1).to_string().into_bytes()));
        Some(Self { key: key.unwrap_or(former_key), value, headers })
    }

    /// The record's key.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The original, word for word.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The original's headers, and where it comes from.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }
}

impl Filter {
    /// Reads `key=value` terms. The error says what would be right.
    pub fn parse(terms: &[String], since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Self, String> {
        let terms = terms.iter().map(|term| Key::parse_term(term)).collect::<Result<_, _>>()?;
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err(format!("--since {since} is not before --until {until}, so nothing could match"));
        }
        Ok(Self { terms, since, until })
    }

    /// Whether `letter` is meant.
    pub fn accepts(&self, letter: &DeadLetterRecord) -> bool {
        let is_in_time = self.since.is_none_or(|since| since <= letter.written_at)
            && self.until.is_none_or(|until| letter.written_at < until);
        let agrees = |key: Key| {
            let mut wanted = self.terms.iter().filter(|(of, _)| *of == key).peekable();
            wanted.peek().is_none() || wanted.any(|(_, value)| key.of(letter) == Some(value))
        };
        is_in_time && Key::ALL.into_iter().all(agrees)
    }

    /// Names the filter where Kafka keeps how far it got; the same for the same terms in any order.
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
        let words: Vec<String> = terms.chain(since).chain(until).collect();
        f.write_str(if words.is_empty() { "everything".to_owned() } else { words.join(", ") }.as_str())
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

    fn of(self, letter: &DeadLetterRecord) -> Option<&str> {
        match self {
            Self::Reason => Some(letter.reason()),
            Self::Merchant => letter.merchant(),
            Self::Object => letter.object(),
            Self::TopicArn => letter.envelope().map(|envelope| envelope.topic_arn.as_str()),
            Self::MessageId => letter.envelope().map(|envelope| envelope.message_id.as_str()),
        }
    }

    /// One `key=value`; values that can never match are refused, so that a slip does not look like "nothing to do".
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
