//! Metrics and log lines about the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Ledger;
use crate::domain::dead_letter::DeadLetter;
use crate::domain::events::Event;
use crate::domain::pay::{Account, ObjectKind, ObjectRef};
use crate::domain::record_headers::{self, header};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::{BoundHits, Cause, LaneReport};
use crate::kafka::outbox::Batch;
use crate::telemetry::log_throttle::LogThrottle;
use crate::worker::gauges::{labels, show};

/// When the periodic reports are due.
pub(super) struct ReportSchedule {
    pub(super) lanes_at: Timestamp,
    /// By account and operation.
    backlogs: LogThrottle<(Account, ObjectKind)>,
}

impl ReportSchedule {
    pub(super) fn starting_at(now: Timestamp) -> Self {
        Self { lanes_at: now, backlogs: LogThrottle::new(BACKLOG_LOG_EVERY) }
    }
}

impl Ledger {
    /// Metrics and log lines of a committed batch.
    pub(in crate::worker) fn report(&mut self, batch: &Batch, now: Timestamp) {
        metrics::gauge!("ipn_receiver_queued_objects").set(self.queue.len() as f64);
        metrics::gauge!("ipn_receiver_reads_in_flight").set(self.queue.in_flight() as f64);
        metrics::gauge!("ipn_receiver_known_objects").set(self.store.len() as f64);
        for (event, sequence) in &batch.events {
            report_event(event, *sequence, now);
        }
        for received_at in self.inbox.latency.take_received_at() {
            metrics::histogram!("ipn_receiver_event_processing_seconds").record(now.since(received_at).as_secs_f64());
        }
        for object in std::mem::take(&mut self.outgoing.found) {
            report_missed_ipn(&object);
        }
        batch.dead_letters.iter().for_each(report_dead_letter);
    }

    /// Reports every few seconds how much work each operation of each merchant has, how old it is, and which limits were
    /// hit.
    pub(in crate::worker) fn report_lanes(&mut self, now: Timestamp) {
        if now < self.report_schedule.lanes_at {
            return;
        }
        self.report_schedule.lanes_at = now.plus(LANES_EVERY);
        for (account, kind, lane) in self.queue.lanes(now) {
            show(account, kind, lane, now);
            let is_backlog = lane.objects >= BACKLOG_OBJECTS_MIN && !lane.is_held_back;
            if is_backlog && self.report_schedule.backlogs.allow((account.clone(), kind)).is_some() {
                tracing::info!(
                    merchant = %account.merchant_id, environment = %account.environment, operation = %kind,
                    n_objects = lane.objects, oldest_s = now.since(lane.first_seen).as_secs(),
                    left_s = lane.time_left.as_secs(),
                    "a backlog of reads is being drained within the configured share of Amazon Pay's quota",
                );
            }
        }
        metrics::gauge!("ipn_receiver_inbox_oldest_unread_age_seconds")
            .set(self.inbox.latency.oldest_unread(now).as_secs_f64());
        let BoundHits { reads_in_flight, records_open } = self.queue.take_hits();
        metrics::counter!("ipn_receiver_limit_hits_total", "limit" => "reads_in_flight_max").increment(reads_in_flight);
        metrics::counter!("ipn_receiver_limit_hits_total", "limit" => "records_open_max").increment(records_open);
    }

    /// Sets the gauges to idle: the partitions are no longer assigned.
    pub(in crate::worker) fn report_gone(&self) {
        for (account, kind, _) in self.queue.lanes(Timestamp::NEVER) {
            show(account, kind, LaneReport::IDLE, Timestamp::NEVER);
        }
        metrics::gauge!("ipn_receiver_inbox_oldest_unread_age_seconds").set(0.0);
        self.reconciler.report_gone();
    }
}

/// Pending work of merchants that are no longer configured.
pub(super) fn report_kept(pending: &BTreeMap<Account, usize>) {
    for (account, n_objects) in pending {
        tracing::warn!(
            merchant = %account.merchant_id, environment = %account.environment, n_objects,
            "a merchant that is no longer configured has unread IPNs of {n_objects} objects; they are kept and not read. To \
             have their events published, configure the merchant again until its backlog is read"
        );
    }
}

fn report_event(event: &Event, sequence: u64, now: Timestamp) {
    metrics::counter!("ipn_receiver_events_published_total", "event_type" => event.event_type.name).increment(1);
    if let Some(last_updated) = event.last_updated {
        metrics::histogram!("ipn_receiver_event_delay_seconds").record(now.since(last_updated).as_secs_f64());
    }
    let newest_first = || event.causes.iter().rev();
    let message_ids: Vec<String> =
        newest_first().filter_map(Cause::message_id).map(|message_id| message_id.to_string()).collect();
    tracing::info!(
        event_id = %event.id, event_type = event.event_type.name, object_id = %event.object.id,
        charge_permission_id = %event.charge_permission_id, sequence,
        merchant = %event.object.account.merchant_id, environment = %event.object.account.environment,
        sns_message_id = (!message_ids.is_empty()).then(|| message_ids.join(" ")),
        trace_id = newest_first().find_map(Cause::trace_id), amazon_request_id = event.request_id.as_deref(),
        "{} published", event.event_type.name,
    );
}

fn report_missed_ipn(object: &ObjectRef) {
    metrics::counter!("ipn_receiver_missed_ipns_found_total", &labels(&object.account, object.kind)).increment(1);
    tracing::info!(
        object_id = %object.id, object_type = %object.kind, merchant = %object.account.merchant_id,
        environment = %object.account.environment,
        "reconciliation found and published a change without an IPN; if this repeats, check the IPN setup in Seller Central"
    );
}

fn report_dead_letter(dead_letter: &DeadLetter) {
    metrics::counter!("ipn_receiver_dead_letters_total", "reason" => dead_letter.reason.as_str()).increment(1);
    let object = dead_letter.history.object.as_ref();
    tracing::warn!(
        reason = dead_letter.reason.as_str(),
        detail = dead_letter.detail,
        partition = dead_letter.position.partition,
        offset = dead_letter.position.offset,
        object_id = object.map(|object| object.id.as_str()),
        merchant = object.map(|object| object.account.merchant_id.as_str()),
        environment = object.map(|object| object.account.environment.as_str()),
        sns_message_id = header(&dead_letter.headers, record_headers::SNS_MESSAGE_ID),
        "IPN moved to the dead-letter topic; fix the cause, then run `ipn-receiver redrive`",
    );
}

/// Each report scans all queued objects.
const LANES_EVERY: Duration = Duration::from_secs(5);
/// From this many objects of one operation on, its backlog is logged.
const BACKLOG_OBJECTS_MIN: usize = 100;
const BACKLOG_LOG_EVERY: Duration = Duration::from_secs(30);
