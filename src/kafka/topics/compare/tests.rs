use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::config::Kafka;
use crate::kafka::topics::plan::plans;

fn wanted() -> Wanted {
    Wanted {
        bootstrap_servers: "kafka:9092".to_owned(),
        partitions: 12,
        recorded_partitions: None,
        replication_factor: 3,
        inbox_keeps: Duration::from_hours(216),
    }
}

fn plan(role: Role) -> Plan {
    plans(&Kafka::default()).into_iter().find(|plan| plan.role == role).unwrap()
}

/// As `topics` would make it on a cluster of three brokers.
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

fn told(wanted: &Wanted, role: Role, found: &Found) -> Vec<(Severity, &'static str)> {
    compare(wanted, &plan(role), found).iter().map(|difference| (difference.severity, difference.setting)).collect()
}

use Role::{DeadLetters, Events, Inbox, State};
use Severity::{Refused, Warned};

#[test]
fn topics_as_planned_have_no_difference_and_what_is_not_told_is_none() {
    for role in [Inbox, State, Events, DeadLetters] {
        assert_eq!(told(&wanted(), role, &good(role)), [], "{role:?}");
        let silent = Found { settings: BTreeMap::new(), ..good(role) };
        assert_eq!(told(&wanted(), role, &silent), [], "{role:?}");
    }
}

#[test]
fn each_setting_is_refused_or_warned_of_where_it_matters() {
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
        assert_eq!(told(&wanted(), role, &with(role, setting, value)), expected, "{role:?} {setting}={value}");
    }
}

#[test]
fn fewer_replicas_than_the_setting_are_refused_and_few_of_them_are_warned_of() {
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
        assert_eq!(told(&wanted, Events, &found), expected, "{asked} asked, {replicas} found, {min_in_sync} in sync");
    }
}

#[test]
fn partitions_are_compared_with_the_record_first_and_those_of_events_are_anybodys_choice() {
    for (recorded, setting, role, found, remedy) in [
        (None, 12, Inbox, 12, None),
        (None, 12, Inbox, 24, Some("set kafka.partitions = 24")),
        (None, 12, State, 3, Some("set kafka.partitions = 3")),
        (None, 12, Events, 24, None),
        (Some(12), 24, Inbox, 24, Some("cannot be taken away")),
        (Some(12), 24, State, 24, Some("cannot be taken away")),
        (Some(12), 24, State, 12, None),
        (Some(12), 12, Inbox, 3, Some("--alter --topic amazonpay.ipn.inbox.v1 --partitions 12")),
        (Some(12), 12, DeadLetters, 3, None),
    ] {
        let wanted = Wanted { partitions: setting, recorded_partitions: recorded, ..wanted() };
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
fn a_setting_that_differs_from_the_record_is_refused_even_if_the_topics_follow_it() {
    let at = |recorded_partitions, partitions| Wanted { partitions, recorded_partitions, ..wanted() };
    assert_eq!(compare_record(&at(None, 12), "s"), None);
    assert_eq!(compare_record(&at(Some(12), 12), "s"), None);
    let difference = compare_record(&at(Some(12), 24), "s").unwrap();
    assert_eq!((difference.severity, difference.remedy.as_str()), (Refused, "set kafka.partitions = 12"));
}

#[test]
fn what_is_the_same_of_several_topics_is_said_once_and_what_is_refused_comes_first() {
    let wanted = Wanted { replication_factor: 1, ..wanted() };
    let alone = |role| Found { replicas: 1, ..with(role, "min.insync.replicas", "1") };
    let inbox = compare(&wanted, &plan(Inbox), &alone(Inbox));
    let events = compare(&wanted, &plan(Events), &Found { replicas: 1, ..with(Events, "cleanup.policy", "compact") });
    let told = together(inbox.into_iter().chain(events));
    let told: Vec<_> = told.iter().map(|it| (it.severity, it.topic.as_str(), it.setting)).collect();
    let both = "amazonpay.ipn.inbox.v1, amazonpay.events.v1";
    let events = "amazonpay.events.v1";
    assert_eq!(
        told,
        [(Refused, events, "min.insync.replicas"), (Refused, events, "cleanup.policy"), (Warned, both, "replicas")]
    );
}

#[test]
fn a_difference_says_what_it_is_what_it_should_be_why_and_the_command_that_changes_it() {
    let found = with(Events, "cleanup.policy", "compact");
    assert_eq!(
        compare(&wanted(), &plan(Events), &found)[0].to_string(),
        "amazonpay.events.v1: cleanup.policy is compact, should be delete: compaction would leave the last record of each key \
         and drop the others unread. Remedy: kafka-configs.sh --bootstrap-server kafka:9092 --alter --entity-type topics \
         --entity-name amazonpay.events.v1 --add-config cleanup.policy=delete"
    );
}
