//! Records that another producer appends to the topics of the receiver: garbage under foreign keys and under those of real
//! objects. Each has a header by which the checker knows it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ipn_receiver::config::{Kafka, Topics};
use ipn_receiver::domain::pay::MerchantId;
use ipn_receiver::domain::state::partitioner::owning_partition;
use parking_lot::Mutex;
use rdkafka::config::FromClientConfig as _;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::chaos::InjectionLog;
use crate::observations::{FOREIGN, Foreign, Topic};
use crate::random::Random;
use crate::stage::Stage;

/// The other producer.
pub(crate) struct ForeignProducer {
    producer: FutureProducer,
    topics: Topics,
    partitions: i32,
    appended: Mutex<BTreeMap<String, Foreign>>,
}

/// A record to append.
struct ForeignRecord {
    topic: Topic,
    partition: Option<i32>,
    key: Option<String>,
    value: Option<Vec<u8>>,
}

const TIMEOUT: Duration = Duration::from_secs(30);
const LARGE_BYTES: usize = 200_000;

impl ForeignProducer {
    pub(crate) fn new(kafka: &Kafka) -> Self {
        let mut client = kafka.client();
        client.set("message.timeout.ms", TIMEOUT.as_millis().to_string());
        let producer = FutureProducer::from_config(&client).unwrap();
        Self { producer, topics: kafka.topics(), partitions: kafka.partitions, appended: Mutex::default() }
    }

    /// What was appended, by header value.
    pub(crate) fn appended(&self) -> BTreeMap<String, Foreign> {
        self.appended.lock().clone()
    }

    fn partition_of(&self, merchant: &str) -> i32 {
        owning_partition(&MerchantId::parse(merchant).unwrap(), self.partitions)
    }

    async fn append(&self, record: &ForeignRecord, damages_state: bool) {
        let ForeignRecord { topic, partition, key, value } = record;
        let id = {
            let mut appended = self.appended.lock();
            let id = appended.len().to_string();
            appended.insert(id.clone(), Foreign { topic: *topic, damages_state, is_acknowledged: false });
            id
        };
        let record = FutureRecord::<str, [u8]> {
            partition: *partition,
            key: key.as_deref(),
            payload: value.as_deref(),
            headers: Some(OwnedHeaders::new().insert(Header { key: FOREIGN, value: Some(&id) })),
            ..FutureRecord::to(topic.name(&self.topics))
        };
        if self.producer.send(record, TIMEOUT).await.is_ok()
            && let Some(foreign) = self.appended.lock().get_mut(&id)
        {
            foreign.is_acknowledged = true;
        }
    }
}

/// Appends one record after another.
pub(crate) async fn inject_foreign_records(
    stage: &Stage,
    mut random: Random,
    until: Instant,
    injections: &InjectionLog,
) {
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(random.between(1000, 5000))).await;
        match random.below(4) {
            0 => damage_state(stage, &mut random, injections).await,
            1 => append_to_state_topic(stage, &mut random, injections).await,
            _ => append_to_another_topic(stage, &mut random, injections).await,
        }
    }
}

/// Garbage instead of the state of up to three objects. The next worker that takes their partitions over must repair it.
async fn damage_state(stage: &Stage, random: &mut Random, injections: &InjectionLog) {
    for _ in 0..random.between(1, 3) {
        let (object, merchant) = stage.merchants.any(random);
        let key = object.state_key(merchant);
        injections.note("state of an object damaged", &key);
        let (partition, value) = (Some(stage.foreign.partition_of(merchant)), Some(garbage(random)));
        stage.foreign.append(&ForeignRecord { topic: Topic::State, partition, key: Some(key), value }, true).await;
    }
}

/// Garbage under keys or in partitions where the receiver writes no such record, or which is no object's.
async fn append_to_state_topic(stage: &Stage, random: &mut Random, injections: &InjectionLog) {
    let (object, merchant) = stage.merchants.any(random);
    let (own, partitions) = (stage.foreign.partition_of(merchant), stage.foreign.partitions);
    let (partition, key) = match random.below(4) {
        0 => (own, "not/a-state-key".to_owned()),
        1 => (own, "__something".to_owned()),
        2 => (own, "__complete".to_owned()),
        _ => ((own + 1) % partitions, object.state_key(merchant)),
    };
    injections.note("foreign record in State", &format!("{partition}: {key}"));
    let (partition, value) = (Some(partition), Some(garbage(random)));
    stage.foreign.append(&ForeignRecord { topic: Topic::State, partition, key: Some(key), value }, false).await;
}

/// Garbage, or no value, under no key, a foreign key, or one that the receiver uses.
async fn append_to_another_topic(stage: &Stage, random: &mut Random, injections: &InjectionLog) {
    let topic = *random.pick(&[Topic::Inbox, Topic::Events, Topic::DeadLetters]);
    let (object, merchant) = stage.merchants.any(random);
    let used = if topic == Topic::Events { object.permission_id() } else { merchant };
    let key = *random.pick(&[None, Some("foreign"), Some(used)]);
    injections.note(&format!("foreign record in {topic:?}"), key.unwrap_or("without a key"));
    let value = (!random.one_in(6)).then(|| garbage(random));
    stage.foreign.append(&ForeignRecord { topic, partition: None, key: key.map(str::to_owned), value }, false).await;
}

/// Three bytes, nothing, many bytes, JSON of something else, and what is no text. None has a line break or a tab, since the
/// checker reads lines.
fn garbage(random: &mut Random) -> Vec<u8> {
    match random.below(5) {
        0 => b"abc".to_vec(),
        1 => Vec::new(),
        2 => (0..LARGE_BYTES).map(|_| 0x80 | random.next() as u8).collect(),
        3 => br#"{"answer":42}"#.to_vec(),
        _ => vec![0xff, 0xfe, 0x00],
    }
}
