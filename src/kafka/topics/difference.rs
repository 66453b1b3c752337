//! What a comparison takes in and gives out.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What is not as it should be, why that matters, and how to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whether `serve` starts all the same.
    pub severity: Severity,
    /// Which topic, or several of which the same is to be said.
    pub topic: String,
    /// The name of the setting; "partitions" and "replicas" are no settings of Kafka's, but read like one.
    pub setting: &'static str,
    /// What it is.
    pub is: String,
    /// What it should be, in words.
    pub should_be: String,
    /// What may happen otherwise.
    pub why: &'static str,
    /// A command of Kafka's, or what to set here.
    pub remedy: String,
}

/// What a difference means for `serve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It breaks a guarantee: `serve` does not start.
    Refused,
    /// It promises less than it should.
    Warned,
}

/// A topic as the cluster has it. A setting that the cluster does not tell is absent, and nobody is refused for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) partitions: i32,
    /// Of the partition that has fewest.
    pub(super) replicas: i32,
    pub(super) settings: BTreeMap<String, String>,
}

/// What our settings ask of all topics.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// For the commands that change something.
    pub(super) bootstrap_servers: String,
    pub(super) partitions: i32,
    /// The count that the state topic was begun with, where it is on record.
    pub(super) recorded_partitions: Option<i32>,
    pub(super) replication_factor: i32,
    /// The inbox keeps its records for longer than this.
    pub(super) inbox_keeps: Duration,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity: _, topic, setting, is, should_be, why, remedy } = self;
        write!(f, "{topic}: {setting} is {is}, should be {should_be}: {why}. Remedy: {remedy}")
    }
}
