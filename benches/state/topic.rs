//! The same records in a real state topic.

use std::time::{Duration, Instant};

use ipn_receiver::config::Kafka;
use ipn_receiver::kafka::state_store::{BARRIER_KEY, restore};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::{OBJECTS, PARTITIONS, Record};

/// Fills a topic and restores it as a worker does. Returns the number of records and the time.
pub(super) fn restored_from(servers: &str) -> (u64, Duration) {
    let kafka = Kafka {
        bootstrap_servers: servers.to_owned(),
        topic_prefix: format!("bench-{}", uuid::Uuid::new_v4()),
        ..Kafka::default()
    };
    let topic = kafka.topics().state;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().expect("an admin client");
    let wanted = NewTopic::new(&topic, PARTITIONS, TopicReplication::Fixed(1));
    let created = runtime.block_on(admin.create_topics([&wanted], &AdminOptions::new())).expect("Kafka answers");
    created[0].as_ref().expect("the topic is created");
    fill(&kafka, &topic);
    add_barriers(&kafka, &topic);
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    let began = Instant::now();
    let restored = restore(&kafka, &partitions, NONCE, || true).expect("the state is restored");
    let time = began.elapsed();
    assert_eq!(restored.store.len() as u64, OBJECTS);
    runtime.block_on(admin.delete_topics(&[&topic], &AdminOptions::new())).expect("the topic is deleted");
    (OBJECTS, time)
}

/// Writes records as the outbox does: compressed, in many small batches.
pub(super) fn fill(kafka: &Kafka, topic: &str) {
    write(kafka, topic, (0..OBJECTS).map(Record::new));
}

fn add_barriers(kafka: &Kafka, topic: &str) {
    let barrier = |partition| Record { partition, key: BARRIER_KEY.into(), value: NONCE.into() };
    write(kafka, topic, (0..PARTITIONS).map(barrier));
}

fn write(kafka: &Kafka, topic: &str, records: impl Iterator<Item = Record>) {
    let mut client = kafka.client();
    client.set("compression.type", "lz4").set("linger.ms", "5").set("acks", "1");
    let producer: BaseProducer = client.create().expect("a producer");
    for Record { partition, key, value } in records {
        let mut record = BaseRecord::to(topic).key(&key).payload(&value).partition(partition);
        while let Err((_, again)) = producer.send(record) {
            producer.poll(Duration::from_millis(10));
            record = again;
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_mins(2)).expect("all records are acknowledged");
}

const NONCE: &str = "end of the state";
