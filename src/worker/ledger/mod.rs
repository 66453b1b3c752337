//! The worker's state during one assignment of partitions: known objects, queued work, how far the inbox is answered, and
//! what the next transaction writes.
//!
//! No Kafka, no clock and no waiting here: time is an argument, so tests run these rules in virtual time.

mod dead_letters;
mod deferred_reads;
mod in_charge;
mod inbox_latency;
mod inbox_progress;
pub mod intake;
mod older_answers;
mod parent_wait;
mod read_failure;
mod read_outcome;
mod reconcile_walk;
mod reconciler;
mod report;
mod unwritable;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use self::dead_letters::GivenUpObjects;
use self::deferred_reads::DeferredReads;
pub(in crate::worker) use self::deferred_reads::ReadStart;
use self::inbox_progress::InboxProgress;
use self::intake::Intake;
use self::older_answers::OlderAnswers;
use self::parent_wait::NamedPermission;
use self::reconcile_walk::Known;
use self::reconciler::Reconciler;
use self::report::{ReportSchedule, report_kept};
use super::context::{LedgerConfig, Positions, UpdateUrls};
use crate::config::Worker as Settings;
use crate::domain::dead_letter::DeadLetter;
use crate::domain::events::Event;
use crate::domain::ipn::routing::Merchants;
use crate::domain::pay::{Account, MerchantId, ObjectId, ObjectKind, ObjectRef};
use crate::domain::state::reconcile_schedule::Schedule;
use crate::domain::state::{InboxMark, KnownState, NoticeRules, Observed};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::{Cause, WorkQueue};
use crate::kafka::inbox::InboxRecord;
use crate::kafka::outbox::{Batch, StateRecord};
use crate::kafka::state_store::{Restored, StateStore};
use crate::telemetry::log_throttle::LogThrottle;

/// The state of one assignment.
pub(in crate::worker) struct Ledger {
    settings: Settings,
    merchants: Arc<Merchants>,
    update_urls: UpdateUrls,
    notices: NoticeRules,
    pub(in crate::worker) store: StateStore,
    pub(in crate::worker) queue: WorkQueue,
    pub(in crate::worker) inbox: InboxProgress,
    owning_partitions: OwningPartitions,
    /// The partition count of inbox and state.
    partitions: i32,
    outgoing: Outgoing,
    given_up: GivenUpObjects,
    deferred_reads: DeferredReads,
    older_answers: OlderAnswers,
    reconciler: Reconciler,
    /// When overdue work is released next.
    release_at: Timestamp,
    /// By object and cause: another object, or another error of this one, gets a line of its own.
    object_errors: LogThrottle<(ObjectRef, String)>,
    report_schedule: ReportSchedule,
}

/// What the next transaction writes besides offsets.
#[derive(Default)]
struct Outgoing {
    events: Vec<(Event, u64)>,
    /// Objects whose state records must be written.
    changed: BTreeSet<ObjectRef>,
    /// Accounts whose records of since when they are in our charge must be written.
    in_charge: BTreeSet<Account>,
    dead_letters: Vec<DeadLetter>,
    /// Objects with a change that reconciliation found; reported after the commit.
    found: Vec<ObjectRef>,
}

/// The partition that holds the state of each merchant's objects: the one that its inbox records come from.
struct OwningPartitions(HashMap<MerchantId, i32>);

impl Ledger {
    /// Starts from restored state and the group's positions in the inbox.
    pub(in crate::worker) fn new(
        config: LedgerConfig,
        restored: Restored,
        positions: &Positions,
        now: Timestamp,
    ) -> Self {
        let LedgerConfig { settings, reconciliation, notices, rules, merchants, update_urls, partitions } = config;
        let schedule = Schedule { period_factor: reconciliation.period_factor, notices };
        let mut store = restored.store;
        let mut queue = WorkQueue::new(rules, now);
        let owning_partitions = OwningPartitions(store.partitioner());
        // From here on only the queue holds the pending work, until a record is written again. Without a key nothing can be
        // read: the work of a merchant that is no longer configured stays in its records.
        for (object, pending) in store.take_pending(|account| merchants.has(account)) {
            queue.restore(&object, pending.not_after(now));
        }
        report_kept(&store.pending_by_account());
        let mut ledger = Self {
            merchants,
            update_urls,
            partitions,
            store,
            queue,
            inbox: InboxProgress::starting_at(positions),
            owning_partitions,
            outgoing: Outgoing::default(),
            given_up: GivenUpObjects::default(),
            deferred_reads: DeferredReads::new(
                settings.answers_kept_max,
                Duration::from_millis(settings.parent_wait_max_ms),
            ),
            older_answers: OlderAnswers::default(),
            reconciler: Reconciler::new(&settings, reconciliation.enabled.then_some(schedule), now),
            notices,
            release_at: now,
            object_errors: LogThrottle::new(OBJECT_ERROR_LOG_EVERY),
            report_schedule: ReportSchedule::starting_at(now),
            settings,
        };
        ledger.take_charge(now);
        ledger
    }

    /// Takes an inbox record: it becomes work, is already answered, or becomes a dead letter.
    pub(in crate::worker) fn take_in(&mut self, record: InboxRecord, now: Timestamp) {
        if !self.inbox.consumed(record.position, record.appended_at) {
            return;
        }
        let in_place = |account: &Account| intake::check_partition(account, &record, self.partitions);
        let taken = match intake::parse_in_charge_since(&self.merchants, &record) {
            Some(request) => request
                .and_then(|request| in_place(&request.account).map(|()| request))
                .map(|request| self.set_in_charge_since(request, &record)),
            None => intake::parse(&self.merchants, &record)
                .and_then(|intake| in_place(&intake.object.account).map(|()| intake))
                .map(|intake| self.queue_read(intake, &record, now)),
        };
        if let Err(error) = taken {
            self.refuse(record, error);
        }
    }

    /// Queues a read for a record, unless an earlier read has answered it.
    fn queue_read(&mut self, intake: Intake, record: &InboxRecord, now: Timestamp) {
        let Intake { object, cause, claimed_permission } = intake;
        if self.store.set_aside.holds_back(&object) {
            // The record stays unanswered in the inbox.
            return;
        }
        if let Some(claimed) = claimed_permission {
            self.compare_permission(&object, &claimed);
        }
        self.owning_partitions.insert(&object.account.merchant_id, record.position.partition);
        self.note_in_charge(&object.account, record.appended_at);
        if self.is_answered(&object, record) && !self.is_open_evidence(&object, &cause) {
            tracing::debug!(
                object_id = %object.id, merchant = %object.account.merchant_id,
                environment = %object.account.environment, partition = record.position.partition,
                offset = record.position.offset,
                "an earlier read of the object answers this IPN; no other read is needed"
            );
            self.inbox.done(&[record.position]);
        } else {
            self.queue.push(&object, cause, now);
        }
    }

    /// The objects to read now, each with what its read answers.
    pub(in crate::worker) fn take_due(&mut self, now: Timestamp) -> Vec<(ObjectRef, ReadStart)> {
        let due = self.queue.take_due(now).into_iter();
        due.map(|object| {
            let after = self.inbox.newest(self.owning_partitions.of(&object));
            (object, ReadStart { at: now, after })
        })
        .collect()
    }

    /// Ends waits for parents, releases overdue work and continues the reconcile walk.
    pub(in crate::worker) fn maintain(&mut self, now: Timestamp) {
        self.end_waits(now);
        self.release_overdue(now);
        self.reconcile(now);
    }

    /// Moves work that has waited for too long, or that exceeds the limit, into its state records, so that the inbox
    /// offsets advance.
    fn release_overdue(&mut self, now: Timestamp) {
        if now < self.release_at {
            return;
        }
        self.release_at = now.plus(RELEASE_EVERY);
        let age_max = Duration::from_millis(self.settings.pending_after_ms);
        for (object, positions) in self.queue.release(now, age_max, RELEASED_AT_ONCE_MAX) {
            self.outgoing.note_changed(&object);
            self.inbox.done(&positions);
        }
    }

    fn reconcile(&mut self, now: Timestamp) {
        let known = Known {
            store: &mut self.store,
            queue: &mut self.queue,
            merchants: &self.merchants,
            owning_partitions: &self.owning_partitions,
        };
        for object in self.reconciler.walk(known, now) {
            self.outgoing.note_changed(&object);
        }
    }

    /// Whether there is something to write besides offsets.
    pub(in crate::worker) fn has_output(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Takes the dead letters of the next transaction.
    pub(in crate::worker) fn take_dead_letters(&mut self) -> Vec<DeadLetter> {
        std::mem::take(&mut self.outgoing.dead_letters)
    }

    /// Takes what the next transaction writes.
    pub(in crate::worker) fn take_batch(&mut self, dead_letters: Vec<DeadLetter>) -> Batch {
        let changed = std::mem::take(&mut self.outgoing.changed).into_iter();
        // The record of a later release is left alone.
        let changed = changed.filter(|object| !self.store.set_aside.holds_back(object));
        let records = changed.map(|object| self.record(&object)).collect();
        let in_charge = self.take_in_charge();
        let events = std::mem::take(&mut self.outgoing.events);
        let dead_letters = dead_letters.into_iter().map(DeadLetter::fitting).collect();
        Batch { events, records, in_charge, dead_letters, markers: Vec::new() }
    }

    /// The state record of an object: its known state and its pending work.
    fn record(&self, object: &ObjectRef) -> StateRecord {
        let known = self.store.get(object).unwrap_or_else(|| KnownState::blank(object.clone()));
        let state = KnownState { pending: self.queue.pending_of(object).or(known.pending), ..known };
        let value = (!state.is_blank()).then_some(state);
        StateRecord { key: object.state_key(), partition: self.owning_partitions.of(object), value }
    }

    /// Reports an IPN that names another charge permission than the Amazon Pay API. The API is right.
    fn compare_permission(&self, object: &ObjectRef, claimed: &ObjectId) {
        let Some(observed) = self.store.observed(object) else { return };
        if observed.charge_permission_id_source.is_none() {
            report_mismatch(object, &observed.charge_permission_id, claimed);
        }
    }

    /// Reports that an object was published under the permission of its IPN, and that the Amazon Pay API names another one.
    fn compare_named(object: &ObjectRef, known: &Observed, named: &NamedPermission) {
        if known.charge_permission_id_source.is_some() && named.source.is_none() {
            report_mismatch(object, &named.permission.id, &known.charge_permission_id);
        }
    }

    /// Whether the IPN itself is the evidence of a change that no event reports yet. No read answers such an IPN.
    fn is_open_evidence(&self, object: &ObjectRef, cause: &Cause) -> bool {
        let settled = || self.store.observed(object).and_then(|observed| observed.hint_settled);
        object.kind == ObjectKind::ChargePermission && cause.is_attribute_change() && Some(cause.timestamp) > settled()
    }

    /// Whether a read of the object began after this record was consumed. Offsets decide, so no clock can hide an IPN.
    fn is_answered(&self, object: &ObjectRef, record: &InboxRecord) -> bool {
        let read_after = self.store.observed(object).and_then(|observed| observed.read_after);
        let record = InboxMark { offset: record.position.offset, appended_at: record.appended_at };
        read_after.is_some_and(|mark| record.is_within(mark))
    }
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.changed.is_empty() && self.in_charge.is_empty() && self.dead_letters.is_empty()
    }

    /// Writes the object's state record with the next batch.
    fn note_changed(&mut self, object: &ObjectRef) {
        if !self.changed.contains(object) {
            self.changed.insert(object.clone());
        }
    }
}

impl OwningPartitions {
    fn insert(&mut self, merchant: &MerchantId, partition: i32) {
        self.0.insert(merchant.clone(), partition);
    }

    fn of(&self, object: &ObjectRef) -> i32 {
        let partition = self.0.get(&object.account.merchant_id).copied();
        partition.expect("work comes from an inbox record or from restored state, and both set the partition")
    }
}

fn report_mismatch(object: &ObjectRef, of_api: &ObjectId, claimed: &ObjectId) {
    if of_api == claimed {
        return;
    }
    metrics::counter!("ipn_receiver_permission_mismatches_total").increment(1);
    tracing::warn!(
        object_id = %object.id, merchant = %object.account.merchant_id, environment = %object.account.environment,
        charge_permission_id = %of_api, claimed_charge_permission_id = %claimed,
        "IPN and Amazon Pay API name different charge permissions for this object; its events carry the one of the API"
    );
}

const OBJECT_ERROR_LOG_EVERY: Duration = Duration::from_secs(30);
/// 10,000 a second, in transactions of some tens of milliseconds.
const RELEASED_AT_ONCE_MAX: usize = 1000;
const RELEASE_EVERY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;

#[cfg(test)]
mod clock_tests;

#[cfg(test)]
mod hint_tests;

#[cfg(test)]
mod lag_tests;

#[cfg(test)]
mod throttle_tests;

#[cfg(test)]
mod reconciler_tests;

#[cfg(test)]
mod known_date_tests;

#[cfg(test)]
mod drain_tests;

#[cfg(test)]
mod parent_read_tests;

#[cfg(test)]
mod bounded_wait_tests;

#[cfg(test)]
mod recheck_tests;

#[cfg(test)]
mod removed_merchant_tests;

#[cfg(test)]
mod reconciliation_tests;

#[cfg(test)]
mod in_charge_tests;

#[cfg(test)]
mod unwritable_tests;
