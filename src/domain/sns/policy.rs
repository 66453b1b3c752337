//! What is let in, besides a signature that verifies: which topics, which ages, and in development which origins.

use std::time::Duration;

use super::development_origin::DevelopmentOrigin;
use super::topic_policy::TopicPolicy;

/// The terms under which a genuine message is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which topics may notify us.
    pub topics: TopicPolicy,
    /// An older message is not taken, so that a replay is seen; `None` takes any age.
    pub age_max: Option<Duration>,
    /// A message from further in the future is not taken.
    pub ahead_max: Duration,
    /// Where certificates may come from besides, while nothing is live.
    pub development_origins: Vec<DevelopmentOrigin>,
}

impl Policy {
    /// These topics, with the ages that are usual: 15 days, as SNS itself gives up long before and a dead-letter
    /// queue of its owner keeps 14 days at most; 15 minutes ahead.
    pub fn of(topics: TopicPolicy) -> Self {
        Self { topics, age_max: Some(AGE_MAX), ahead_max: AHEAD_MAX, development_origins: Vec::new() }
    }
}

const AGE_MAX: Duration = Duration::from_hours(15 * 24);
const AHEAD_MAX: Duration = Duration::from_mins(15);
