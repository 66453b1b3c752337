//! When IPNs came in: how long an event took from there, and how old what is still unread is.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::domain::timestamp::Timestamp;
use crate::domain::work::{Cause, InboxPosition};

/// What is known of it during one assignment. It grows with the records that wait for their answer, and no further.
#[derive(Debug, Default)]
pub(in crate::worker) struct InboxLatency {
    /// When records that wait for their answer were appended.
    appended_at: HashMap<InboxPosition, Timestamp>,
    /// When the last record that was read was appended, in each partition that is not read to its end.
    read_up_to: BTreeMap<i32, Timestamp>,
    /// Of each event that is to be committed: when its first IPN was received.
    told: Vec<Timestamp>,
}

impl InboxLatency {
    /// A record was read.
    pub(in crate::worker) fn note(&mut self, position: InboxPosition, appended_at: Timestamp) {
        self.appended_at.insert(position, appended_at);
        self.read_up_to.insert(position.partition, appended_at);
    }

    /// There is nothing more in this partition just now.
    pub(in crate::worker) fn note_end(&mut self, partition: i32) {
        self.read_up_to.remove(&partition);
    }

    /// A record has its answer, or its work went to the state topic.
    pub(in crate::worker) fn forget(&mut self, position: InboxPosition) {
        self.appended_at.remove(&position);
    }

    /// An event was made for these causes. A record that is passed already is dated by SNS's own `Timestamp`, which is
    /// at most the time of delivery too early. What no IPN told of has no such delay.
    pub(in crate::worker) fn note_told(&mut self, causes: &[Cause]) {
        let received_at = |cause: &Cause| {
            let appended_at = cause.position().and_then(|position| self.appended_at.get(&position));
            appended_at.copied().unwrap_or(cause.timestamp)
        };
        let first = causes.iter().filter(|cause| cause.is_ipn()).map(received_at).min();
        self.told.extend(first);
    }

    /// Of each event since the last commit: when its first IPN was received.
    pub(in crate::worker) fn take_told(&mut self) -> Vec<Timestamp> {
        std::mem::take(&mut self.told)
    }

    /// The age of the record up to which the inbox was read, in the partition that is furthest behind; zero where
    /// everything is read.
    pub(in crate::worker) fn oldest_unread(&self, now: Timestamp) -> Duration {
        self.read_up_to.values().map(|appended_at| now.since(*appended_at)).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ipn::NotificationType;
    use crate::domain::trace::TraceParent;
    use crate::domain::work::Origin;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1000)
    }

    fn position(partition: i32, offset: i64) -> InboxPosition {
        InboxPosition { partition, offset }
    }

    fn ipn(position: InboxPosition, s: i64) -> Cause {
        let message_id = uuid::Uuid::nil();
        let traceparent = Some(Box::new(TraceParent::of_message(message_id)));
        let origin =
            Origin::Ipn { message_id, notification_type: NotificationType::StateChange, position, traceparent };
        Cause { origin, timestamp: at(s) }
    }

    #[test]
    fn an_event_counts_from_the_first_of_its_ipns() {
        let mut inbox_latency = InboxLatency::default();
        inbox_latency.note(position(0, 1), at(100));
        inbox_latency.note(position(0, 2), at(90));
        inbox_latency.note_told(&[ipn(position(0, 1), 50), ipn(position(0, 2), 50)]);
        assert_eq!(inbox_latency.take_told(), [at(90)]);
        inbox_latency.forget(position(0, 2));
        inbox_latency.note_told(&[ipn(position(0, 1), 50), ipn(position(0, 2), 80)]);
        assert_eq!(inbox_latency.take_told(), [at(80)], "its record is passed, so SNS's own time counts");
        inbox_latency.note_told(&[Cause { origin: Origin::Reconciliation, timestamp: at(1) }]);
        assert_eq!(inbox_latency.take_told(), [], "nobody told of it");
    }

    #[test]
    fn what_is_unread_is_as_old_as_the_partition_that_is_furthest_behind() {
        let mut inbox_latency = InboxLatency::default();
        assert_eq!(inbox_latency.oldest_unread(at(1000)), Duration::ZERO);
        inbox_latency.note(position(0, 1), at(100));
        inbox_latency.note(position(1, 1), at(900));
        assert_eq!(inbox_latency.oldest_unread(at(1000)), Duration::from_mins(15));
        inbox_latency.note_end(0);
        assert_eq!(inbox_latency.oldest_unread(at(1000)), Duration::from_secs(100));
        inbox_latency.note_end(1);
        assert_eq!(inbox_latency.oldest_unread(at(1000)), Duration::ZERO);
    }
}
