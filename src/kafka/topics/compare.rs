//! Compares a topic with its requirements. Pure.

use std::cmp::Ordering;

use super::difference::{Difference, Found, Severity, Wanted};
use super::plan::{Plan, Role};
use super::rules::rules;

/// Every difference of one topic.
pub(super) fn compare(wanted: &Wanted, plan: &Plan, found: &Found) -> Vec<Difference> {
    let partitions = match plan.role {
        Role::Inbox | Role::State => compare_partitions(wanted, plan, found),
        Role::Events => compare_events_partitions(wanted, plan, found),
        Role::DeadLetters => None,
    };
    let replicas = compare_replicas(wanted, plan, found);
    let rules = rules(wanted, found);
    let settings =
        rules.iter().filter(|rule| rule.roles.contains(&plan.role)).filter_map(|rule| rule.apply(wanted, plan, found));
    let all = partitions.into_iter().chain(replicas).chain(settings);
    let (refused, warned): (Vec<_>, Vec<_>) = all.partition(|difference| difference.severity == Severity::Refused);
    // A refused setting needs no warning as well.
    let is_new = |warning: &Difference| refused.iter().all(|other: &Difference| other.setting != warning.setting);
    let warned: Vec<_> = warned.into_iter().filter(is_new).collect();
    refused.into_iter().chain(warned).collect()
}

/// Sorts by severity, and merges differences that several topics share.
pub(super) fn merged(differences: impl IntoIterator<Item = Difference>) -> Vec<Difference> {
    let mut all: Vec<Difference> = Vec::new();
    for difference in differences {
        let same = |other: &&mut Difference| Difference { topic: other.topic.clone(), ..difference.clone() } == **other;
        match all.iter_mut().find(same) {
            Some(other) => other.topic = format!("{}, {}", other.topic, difference.topic),
            None => all.push(difference),
        }
    }
    all.sort_by_key(|difference| difference.severity);
    all
}

/// Compares the configured partition count with the recorded one.
pub(super) fn compare_record(wanted: &Wanted, state_topic: &str) -> Option<Difference> {
    let recorded = wanted.recorded?.partitions;
    if recorded == wanted.partitions {
        return None;
    }
    Some(Difference {
        severity: Severity::Refused,
        topic: state_topic.to_owned(),
        setting: "partitions",
        is: format!("recorded as {recorded}, but kafka.partitions is {}", wanted.partitions),
        should_be: "the same for ever".to_owned(),
        why: COUNT_IS_FIXED,
        remedy: format!("set kafka.partitions = {recorded}"),
    })
}

fn compare_partitions(wanted: &Wanted, plan: &Plan, found: &Found) -> Option<Difference> {
    let count = found.partitions;
    let expected = wanted.recorded.map_or(wanted.partitions, |recorded| recorded.partitions);
    if count == expected {
        return None;
    }
    let (is, should_be, remedy) = if wanted.recorded.is_some() && count > expected {
        let remedy =
            "partitions cannot be removed: set another kafka.topic_prefix and create its topics; with them every \
                      object counts as seen for the first time"
                .to_owned();
        (count.to_string(), format!("{expected}, as recorded in the state topic"), remedy)
    } else if wanted.recorded.is_some() {
        let alter = kafka_topics(wanted, &plan.name, &format!("--partitions {expected}"));
        (count.to_string(), format!("{expected}, as recorded in the state topic"), alter)
    } else {
        let remedy = format!("set kafka.partitions = {count}, or another kafka.topic_prefix for a new start");
        (count.to_string(), format!("{expected}, as kafka.partitions is"), remedy)
    };
    let topic = plan.name.clone();
    let (severity, setting, why) = (Severity::Refused, "partitions", COUNT_IS_FIXED);
    Some(Difference { severity, topic, setting, is, should_be, why, remedy })
}

/// The events topic may have any count at first. Events stay in as many partitions as it had then.
fn compare_events_partitions(wanted: &Wanted, plan: &Plan, found: &Found) -> Option<Difference> {
    let expected = wanted.recorded?.events_partitions;
    let (severity, why, remedy) = match found.partitions.cmp(&expected) {
        Ordering::Equal => return None,
        Ordering::Greater => (
            Severity::Warned,
            "events are still published to the first partitions only, so that the events of each charge permission stay in \
             order; the added partitions stay empty",
            "no action required; for more partitions set another kafka.topic_prefix and create its topics; with them every \
             object counts as seen for the first time"
                .to_owned(),
        ),
        Ordering::Less => (
            Severity::Refused,
            "the events of some charge permissions belong to partitions that do not exist, so they cannot be published",
            kafka_topics(wanted, &plan.name, &format!("--partitions {expected}")),
        ),
    };
    Some(Difference {
        severity,
        topic: plan.name.clone(),
        setting: "partitions",
        is: found.partitions.to_string(),
        should_be: format!("{expected}, as recorded in the state topic"),
        why,
        remedy,
    })
}

fn compare_replicas(wanted: &Wanted, plan: &Plan, found: &Found) -> Option<Difference> {
    let (count, asked) = (found.replicas, wanted.replication_factor);
    let difference = |severity, should_be, why, remedy| Difference {
        severity,
        topic: plan.name.clone(),
        setting: "replicas",
        is: count.to_string(),
        should_be,
        why,
        remedy,
    };
    if count < asked {
        return Some(difference(
            Severity::Refused,
            format!("{asked}, as kafka.replication_factor is"),
            "the topic survives the loss of fewer brokers than the settings promise",
            format!(
                "reassign it with kafka-reassign-partitions.sh, or accept it with kafka.replication_factor = {count}"
            ),
        ));
    }
    (count < 3).then(|| {
        let why = if count < 2 {
            "the loss of one broker can lose acknowledged records"
        } else {
            "while one broker is down nothing can be appended, and IPNs are answered 503"
        };
        difference(
            Severity::Warned,
            "3 in production".to_owned(),
            why,
            "add replicas with kafka-reassign-partitions.sh on a cluster of three brokers or more; no action required on a test broker".to_owned(),
        )
    })
}

fn kafka_topics(wanted: &Wanted, topic: &str, change: &str) -> String {
    format!("kafka-topics.sh --bootstrap-server {} --alter --topic {topic} {change}", wanted.bootstrap_servers)
}

const COUNT_IS_FIXED: &str = "a merchant's IPNs and state are in the partition that the count determines; with another count the state would be \
                              looked for in the wrong partition";

#[cfg(test)]
mod tests;
