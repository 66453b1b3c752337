//! The input and the output of a comparison.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::partition_count::Counts;

/// A difference from a requirement, why it matters, and how to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whether `serve` starts nevertheless.
    pub severity: Severity,
    /// The topic, or several with the same difference.
    pub topic: String,
    /// The name of the setting, or "partitions" or "replicas".
    pub setting: &'static str,
    /// The value it has.
    pub is: String,
    /// The required value, in words.
    pub should_be: String,
    /// What may happen with this value.
    pub why: &'static str,
    /// The command or the setting that changes it.
    pub remedy: String,
}

/// What a difference means for `serve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It breaks a guarantee: `serve` does not start.
    Refused,
    /// It weakens a guarantee.
    Warned,
}

/// A topic as the cluster reports it. A setting that the cluster does not report is absent, and is not refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) partitions: i32,
    /// The replicas of the partition that has the fewest.
    pub(super) replicas: i32,
    pub(super) settings: BTreeMap<String, String>,
}

/// What the configuration requires of all topics.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// For the commands in the remedies.
    pub(super) bootstrap_servers: String,
    pub(super) partitions: i32,
    /// The partition counts that the state topic records, if it does.
    pub(super) recorded: Option<Counts>,
    pub(super) replication_factor: i32,
    /// The inbox must keep its records for longer than this.
    pub(super) inbox_keeps: Duration,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity: _, topic, setting, is, should_be, why, remedy } = self;
        write!(f, "{topic}: {setting} is {is}, should be {should_be}: {why}. Remedy: {remedy}")
    }
}
