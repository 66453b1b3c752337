use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::config::Kafka;
use crate::kafka::topics::partition_count::Counts;
use crate::kafka::topics::plan::plans;

fn wanted() -> Wanted {
    Wanted {
        bootstrap_servers: "kafka:9092".to_owned(),
        partitions: 12,
        recorded: None,
        replication_factor: 3,
        inbox_keeps: Duration::from_hours(216),
    }
}

fn recorded_as(partitions: i32, events_partitions: i32) -> Counts {
    Counts { partitions, events_partitions }
}

fn plan(role: Role) -> Plan {
    plans(&Kafka::default()).into_iter().find(|plan| plan.role == role).unwrap()
}

/// The topic as `topics` creates it on a cluster of three brokers.
fn good(role: Role) -> Found {
    let settings =
        [("unclean.leader.election.enable", "false"), ("max.message.bytes", "1048588"), ("retention.bytes", "-1")];
    let planned = plan(role).settings;
    let settings = settings.iter().chain(&planned).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Found { partitions: 12, replicas: 3, settings: settings.collect() }
}

fn with(role: Role, setting: &str, value: &str) -> Found {
    let mut found = good(role);
    found.settings.insert(setting.to_owned(), value.to_owned());
    found
}

fn found_differences(wanted: &Wanted, role: Role, found: &Found) -> Vec<(Severity, &'static str)> {
    compare(wanted, &plan(role), found).iter().map(|difference| (difference.severity, difference.setting)).collect()
}

use Role::{DeadLetters, Events, Inbox, State};
use Severity::{Refused, Warned};

#[test]
fn planned_topics_have_no_difference() {
    for role in [Inbox, State, Events, DeadLetters] {
        assert_eq!(found_differences(&wanted(), role, &good(role)), [], "{role:?}");
        let silent = Found { settings: BTreeMap::new(), ..good(role) };
        assert_eq!(found_differences(&wanted(), role, &silent), [], "{role:?}");
    }
}

#[test]
fn each_wrong_setting_is_refused_or_warned_about() {
    for (role, setting, value, severity) in [
        (Inbox, "cleanup.policy", "compact", Some(Refused)),
        (Inbox, "cleanup.policy", "compact,delete", Some(Refused)),
        (State, "cleanup.policy", "compact,delete", Some(Refused)),
        (Events, "cleanup.policy", "compact", Some(Refused)),
        (DeadLetters, "cleanup.policy", "compact", Some(Refused)),
        (Inbox, "retention.ms", "777600000", Some(Refused)),
        (Inbox, "retention.ms", "777600001", Some(Warned)),
        (Inbox, "retention.ms", "-1", None),
        (State, "retention.ms", "1", None),
        (Events, "retention.ms", "604800000", Some(Warned)),
        (DeadLetters, "retention.ms", "604800000", Some(Warned)),
        (Events, "retention.ms", "-1", None),
        (Inbox, "retention.bytes", "1073741824", Some(Warned)),
        (Events, "retention.bytes", "1073741824", Some(Warned)),
        (Inbox, "unclean.leader.election.enable", "true", Some(Refused)),
        (Events, "unclean.leader.election.enable", "true", Some(Refused)),
        (Inbox, "message.timestamp.type", "CreateTime", Some(Refused)),
        (State, "message.timestamp.type", "CreateTime", Some(Refused)),
        (Events, "message.timestamp.type", "CreateTime", None),
        (Inbox, "max.message.bytes", "524288", Some(Refused)),
        (DeadLetters, "max.message.bytes", "999999", Some(Refused)),
        (DeadLetters, "max.message.bytes", "1000000", None),
        (State, "delete.retention.ms", "3600000", Some(Warned)),
        (State, "min.cleanable.dirty.ratio", "0.5", Some(Warned)),
        (State, "segment.ms", "604800000", Some(Warned)),
        (State, "max.compaction.lag.ms", "9223372036854775807", Some(Warned)),
        (Events, "segment.ms", "604800000", None),
        (Events, "min.insync.replicas", "1", Some(Refused)),
        (Events, "min.insync.replicas", "3", None),
        (Events, "min.insync.replicas", "4", Some(Refused)),
    ] {
        let expected: Vec<_> = severity.map(|severity| (severity, setting)).into_iter().collect();
        assert_eq!(
            found_differences(&wanted(), role, &with(role, setting, value)),
            expected,
            "{role:?} {setting}={value}"
        );
    }
}

#[test]
fn too_few_replicas_are_refused_or_warned_about() {
    for (asked, replicas, min_in_sync, expected) in [
        (3, 2, "2", vec![(Refused, "replicas")]),
        (2, 2, "2", vec![(Warned, "replicas")]),
        (2, 2, "1", vec![(Refused, "min.insync.replicas"), (Warned, "replicas")]),
        (1, 1, "1", vec![(Warned, "replicas")]),
        (1, 1, "2", vec![(Refused, "min.insync.replicas"), (Warned, "replicas")]),
        (1, 3, "2", vec![]),
    ] {
        let wanted = Wanted { replication_factor: asked, ..wanted() };
        let found = Found { replicas, ..with(Events, "min.insync.replicas", min_in_sync) };
        assert_eq!(
            found_differences(&wanted, Events, &found),
            expected,
            "{asked} asked, {replicas} found, {min_in_sync} in sync"
        );
    }
}

#[test]
fn partition_counts_are_compared_with_the_recorded_one() {
    for (recorded, setting, role, found, remedy) in [
        (None, 12, Inbox, 12, None),
        (None, 12, Inbox, 24, Some("set kafka.partitions = 24")),
        (None, 12, State, 3, Some("set kafka.partitions = 3")),
        (None, 12, Events, 24, None),
        (Some(12), 12, Events, 24, None),
        (Some(12), 24, Inbox, 24, Some("partitions cannot be removed")),
        (Some(12), 24, State, 24, Some("partitions cannot be removed")),
        (Some(12), 24, State, 12, None),
        (Some(12), 12, Inbox, 3, Some("--alter --topic amazonpay.ipn.inbox.v1 --partitions 12")),
        (Some(12), 12, DeadLetters, 3, None),
    ] {
        let recorded = recorded.map(|count| recorded_as(count, 24));
        let wanted = Wanted { partitions: setting, recorded, ..wanted() };
        let found = Found { partitions: found, ..good(role) };
        let differences = compare(&wanted, &plan(role), &found);
        let what = format!("recorded {recorded:?}, set {setting}, {role:?} has {}", found.partitions);
        match remedy {
            None => assert_eq!(differences, [], "{what}"),
            Some(remedy) => {
                assert_eq!((differences.len(), differences[0].severity), (1, Refused), "{what}");
                assert!(differences[0].remedy.contains(remedy), "{what}: {}", differences[0]);
            }
        }
    }
}

#[test]
fn partitions_added_to_the_events_topic_are_reported() {
    for (recorded, found, expected) in [
        (None, 24, None),
        (Some(24), 24, None),
        (Some(12), 24, Some((Warned, "no action required"))),
        (Some(12), 3, Some((Refused, "--alter --topic amazonpay.events.v1 --partitions 12"))),
    ] {
        let wanted = Wanted { recorded: recorded.map(|count| recorded_as(12, count)), ..wanted() };
        let found = Found { partitions: found, ..good(Events) };
        let differences = compare(&wanted, &plan(Events), &found);
        let summary: Vec<_> = differences.iter().map(|it| (it.severity, it.setting)).collect();
        assert_eq!(summary, expected.map(|(severity, _)| (severity, "partitions")).into_iter().collect::<Vec<_>>());
        assert!(
            differences.iter().all(|it| expected.is_some_and(|(_, remedy)| it.remedy.contains(remedy))),
            "{differences:?}"
        );
    }
}

#[test]
fn partitions_setting_must_equal_the_recorded_count() {
    let at = |recorded: Option<i32>, partitions| {
        let recorded = recorded.map(|count| recorded_as(count, 24));
        Wanted { partitions, recorded, ..wanted() }
    };
    assert_eq!(compare_record(&at(None, 12), "s"), None);
    assert_eq!(compare_record(&at(Some(12), 12), "s"), None);
    let difference = compare_record(&at(Some(12), 24), "s").unwrap();
    assert_eq!((difference.severity, difference.remedy.as_str()), (Refused, "set kafka.partitions = 12"));
}

#[test]
fn equal_differences_are_merged_and_refused_come_first() {
    let wanted = Wanted { replication_factor: 1, ..wanted() };
    let alone = |role| Found { replicas: 1, ..with(role, "min.insync.replicas", "1") };
    let inbox = compare(&wanted, &plan(Inbox), &alone(Inbox));
    let events = compare(&wanted, &plan(Events), &Found { replicas: 1, ..with(Events, "cleanup.policy", "compact") });
    let merged = merged(inbox.into_iter().chain(events));
    let merged: Vec<_> = merged.iter().map(|it| (it.severity, it.topic.as_str(), it.setting)).collect();
    let both = "amazonpay.ipn.inbox.v1, amazonpay.events.v1";
    let events = "amazonpay.events.v1";
    assert_eq!(
        merged,
        [(Refused, events, "min.insync.replicas"), (Refused, events, "cleanup.policy"), (Warned, both, "replicas")]
    );
}

#[test]
fn difference_names_value_reason_and_command() {
    let found = with(Events, "cleanup.policy", "compact");
    assert_eq!(
        compare(&wanted(), &plan(Events), &found)[0].to_string(),
        "amazonpay.events.v1: cleanup.policy is compact, should be delete: compaction would keep the last record of each key \
         and delete the others unread. Remedy: kafka-configs.sh --bootstrap-server kafka:9092 --alter --entity-type topics \
         --entity-name amazonpay.events.v1 --add-config cleanup.policy=delete"
    );
}
