//! Tests of the ledger with operators' rechecks: which records become work, and what a baseline publishes.

use std::collections::BTreeMap;

use serde_json::json;

use super::tests::{account, ledger_with, record_of};
use super::*;
use crate::amazon::pay_api::Disposition;
use crate::config::Quotas;
use crate::domain::dead_letter::DeadLetterReason;
use crate::domain::ipn::recheck_request::{self, Recheck};
use crate::domain::pay::{DigestKey, Edge, Environment, Fetched, ObjectId, ObjectKind};
use crate::domain::record_headers;
use crate::domain::work::InboxPosition;

fn at(s: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_767_000_000_000 + s * 1000)
}

fn object(kind: ObjectKind, id: &str) -> ObjectRef {
    ObjectRef { account: account(), kind, id: ObjectId::parse(id).unwrap() }
}

fn charge() -> ObjectRef {
    object(ObjectKind::Charge, "P01-1111111-2222222-C000001")
}

fn permission() -> ObjectRef {
    object(ObjectKind::ChargePermission, "B01-1111111-1111111")
}

fn recheck(object: &ObjectRef, seed: bool) -> InboxRecord {
    InboxRecord {
        position: InboxPosition { partition: 0, offset: 0 },
        appended_at: at(0),
        key: object.account.merchant_id.as_str().into(),
        value: Recheck { object: object.clone(), seed, requested_at: at(0) }.to_json(),
        headers: vec![(record_headers::RECORD_KIND.to_owned(), recheck_request::KIND.into())],
    }
}

fn ledger() -> Ledger {
    let settings = Settings::default();
    ledger_with(settings.clone(), Quotas::default().rules(&settings), at(-1000))
}

/// Reads all due objects until no object is due, and returns the published events.
fn read_all(ledger: &mut Ledger, mut s: i64) -> Vec<&'static str> {
    let mut published = Vec::new();
    for _ in 0..5 {
        s += 1;
        for due in ledger.queue.take_due(at(s)) {
            let state = if due.kind == ObjectKind::Charge { "Captured" } else { "Chargeable" };
            let body = json!({due.kind.id_field(): due.id, "chargePermissionId": permission().id,
                "chargePermissionType": "Recurring", "statusDetails": {"state": state, "lastUpdatedTimestamp": at(-50)}});
            let edge = Edge::strict(DigestKey::derive(b"test"));
            let fetched =
                Fetched::decode((due.kind, &due.id), Environment::Live, &edge, body.to_string().as_bytes()).unwrap();
            ledger.apply_read(&due, Disposition::Fetched(Box::new(fetched)), at(s).into(), at(s));
        }
        published.extend(ledger.take_batch(vec![]).events.iter().map(|(event, _)| event.event_type.name));
    }
    assert!(ledger.queue.is_empty());
    published
}

#[test]
fn recheck_leaves_the_inbox_after_its_read() {
    let mut ledger = ledger();
    ledger.take_in(recheck(&charge(), false), at(0));
    assert_eq!(ledger.inbox.positions()[&0], 0);
    assert_eq!(read_all(&mut ledger, 0), ["PermissionChargeable", "ChargeCaptured"]);
    assert_eq!(ledger.inbox.positions()[&0], 1);
}

#[test]
fn baseline_of_a_charge_publishes_no_permission_event() {
    let mut ledger = ledger();
    ledger.take_in(recheck(&charge(), true), at(0));
    assert_eq!(read_all(&mut ledger, 0), [""; 0]);
    for object in [charge(), permission()] {
        assert!(ledger.store.observed(&object).is_some(), "{object:?} is known");
    }
}

#[test]
fn ipn_that_arrives_with_a_baseline_is_published() {
    let mut ledger = ledger();
    ledger.take_in(recheck(&charge(), true), at(0));
    let record = record_of(&charge(), "STATE_CHANGE", 1, at(0));
    ledger.take_in(record, at(0));
    ledger.settings.settle_slack_ms = 3_600_000;
    assert_eq!(read_all(&mut ledger, 0), ["PermissionChargeable", "ChargeCaptured"]);
}

#[test]
fn invalid_recheck_becomes_a_dead_letter() {
    let stranger = |account: Account| ObjectRef { account, ..charge() };
    let another = Account { merchant_id: MerchantId::parse("M9").unwrap(), ..account() };
    let sandbox = Account { environment: Environment::Sandbox, ..account() };
    let good = recheck(&charge(), false);
    for (record, reason, part) in [
        (recheck(&stranger(another), false), DeadLetterReason::UnknownMerchant, "no merchants[] entry has id M9"),
        (recheck(&stranger(sandbox), false), DeadLetterReason::Misrouted, "not configured for sandbox"),
        (
            InboxRecord { value: b"{}".to_vec(), ..good.clone() },
            DeadLetterReason::NotUnderstood,
            "not a recheck record",
        ),
        (InboxRecord { key: b"M9".to_vec(), ..good }, DeadLetterReason::NotUnderstood, "whose key is not its merchant"),
    ] {
        let mut ledger = ledger();
        ledger.take_in(record, at(0));
        assert!(ledger.queue.is_empty());
        let dead_letter = ledger.take_dead_letters().pop().expect("a dead letter");
        assert_eq!(dead_letter.reason, reason);
        assert!(dead_letter.detail.contains(part), "{}", dead_letter.detail);
        assert_eq!((dead_letter.history.causes_seen, dead_letter.history.first_seen), (1, Some(at(0))));
    }
}

/// What was written of an object to the state topic.
fn pending_causes(records: &[StateRecord], object: &ObjectRef) -> Option<usize> {
    let record = records.iter().find(|record| record.key == object.state_key())?;
    Some(record.value.as_ref()?.pending.as_ref()?.causes.len())
}

#[test]
fn recheck_of_a_wrong_type_keeps_the_pending_work_of_the_id() {
    let mistaken = ObjectRef { kind: ObjectKind::Charge, ..permission() };
    let of_mistaken_ipn = record_of(&mistaken, "STATE_CHANGE", 9, at(0));
    for wrong in [recheck(&mistaken, false), of_mistaken_ipn] {
        let mut ledger = ledger();
        let not_found = || Disposition::NotFound("404".to_owned());
        ledger.take_in(record_of(&permission(), "STATE_CHANGE", 1, at(0)), at(0));
        ledger.take_in(record_of(&permission(), "STATE_CHANGE", 2, at(0)), at(0));
        ledger.apply_read(&permission(), not_found(), at(1).into(), at(1));
        let before = ledger.take_batch(vec![]).records;
        assert_eq!(pending_causes(&before, &permission()), Some(2));

        let position = InboxPosition { partition: 0, offset: 3 };
        ledger.take_in(InboxRecord { position, ..wrong }, at(2));
        ledger.apply_read(&mistaken, not_found(), at(3).into(), at(3));
        let after = ledger.take_batch(vec![]).records;
        assert_eq!(pending_causes(&after, &mistaken), Some(1));
        let mut store = StateStore::default();
        for record in before.into_iter().chain(after) {
            let value = record.value.map(|state| serde_json::to_vec(&state).unwrap());
            store.apply(0, record.key.as_bytes(), value.as_deref()).unwrap();
        }
        let restored: BTreeMap<_, _> =
            store.take_pending(|_| true).into_iter().map(|(object, pending)| (object, pending.causes.len())).collect();
        assert_eq!(restored, BTreeMap::from([(permission(), 2), (mistaken.clone(), 1)]));
    }
}
