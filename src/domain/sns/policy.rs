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
    /// These topics, whenever their messages were sent.
    pub fn of(topics: TopicPolicy) -> Self {
        Self { topics, age_max: None, ahead_max: Duration::MAX, development_origins: Vec::new() }
    }
}
