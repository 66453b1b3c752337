//! Rebuilds the published state from the events topic, for partitions of the state topic that lost records.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::message::{BorrowedMessage, Message as _};

use super::{ASK_TIMEOUT, Error, PATIENCE};
use crate::config::Kafka;
use crate::domain::events::{History, PublishedEvent};
use crate::domain::state::partitioner::owning_partition;
use crate::kafka::inbox::headers_of;
use crate::kafka::topic_reader::{End, ReadRange, ReaderSettings, Step, TopicReader};

/// Reads the whole events topic and keeps the events of merchants of `partitions`. Calls `is_still_assigned` every 100 ms at
/// most, and stops when it returns false. Blocks.
///
/// An event of a former owner whose transaction is not complete yet is missed. It would be published once more with the
/// same id, by which consumers deduplicate.
pub fn rebuild_from_events(
    kafka: &Kafka,
    partitions: &BTreeSet<i32>,
    mut is_still_assigned: impl FnMut() -> bool,
) -> Result<History, Error> {
    let settings = ReaderSettings {
        topic: kafka.topics().events,
        purpose: "rebuild",
        end: End::OfLog,
        properties: &[("fetch.wait.max.ms", "50")],
    };
    let reader = TopicReader::new(kafka, settings)?;
    let mut records = reader.read(ReadRange::from_beginning(reader.partitions(ASK_TIMEOUT)?, PATIENCE))?;
    let (mut history, mut n_events, mut n_unreadable) = (History::default(), 0_u64, 0_u64);
    let mut logged_at = Instant::now();
    loop {
        let message = match records.step()? {
            Step::Record(message) => message,
            Step::Tick if !is_still_assigned() => return Err(Error::Interrupted),
            Step::Tick => {
                if logged_at.elapsed() > LOG_EVERY {
                    logged_at = Instant::now();
                    let n_partitions_left = records.n_open();
                    tracing::info!(n_events, n_partitions_left, "reading the events topic to rebuild lost state");
                }
                continue;
            }
            Step::End => break,
        };
        n_events += 1;
        let Some(event) = published_event(&message) else {
            n_unreadable += 1;
            continue;
        };
        if partitions.contains(&owning_partition(&event.object.account.merchant_id, kafka.partitions)) {
            history.add(event);
        }
    }
    metrics::counter!("ipn_receiver_unreadable_records_total", "what" => "event").increment(n_unreadable);
    if n_unreadable > 0 {
        tracing::warn!(
            n_unreadable,
            "the events topic holds records that are no events of ipn-receiver; they are ignored. Only ipn-receiver may write to \
             this topic"
        );
    }
    tracing::info!(n_events, n_unreadable, "events topic read; lost state is rebuilt from it");
    Ok(history)
}

fn published_event(message: &BorrowedMessage<'_>) -> Option<PublishedEvent> {
    let header = |name: &str| headers_of(message).find(|header| header.key == name)?.value;
    PublishedEvent::read(header, message.payload()?)
}

const LOG_EVERY: Duration = Duration::from_secs(5);
