//! How many messages of one topic are stored per second: a generous limit for all, and a low one for late messages.
//!
//! Amazon SNS repeats a delivery for an hour at most. A message that comes later than [`LATE_AFTER`] is a copy, from an archive or
//! from somebody who collected genuine messages.

use std::time::Duration;

use governor::RateLimiter;
use governor::clock::MonotonicClock;
use governor::state::keyed::HashMapStateStore;

use crate::config;
use crate::domain::sns::{Envelope, TopicArn};
use crate::domain::timestamp::Timestamp;
use crate::http::rate::rate;

/// The limits of every topic.
pub struct TopicLimits {
    all: Limit,
    late: Limit,
}

struct Limit {
    per_second: u32,
    of_topic: RateLimiter<TopicArn, HashMapStateStore<TopicArn>, MonotonicClock>,
}

/// More messages of a topic came than its limit allows.
#[derive(Debug, thiserror::Error)]
pub(super) enum TooMany {
    #[error("more than {per_second} messages a second of topic {0} (ingress.topic_messages_per_s_max)", .topic.as_str())]
    All { topic: TopicArn, per_second: u32 },
    #[error(
        "more than {per_second} messages a second of topic {0} that are older than {1} hours, as copies are \
         (ingress.late_messages_per_s_max)", .topic.as_str(), LATE_AFTER.as_secs() / 3600
    )]
    Late { topic: TopicArn, per_second: u32 },
}

impl TopicLimits {
    /// Limits from the settings, with all tokens.
    pub fn new(settings: &config::Ingress) -> Self {
        let limit = |per_second| Limit { per_second, of_topic: RateLimiter::hashmap(rate(per_second)) };
        Self { all: limit(settings.topic_messages_per_s_max), late: limit(settings.late_messages_per_s_max) }
    }

    /// Takes a token for a verified message.
    pub(super) fn take(&self, envelope: &Envelope, now: Timestamp) -> Result<(), TooMany> {
        let topic = &envelope.topic_arn;
        if now.since(envelope.timestamp) > LATE_AFTER && !self.late.take(topic) {
            return Err(TooMany::Late { topic: topic.clone(), per_second: self.late.per_second });
        }
        if !self.all.take(topic) {
            return Err(TooMany::All { topic: topic.clone(), per_second: self.all.per_second });
        }
        Ok(())
    }
}

impl Limit {
    /// Whether there was a token.
    fn take(&self, topic: &TopicArn) -> bool {
        self.of_topic.check_key(topic).is_ok()
    }
}

impl TooMany {
    pub(super) fn topic(&self) -> &TopicArn {
        match self {
            Self::All { topic, .. } | Self::Late { topic, .. } => topic,
        }
    }
}

const LATE_AFTER: Duration = Duration::from_hours(2);
