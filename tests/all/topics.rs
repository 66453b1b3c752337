//! Topics that differ from the requirements: what is refused, what is warned about, and the texts.

use std::collections::{BTreeMap, BTreeSet};

use ipn_receiver::app::App;
use ipn_receiver::config::Config;
use ipn_receiver::kafka::Broker;
use ipn_receiver::kafka::topics::Severity::{Refused, Warned};
use ipn_receiver::kafka::topics::{self, Difference};
use ipn_receiver::sandbox::environment::SandboxEnvironment;
use ipn_receiver::sandbox::pay_api::{ObjectKind, charge_permission};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::harness::{Stage, alter_topic, committed_records, kafka, run, until};

async fn differences(config: &Config) -> Vec<Difference> {
    topics::look(config).await.unwrap().differences
}

#[test]
fn each_wrong_setting_is_reported_with_reason_and_command() {
    run(async {
        let stage = Stage::new(1, "").await;
        let (config, names) = (stage.config(), stage.kafka().topics());
        let few_replicas = |difference: &Difference| difference.setting == "replicas";
        let as_made = differences(&config).await;
        assert!(as_made.len() == 1 && as_made.iter().all(few_replicas), "{as_made:?}");
        for (topic, setting, bad, good, severity) in [
            (&names.inbox, "cleanup.policy", "compact", "delete", Refused),
            (&names.state, "cleanup.policy", "compact,delete", "compact", Refused),
            (&names.events, "cleanup.policy", "compact", "delete", Refused),
            (&names.dead_letters, "cleanup.policy", "compact", "delete", Refused),
            (&names.inbox, "retention.ms", "86400000", "1209600000", Refused),
            (&names.inbox, "message.timestamp.type", "CreateTime", "LogAppendTime", Refused),
            (&names.state, "message.timestamp.type", "CreateTime", "LogAppendTime", Refused),
            (&names.events, "unclean.leader.election.enable", "true", "false", Refused),
            (&names.dead_letters, "max.message.bytes", "10000", "1048588", Refused),
            (&names.inbox, "min.insync.replicas", "2", "1", Refused),
            (&names.inbox, "retention.bytes", "1000000000", "-1", Warned),
            (&names.inbox, "retention.ms", "1000000000", "1209600000", Warned),
            (&names.events, "retention.ms", "86400000", "7776000000", Warned),
            (&names.dead_letters, "retention.ms", "86400000", "7776000000", Warned),
            (&names.state, "delete.retention.ms", "1000", "86400000", Warned),
            (&names.state, "min.cleanable.dirty.ratio", "0.9", "0.3", Warned),
            (&names.state, "segment.ms", "604800000", "86400000", Warned),
            (&names.state, "max.compaction.lag.ms", "6048000000", "604800000", Warned),
        ] {
            alter_topic(&config.kafka, topic, &[(setting, bad)]).await;
            let found: Vec<_> = differences(&config).await.into_iter().filter(|found| !few_replicas(found)).collect();
            alter_topic(&config.kafka, topic, &[(setting, good)]).await;
            assert_eq!(found.len(), 1, "{topic} {setting}={bad}: {found:?}");
            assert_eq!(
                (found[0].severity, &found[0].topic, found[0].setting, found[0].is.as_str()),
                (severity, topic, setting, bad)
            );
            let command = format!("--entity-name {topic} --add-config {setting}=");
            assert!(found[0].remedy.contains(&command) && found[0].why.len() > 20, "{}", found[0]);
        }
        assert_eq!(differences(&config).await, as_made, "the values of the commands fix it");
    });
}

#[test]
fn serve_refuses_all_wrong_settings_in_one_message() {
    run(async {
        let stage = Stage::new(1, "").await;
        let (config, names) = (stage.config(), stage.kafka().topics());
        let start = |config| App::start(config, stage.environment.clients().unwrap(), Broker::Real);
        alter_topic(&config.kafka, &names.events, &[("retention.ms", "86400000")]).await;
        start(stage.config()).await.unwrap().stop().await;
        alter_topic(&config.kafka, &names.events, &[("cleanup.policy", "compact")]).await;
        alter_topic(&config.kafka, &names.inbox, &[("message.timestamp.type", "CreateTime")]).await;
        let mut config = stage.config();
        config.kafka.replication_factor = 3;
        let Err(error) = start(config).await else { panic!("the receiver must not start") };
        let said = error.to_string();
        for part in [
            format!("topic {}: cleanup.policy is compact, should be delete", names.events),
            format!("topic {}: message.timestamp.type is CreateTime, should be LogAppendTime", names.inbox),
            format!("{}: replicas is 1, should be 3, as kafka.replication_factor is", names.dead_letters),
            "accept it with kafka.replication_factor = 1".to_owned(),
        ] {
            assert!(said.contains(&part), "{part} in {said}");
        }
        assert!(!said.contains("retention.ms"), "{said}");
    });
}

const COUNTS: &str = r#"{"version":1,"partitions":3,"eventsPartitions":3}"#;

/// The partition counts that the state topic records.
fn recorded_counts(config: &Config) -> Vec<String> {
    let records = committed_records(&config.kafka, &config.kafka.topics().state);
    let of_partitions = records.iter().filter(|record| record.key == "__partition_count");
    of_partitions.map(|record| String::from_utf8(record.value.clone()).unwrap()).collect()
}

#[test]
fn added_partitions_are_refused_even_if_the_setting_follows() {
    run(async {
        let stage = Stage::new(1, "").await;
        let (kafka, names) = (stage.kafka(), stage.kafka().topics());
        stage.receiver().await.stop().await;
        assert_eq!(recorded_counts(&stage.config()), [COUNTS], "the counts are recorded once");
        let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
        let more = [NewPartitions::new(&names.inbox, 5), NewPartitions::new(&names.state, 5)];
        for result in admin.create_partitions(&more, &AdminOptions::new()).await.unwrap() {
            result.unwrap();
        }
        let mut config = stage.config();
        config.kafka.partitions = 5;
        let Err(error) = App::start(config, stage.environment.clients().unwrap(), Broker::Real).await else {
            panic!("it must not start")
        };
        let said = error.to_string();
        for part in [
            "partitions is recorded as 3, but kafka.partitions is 5",
            "partitions is 5, should be 3, as recorded in the state topic",
            "partitions cannot be removed",
        ] {
            assert!(said.contains(part), "{said}");
        }
    });
}

/// While the receiver runs and when it starts: nothing stops, and each permission stays in its partition.
#[test]
fn partitions_added_to_events_are_reported_and_move_no_permission() {
    run(async {
        let stage = Stage::new(1, "").await;
        let (config, events) = (stage.config(), stage.kafka().topics().events);
        let ids: Vec<_> = (0..20).map(|n| format!("S02-0000001-{n:07}")).collect();
        let app = stage.receiver().await;
        put_permissions(&stage, &app, &ids, "Chargeable").await;
        let admin: AdminClient<DefaultClientContext> = config.kafka.client().create().unwrap();
        let more = [NewPartitions::new(&events, 8)];
        admin.create_partitions(&more, &AdminOptions::new()).await.unwrap().pop().unwrap().unwrap();
        put_permissions(&stage, &app, &ids[..10], "NonChargeable").await;
        app.stop().await;
        let app = stage.receiver().await;
        put_permissions(&stage, &app, &ids[10..], "NonChargeable").await;
        app.stop().await;
        let mut partitions: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        for event in committed_records(&config.kafka, &events) {
            partitions.entry(event.key).or_default().insert(event.partition);
        }
        assert!(
            partitions.len() == 20 && partitions.values().all(|partitions| partitions.len() == 1),
            "{partitions:?}"
        );
        let differences = differences(&config).await;
        let of_count =
            differences.iter().find(|difference| difference.setting == "partitions").expect("it is reported");
        assert_eq!((of_count.severity, &of_count.topic, of_count.is.as_str()), (Warned, &events, "8"));
        assert!(of_count.should_be.starts_with("3, as recorded"), "{of_count}");
    });
}

/// Gives permissions this state, with an IPN for each, and waits for their events.
async fn put_permissions(stage: &Stage, app: &App, ids: &[String], state: &str) {
    let published = || committed_records(&stage.kafka(), &stage.kafka().topics().events).len();
    let before = published();
    for id in ids {
        stage.environment.put(ObjectKind::ChargePermission, charge_permission(id, "Recurring"), state, &[]);
        stage.post_ipn(app, ObjectKind::ChargePermission, id).await;
    }
    until("each has its event", || published() >= before + ids.len()).await;
}

#[test]
fn first_start_records_the_count_of_topics_made_elsewhere() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap();
        let config = environment.config_with(&kafka(), "").unwrap();
        let names = config.kafka.topics();
        let admin: AdminClient<DefaultClientContext> = config.kafka.client().create().unwrap();
        let topic =
            |name| NewTopic::new(name, 3, TopicReplication::Fixed(1)).set("message.timestamp.type", "LogAppendTime");
        let made = [
            topic(&names.inbox).set("retention.ms", "-1"),
            topic(&names.state).set("cleanup.policy", "compact"),
            topic(&names.events),
            topic(&names.dead_letters),
        ];
        for result in admin.create_topics(&made, &AdminOptions::new()).await.unwrap() {
            result.unwrap();
        }
        for _ in 0..2 {
            let config = environment.config_with(&kafka(), "").unwrap();
            App::start(config, environment.clients().unwrap(), Broker::Real).await.unwrap().stop().await;
            let config = environment.config_with(&kafka(), "").unwrap();
            assert_eq!(recorded_counts(&config), [COUNTS]);
        }
    });
}

#[test]
fn dry_run_creates_nothing_and_exit_code_says_if_serve_starts() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("receiver.toml");
        std::fs::write(&file, environment.config_for_another_process(&kafka()).unwrap()).unwrap();
        let command = |more: &[&str]| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
            let output = command.args(["topics", "--config"]).arg(&file).args(more).output().unwrap();
            (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
        };
        let config = environment.config_with(&kafka(), "").unwrap();
        let inbox = config.kafka.topics().inbox;
        for _ in 0..2 {
            let (code, said) = command(&["--dry-run"]);
            assert!(
                code == 1 && said.contains(&format!("would create {inbox} with 3 partitions, 1 replicas")),
                "{said}"
            );
            assert_eq!(said.matches("would create ").count(), 4, "nothing was made: {said}");
            assert!(said.ends_with("4 missing topics, 0 failures, 0 warnings. serve does not start: run `ipn-receiver topics` to create missing topics, and apply the remedy of each failure.\n"), "{said}");
        }
        let (code, said) = command(&[]);
        assert!(code == 0 && said.matches("created ").count() == 4, "{said}");
        alter_topic(&config.kafka, &inbox, &[("cleanup.policy", "compact")]).await;
        for more in [&[][..], &["--dry-run"]] {
            let (code, said) = command(more);
            assert_eq!(code, 1, "{said}");
            let remedy = format!("--entity-name {inbox} --add-config cleanup.policy=delete");
            assert!(said.starts_with("FAIL  ") && said.contains(&remedy), "{said}");
            assert!(said.ends_with("0 missing topics, 1 failure, 1 warning. serve does not start: run `ipn-receiver topics` to create missing topics, and apply the remedy of each failure.\n"), "{said}");
        }
    });
}
