//! Kafka loses data: the group's offsets, unread IPNs, known state. The receiver reports the loss and publishes nothing wrong
//! or twice.

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

/// A simulated Amazon, the topics, and a receiver in a process of its own, since metrics belong to a process.
struct Stage {
    environment: SandboxEnvironment,
    kafka: Kafka,
    folder: tempfile::TempDir,
    reader: EventReader,
}

impl Stage {
    /// Starts a first receiver, which publishes a charge permission and two charges.
    async fn new() -> (Self, Serve, Vec<Value>) {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
        let kafka = environment.config_with(&kafka(), "").unwrap().kafka;
        let folder = tempfile::tempdir().unwrap();
        ipn_receiver::kafka::topics::create(&kafka).await.unwrap();
        let reader = EventReader::start(&kafka).unwrap();
        let mut stage = Self { environment, kafka, folder, reader };
        let serve = stage.serve().await;
        stage.environment.put(
            ObjectKind::ChargePermission,
            charge_permission(PERMISSION, "Recurring"),
            "Chargeable",
            &[],
        );
        stage.put(CHARGE, "Authorized");
        stage.put(OTHER, "Authorized");
        for id in [CHARGE, OTHER] {
            stage.post(&serve, id).await;
        }
        let published = events(&mut stage.reader, 3).await;
        until("the inbox is processed", || inbox_records_left(&stage.kafka) == 0).await;
        (stage, serve, published)
    }

    async fn serve(&self) -> Serve {
        let file = self.folder.path().join("receiver.toml");
        let settings = "ingress.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\nshutdown.notice_ms = 0\n\
                        worker.confirm_reads_after_ms = [100]\nworker.pending_after_ms = 200\nworker.systemic_retry_ms = 100\n\
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

    /// Appends an IPN as the role `ingest` would.
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

    /// Deletes all known state.
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

    /// Whether the state topic records the partition count.
    fn has_recorded_count(&self) -> bool {
        committed_records(&self.kafka, &self.kafka.topics().state)
            .iter()
            .any(|record| record.key == "__partition_count")
    }

    /// The object changes and the change is published once, as if nothing had been lost.
    async fn publishes_next_change(&mut self, serve: &Serve, id: &str, before: &[Value]) -> Value {
        self.put(id, "Captured");
        self.post(serve, id).await;
        let event = events(&mut self.reader, 1).await.remove(0);
        assert_eq!(names(std::slice::from_ref(&event)), ["ChargeCaptured"]);
        assert_eq!((&event["subject"], &event["data"]["previousState"]), (&id.into(), &"Authorized".into()));
        assert_eq!(event["data"]["firstSight"], false);
        let sequence = |event: &Value| event["sequence"].as_str().unwrap().to_owned();
        assert!(before.iter().all(|earlier| sequence(earlier) < sequence(&event)), "the sequence increases");
        silence(&mut self.reader).await;
        event
    }
}

async fn lost(serve: &Serve, what: &str) -> u64 {
    serve.count(&format!("ipn_receiver_kafka_data_loss_total{{what=\"{what}\"}}")).await
}

async fn all_lost(serve: &Serve) -> [u64; 3] {
    [lost(serve, "offsets").await, lost(serve, "inbox").await, lost(serve, "state").await]
}

#[test]
fn lost_offsets_are_reported_and_replay_publishes_nothing() {
    run(async {
        let (mut stage, serve, published) = Stage::new().await;
        assert_eq!(all_lost(&serve).await, [0; 3], "a new system has lost nothing");
        serve.stop();
        stage.admin().delete_groups(&[&stage.kafka.group()], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        let serve = stage.serve().await;
        assert!(serve.said().contains("committed offsets of the consumer group are missing"), "{}", serve.said());
        assert_eq!(all_lost(&serve).await, [3, 0, 0], "one for each partition");
        until("the inbox is processed again", || inbox_records_left(&stage.kafka) == 0).await;
        silence(&mut stage.reader).await;
        stage.publishes_next_change(&serve, CHARGE, &published).await;
        serve.stop();
        let serve = stage.serve().await;
        assert_eq!(all_lost(&serve).await, [0; 3], "a loss is reported once");
    });
}

#[test]
fn deleted_unread_ipns_are_counted_and_later_ones_published() {
    run(async {
        let (mut stage, serve, published) = Stage::new().await;
        serve.stop();
        stage.put(OTHER, "Captured");
        for _ in 0..4 {
            stage.append(OTHER).await;
        }
        stage.delete_records(&stage.kafka.topics().inbox).await;
        let serve = stage.serve().await;
        let said = serve.said();
        assert!(said.contains("deleted before they were read") && said.contains("\"n_lost\":4"), "{said}");
        assert_eq!(all_lost(&serve).await, [0, 1, 0], "only the partition with unread records");
        silence(&mut stage.reader).await;
        stage.publishes_next_change(&serve, CHARGE, &published).await;
        // The next IPN of the object repairs it.
        stage.post(&serve, OTHER).await;
        assert_eq!(names(&events(&mut stage.reader, 1).await), ["ChargeCaptured"]);
    });
}

#[test]
fn ipns_deleted_under_a_running_worker_are_noticed() {
    run(async {
        let (mut stage, serve, published) = Stage::new().await;
        serve.signal("STOP");
        for _ in 0..20 {
            stage.append(OTHER).await;
        }
        stage.delete_records(&stage.kafka.topics().inbox).await;
        serve.signal("CONT");
        stage.publishes_next_change(&serve, CHARGE, &published).await;
        assert!(serve.said().contains("deleted before they were read"), "{}", serve.said());
        assert_eq!(all_lost(&serve).await, [0, 1, 0]);
        until("the inbox is processed", || inbox_records_left(&stage.kafka) == 0).await;
    });
}

#[test]
fn shortened_inbox_is_reported_and_read_again() {
    run(async {
        let (mut stage, serve, published) = Stage::new().await;
        serve.stop();
        // As if the end of the inbox was lost: the group's offset is beyond it.
        let consumer = BaseConsumer::from_config(stage.kafka.client().set("group.id", stage.kafka.group())).unwrap();
        let mut ahead = TopicPartitionList::new();
        ahead.add_partition_offset(&stage.kafka.topics().inbox, 0, Offset::Offset(1000)).unwrap();
        consumer.commit(&ahead, CommitMode::Sync).unwrap();
        drop(consumer);
        let serve = stage.serve().await;
        assert!(serve.said().contains("the committed offset is beyond the end of the inbox"), "{}", serve.said());
        assert_eq!(all_lost(&serve).await, [0, 1, 0]);
        silence(&mut stage.reader).await;
        stage.publishes_next_change(&serve, CHARGE, &published).await;
    });
}

#[test]
fn deleted_state_is_rebuilt_and_nothing_is_published_twice() {
    run(async {
        let (mut stage, serve, published) = Stage::new().await;
        serve.stop();
        stage.truncate_state().await;
        let serve = stage.serve().await;
        assert!(serve.said().contains("state records are lost"), "{}", serve.said());
        let [offsets, inbox, state] = all_lost(&serve).await;
        assert_eq!((offsets, inbox, state), (0, 0, 3));
        assert!(stage.has_recorded_count());
        until("the inbox is read again", || inbox_records_left(&stage.kafka) == 0).await;
        stage.post(&serve, OTHER).await;
        silence(&mut stage.reader).await;
        stage.publishes_next_change(&serve, CHARGE, &published).await;
        serve.stop();
        let serve = stage.serve().await;
        assert_eq!(all_lost(&serve).await, [0; 3], "a loss is reported once");
        stage.publishes_next_change(&serve, OTHER, &published).await;
    });
}

#[test]
fn deleted_partition_count_is_recorded_again() {
    run(async {
        let (mut stage, serve, published) = Stage::new().await;
        serve.stop();
        assert!(stage.has_recorded_count());
        stage.truncate_state_before(&[(0, Offset::Offset(1))]).await;
        assert!(!stage.has_recorded_count());
        let serve = stage.serve().await;
        assert!(stage.has_recorded_count());
        assert_eq!(all_lost(&serve).await, [0, 0, 1], "the deleted records are unknown");
        stage.publishes_next_change(&serve, CHARGE, &published).await;
    });
}

#[test]
fn pending_work_in_lost_state_is_done() {
    run(async {
        let (mut stage, serve, _) = Stage::new().await;
        stage.environment.pay_api.set_fault(Some(Fault::Status(503)));
        stage.put(OTHER, "Captured");
        stage.post(&serve, OTHER).await;
        let state = stage.kafka.topics().state;
        until("the work is in the state topic, and the inbox is processed", || {
            let records = committed_records(&stage.kafka, &state);
            let of_it = records.iter().rfind(|record| record.key.ends_with(OTHER)).unwrap();
            let is_pending = serde_json::from_slice::<Value>(&of_it.value).unwrap().get("pending").is_some();
            is_pending && inbox_records_left(&stage.kafka) == 0
        })
        .await;
        serve.stop();
        stage.truncate_state().await;
        stage.environment.pay_api.set_fault(None);
        let _serve = stage.serve().await;
        let published = events(&mut stage.reader, 1).await;
        assert_eq!(
            (names(&published), &published[0]["data"]["previousState"]),
            (vec!["ChargeCaptured".to_owned()], &"Authorized".into())
        );
        silence(&mut stage.reader).await;
    });
}

#[test]
fn new_state_topic_without_offsets_publishes_nothing_twice() {
    run(async {
        let (mut stage, serve, published) = Stage::new().await;
        serve.stop();
        let admin = stage.admin();
        admin.delete_groups(&[&stage.kafka.group()], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        let state = stage.kafka.topics().state;
        admin.delete_topics(&[&state], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        until("the topic is gone", || {
            let metadata = stage.admin().inner().fetch_metadata(None, Duration::from_secs(10)).unwrap();
            metadata.topics().iter().all(|topic| topic.name() != state)
        })
        .await;
        let serve = stage.serve().await; // this runs `topics` first
        let [offsets, _, state] = all_lost(&serve).await;
        assert_eq!((offsets, state), (1, 1), "only the merchant's partition; in the others nothing was published");
        until("the inbox is read again", || inbox_records_left(&stage.kafka) == 0).await;
        silence(&mut stage.reader).await;
        stage.publishes_next_change(&serve, CHARGE, &published).await;
    });
}
