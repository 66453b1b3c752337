//! Reads the records in Kafka with Kafka's own console consumer, which shares no code with the receiver's client.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use ipn_receiver::config::{Kafka, Topics};
use rdkafka::config::FromClientConfig as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::cluster::Cluster;

/// A record.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) key: String,
    /// None for a tombstone.
    pub(crate) value: Option<String>,
}

/// A topic of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Inbox,
    Events,
    State,
    DeadLetters,
}

/// A record that another producer appended.
#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    pub(crate) topic: Topic,
    /// It has the key and the partition of the state of an object.
    pub(crate) damages_state: bool,
    /// Without an acknowledgement the topic may hold it or not.
    pub(crate) is_acknowledged: bool,
}

/// The input of the checker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) events: Vec<Record>,
    pub(crate) state: Vec<Record>,
    pub(crate) dead_letters: Vec<Record>,
    /// MessageIds in the inbox.
    pub(crate) inbox: BTreeSet<String>,
    /// MessageIds of dead letters that are in the inbox again.
    pub(crate) redriven: BTreeSet<String>,
    /// Records that another producer appended, by the value of their [`FOREIGN`] header.
    pub(crate) foreign: BTreeMap<String, Foreign>,
    /// Merchants that were not configured for a while.
    pub(crate) removed_merchants: BTreeSet<String>,
    /// For each partition of the inbox: the committed offset of the group, and the offset after the last record. Markers of a
    /// `redrive`'s transactions may follow it.
    pub(crate) inbox_positions: BTreeMap<i32, (i64, i64)>,
    /// Partitions whose last stable offset is below their end offset.
    pub(crate) hanging: Vec<(String, i32, i64, i64)>,
    /// For each object: its states and their times at Amazon Pay.
    pub(crate) histories: BTreeMap<String, Vec<(String, String)>>,
    pub(crate) accepted: BTreeSet<String>,
    pub(crate) refused: Vec<String>,
    pub(crate) undeliverable: BTreeSet<String>,
    /// Why the offsets could not be read.
    pub(crate) unreadable: Option<String>,
}

/// The header that marks records of another producer.
pub(crate) const FOREIGN: &str = "faults-foreign";

impl Topic {
    pub(crate) fn name(self, topics: &Topics) -> &str {
        match self {
            Self::Inbox => &topics.inbox,
            Self::Events => &topics.events,
            Self::State => &topics.state,
            Self::DeadLetters => &topics.dead_letters,
        }
    }
}

impl Record {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn json(&self) -> Value {
        self.value.as_ref().and_then(|value| serde_json::from_str(value).ok()).unwrap_or_default()
    }
}

/// Every committed record of a topic, by partition and offset.
pub(crate) async fn read(cluster: &Cluster, topic: &str) -> Vec<Record> {
    let mut arguments = vec!["org.apache.kafka.tools.consumer.ConsoleConsumer".to_owned()];
    let servers = cluster.direct();
    for argument in [
        "--bootstrap-server",
        &servers,
        "--topic",
        topic,
        "--from-beginning",
        "--isolation-level",
        "read_committed",
        "--timeout-ms",
        &cluster.console_patience_ms.load(Ordering::Relaxed).to_string(),
    ] {
        arguments.push(argument.to_owned());
    }
    for shown in ["partition", "offset", "headers", "key"] {
        arguments.push("--formatter-property".to_owned());
        arguments.push(format!("print.{shown}=true"));
    }
    let text = cluster.tool(arguments).await;
    let mut records: Vec<Record> = text.lines().filter_map(parse).collect();
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

/// `Partition:0 Offset:7 name:value,name:value key value`, with tabs between them.
fn parse(line: &str) -> Option<Record> {
    let mut fields = line.splitn(5, '\t');
    let partition = fields.next()?.strip_prefix("Partition:")?.parse().ok()?;
    let offset = fields.next()?.strip_prefix("Offset:")?.parse().ok()?;
    let headers = fields.next()?.split(',').filter_map(|header| header.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let key = fields.next()?.to_owned();
    let value = fields.next().filter(|value| *value != "null").map(str::to_owned);
    Some(Record { partition, offset, headers, key, value })
}

/// Reads the committed offsets of the group in the inbox, and finds open transactions.
pub(crate) fn positions(kafka: &Kafka, observed: &mut Observed) -> KafkaResult<()> {
    let topics = kafka.topics();
    let group: BaseConsumer = BaseConsumer::from_config(kafka.client().set("group.id", kafka.group())).unwrap();
    let ends =
        BaseConsumer::from_config(kafka.client().set("group.id", "ends").set("isolation.level", "read_uncommitted"));
    let stable =
        BaseConsumer::from_config(kafka.client().set("group.id", "ends").set("isolation.level", "read_committed"));
    let (ends, stable): (BaseConsumer, BaseConsumer) = (ends.unwrap(), stable.unwrap());
    let mut wanted = TopicPartitionList::new();
    for partition in 0..kafka.partitions {
        wanted.add_partition(&topics.inbox, partition);
    }
    let committed = group.committed_offsets(wanted, TIMEOUT)?;
    for partition in 0..kafka.partitions {
        for topic in [&topics.inbox, &topics.events, &topics.state, &topics.dead_letters] {
            let end = ends.fetch_watermarks(topic, partition, TIMEOUT)?.1;
            let last_stable = stable.fetch_watermarks(topic, partition, TIMEOUT)?.1;
            if last_stable != end {
                observed.hanging.push((topic.clone(), partition, last_stable, end));
            }
            if *topic == topics.inbox {
                let position = match committed.find_partition(topic, partition).map(|element| element.offset()) {
                    Some(Offset::Offset(offset)) => offset,
                    _ => 0,
                };
                observed.inbox_positions.insert(partition, (position, end));
            }
        }
    }
    Ok(())
}

const TIMEOUT: Duration = Duration::from_secs(20);
