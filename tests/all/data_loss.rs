//! What Kafka loses behind our back: the group's offsets, unread notifications, known state. It is told, and nothing
//! that follows from it is wrong.

use std::time::Duration;

use ipn_receiver::config::Kafka;
use ipn_receiver::sandbox::environment::{Hint, SandboxEnvironment};
use ipn_receiver::sandbox::events::EventReader;
use ipn_receiver::sandbox::pay_api::{Fault, ObjectKind, charge, charge_permission};
use ipn_receiver::sandbox::sns::SignatureVersion;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::harness::{
    alter_topic, committed_records, events, inbox_records_left, kafka, names, post_to, run, silence, until,
};
use crate::process::Serve;

const PERMISSION: &str = "C02-0000001-1111111";
const CHARGE: &str = "S02-0000001-2222222-C000001";
const OTHER: &str = "S02-0000001-2222222-C000002";

/// Amazon, a Kafka of which much will be lost, and a receiver in a process of its own: metrics are a process's.
struct Scene {
    environment: SandboxEnvironment,
    kafka: Kafka,
    folder: tempfile::TempDir,
    reader: EventReader,
}

impl Scene {
    /// With a first receiver that has told of a permission and two charges.
    async fn new() -> (Self, Serve, Vec<Value>) {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
        let kafka = environment.config_with(&kafka(), "").unwrap().kafka;
        let folder = tempfile::tempdir().unwrap();
        ipn_receiver::kafka::topics::create(&kafka).await.unwrap();
        let reader = EventReader::start(&kafka).unwrap();
        let mut scene = Self { environment, kafka, folder, reader };
        let serve = scene.serve().await;
        scene.environment.put(
            ObjectKind::ChargePermission,
            charge_permission(PERMISSION, "Recurring"),
            "Chargeable",
            &[],
        );
        scene.put(CHARGE, "Authorized");
        scene.put(OTHER, "Authorized");
        for id in [CHARGE, OTHER] {
            scene.post(&serve, id).await;
        }
        let told = events(&mut scene.reader, 3).await;
        until("the inbox is passed", || inbox_records_left(&scene.kafka) == 0).await;
        (scene, serve, told)
    }

    async fn serve(&self) -> Serve {
        let file = self.folder.path().join("receiver.toml");
        let settings = "ingress.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\nshutdown.notice_ms = 0\n\
                        worker.confirm_after_ms = 100\nworker.pending_after_ms = 200\nworker.systemic_retry_ms = 100\n\
                        quota.share = 1.0\nquota.sandbox = { burst = 50, per_second = 50 }\n";
        let more = self.environment.config_for_another_process(&self.kafka.bootstrap_servers).unwrap();
        std::fs::write(&file, format!("{settings}{more}")).unwrap();
        Serve::start(&file).works().await
    }

    fn put(&self, id: &str, state: &str) {
        self.environment.put(ObjectKind::Charge, charge(id, PERMISSION, "1.00", "EUR"), state, &[]);
    }

    fn envelope(&self, id: &str) -> String {
        let hint = Hint {
            merchant: &self.environment.merchants[0],
            kind: ObjectKind::Charge,
            id,
            notification_type: "STATE_CHANGE",
        };
        self.environment.envelope(&hint, SignatureVersion::V2)
    }

    async fn post(&self, serve: &Serve, id: &str) {
        let url = format!("http://{}/ipn", serve.address("ingress"));
        assert_eq!(post_to(&self.environment, &url, &self.envelope(id)).await.status, 200);
    }

    /// What a receiver that takes notifications would append.
    async fn append(&self, id: &str) {
        let producer: FutureProducer =
            FutureProducer::from_config(self.kafka.client().set("partitioner", "murmur2_random")).unwrap();
        let (topic, body) = (self.kafka.topics().inbox, self.envelope(id));
        let record = FutureRecord::to(&topic).key(&self.environment.merchants[0]).payload(&body);
        producer.send(record, Duration::from_secs(10)).await.unwrap();
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.kafka.client().create().unwrap()
    }

    /// Deletes every record of a topic.
    async fn delete_records(&self, topic: &str) {
        let all: Vec<_> = (0..self.kafka.partitions).map(|partition| (partition, Offset::End)).collect();
        self.delete_records_before(topic, &all).await;
    }

    /// Deletes records as `kafka-delete-records.sh` does.
    async fn delete_records_before(&self, topic: &str, offsets: &[(i32, Offset)]) {
        let mut before = TopicPartitionList::new();
        for (partition, offset) in offsets {
            before.add_partition_offset(topic, *partition, *offset).unwrap();
        }
        let done = self.admin().delete_records(&before, &AdminOptions::new()).await.unwrap();
        done.elements().iter().for_each(|element| element.error().unwrap());
    }

    /// Everything known is gone.
    async fn truncate_state(&self) {
        let all: Vec<_> = (0..self.kafka.partitions).map(|partition| (partition, Offset::End)).collect();
        self.truncate_state_before(&all).await;
    }

    async fn truncate_state_before(&self, offsets: &[(i32, Offset)]) {
        let state = self.kafka.topics().state;
        alter_topic(&self.kafka, &state, &[("cleanup.policy", "compact,delete")]).await;
        self.delete_records_before(&state, offsets).await;
        alter_topic(&self.kafka, &state, &[("cleanup.policy", "compact")]).await;
    }

    /// Whether the state topic says how many partitions it was begun with.
    fn is_on_record(&self) -> bool {
        committed_records(&self.kafka, &self.kafka.topics().state)
            .iter()
            .any(|record| record.key == "__partition_count")
    }

    /// The same object changes and is told of once, as if nothing had happened.
    async fn goes_on(&mut self, serve: &Serve, id: &str, before: &[Value]) -> Value {
        self.put(id, "Captured");
        self.post(serve, id).await;
        let told = events(&mut self.reader, 1).await.remove(0);
        assert_eq!(names(std::slice::from_ref(&told)), ["ChargeCaptured"]);
        assert_eq!((&told["subject"], &told["data"]["previousState"]), (&id.into(), &"Authorized".into()));
        assert_eq!(told["data"]["firstSight"], false);
        let sequence = |event: &Value| event["sequence"].as_str().unwrap().to_owned();
        assert!(before.iter().all(|earlier| sequence(earlier) < sequence(&told)), "sequence goes on increasing");
        silence(&mut self.reader).await;
        told
    }
}

async fn lost(serve: &Serve, what: &str) -> u64 {
    serve.count(&format!("ipn_receiver_kafka_data_loss_total{{what=\"{what}\"}}")).await
}

async fn all_lost(serve: &Serve) -> [u64; 3] {
    [lost(serve, "offsets").await, lost(serve, "inbox").await, lost(serve, "state").await]
}

#[test]
fn offsets_that_are_lost_are_told_and_the_replay_tells_nothing_new() {
    run(async {
        let (mut scene, serve, told) = Scene::new().await;
        assert_eq!(all_lost(&serve).await, [0; 3], "a new system has lost nothing");
        serve.stop();
        scene.admin().delete_groups(&[&scene.kafka.group()], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        let serve = scene.serve().await;
        assert!(serve.said().contains("the group's offsets are lost"), "{}", serve.said());
        assert_eq!(all_lost(&serve).await, [3, 0, 0], "one for each partition");
        until("the inbox is passed again", || inbox_records_left(&scene.kafka) == 0).await;
        silence(&mut scene.reader).await;
        scene.goes_on(&serve, CHARGE, &told).await;
        serve.stop();
        let serve = scene.serve().await;
        assert_eq!(all_lost(&serve).await, [0; 3], "it is told once");
    });
}

#[test]
fn unread_notifications_that_were_deleted_are_counted_and_later_ones_are_told() {
    run(async {
        let (mut scene, serve, told) = Scene::new().await;
        serve.stop();
        scene.put(OTHER, "Captured");
        for _ in 0..4 {
            scene.append(OTHER).await;
        }
        scene.delete_records(&scene.kafka.topics().inbox).await;
        let serve = scene.serve().await;
        let said = serve.said();
        assert!(said.contains("deleted before they were read") && said.contains("\"n_lost\":4"), "{said}");
        assert_eq!(all_lost(&serve).await, [0, 1, 0], "where something was unread");
        silence(&mut scene.reader).await;
        scene.goes_on(&serve, CHARGE, &told).await;
        // The next notification of the object puts it right.
        scene.post(&serve, OTHER).await;
        assert_eq!(names(&events(&mut scene.reader, 1).await), ["ChargeCaptured"]);
    });
}

#[test]
fn notifications_deleted_under_a_running_worker_are_noticed() {
    run(async {
        let (mut scene, serve, told) = Scene::new().await;
        serve.signal("STOP");
        for _ in 0..20 {
            scene.append(OTHER).await;
        }
        scene.delete_records(&scene.kafka.topics().inbox).await;
        serve.signal("CONT");
        scene.goes_on(&serve, CHARGE, &told).await;
        assert!(serve.said().contains("deleted before they were read"), "{}", serve.said());
        assert_eq!(all_lost(&serve).await, [0, 1, 0]);
        until("the inbox is passed", || inbox_records_left(&scene.kafka) == 0).await;
    });
}

#[test]
fn an_inbox_that_ends_before_what_was_read_is_told_and_read_again() {
    run(async {
        let (mut scene, serve, told) = Scene::new().await;
        serve.stop();
        // As after the loss of the inbox's end: the group is ahead of it.
        let consumer = BaseConsumer::from_config(scene.kafka.client().set("group.id", scene.kafka.group())).unwrap();
        let mut ahead = TopicPartitionList::new();
        ahead.add_partition_offset(&scene.kafka.topics().inbox, 0, Offset::Offset(1000)).unwrap();
        consumer.commit(&ahead, CommitMode::Sync).unwrap();
        drop(consumer);
        let serve = scene.serve().await;
        assert!(serve.said().contains("the inbox ends before what was read"), "{}", serve.said());
        assert_eq!(all_lost(&serve).await, [0, 1, 0]);
        silence(&mut scene.reader).await;
        scene.goes_on(&serve, CHARGE, &told).await;
    });
}

#[test]
fn state_that_was_cut_off_is_rebuilt_from_what_was_told_and_nothing_is_told_twice() {
    run(async {
        let (mut scene, serve, told) = Scene::new().await;
        serve.stop();
        scene.truncate_state().await;
        let serve = scene.serve().await;
        assert!(serve.said().contains("state records are lost"), "{}", serve.said());
        let [offsets, inbox, state] = all_lost(&serve).await;
        assert_eq!((offsets, inbox, state), (0, 0, 3));
        assert!(scene.is_on_record());
        until("the inbox is read again", || inbox_records_left(&scene.kafka) == 0).await;
        scene.post(&serve, OTHER).await;
        silence(&mut scene.reader).await;
        scene.goes_on(&serve, CHARGE, &told).await;
        serve.stop();
        let serve = scene.serve().await;
        assert_eq!(all_lost(&serve).await, [0; 3], "it is told once");
        scene.goes_on(&serve, OTHER, &told).await;
    });
}

#[test]
fn a_partition_count_whose_record_was_cut_off_is_put_on_record_again() {
    run(async {
        let (mut scene, serve, told) = Scene::new().await;
        serve.stop();
        assert!(scene.is_on_record());
        scene.truncate_state_before(&[(0, Offset::Offset(1))]).await;
        assert!(!scene.is_on_record());
        let serve = scene.serve().await;
        assert!(scene.is_on_record());
        assert_eq!(all_lost(&serve).await, [0, 0, 1], "nobody knows what else stood there");
        scene.goes_on(&serve, CHARGE, &told).await;
    });
}

#[test]
fn work_that_was_owed_when_the_state_was_lost_is_done() {
    run(async {
        let (mut scene, serve, _) = Scene::new().await;
        scene.environment.pay_api.set_fault(Some(Fault::Status(503)));
        scene.put(OTHER, "Captured");
        scene.post(&serve, OTHER).await;
        let state = scene.kafka.topics().state;
        until("the work stands in the state topic, and the inbox is passed", || {
            let records = committed_records(&scene.kafka, &state);
            let of_it = records.iter().rfind(|record| record.key.ends_with(OTHER)).unwrap();
            let is_owed = serde_json::from_slice::<Value>(&of_it.value).unwrap().get("pending").is_some();
            is_owed && inbox_records_left(&scene.kafka) == 0
        })
        .await;
        serve.stop();
        scene.truncate_state().await;
        scene.environment.pay_api.set_fault(None);
        let _serve = scene.serve().await;
        let told = events(&mut scene.reader, 1).await;
        assert_eq!(
            (names(&told), &told[0]["data"]["previousState"]),
            (vec!["ChargeCaptured".to_owned()], &"Authorized".into())
        );
        silence(&mut scene.reader).await;
    });
}

#[test]
fn a_state_topic_made_anew_and_offsets_lost_with_it_tell_nothing_twice() {
    run(async {
        let (mut scene, serve, told) = Scene::new().await;
        serve.stop();
        let admin = scene.admin();
        admin.delete_groups(&[&scene.kafka.group()], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        let state = scene.kafka.topics().state;
        admin.delete_topics(&[&state], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        until("the topic is gone", || {
            let metadata = scene.admin().inner().fetch_metadata(None, Duration::from_secs(10)).unwrap();
            metadata.topics().iter().all(|topic| topic.name() != state)
        })
        .await;
        let serve = scene.serve().await; // `topics` is run before
        let [offsets, _, state] = all_lost(&serve).await;
        assert_eq!((offsets, state), (1, 1), "of the merchant's partition; elsewhere nothing was ever told");
        until("the inbox is read again", || inbox_records_left(&scene.kafka) == 0).await;
        silence(&mut scene.reader).await;
        scene.goes_on(&serve, CHARGE, &told).await;
    });
}
