//! How long events take from the receipt of their first IPN, and how old the unread inbox records are.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::domain::timestamp::Timestamp;
use crate::domain::work::{Cause, InboxPosition};

/// The times of one assignment. Memory is bounded by the number of records that wait for their answer.
#[derive(Debug, Default)]
pub(in crate::worker) struct InboxLatency {
    /// When each record that waits for its answer was appended.
    appended_at: HashMap<InboxPosition, Timestamp>,
    /// When the last consumed record was appended, for each partition that is not consumed to its end.
    consumed_up_to: BTreeMap<i32, Timestamp>,
    /// When the first IPN of each uncommitted event was received.
    received_at: Vec<Timestamp>,
}

impl InboxLatency {
    /// Notes a consumed record.
    pub(in crate::worker) fn note(&mut self, position: InboxPosition, appended_at: Timestamp) {
        self.appended_at.insert(position, appended_at);
        self.consumed_up_to.insert(position.partition, appended_at);
    }

    /// Notes that the partition is consumed to its end for now.
    pub(in crate::worker) fn note_end(&mut self, partition: i32) {
        self.consumed_up_to.remove(&partition);
    }

    /// Notes that a record has its answer, or that its work is written to the state topic.
    pub(in crate::worker) fn forget(&mut self, position: InboxPosition) {
        self.appended_at.remove(&position);
    }

    /// Notes an event that answers these causes. For a record that was released earlier the SNS `Timestamp` counts, which
    /// precedes the append by the time of delivery. An event without an IPN has no such delay.
    pub(in crate::worker) fn note_event(&mut self, causes: &[Cause]) {
        let received_at = |cause: &Cause| {
            let appended_at = cause.position().and_then(|position| self.appended_at.get(&position));
            appended_at.copied().unwrap_or(cause.timestamp)
        };
        let first = causes.iter().filter(|cause| cause.is_ipn()).map(received_at).min();
        self.received_at.extend(first);
    }

    /// Takes, for each event since the last commit, when its first IPN was received.
    pub(in crate::worker) fn take_received_at(&mut self) -> Vec<Timestamp> {
        std::mem::take(&mut self.received_at)
    }

    /// The age of the last consumed record in the partition that is furthest behind; zero if every partition is consumed
    /// to its end.
    pub(in crate::worker) fn oldest_unread(&self, now: Timestamp) -> Duration {
        self.consumed_up_to.values().map(|appended_at| now.since(*appended_at)).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ipn::NotificationType;
    use crate::domain::trace::TraceParent;
    use crate::domain::work::{ClaimedPermission, Origin};

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1000)
    }

    fn position(partition: i32, offset: i64) -> InboxPosition {
        InboxPosition { partition, offset }
    }

    fn ipn(position: InboxPosition, s: i64) -> Cause {
        let message_id = uuid::Uuid::nil();
        let traceparent = Some(Box::new(TraceParent::of_message(message_id)));
        let origin = Origin::Ipn {
            message_id,
            notification_type: NotificationType::StateChange,
            position,
            traceparent,
            chargeback: false,
            permission: ClaimedPermission::None,
        };
        Cause { origin, timestamp: at(s) }
    }

    #[test]
    fn event_latency_starts_at_its_first_ipn() {
        let mut inbox_latency = InboxLatency::default();
        inbox_latency.note(position(0, 1), at(100));
        inbox_latency.note(position(0, 2), at(90));
        inbox_latency.note_event(&[ipn(position(0, 1), 50), ipn(position(0, 2), 50)]);
        assert_eq!(inbox_latency.take_received_at(), [at(90)]);
        inbox_latency.forget(position(0, 2));
        inbox_latency.note_event(&[ipn(position(0, 1), 50), ipn(position(0, 2), 80)]);
        assert_eq!(inbox_latency.take_received_at(), [at(80)], "its record was released, so the SNS Timestamp counts");
        inbox_latency.note_event(&[Cause { origin: Origin::Reconciliation, timestamp: at(1) }]);
        assert_eq!(inbox_latency.take_received_at(), [], "no IPN led to it");
    }

    #[test]
    fn oldest_unread_age_is_that_of_the_partition_furthest_behind() {
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
