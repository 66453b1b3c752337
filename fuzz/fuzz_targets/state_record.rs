//! Records of the state topic, as the next owner of a partition restores them: its own, damaged ones and foreign ones.
//!
//! Shown: a record is read or refused with a short reason; all that was read can be worked with, whatever numbers, times and
//! words it holds, and can be written and read again.
//!
//! An input is a list of records (`record`); an empty value is a tombstone.
#![cfg_attr(fuzzing, no_main)]

use std::time::Duration;

use ipn_receiver::domain::events::{Derivation, Permission, Reading, derive};
use ipn_receiver::domain::pay::{DigestKey, Edge, Fetched, ObjectKind, ObjectRef};
use ipn_receiver::domain::state::in_charge::InCharge;
use ipn_receiver::domain::state::reconcile_schedule::{Schedule, due};
use ipn_receiver::domain::state::retention::Retention;
use ipn_receiver::domain::state::{KnownState, NoticeRules, Observed};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::domain::work::{BreakerRule, Pending, Quota, Requeue, Rules, WorkQueue};
use ipn_receiver::kafka::state_store::StateStore;
use ipn_receiver_fuzz::Corpus;
use ipn_receiver_fuzz::record::Record;
use ipn_receiver_fuzz::stage::{PARTITION, is_restored, seconds_after};
use serde_json::json;

ipn_receiver_fuzz::target!(run);

fn run(input: &[u8]) -> Corpus {
    let mut store = StateStore::default();
    for Record { key, value, .. } in Record::all_of(input) {
        let value = (!value.is_empty()).then_some(value.as_slice());
        if let Err(why) = store.apply(PARTITION, &key, value) {
            is_one_short_line(&why);
        }
    }
    let states: Vec<KnownState> = store.iter().map(|(_, state)| state).collect();
    assert_eq!((store.len(), store.is_empty()), (states.len(), states.is_empty()));
    for (account, in_charge) in &store.in_charge {
        let json = serde_json::to_vec(in_charge).expect("it is plain data");
        assert_eq!(
            InCharge::of_record(InCharge::key_of(account).as_bytes(), &json).unwrap().1.as_ref(),
            Some(in_charge)
        );
    }
    for state in states {
        is_restored(&state);
        can_be_viewed(&store, &state.object);
        can_be_continued(state);
    }
    for (object, pending) in store.take_pending(|_| true) {
        can_be_queued(&object, pending);
    }
    Corpus::Keep
}

fn is_one_short_line(why: &impl std::fmt::Display) {
    let why = why.to_string();
    assert!(why.len() <= 300 && !why.chars().any(char::is_control), "{why:?}");
}

fn can_be_viewed(store: &StateStore, object: &ObjectRef) {
    let view = store.view_at(object).expect("each record is found by its object");
    assert_eq!((view.id(), view.account), (object.id.as_str(), &object.account));
    if let Some(permission) = view.permission() {
        let _ = store.captured_of(&permission);
    }
    if let Some(due) = view.last_read().and_then(|last_read| due(&last_read, &SCHEDULE)) {
        let _ = due.by(now()).map(|due| now().since(due.since()));
    }
    let _ = RETENTION.action(view.quiet_since(), view.is_stub(), now());
    assert!(store.partitioner().values().all(|partition| *partition == PARTITION));
}

/// The worker publishes two more events and reads the object again, and the next owner restores that.
fn can_be_continued(mut state: KnownState) {
    let numbers = [state.next_sequence(now()), state.next_sequence(now())];
    assert!(numbers[0] <= numbers[1], "{numbers:?}");
    is_restored(&state);
    let Some(observed) = state.observed.take() else { return };
    let shrunk = KnownState { observed: Some(observed.clone().stub()), ..state.clone() };
    is_restored(&shrunk);
    if let Some(observed) = read_again(&state.object, &observed) {
        is_restored(&KnownState { observed: Some(observed), ..state });
    }
}

fn read_again(object: &ObjectRef, known: &Observed) -> Option<Observed> {
    let fetched = answer(object);
    let permission = Permission::unread(&known.charge_permission_id, known.charge_permission_type.as_deref());
    let reading =
        Reading { accept_stale: true, notices: SCHEDULE.notices, ..Reading::of(object, &fetched, permission, now()) };
    match derive(Some(known), &reading) {
        Derivation::Current { observed, .. } => Some(*observed),
        Derivation::Stale => None,
    }
}

/// An answer in which all of the object is new.
fn answer(object: &ObjectRef) -> Fetched {
    let state = match object.kind {
        ObjectKind::ChargePermission => "NonChargeable",
        ObjectKind::Charge => "Captured",
        ObjectKind::Refund => "Refunded",
        ObjectKind::Dispute => "Resolved",
    };
    let body = json!({
        object.kind.id_field(): object.id.as_str(),
        "statusDetails": {"state": state, "lastUpdatedTimestamp": "20260102T030405Z", "reasons": [{"reasonCode": "New"}]},
        "limits": {"amountLimit": {"amount": "100", "currencyCode": "USD"}, "amountBalance": {"amount": "1", "currencyCode": "USD"}},
        "captureAmount": {"amount": "1.00", "currencyCode": "USD"}, "expirationTimestamp": "20260103T000000Z",
    });
    let edge = Edge::strict(DigestKey::derive(b"fuzz"));
    Fetched::decode((object.kind, &object.id), object.account.environment, &edge, body.to_string().as_bytes())
        .expect("the answer is good")
}

/// Its reads fail twice, and the next owner restores the rest.
fn can_be_queued(object: &ObjectRef, pending: Pending) {
    let mut queue = WorkQueue::new(RULES, now());
    queue.restore(object, pending.not_after(now()));
    let mut at = now();
    for _ in 0..2 {
        at = at.plus(Duration::from_hours(2));
        assert_eq!(queue.take_due(at), std::slice::from_ref(object), "no work waits for longer than 90 minutes");
        let (history, failing_for) = (queue.history_of(object, at), queue.failing_for(object, at));
        assert!(history.attempts > queue.attempts_of(object) || history.attempts == u32::MAX, "{failing_for:?}");
        queue.requeue(object, Requeue::ObjectFailed, at.plus(Duration::from_mins(1)), at);
        queue.note_error(object, "answer is not a JSON object");
        let left = queue.pending_of(object).expect("its inbox records were committed");
        is_restored(&KnownState { pending: Some(left), ..KnownState::blank(object.clone()) });
    }
    let _ = queue.lanes(at);
    queue.take_due(at.plus(Duration::from_hours(2)));
    assert!(queue.complete(object, at).was_pending);
}

fn now() -> Timestamp {
    seconds_after(0)
}

const SCHEDULE: Schedule = Schedule {
    period_factor: 1.0,
    notices: NoticeRules {
        expiring_before: Duration::from_hours(30 * 24),
        limit_near_percent: 10,
        dispute_deadline_before: Duration::from_hours(3 * 24),
    },
};
const RETENTION: Retention =
    Retention { stub_after: Duration::from_hours(90 * 24), delete_after: Duration::from_hours(730 * 24) };
const WIDE: Quota = Quota { burst: 100.0, per_second: 100.0 };
const RULES: Rules = Rules {
    live: WIDE,
    sandbox: WIDE,
    reconciliation_share: 0.1,
    breaker: BreakerRule { failures: 3, probe_every: Duration::from_secs(10) },
    aged_after: Duration::from_mins(5),
    reads_in_flight_max: 16,
    records_open_max: 1000,
};
