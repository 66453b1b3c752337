//! What the four topics are to be like, as data: for making them and for comparing what is there.

use crate::config::Kafka;

/// Which of the four topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Inbox,
    State,
    Events,
    DeadLetters,
}

/// One topic as it is to be.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) settings: Vec<(&'static str, &'static str)>,
}

/// The four of them.
pub(super) fn plans(kafka: &Kafka) -> [Plan; 4] {
    let topics = kafka.topics();
    // With fewer, the disk of one broker would be enough for a 200.
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

/// 14 days. The broker's own time of appending is what "appended before the read began" is judged by.
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
