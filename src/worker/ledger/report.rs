//! What the books show to metrics and logs.

use std::time::Duration;

use super::Ledger;
use crate::domain::dead_letter::header;
use crate::domain::timestamp::Timestamp;
use crate::domain::work::{BoundHits, Cause, LaneReport};
use crate::kafka::outbox::Batch;
use crate::worker::gauges::{labels, show};

impl Ledger {
    /// Metrics and log lines of a committed batch.
    pub(in crate::worker) fn report(&mut self, batch: &Batch, now: Timestamp) {
        metrics::gauge!("ipn_receiver_queued_objects").set(self.queue.len() as f64);
        metrics::gauge!("ipn_receiver_reads_in_flight").set(self.queue.in_flight() as f64);
        metrics::gauge!("ipn_receiver_known_objects").set(self.store.len() as f64);
        for (event, sequence) in &batch.events {
            metrics::counter!("ipn_receiver_events_published_total", "event_type" => event.event_type.name)
                .increment(1);
            metrics::histogram!("ipn_receiver_event_delay_seconds").record(now.since(event.last_updated).as_secs_f64());
            let newest_first = || event.causes.iter().rev();
            let message_ids: Vec<String> =
                newest_first().filter_map(Cause::message_id).map(|message_id| message_id.to_string()).collect();
            tracing::info!(
                event.id = %event.id, event.r#type = event.event_type.name, object.id = %event.object.id, sequence,
                merchant = %event.object.account, sns.message_id = message_ids.join(" "),
                trace_id = newest_first().find_map(Cause::trace_id), request_id = event.request_id.as_deref(),
                "published {}", event.event_type.name,
            );
        }
        for received_at in self.inbox_latency.take_told() {
            metrics::histogram!("ipn_receiver_event_processing_seconds").record(now.since(received_at).as_secs_f64());
        }
        for object in std::mem::take(&mut self.found) {
            metrics::counter!("ipn_receiver_missed_ipns_found_total", &labels(&object.account, object.kind))
                .increment(1);
            tracing::info!(object.id = %object.id, merchant = %object.account, "a change was found that no IPN told of");
        }
        for letter in &batch.dead_letters {
            metrics::counter!("ipn_receiver_dead_letters_total", "reason" => letter.reason.as_str()).increment(1);
            tracing::warn!(
                reason = letter.reason.as_str(),
                detail = letter.detail,
                partition = letter.position.partition,
                offset = letter.position.offset,
                object.id = letter.history.object.as_ref().map(|object| object.id.as_str()),
                sns.message_id = header(&letter.headers, "ipn-sns-message-id"),
                "dead letter written",
            );
        }
    }

    /// Now and then: how much work each operation of each merchant has, how old it is, and which bounds were hit.
    pub(in crate::worker) fn report_lanes(&mut self, now: Timestamp) {
        if now < self.report_lanes_at {
            return;
        }
        self.report_lanes_at = now.plus(LANES_EVERY);
        let may_tell = now >= self.tell_backlog_at;
        for (account, kind, lane) in self.queue.lanes(now) {
            show(account, kind, lane, now);
            if may_tell && lane.objects >= BACKLOG && !lane.is_held_back {
                self.tell_backlog_at = now.plus(BACKLOG_TOLD_EVERY);
                tracing::info!(
                    %account, operation = %kind, n_objects = lane.objects,
                    oldest_s = now.since(lane.first_seen).as_secs(), left_s = lane.time_left.as_secs(),
                    "a backlog is drained within our part of Amazon's quota",
                );
            }
        }
        metrics::gauge!("ipn_receiver_inbox_oldest_unread_age_seconds")
            .set(self.inbox_latency.oldest_unread(now).as_secs_f64());
        let BoundHits { reads_in_flight, records_open } = self.queue.take_hits();
        metrics::counter!("ipn_receiver_limit_hits_total", "limit" => "reads_in_flight_max").increment(reads_in_flight);
        metrics::counter!("ipn_receiver_limit_hits_total", "limit" => "records_open_max").increment(records_open);
    }

    /// What is no longer ours has no work here, and no trouble.
    pub(in crate::worker) fn report_gone(&self) {
        for (account, kind, _) in self.queue.lanes(Timestamp::NEVER) {
            show(account, kind, LaneReport::IDLE, Timestamp::NEVER);
        }
        metrics::gauge!("ipn_receiver_inbox_oldest_unread_age_seconds").set(0.0);
        self.reconciler.report_gone();
    }
}

/// It looks at every object that waits.
const LANES_EVERY: Duration = Duration::from_secs(5);
/// From so many objects of one operation on its length is worth a line, now and then.
const BACKLOG: usize = 100;
const BACKLOG_TOLD_EVERY: Duration = Duration::from_secs(30);
