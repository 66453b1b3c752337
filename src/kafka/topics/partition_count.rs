//! The partition count on record: the first record of the state topic, written once. Partitions can be added to a topic
//! by anyone with a command line, and a configuration can follow; this record does not.

use std::time::{Duration, Instant};

use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use crate::config::Kafka;
use crate::domain::state::schema_version::Newer;
use crate::kafka::connection::cause;

/// What the record holds.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PartitionsRecord {
    version: u32,
    partitions: i32,
}

/// What reading it brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnRecord {
    /// The count.
    Count(i32),
    /// The topic is as new.
    NothingAtAll,
    /// There are records, and this is not among them.
    OnlyOthers,
    /// A later release wrote it.
    Newer(Newer),
}

/// Reads it. It is normally the very first record of partition 0; if not, all of that partition is read. Blocks.
pub(super) fn read(kafka: &Kafka, timeout: Duration) -> Result<OnRecord, KafkaError> {
    let mut reader = kafka.reader("start");
    reader.set("auto.offset.reset", "earliest").set("enable.partition.eof", "true").set("fetch.wait.max.ms", "50");
    let consumer = BaseConsumer::<DefaultConsumerContext>::from_config(&reader)?;
    let topic = kafka.topics().state;
    // An assignment whose leader is not known yet waits for half a second before it asks again, and every start would wait for
    // that. If this fails it only waits.
    let _ = consumer.fetch_metadata(Some(&topic), LEADER_TIMEOUT);
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(&topic, PARTITION, Offset::Beginning)?;
    consumer.assign(&assignment)?;
    let mut found = OnRecord::NothingAtAll;
    let mut last_record = Instant::now();
    while last_record.elapsed() < timeout {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                last_record = Instant::now();
                found = OnRecord::OnlyOthers;
                let record = message.payload().filter(|_| message.key() == Some(KEY.as_bytes()));
                if let Some(on_record) = record.and_then(judge) {
                    return Ok(on_record);
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(found),
            Some(Err(error)) if is_passing(&error) => {}
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
    Err(KafkaError::MessageConsumption(rdkafka::types::RDKafkaErrorCode::OperationTimedOut))
}

fn judge(json: &[u8]) -> Option<OnRecord> {
    match Newer::check_json(json, VERSION) {
        Err(newer) => Some(OnRecord::Newer(newer)),
        Ok(()) => serde_json::from_slice(json).ok().map(|record: PartitionsRecord| OnRecord::Count(record.partitions)),
    }
}

/// Writes it.
pub(super) async fn write(kafka: &Kafka, partitions: i32, timeout: Duration) -> Result<(), KafkaError> {
    let mut client = kafka.client();
    client
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("message.timeout.ms", timeout.as_millis().to_string());
    let producer = FutureProducer::<DefaultClientContext>::from_config(&client)?;
    let value = serde_json::to_vec(&PartitionsRecord { version: VERSION, partitions }).expect("two numbers are JSON");
    let topic = kafka.topics().state;
    let record = FutureRecord::to(&topic).key(KEY).payload(&value).partition(PARTITION);
    producer.send(record, timeout).await.map(drop).map_err(|(error, _)| cause(&producer, error))
}

/// A connection that is not there yet, or no longer; librdkafka tries again. Or the group may not be used: librdkafka wants a
/// name of one, and what is read without joining it needs no right to it.
fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, GroupAuthorizationFailed};
    matches!(error, KafkaError::MessageConsumption(BrokerTransportFailure | AllBrokersDown | GroupAuthorizationFailed))
}

/// The format of the record.
const VERSION: u32 = 1;
const KEY: &str = "__partition_count";
const PARTITION: i32 = 0;
const LEADER_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_a_later_releases_form_is_told_apart_from_one_that_is_not_there() {
        for (json, found) in [
            (r#"{"version":1,"partitions":3}"#, Some(OnRecord::Count(3))),
            (r#"{"version":2,"counts":[3]}"#, Some(OnRecord::Newer(Newer { found: 2, known: 1 }))),
            ("{}", None),
        ] {
            assert_eq!(judge(json.as_bytes()), found, "{json}");
        }
    }
}
