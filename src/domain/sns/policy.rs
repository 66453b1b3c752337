//! The policy for messages with a valid signature: allowed topics, ages and, in development, certificate origins.

use std::time::Duration;

use super::development_origin::DevelopmentOrigin;
use super::topic_policy::TopicPolicy;

/// The conditions under which a genuine message is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The allowed topics.
    pub topics: TopicPolicy,
    /// An older message is rejected as a replay; `None` accepts any age.
    pub age_max: Option<Duration>,
    /// A message whose time is further in the future is rejected.
    pub ahead_max: Duration,
    /// Additional certificate origins, in development only.
    pub development_origins: Vec<DevelopmentOrigin>,
}

impl Policy {
    /// Allows these topics, with messages of any age.
    pub fn of(topics: TopicPolicy) -> Self {
        Self { topics, age_max: None, ahead_max: Duration::MAX, development_origins: Vec::new() }
    }
}
