//! Everything the worker knows during one assignment: known state, work, and how far the inbox is answered.
//!
//! No waiting, no Kafka and no clock here, so its rules are tested without them.

pub(super) mod dead_letters;
mod deferred_reads;
mod inbox_latency;
mod read_outcome;
mod rechecks;
mod reconcile_walk;
mod reconciler;
mod report;
mod requests;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use self::dead_letters::PendingDeadLetter;
use self::deferred_reads::DeferredReads;
use self::inbox_latency::InboxLatency;
use self::reconciler::Reconciler;
use super::context::{Positions, UpdateUrls, WorkerContext};
use crate::config::{Reconciliation, Worker as Settings};
use crate::domain::dead_letter::{DeadLetter, DeadLetterReason, History};
use crate::domain::events::Event;
use crate::domain::ipn::recheck_request::{self, KIND_HEADER};
use crate::domain::ipn::routing::{Merchants, Unroutable};
use crate::domain::ipn::{Ipn, Message};
use crate::domain::pay::{Account, MerchantId, ObjectRef};
use crate::domain::sns::Envelope;
use crate::domain::state::KnownState;
use crate::domain::timestamp::Timestamp;
use crate::domain::trace::TraceParent;
use crate::domain::work::{Cause, InboxPosition, Offsets, Origin, Rules, WorkQueue};
use crate::kafka::inbox::{InboxRecord, TRACE_HEADER};
use crate::kafka::outbox::{Batch, StateRecord};
use crate::kafka::state_store::{Restored, StateStore};
use crate::telemetry::log_throttle::LogThrottle;

/// The books of one assignment.
pub(in crate::worker) struct Ledger {
    pub(in crate::worker) settings: Settings,
    pub(in crate::worker) merchants: std::sync::Arc<Merchants>,
    /// Where buyers update their payment method, by account.
    pub(in crate::worker) update_urls: UpdateUrls,
    pub(in crate::worker) store: StateStore,
    pub(in crate::worker) queue: WorkQueue,
    offsets: HashMap<i32, Offsets>,
    /// The partition that a merchant's objects live in.
    partitioner: HashMap<MerchantId, i32>,
    pub(in crate::worker) events: Vec<(Event, u64)>,
    pub(in crate::worker) inbox_latency: InboxLatency,
    /// Objects whose state records are to be written.
    changed: BTreeSet<ObjectRef>,
    pending_dead_letters: Vec<PendingDeadLetter>,
    /// Objects whose change nobody told us of.
    pub(in crate::worker) found: Vec<ObjectRef>,
    pub(in crate::worker) waiting: DeferredReads,
    pub(in crate::worker) reconciler: Reconciler,
    /// When overdue work is looked for next.
    look_again_at: Timestamp,
    /// Objects that cannot be read, told of once in a while for each account.
    pub(in crate::worker) object_troubles: LogThrottle<Account>,
    pub(in crate::worker) report_lanes_at: Timestamp,
    pub(in crate::worker) tell_backlog_at: Timestamp,
    /// Whether the broker's times and ours agree well enough to compare them.
    clocks_agree: bool,
}

impl Ledger {
    /// Opens the books over restored state.
    pub(in crate::worker) fn new(
        context: &WorkerContext,
        restored: Restored,
        positions: &Positions,
        now: Timestamp,
    ) -> Self {
        let clocks_agree = clocks_agree(restored.barrier_at, now, &context.settings);
        let ledger = Self::open(
            context.settings.clone(),
            context.rules,
            context.merchants.clone(),
            restored.store,
            positions,
            now,
        );
        let reconciler = Reconciler::new(&context.settings, &context.reconciliation, now);
        Self { clocks_agree, reconciler, update_urls: context.update_urls.clone(), ..ledger }
    }

    fn open(
        settings: Settings,
        rules: Rules,
        merchants: std::sync::Arc<Merchants>,
        mut store: StateStore,
        positions: &Positions,
        now: Timestamp,
    ) -> Self {
        let mut queue = WorkQueue::new(rules, now);
        let waiting = DeferredReads::new(settings.answers_kept_max);
        let partitioner = store.partitioner();
        // From here on the queue alone keeps it, until a record is written anew.
        for (object, pending) in store.take_pending() {
            queue.restore(&object, pending);
        }
        let offsets =
            positions.iter().map(|(partition, position)| (*partition, Offsets::starting_at(*position))).collect();
        Self {
            reconciler: Reconciler::new(&settings, &Reconciliation::default(), now),
            settings,
            merchants,
            update_urls: UpdateUrls::default(),
            store,
            queue,
            offsets,
            partitioner,
            events: Vec::new(),
            inbox_latency: InboxLatency::default(),
            changed: BTreeSet::new(),
            pending_dead_letters: Vec::new(),
            found: Vec::new(),
            waiting,
            look_again_at: now,
            object_troubles: LogThrottle::new(TROUBLES_TOLD_EVERY),
            report_lanes_at: now,
            tell_backlog_at: now,
            clocks_agree: true,
        }
    }

    /// Takes one inbox record in: it becomes work, is already answered, or is a dead letter.
    pub(in crate::worker) fn take_in(&mut self, record: InboxRecord, now: Timestamp) {
        let Some(offsets) = self.offsets.get_mut(&record.position.partition) else { return };
        offsets.consumed(record.position.offset);
        self.inbox_latency.note(record.position, record.appended_at);
        match self.read(&record) {
            Ok((object, cause)) => {
                self.partitioner.insert(object.account.merchant_id.clone(), record.position.partition);
                if self.is_answered(&object, &record) {
                    tracing::debug!(object.id = %object.id, "appended well before the last read; needs no other");
                    self.done(&[record.position]);
                } else {
                    self.queue.push(&object, cause, now);
                }
            }
            Err((reason, detail)) => {
                self.pending_dead_letters.push(PendingDeadLetter {
                    reason,
                    detail,
                    history: History::of_one(record.appended_at),
                    positions: vec![record.position],
                    record: Some(record),
                });
            }
        }
    }

    /// Writes work that waits for long, or that is too much, into its state records, so that the inbox moves on.
    pub(in crate::worker) fn release_overdue(&mut self, now: Timestamp) {
        if now < self.look_again_at {
            return;
        }
        self.look_again_at = now.plus(LOOK_EVERY);
        let age_max = Duration::from_millis(self.settings.pending_after_ms);
        for (object, positions) in self.queue.release(now, age_max, RELEASED_AT_ONCE_MAX) {
            self.note_changed(&object);
            self.done(&positions);
        }
    }

    /// Whether there is something to write besides offsets.
    pub(in crate::worker) fn has_news(&self) -> bool {
        !self.events.is_empty() || !self.changed.is_empty() || !self.pending_dead_letters.is_empty()
    }

    /// Whether the inbox got further.
    pub(in crate::worker) fn offsets_moved(&self) -> bool {
        self.offsets.values().any(Offsets::has_moved)
    }

    /// Hands out what is to become dead letters; their records count as answered.
    pub(in crate::worker) fn take_pending_dead_letters(&mut self) -> Vec<PendingDeadLetter> {
        let pending_dead_letters = std::mem::take(&mut self.pending_dead_letters);
        for letter in &pending_dead_letters {
            self.done(&letter.positions);
        }
        pending_dead_letters
    }

    /// Hands out what is to be written.
    pub(in crate::worker) fn take_batch(&mut self, dead_letters: Vec<DeadLetter>) -> Batch {
        let changed = std::mem::take(&mut self.changed);
        let records = changed.into_iter().map(|object| self.record(&object)).collect();
        Batch { events: std::mem::take(&mut self.events), records, dead_letters, markers: Vec::new() }
    }

    /// A position for every partition, moved or not.
    pub(in crate::worker) fn positions(&self) -> Positions {
        self.offsets.iter().map(|(partition, offsets)| (*partition, offsets.position())).collect()
    }

    /// Which offset of this partition was to come next, if it is not this one.
    pub(in crate::worker) fn expected_instead_of(&self, position: InboxPosition) -> Option<i64> {
        self.offsets.get(&position.partition).map(Offsets::next).filter(|next| *next != position.offset)
    }

    /// These positions and this batch are Kafka's now.
    pub(in crate::worker) fn committed(&mut self, positions: &Positions) {
        for (partition, position) in positions {
            if let Some(offsets) = self.offsets.get_mut(partition) {
                offsets.committed(*position);
            }
        }
    }

    /// These inbox records have their answer.
    pub(in crate::worker) fn done(&mut self, positions: &[InboxPosition]) {
        for position in positions {
            self.inbox_latency.forget(*position);
            if let Some(offsets) = self.offsets.get_mut(&position.partition) {
                offsets.done(position.offset);
            }
        }
    }

    /// The partition an object's state belongs to: the one its merchant's notifications come by.
    pub(in crate::worker) fn owning_partition(&self, object: &ObjectRef) -> i32 {
        self.partitioner
            .get(&object.account.merchant_id)
            .copied()
            .expect("work comes from a record or from restored state, and both set it")
    }

    /// The object's state record is to be written with the next batch.
    pub(in crate::worker) fn note_changed(&mut self, object: &ObjectRef) {
        if !self.changed.contains(object) {
            self.changed.insert(object.clone());
        }
    }

    /// What the state topic is to hold of an object: what is known of it, and the work that is owed.
    fn record(&self, object: &ObjectRef) -> StateRecord {
        let known = self.store.get(object);
        let state = KnownState {
            pending: self.queue.pending_of(object),
            ..known.unwrap_or_else(|| KnownState::blank(object.clone()))
        };
        let value = (!state.is_blank()).then_some(state);
        StateRecord { key: object.state_key(), partition: self.owning_partition(object), value }
    }

    pub(in crate::worker) fn dead_letter(&mut self, pending_dead_letters: PendingDeadLetter) {
        self.pending_dead_letters.push(pending_dead_letters);
    }

    fn read(&self, record: &InboxRecord) -> Result<(ObjectRef, Cause), (DeadLetterReason, String)> {
        record.check_schema().map_err(|what| (DeadLetterReason::NotUnderstood, what))?;
        if record.header(KIND_HEADER) == Some(recheck_request::KIND) {
            return requests::read(&self.merchants, record);
        }
        // It was verified before it was appended, and only this program appends.
        let envelope = Envelope::parse(record.value.clone())
            .map_err(|error| (DeadLetterReason::NotUnderstood, error.to_string()))?;
        let ipn = match Message::parse(&envelope.message) {
            Message::Ipn(ipn) => ipn,
            Message::LegacyV1 { notification_type } => {
                return Err((
                    DeadLetterReason::NotUnderstood,
                    format!("a V1 (MWS) notification of type {notification_type}"),
                ));
            }
            Message::NotUnderstood(why) => return Err((DeadLetterReason::NotUnderstood, why.to_owned())),
        };
        let object = self.route(&envelope, &ipn, record)?;
        self.compare_permission(&object, &ipn);
        let message_id = envelope.message_id.parse().expect("an envelope's MessageId is a UUID");
        let given = record.header(TRACE_HEADER).and_then(TraceParent::parse);
        let origin = Origin::Ipn {
            message_id,
            notification_type: ipn.notification_type,
            position: record.position,
            traceparent: given.filter(|given| *given != TraceParent::of_message(message_id)).map(Box::new),
        };
        let cause = Cause { origin, timestamp: envelope.timestamp };
        tracing::debug!(object.id = %object.id, sns.message_id = %message_id, trace_id = cause.trace_id(), "taken in");
        Ok((object, cause))
    }

    fn route(
        &self,
        envelope: &Envelope,
        ipn: &Ipn,
        record: &InboxRecord,
    ) -> Result<ObjectRef, (DeadLetterReason, String)> {
        let topic = envelope.topic_arn.as_str();
        let routed = self.merchants.route(&envelope.topic_arn, ipn).map_err(|unroutable| match unroutable {
            Unroutable::UnknownMerchant => {
                (DeadLetterReason::UnknownMerchant, format!("no merchants[] entry has id {}", ipn.merchant_id))
            }
            Unroutable::Misrouted => (
                DeadLetterReason::Misrouted,
                format!(
                    "merchant {} is not configured for topic {topic} and object {}",
                    ipn.merchant_id, ipn.object_id
                ),
            ),
        });
        let object = routed?;
        if record.key != object.account.merchant_id.as_str().as_bytes() {
            // Appended before the merchant was configured, so in another's partition: a merchant has one owner.
            return Err((
                DeadLetterReason::UnknownMerchant,
                format!("merchant {} was configured after this was received; redrive it", ipn.merchant_id),
            ));
        }
        Ok(object)
    }

    /// An IPN's permission is only compared: what Amazon's API said counts.
    fn compare_permission(&self, object: &ObjectRef, ipn: &Ipn) {
        let Some(claimed) = &ipn.charge_permission_id else { return };
        let Some(observed) = self.store.observed(object) else { return };
        if observed.charge_permission_id != *claimed {
            metrics::counter!("ipn_receiver_permission_mismatches_total").increment(1);
            tracing::warn!(
                object.id = %object.id, %claimed, known = %observed.charge_permission_id,
                "an IPN names another charge permission than Amazon Pay did; what Amazon Pay said counts"
            );
        }
    }

    /// Whether the last read of the object began well after this record was appended.
    fn is_answered(&self, object: &ObjectRef, record: &InboxRecord) -> bool {
        if !self.clocks_agree {
            return false;
        }
        let Some(observed) = self.store.observed(object) else { return false };
        let margin = Duration::from_millis(self.settings.inbox_clock_margin_ms);
        record.appended_at.plus(margin) < observed.read_started_at
    }
}

/// Whether the broker's clock can be compared with ours. If not, no notification counts as answered by an earlier
/// read, which costs reads after a restart and loses nothing.
fn clocks_agree(broker: Option<Timestamp>, ours: Timestamp, settings: &Settings) -> bool {
    let Some(broker) = broker else { return true };
    let apart = ours.since(broker).max(broker.since(ours));
    let agree = apart < Duration::from_millis(settings.inbox_clock_margin_ms / 2);
    if !agree {
        tracing::error!(
            apart_ms = apart.as_millis() as u64,
            "this machine's clock and the broker's are apart; mend the one that is wrong (NTP)"
        );
    }
    agree
}

const TROUBLES_TOLD_EVERY: Duration = Duration::from_secs(30);
/// Ten thousand a second, in transactions of some tens of milliseconds.
const RELEASED_AT_ONCE_MAX: usize = 1000;
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;

#[cfg(test)]
mod reconciler_tests;

#[cfg(test)]
mod drain_tests;

#[cfg(test)]
mod recheck_tests;

#[cfg(test)]
mod reconciliation_tests;
