//! The four topics with their settings: for creating them, and for the comparison.

use crate::config::Kafka;

/// Which of the four topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Inbox,
    State,
    Events,
    DeadLetters,
}

/// A topic to create.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) settings: Vec<(&'static str, &'static str)>,
}

/// The four topics.
pub(super) fn plans(kafka: &Kafka) -> [Plan; 4] {
    let topics = kafka.topics();
    // With fewer, an IPN would be answered 200 when only one broker has stored it.
    let min_in_sync = ("min.insync.replicas", if kafka.replication_factor >= 2 { "2" } else { "1" });
    let plan = |role, name, settings: &[(&'static str, &'static str)]| Plan {
        role,
        name,
        settings: settings.iter().copied().chain([min_in_sync]).collect(),
    };
    [
        plan(Role::Inbox, topics.inbox, INBOX),
        plan(Role::State, topics.state, STATE),
        plan(Role::Events, topics.events, NINETY_DAYS),
        plan(Role::DeadLetters, topics.dead_letters, NINETY_DAYS),
    ]
}

/// 14 days. `LogAppendTime`: the worker takes the broker's time, so that the clock of its machine changes no wait.
const INBOX: &[(&str, &str)] =
    &[("cleanup.policy", "delete"), ("retention.ms", "1209600000"), ("message.timestamp.type", "LogAppendTime")];
const STATE: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("message.timestamp.type", "LogAppendTime"),
    ("min.cleanable.dirty.ratio", "0.3"),
    ("segment.ms", "86400000"),
    ("delete.retention.ms", "86400000"),
    ("max.compaction.lag.ms", "604800000"),
];
const NINETY_DAYS: &[(&str, &str)] = &[("cleanup.policy", "delete"), ("retention.ms", "7776000000")];
