//! Tests of since when a merchant has been in our charge: the first start, restarts, later merchants, an operator's time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::tests::{account, at, decode, fetched, record};
use super::*;
use crate::amazon::pay_api::Disposition;
use crate::config::{Quotas, Reconciliation};
use crate::domain::dead_letter::DeadLetterReason;
use crate::domain::ipn::in_charge_request::{self, SetInChargeSince};
use crate::domain::ipn::routing::Merchant;
use crate::domain::pay::{Environment, ObjectKind};
use crate::domain::record_headers;
use crate::domain::sns::{TopicPolicy, TopicRule};
use crate::domain::state::in_charge::InCharge;
use crate::domain::state::partitioner::owning_partition;
use crate::domain::work::{InboxPosition, Quota, Rules};

const DAY: i64 = 86_400;

fn merchant(id: &str, environment: Environment) -> Merchant {
    let rule =
        TopicRule::Owner { owner: id.into(), accounts: vec!["291180941288".into()], regions: vec!["eu-west-1".into()] };
    let account = Account { merchant_id: MerchantId::parse(id).unwrap(), environment };
    Merchant { account, topics: TopicPolicy::new(vec![rule]) }
}

/// A ledger of a worker that owns the partition 0 of `partitions`, started at `now_s`.
fn started(store: StateStore, merchants: &[Merchant], partitions: i32, now_s: i64) -> Ledger {
    let settings = Settings::default();
    let quota = Quota { burst: 1e6, per_second: 1e9 };
    let rules = Rules { live: quota, sandbox: quota, ..Quotas::default().rules(&settings) };
    let config = LedgerConfig {
        settings,
        reconciliation: Reconciliation::default(),
        notices: crate::config::Events::default().notices(),
        rules,
        merchants: Arc::new(Merchants::new(merchants.to_vec())),
        update_urls: UpdateUrls::default(),
        partitions,
    };
    let restored = Restored { store, ..Restored::default() };
    Ledger::new(config, restored, &BTreeMap::from([(0, 0)]), at(now_s))
}

fn first_start(now_s: i64) -> Ledger {
    started(StateStore::default(), &[merchant("M1", Environment::Live)], 1, now_s)
}

/// What the next worker restores after the committed batches of `written`.
fn restored(written: &[Batch]) -> StateStore {
    let mut store = StateStore::default();
    for batch in written {
        for (partition, in_charge) in &batch.in_charge {
            let value = serde_json::to_vec(in_charge).unwrap();
            store.apply(*partition, InCharge::key_of(&in_charge.account).as_bytes(), Some(&value)).unwrap();
        }
        for record in &batch.records {
            let value = record.value.as_ref().map(|value| serde_json::to_vec(value).unwrap());
            store.apply(record.partition, record.key.as_bytes(), value.as_deref()).unwrap();
        }
    }
    store
}

fn written(batch: &Batch) -> Vec<(i32, String, Timestamp)> {
    let of = |(partition, in_charge): &(i32, InCharge)| (*partition, in_charge.account.to_string(), in_charge.since);
    batch.in_charge.iter().map(of).collect()
}

fn since(ledger: &Ledger) -> Timestamp {
    ledger.store.in_charge[&account()].since
}

fn request(since: Timestamp, offset: i64, appended_s: i64) -> InboxRecord {
    let request = SetInChargeSince { account: account(), since, requested_at: at(appended_s) };
    InboxRecord {
        position: InboxPosition { partition: 0, offset },
        appended_at: at(appended_s),
        key: b"M1".to_vec(),
        value: request.to_json(),
        headers: vec![(record_headers::RECORD_KIND.to_owned(), in_charge_request::KIND.into())],
    }
}

/// Reads the charge, and its permission where that is needed; the events by object.
fn published(ledger: &mut Ledger, s: i64, captured_s: i64) -> (Vec<&'static str>, Vec<bool>) {
    let (mut names, mut late) = (Vec::new(), Vec::new());
    for second in 0..3 {
        for due in ledger.queue.take_due(at(s + second)) {
            let answer = if due.kind == ObjectKind::Charge {
                fetched("Captured", captured_s)
            } else {
                let body = json!({"chargePermissionId": due.id, "chargePermissionType": "Recurring",
                    "statusDetails": {"state": "Chargeable", "lastUpdatedTimestamp": at(captured_s)}});
                Disposition::Fetched(Box::new(decode(&due, &body)))
            };
            ledger.apply_read(&due, answer, at(s + second).into(), at(s + second));
        }
        for (event, _) in ledger.take_batch(vec![]).events {
            names.push(event.event_type.name);
            late.push(event.is_late);
        }
    }
    (names, late)
}

#[test]
fn first_start_records_the_time_once() {
    let mut ledger = first_start(100);
    assert!(ledger.has_output(), "it is written without an IPN");
    let batch = ledger.take_batch(vec![]);
    assert_eq!(written(&batch), [(0, "M1/live".to_owned(), at(100))]);
    assert!(!ledger.has_output());
    let mut next = started(restored(&[batch]), &[merchant("M1", Environment::Live)], 1, 100 + DAY);
    assert_eq!((since(&next), next.has_output()), (at(100), false), "a restart keeps it");
    next.take_in(record(0, 200), at(200 + DAY));
    assert_eq!(since(&next), at(100), "an IPN that was appended later changes nothing");
}

#[test]
fn unanswered_ipn_from_before_the_start_moves_the_time_back() {
    let mut ledger = first_start(3 * DAY);
    let first = ledger.take_batch(vec![]);
    // The worker stops before it has consumed the inbox.
    let mut next = started(restored(&[first]), &[merchant("M1", Environment::Live)], 1, 4 * DAY);
    next.take_in(record(0, 100), at(4 * DAY));
    next.take_in(record(1, 50), at(4 * DAY));
    next.take_in(record(2, 200), at(4 * DAY));
    assert!(next.has_output(), "the new time is written before the IPNs are answered");
    let batch = next.take_batch(vec![]);
    assert_eq!((written(&batch), next.inbox.positions()[&0]), (vec![(0, "M1/live".to_owned(), at(50))], 0));
    let last = started(restored(&[batch]), &[merchant("M1", Environment::Live)], 1, 9 * DAY);
    assert_eq!(since(&last), at(50));
}

#[test]
fn each_owner_records_its_own_accounts_only() {
    let merchants = [
        merchant("M1", Environment::Live),
        merchant("M1", Environment::Sandbox),
        merchant("M2", Environment::Live),
        merchant("M3", Environment::Live),
    ];
    let mut recorded = Vec::new();
    for partitions in [1, 3] {
        let mut ledger = started(StateStore::default(), &merchants, partitions, 100);
        let of: Vec<_> = written(&ledger.take_batch(vec![])).into_iter().map(|(_, account, _)| account).collect();
        let is_owned = |account: &Account| owning_partition(&account.merchant_id, partitions) == 0;
        let mut owned: Vec<String> =
            merchants.iter().filter(|of| is_owned(&of.account)).map(|of| of.account.to_string()).collect();
        owned.sort();
        assert_eq!(of, owned, "{partitions} partitions");
        recorded.push(of.len());
    }
    assert!(recorded[0] == 4 && recorded[1] < 4, "{recorded:?}");
}

#[test]
fn merchant_added_later_has_its_own_time() {
    let batch = first_start(100).take_batch(vec![]);
    let both = [merchant("M1", Environment::Live), merchant("M2", Environment::Live)];
    let mut ledger = started(restored(&[batch]), &both, 1, 30 * DAY);
    assert_eq!(written(&ledger.take_batch(vec![])), [(0, "M2/live".to_owned(), at(30 * DAY))]);
    assert_eq!(since(&ledger), at(100));
}

#[test]
fn lost_batch_is_written_by_the_next_owner() {
    let mut lost = first_start(100);
    lost.take_in(record(0, 50), at(100));
    drop(lost.take_batch(vec![]));
    // The transaction was aborted.
    let mut next = started(StateStore::default(), &[merchant("M1", Environment::Live)], 1, 200);
    next.take_in(record(0, 50), at(200));
    assert_eq!(written(&next.take_batch(vec![])), [(0, "M1/live".to_owned(), at(50))]);
}

#[test]
fn charge_of_a_three_day_outage_is_published_as_captured() {
    let batch = first_start(0).take_batch(vec![]);
    // No worker and no ingress run for three days, and an operator has the charge read.
    for (captured_s, name, permission) in
        [(10, "ChargeCaptured", "PermissionChargeable"), (-10, "ChargeUpdated", "PermissionUpdated")]
    {
        let mut ledger =
            started(restored(std::slice::from_ref(&batch)), &[merchant("M1", Environment::Live)], 1, 3 * DAY);
        ledger.take_in(record(0, 3 * DAY), at(3 * DAY));
        let (names, late) = published(&mut ledger, 3 * DAY + 1, captured_s);
        assert_eq!((names, late), (vec![permission, name], vec![true, true]), "captured at {captured_s} s");
    }
}

#[test]
fn inbox_before_the_first_start_is_published_as_it_happened() {
    let mut ledger = first_start(3 * DAY);
    ledger.take_in(record(0, 100), at(3 * DAY));
    ledger.take_in(record(1, 2 * DAY), at(3 * DAY));
    assert_eq!(since(&ledger), at(100));
    let (names, late) = published(&mut ledger, 3 * DAY + 1, 98);
    // No IPN named the permission, and it became Chargeable before the first IPN was stored.
    assert_eq!((names, late), (vec!["PermissionUpdated", "ChargeCaptured"], vec![true, true]));
}

#[test]
fn forgotten_object_does_not_come_back_as_new() {
    for (age_d, name) in [(729, "ChargeCaptured"), (731, "ChargeUpdated")] {
        let batch = first_start(0).take_batch(vec![]);
        let mut ledger = started(restored(&[batch]), &[merchant("M1", Environment::Live)], 1, age_d * DAY);
        ledger.take_in(record(0, age_d * DAY), at(age_d * DAY));
        let (names, _) = published(&mut ledger, age_d * DAY + 1, 100);
        assert!(names.contains(&name), "after {age_d} days: {names:?}");
    }
}

#[test]
fn operators_time_is_applied_with_its_inbox_offset() {
    let mut ledger = first_start(0);
    drop(ledger.take_batch(vec![]));
    ledger.take_in(request(at(-30 * DAY), 0, 50), at(51));
    assert_eq!((since(&ledger), ledger.inbox.positions()[&0]), (at(-30 * DAY), 1));
    let batch = ledger.take_batch(vec![]);
    assert_eq!(written(&batch), [(0, "M1/live".to_owned(), at(-30 * DAY))]);
    // The next owner reads the inbox again from its start: neither the request nor older IPNs change anything.
    let mut next = started(restored(&[batch]), &[merchant("M1", Environment::Live)], 1, 100);
    next.take_in(request(at(-30 * DAY), 0, 50), at(101));
    next.take_in(record(1, -40 * DAY), at(101));
    assert!(!next.outgoing.in_charge.contains(&account()));
    assert_eq!(since(&next), at(-30 * DAY));
    next.take_in(request(at(90), 2, 102), at(103));
    assert_eq!(since(&next), at(90), "a later request, to a later time");
}

#[test]
fn invalid_request_becomes_a_dead_letter() {
    let good = request(at(0), 0, 10);
    let of = |account: Account| InboxRecord {
        value: SetInChargeSince { account, since: at(0), requested_at: at(10) }.to_json(),
        ..good.clone()
    };
    let another = Account { merchant_id: MerchantId::parse("M9").unwrap(), ..account() };
    let sandbox = Account { environment: Environment::Sandbox, ..account() };
    let not_understood = DeadLetterReason::NotUnderstood;
    for (record, reason, part) in [
        (of(another.clone()), not_understood, "whose key is not its merchant"),
        (
            InboxRecord { key: b"M9".to_vec(), ..of(another) },
            DeadLetterReason::UnknownMerchant,
            "no merchants[] entry has id M9",
        ),
        (of(sandbox), DeadLetterReason::Misrouted, "not configured for sandbox"),
        (request(at(11), 0, 10), not_understood, "was in the future"),
        (InboxRecord { value: b"{}".to_vec(), ..good.clone() }, not_understood, "not an in-charge-since record"),
    ] {
        let mut ledger = first_start(100);
        ledger.take_in(record, at(100));
        let dead_letter = ledger.take_dead_letters().pop().expect("a dead letter");
        assert_eq!((dead_letter.reason, since(&ledger)), (reason, at(100)));
        assert!(dead_letter.detail.contains(part), "{}", dead_letter.detail);
    }
}
