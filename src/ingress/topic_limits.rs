//! How many messages of one topic are stored per second: a generous limit for all, and a low one for late messages.
//!
//! Amazon SNS repeats a delivery for an hour at most. A message that comes later than [`LATE_AFTER`] is a copy, from an archive or
//! from somebody who collected genuine messages.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::MonotonicClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::config;
use crate::domain::sns::{Envelope, TopicArn};
use crate::domain::timestamp::Timestamp;

/// The limits of every topic.
pub struct TopicLimits {
    all: Limit,
    late: Limit,
}

type Limit = RateLimiter<TopicArn, HashMapStateStore<TopicArn>, MonotonicClock>;

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
        Self { all: limit(settings.topic_messages_per_s_max), late: limit(settings.late_messages_per_s_max) }
    }

    /// Takes a token for a verified message.
    pub(super) fn take(&self, envelope: &Envelope, settings: &config::Ingress, now: Timestamp) -> Result<(), TooMany> {
        let topic = &envelope.topic_arn;
        if now.since(envelope.timestamp) > LATE_AFTER && self.late.check_key(topic).is_err() {
            return Err(TooMany::Late { topic: topic.clone(), per_second: settings.late_messages_per_s_max });
        }
        let refused = |_| TooMany::All { topic: topic.clone(), per_second: settings.topic_messages_per_s_max };
        self.all.check_key(topic).map_err(refused)
    }
}

impl TooMany {
    pub(super) fn topic(&self) -> &TopicArn {
        match self {
            Self::All { topic, .. } | Self::Late { topic, .. } => topic,
        }
    }
}

fn limit(per_second: u32) -> Limit {
    let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
    RateLimiter::hashmap(Quota::per_second(per_second).allow_burst(per_second.saturating_mul(BURST_S)))
}

/// A bucket holds the messages of this many seconds.
const BURST_S: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
const LATE_AFTER: Duration = Duration::from_hours(2);
