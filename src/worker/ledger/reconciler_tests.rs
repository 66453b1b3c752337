//! Tests of the reconcile walk: which objects it queues, shrinks and deletes.

use std::time::Duration;

use serde_json::json;

use super::tests::{account, ledger_with, record_of};
use super::*;
use crate::amazon::pay_api::Disposition;
use crate::config::Quotas;
use crate::domain::pay::{DigestKey, Edge, Fetched, ObjectId, ObjectKind, State};
use crate::domain::state::reconcile_schedule::due;
use crate::domain::state::{Observed, Upcoming};
use crate::domain::work::{Cause, Origin};

const DAY: Duration = Duration::from_hours(24);
const NOW: i64 = 1_767_000_000_000;

fn now() -> Timestamp {
    Timestamp::from_unix_ms(NOW)
}

fn ledger() -> Ledger {
    let settings = Settings::default();
    let rules = Quotas::default().rules(&settings);
    let mut ledger = ledger_with(settings, rules, now());
    ledger.owning_partitions.insert(&account().merchant_id, 0);
    drop(ledger.take_batch(vec![]));
    ledger
}

fn object(kind: ObjectKind, id: &str) -> ObjectRef {
    ObjectRef { account: account(), kind, id: ObjectId::parse(id).unwrap() }
}

fn charge(n: usize) -> ObjectRef {
    object(ObjectKind::Charge, &format!("P01-1111111-2222222-C{n:06}"))
}

fn permission() -> ObjectRef {
    object(ObjectKind::ChargePermission, "P01-1111111-2222222")
}

/// Makes an object known that reached this state and was read `ago`.
fn know(ledger: &mut Ledger, object: &ObjectRef, state: &str, ago: Duration) {
    let at = now().minus(ago);
    let observed = Observed {
        state: State::parse(state),
        reasons: vec![],
        last_updated: Some(at),
        newest_update: None,
        repeats: 0,
        charge_permission_id: permission().id,
        charge_permission_id_source: None,
        charge_permission_type: None,
        attributes_digest: "0123456789abcdef".into(),
        attribute_revision: 3,
        unconfirmed_digest: None,
        payment_method_reason: None,
        captured: None,
        private: None,
        hint_settled: None,
        hint_explained_at: None,
        retry_advised_at: None,
        usable_since: None,
        unconfirmed_reads: 0,
        has_moved: false,
        stub: false,
        upcoming: Upcoming::default(),
        read_started_at: at,
        read_after: None,
        last_event_id: Some(uuid::Uuid::from_u128(7)),
    };
    ledger.store.put(0, KnownState { observed: Some(observed), ..KnownState::blank(object.clone()) });
}

/// Runs this many passes.
fn walk(ledger: &mut Ledger, from: Timestamp, passes: u32) -> Timestamp {
    let pass_ms = (ledger.store.len() as u64).clamp(1000, 60_000) + 100;
    let until = from.plus(Duration::from_millis(pass_ms) * passes);
    let mut at = from;
    while at < until {
        at = at.plus(Duration::from_millis(50));
        ledger.reconcile(at);
    }
    at
}

fn written(ledger: &mut Ledger) -> Vec<(String, Option<KnownState>)> {
    ledger.take_batch(vec![]).records.into_iter().map(|record| (record.key, record.value)).collect()
}

#[test]
fn quiet_final_object_becomes_a_stub_and_is_deleted_later() {
    let mut ledger = ledger();
    know(&mut ledger, &charge(1), "Captured", 29 * DAY);
    know(&mut ledger, &charge(2), "Captured", 31 * DAY);
    know(&mut ledger, &charge(3), "Captured", 731 * DAY);
    know(&mut ledger, &charge(4), "Tomorrow", 731 * DAY);
    let before = ledger.store.observed(&charge(2)).unwrap();
    let at = walk(&mut ledger, now(), 3);
    let records = written(&mut ledger);
    let keys: Vec<_> = records.iter().map(|(key, value)| (key.as_str(), value.is_some())).collect();
    assert_eq!(keys, [(charge(2).state_key().as_str(), true), (charge(3).state_key().as_str(), false)]);
    let stub = records[0].1.as_ref().unwrap().observed.clone().unwrap();
    assert!(stub.is_stub() && !before.is_stub());
    assert_eq!(stub, Observed { stub: true, ..before });
    walk(&mut ledger, at, 3);
    assert!(!ledger.has_output(), "a stub is not shrunk again");
    assert_eq!(ledger.store.len(), 3);
}

#[test]
fn permission_is_kept_while_its_objects_may_change() {
    let mut ledger = ledger();
    know(&mut ledger, &permission(), "Closed", 800 * DAY);
    let dispute = object(ObjectKind::Dispute, "P01-1111111-2222222-B000001");
    know(&mut ledger, &dispute, "UnderReview", 800 * DAY);
    let at = walk(&mut ledger, now(), 4);
    assert!(
        ledger.store.observed(&permission()).is_some_and(|known| !known.is_stub()),
        "a guarded permission is not shrunk either"
    );
    know(&mut ledger, &dispute, "Closed", Duration::ZERO);
    walk(&mut ledger, at, 3);
    assert!(ledger.store.get(&permission()).is_none() && ledger.store.get(&dispute).is_some());
}

#[test]
fn event_of_a_charge_renews_its_permission() {
    let mut ledger = ledger();
    know(&mut ledger, &permission(), "Closed", 800 * DAY);
    ledger.store.update(&permission(), 0, |state| state.sequence = Some((NOW - 1000) as u64));
    walk(&mut ledger, now(), 3);
    assert!(ledger.store.get(&permission()).is_some() && !ledger.has_output());
}

#[test]
fn queued_object_is_neither_shrunk_nor_deleted() {
    let mut ledger = ledger();
    know(&mut ledger, &charge(3), "Captured", 731 * DAY);
    ledger.take_in(record_of(&charge(3), "STATE_CHANGE", 0, now()), now());
    walk(&mut ledger, now(), 3);
    assert!(ledger.store.get(&charge(3)).is_some() && !ledger.has_output());
}

#[test]
fn longest_due_objects_are_queued_first_and_few_at_a_time() {
    let mut ledger = ledger();
    for n in 0..5000 {
        // The due order differs from the slot order.
        know(&mut ledger, &charge(n), "Authorized", 2 * DAY + Duration::from_secs((n * 7919 % 5000) as u64));
    }
    walk(&mut ledger, now(), 3);
    // Two passes of five seconds at 0.32 reads a second.
    assert_eq!(ledger.queue.len(), 5);
    let mut in_order: Vec<_> = (0..5000)
        .map(|n| {
            let known = ledger.store.view_at(&charge(n)).unwrap();
            let last_read = known.last_read().unwrap();
            (due(&last_read, &ledger.reconciler.schedule.unwrap()).unwrap().at(), charge(n))
        })
        .collect();
    in_order.sort();
    assert!(in_order[..5].iter().all(|(_, object)| ledger.queue.is_reconciling(object)));
    assert_eq!(ledger.queue.lanes(now())[0].2.objects, 0, "reconciliation reads are no backlog");
}

/// Reads the charge when it is due.
fn reconcile_read(ledger: &mut Ledger, from: Timestamp, state: &str, updated: Timestamp) -> Timestamp {
    let mut at = from;
    let due = loop {
        at = walk(ledger, at, 1);
        if let Some(due) = ledger.queue.take_due(at).pop() {
            break due;
        }
        assert!(at < from.plus(2 * DAY), "the object is not due in time");
        at = at.plus(Duration::from_mins(10));
    };
    answer(ledger, &due, state, updated, at);
    at
}

fn answer(ledger: &mut Ledger, object: &ObjectRef, state: &str, updated: Timestamp, at: Timestamp) {
    let body = json!({"chargeId": object.id, "chargePermissionId": permission().id,
        "statusDetails": {"state": state, "lastUpdatedTimestamp": updated}});
    let edge = Edge::strict(DigestKey::derive(b"test"));
    let fetched = Fetched::decode((object.kind, &object.id), account().environment, &edge, body.to_string().as_bytes());
    ledger.apply_read(object, Disposition::Fetched(Box::new(fetched.unwrap())), at.into(), at);
}

#[test]
fn unchanged_reconciliation_reads_are_rarely_written() {
    let mut ledger = ledger();
    let updated = now().minus(2 * DAY);
    know(&mut ledger, &charge(1), "Authorized", 2 * DAY);
    answer(&mut ledger, &charge(1), "Authorized", updated, now()); // records the digest of its attributes
    answer(&mut ledger, &charge(1), "Authorized", updated, now());
    written(&mut ledger);
    ledger.outgoing.found.clear();
    let (mut at, mut n_written) = (now(), 0);
    for _ in 0..16 {
        let read_at = reconcile_read(&mut ledger, at, "Authorized", updated);
        assert!(read_at.since(at) >= DAY.mul_f64(0.84), "the reads are one period apart");
        assert_eq!(ledger.store.observed(&charge(1)).unwrap().read_started_at, read_at);
        n_written += written(&mut ledger).len();
        at = read_at;
    }
    assert_eq!((n_written, ledger.outgoing.found.len()), (2, 0));
}

#[test]
fn change_without_ipn_counts_as_missed_unless_one_arrives() {
    for (ipn_comes, found) in [("never", 1), ("while it waits", 0), ("while it is read", 0)] {
        let mut ledger = ledger();
        know(&mut ledger, &permission(), "Closed", DAY);
        know(&mut ledger, &charge(1), "Authorized", 2 * DAY);
        let at = walk(&mut ledger, now(), 3);
        let ipn = || record_of(&charge(1), "STATE_CHANGE", 0, at);
        if ipn_comes == "while it waits" {
            ledger.take_in(ipn(), at);
            assert!(!ledger.queue.is_reconciling(&charge(1)), "the IPN takes precedence");
        }
        assert_eq!(ledger.queue.take_due(at.plus(DAY)), [charge(1)]);
        if ipn_comes == "while it is read" {
            ledger.take_in(ipn(), at);
        }
        answer(&mut ledger, &charge(1), "Captured", at, at);
        let batch = ledger.take_batch(vec![]);
        assert_eq!(batch.events.len(), 1, "{ipn_comes}");
        let is_marked = matches!(batch.events[0].0.causes[..], [Cause { origin: Origin::Reconciliation, .. }]);
        assert_eq!((is_marked, ledger.outgoing.found.len()), (ipn_comes != "while it waits", found), "{ipn_comes}");
    }
}

#[test]
fn objects_of_a_removed_merchant_are_not_reconciled() {
    for merchant in ["M1", "GONE"] {
        let mut ledger = ledger();
        let account = Account { merchant_id: MerchantId::parse(merchant).unwrap(), ..account() };
        know(&mut ledger, &ObjectRef { account, ..charge(1) }, "Authorized", 2 * DAY);
        walk(&mut ledger, now(), 3);
        assert_eq!(ledger.queue.len(), usize::from(merchant == "M1"));
    }
}

#[test]
fn vanished_object_waits_for_its_next_reconciliation() {
    let mut ledger = ledger();
    know(&mut ledger, &charge(1), "Authorized", 2 * DAY);
    let at = walk(&mut ledger, now(), 3).plus(DAY);
    assert_eq!(ledger.queue.take_due(at), [charge(1)]);
    ledger.apply_read(&charge(1), Disposition::NotFound("404".into()), at.into(), at);
    assert!(ledger.queue.is_empty() && ledger.store.observed(&charge(1)).is_some());
    walk(&mut ledger, at, 3);
    assert!(ledger.queue.is_empty(), "not due before the next period");
}
