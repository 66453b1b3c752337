//! The requirements of topic settings: one row for each, with the reason.

use std::fmt;

use super::difference::{Difference, Found, Severity, Wanted};
use super::plan::{Plan, Role};

/// A requirement of a setting, for some topics, with the reason.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    severity: Severity,
    pub(super) roles: &'static [Role],
    setting: &'static str,
    need: Need,
    why: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Need {
    Is(&'static str),
    AtLeast(f64),
    MoreThan(f64),
    AtMost(f64),
}

/// The table, and the requirements that depend on the configuration or on the number of replicas.
pub(super) fn rules(wanted: &Wanted, found: &Found) -> Vec<Rule> {
    let replicas = f64::from(found.replicas);
    let mut rules = vec![
        refused(
            ALL,
            "min.insync.replicas",
            Need::AtMost(replicas),
            "it requires more in-sync replicas than the topic has replicas: some versions of Kafka then reject every \
             record, others require only the replicas that exist",
        ),
        refused(
            &[Role::Inbox],
            "retention.ms",
            Need::MoreThan(wanted.inbox_keeps.as_millis() as f64),
            "a dead letter is a copy of its inbox record, so the record must exist for worker.pending_age_max_h plus two days \
             for repairs (a lower worker.pending_age_max_h is a remedy, too)",
        ),
    ];
    if found.replicas >= 2 {
        rules.push(refused(
            ALL,
            "min.insync.replicas",
            Need::AtLeast(2.0),
            "an IPN would be answered 200 when only one broker has stored it, and would be lost with that broker",
        ));
    }
    rules.extend(RULES);
    rules
}

const RULES: &[Rule] = &[
    refused(
        &[Role::State],
        "cleanup.policy",
        Need::Is("compact"),
        "with any other policy known state is deleted, and its events are published again",
    ),
    refused(
        &[Role::Inbox],
        "cleanup.policy",
        Need::Is("delete"),
        "compaction would keep one IPN of each merchant and delete the others unread",
    ),
    refused(
        &[Role::Events, Role::DeadLetters],
        "cleanup.policy",
        Need::Is("delete"),
        "compaction would keep the last record of each key and delete the others unread",
    ),
    refused(
        ALL,
        "unclean.leader.election.enable",
        Need::Is("false"),
        "a broker without the newest acknowledged records could become leader, and those records would be lost",
    ),
    refused(
        &[Role::Inbox, Role::State],
        "message.timestamp.type",
        Need::Is("LogAppendTime"),
        "the worker takes the broker's time for waits, retention and `observedAt`; with the time of the producers, a wrong \
         clock of one machine would change them",
    ),
    refused(
        ALL,
        "max.message.bytes",
        Need::AtLeast(BATCH_BYTES),
        "producers send batches of up to this size; a rejected batch is a 503, or a transaction that cannot succeed",
    ),
    warned(
        &[Role::Inbox],
        "retention.ms",
        Need::AtLeast(14.0 * DAY_MS),
        "IPNs of a backlog that is older than this are lost unread",
    ),
    warned(
        &[Role::Events, Role::DeadLetters],
        "retention.ms",
        Need::AtLeast(90.0 * DAY_MS),
        "a consumer that is away for longer misses records, and lost state cannot be rebuilt from older events",
    ),
    warned(
        &[Role::Inbox, Role::Events, Role::DeadLetters],
        "retention.bytes",
        Need::Is("-1"),
        "a flood of records can delete others before their retention time",
    ),
    warned(
        &[Role::State],
        "delete.retention.ms",
        Need::AtLeast(DAY_MS),
        "a restore that takes longer than this could miss that an object was deleted",
    ),
    warned(
        &[Role::State],
        "min.cleanable.dirty.ratio",
        Need::AtMost(0.3),
        "the topic grows larger before it is compacted, and a restore reads all of it",
    ),
    warned(
        &[Role::State],
        "segment.ms",
        Need::AtMost(DAY_MS),
        "the active segment is never compacted, and a restore reads all of it",
    ),
    warned(
        &[Role::State],
        "max.compaction.lag.ms",
        Need::AtMost(7.0 * DAY_MS),
        "replaced and deleted state may stay on disk for longer than a week",
    ),
];

const fn refused(roles: &'static [Role], setting: &'static str, need: Need, why: &'static str) -> Rule {
    Rule { severity: Severity::Refused, roles, setting, need, why }
}

const fn warned(roles: &'static [Role], setting: &'static str, need: Need, why: &'static str) -> Rule {
    Rule { severity: Severity::Warned, roles, setting, need, why }
}

impl Rule {
    pub(super) fn apply(&self, wanted: &Wanted, plan: &Plan, found: &Found) -> Option<Difference> {
        let is = found.settings.get(self.setting).filter(|value| !value.is_empty())?;
        if self.need.is_met_by(self.setting, is) {
            return None;
        }
        let value = self.need.value();
        let change =
            format!("--alter --entity-type topics --entity-name {} --add-config {}={value}", plan.name, self.setting);
        Some(Difference {
            severity: self.severity,
            topic: plan.name.clone(),
            setting: self.setting,
            is: is.clone(),
            should_be: self.need.to_string(),
            why: self.why,
            remedy: format!("kafka-configs.sh --bootstrap-server {} {change}", wanted.bootstrap_servers),
        })
    }
}

impl Need {
    fn is_met_by(&self, setting: &str, is: &str) -> bool {
        // -1 means without limit.
        let number =
            if setting.starts_with("retention.") && is == "-1" { Ok(f64::INFINITY) } else { is.parse::<f64>() };
        match (self, number) {
            (Self::Is(word), _) => is == *word,
            (Self::AtLeast(least), Ok(number)) => number >= *least,
            (Self::MoreThan(bound), Ok(number)) => number > *bound,
            (Self::AtMost(most), Ok(number)) => number <= *most,
            (_, Err(_)) => true,
        }
    }

    /// A value that meets the requirement.
    fn value(&self) -> String {
        match self {
            Self::Is(word) => (*word).to_owned(),
            Self::AtLeast(number) | Self::AtMost(number) => number.to_string(),
            Self::MoreThan(bound) => (bound + 1.0).to_string(),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(word) => f.write_str(word),
            Self::AtLeast(number) => write!(f, "at least {number}"),
            Self::MoreThan(number) => write!(f, "more than {number}"),
            Self::AtMost(number) => write!(f, "at most {number}"),
        }
    }
}

const ALL: &[Role] = &[Role::Inbox, Role::State, Role::Events, Role::DeadLetters];
const DAY_MS: f64 = 86_400_000.0;
/// librdkafka's default `batch.size`. The largest body (512 KiB) and its headers fit.
const BATCH_BYTES: f64 = 1_000_000.0;
