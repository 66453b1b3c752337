//! Tests of the ledger: inbox records and answers go in; events, pending work and positions come out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::amazon::pay_api::{Blame, Disposition};
use crate::config::{Events, Quotas, Reconciliation};
use crate::domain::dead_letter::DeadLetterReason;
use crate::domain::ipn::routing::Merchant;
use crate::domain::pay::{Account, DigestKey, Edge, Environment, Fetched, ObjectId, ObjectKind};
use crate::domain::sns::{TopicPolicy, TopicRule};
use crate::domain::work::{InboxPosition, Quota, Rules};

pub(super) const ID: &str = "P01-1111111-2222222-C000001";

pub(super) fn at(s: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_767_000_000_000 + s * 1000)
}

pub(in crate::worker) fn account() -> Account {
    Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live }
}

pub(super) fn object() -> ObjectRef {
    ObjectRef { account: account(), kind: ObjectKind::Charge, id: ObjectId::parse(ID).unwrap() }
}

pub(super) fn unlimited(settings: &Settings) -> Rules {
    let quota = Quota { burst: 1e6, per_second: 1e9 };
    Rules { live: quota, sandbox: quota, ..Quotas::default().rules(settings) }
}

pub(super) fn ledger(settings: Settings) -> Ledger {
    let rules = unlimited(&settings);
    let mut ledger = ledger_with(settings, rules, at(0));
    know_permission(&mut ledger);
    ledger
}

/// Makes the permission of the charge known, so that no read waits for it.
fn know_permission(ledger: &mut Ledger) {
    let id = ObjectId::parse("P01-1111111-2222222").unwrap();
    let permission = object().sibling(ObjectKind::ChargePermission, id);
    ledger.owning_partitions.insert(&account().merchant_id, 0);
    let body = json!({"chargePermissionId": permission.id, "chargePermissionType": "Recurring", "statusDetails": {"state": "Chargeable", "lastUpdatedTimestamp": at(-9000)}});
    let fetched = decode(&permission, &body);
    ledger.apply_read(&permission, Disposition::Fetched(Box::new(fetched)), at(-9000).into(), at(-9000));
    assert_eq!(published(ledger), ["PermissionChargeable"]);
}

pub(in crate::worker) fn ledger_with(settings: Settings, rules: Rules, now: Timestamp) -> Ledger {
    let config = config(settings, rules, &[account()]);
    Ledger::new(config, Restored::default(), &BTreeMap::from([(0, 0)]), now)
}

/// The configuration of these accounts.
pub(super) fn config(settings: Settings, rules: Rules, accounts: &[Account]) -> LedgerConfig {
    let rule = TopicRule::Owner {
        owner: "M1".into(),
        accounts: vec!["291180941288".into()],
        regions: vec!["eu-west-1".into()],
    };
    let merchant =
        |account: &Account| Merchant { account: account.clone(), topics: TopicPolicy::new(vec![rule.clone()]) };
    let merchants = Merchants::new(accounts.iter().map(merchant).collect());
    LedgerConfig {
        settings,
        reconciliation: Reconciliation::default(),
        notices: Events::default().notices(),
        rules,
        merchants: Arc::new(merchants),
        update_urls: UpdateUrls::default(),
        partitions: 1,
    }
}

/// An inbox record about the charge, sent and appended at `sent_s`.
pub(super) fn record(offset: i64, sent_s: i64) -> InboxRecord {
    record_of(&object(), "STATE_CHANGE", offset, at(sent_s))
}

pub(in crate::worker) fn record_of(
    object: &ObjectRef,
    notification_type: &str,
    offset: i64,
    sent_at: Timestamp,
) -> InboxRecord {
    let object_type = match object.kind {
        ObjectKind::ChargePermission => "CHARGE_PERMISSION",
        ObjectKind::Charge => "CHARGE",
        ObjectKind::Refund => "REFUND",
        ObjectKind::Dispute => "CHARGEBACK",
    };
    let message = json!({"MerchantID": "M1", "ObjectType": object_type, "ObjectId": object.id, "NotificationType": notification_type, "NotificationVersion": "V2"});
    let body = json!({"Type": "Notification", "MessageId": "72fd219f-d2d6-5fea-afff-70487e01d695", "Message": message.to_string(),
        "TopicArn": "arn:aws:sns:eu-west-1:291180941288:PREFIXM1", "Timestamp": sent_at, "SignatureVersion": "2", "Signature": "x", "SigningCertURL": "x"});
    InboxRecord {
        position: InboxPosition { partition: 0, offset },
        appended_at: sent_at,
        key: b"M1".to_vec(),
        value: body.to_string().into_bytes(),
        headers: vec![],
    }
}

pub(super) fn decode(object: &ObjectRef, body: &serde_json::Value) -> Fetched {
    let edge = Edge::strict(DigestKey::derive(b"test"));
    Fetched::decode((object.kind, &object.id), Environment::Live, &edge, body.to_string().as_bytes()).unwrap()
}

pub(super) fn fetched(state: &str, updated_s: i64) -> Disposition {
    let body = json!({"chargeId": ID, "chargePermissionId": "P01-1111111-2222222",
        "statusDetails": {"state": state, "lastUpdatedTimestamp": at(updated_s)}});
    Disposition::Fetched(Box::new(decode(&object(), &body)))
}

/// Reads the charge at `s` if it is due then. There is quota for it one second after the intake.
#[allow(clippy::needless_pass_by_value, reason = "the callers read better")]
pub(super) fn read(ledger: &mut Ledger, s: i64, disposition: Disposition) -> bool {
    let due = ledger.queue.take_due(at(s));
    for object in &due {
        ledger.apply_read(object, disposition.clone(), at(s).into(), at(s));
    }
    !due.is_empty()
}

pub(super) fn published(ledger: &mut Ledger) -> Vec<&'static str> {
    ledger.take_batch(vec![]).events.iter().map(|(event, _)| event.event_type.name).collect()
}

/// The dead letters of the next transactions. The inbox holds none of the originals.
pub(super) fn dead_letters(ledger: &mut Ledger) -> Vec<DeadLetter> {
    while ledger.is_giving_up() {
        ledger.take_originals_wanted();
        ledger.originals_read(HashMap::new(), at(0));
    }
    ledger.take_dead_letters()
}

pub(super) fn position(ledger: &Ledger) -> i64 {
    ledger.inbox.positions()[&0]
}

#[test]
fn record_leaves_the_inbox_when_its_event_is_published() {
    let mut ledger = ledger(Settings::default());
    ledger.take_in(record(0, 100), at(101));
    assert_eq!(position(&ledger), 0);
    assert!(read(&mut ledger, 102, fetched("Captured", 99)));
    assert_eq!((published(&mut ledger), position(&ledger)), (vec!["ChargeCaptured"], 1));
}

#[test]
fn systemic_error_is_retried_and_work_becomes_pending() {
    let mut ledger = ledger(Settings::default());
    ledger.take_in(record(0, 100), at(100));
    for s in [101, 106] {
        assert!(read(&mut ledger, s, Disposition::Systemic(Blame::Amazon, "down".into())));
        ledger.release_overdue(at(s));
    }
    assert_eq!((position(&ledger), ledger.has_output()), (0, false), "the work is not pending yet");
    assert!(read(&mut ledger, 111, Disposition::Throttled { retry_after: None }));
    ledger.release_overdue(at(111));
    assert_eq!((position(&ledger), ledger.has_output()), (1, true));
    let pending = ledger.queue.pending_of(&object()).expect("the work is pending");
    assert_eq!((pending.attempts, pending.causes.len()), (0, 1));
    assert!(read(&mut ledger, 200, fetched("Captured", 99)));
    let batch = ledger.take_batch(vec![]);
    assert_eq!(batch.events[0].0.event_type.name, "ChargeCaptured");
    let written = batch.records.iter().find(|record| record.key == object().state_key()).unwrap();
    assert_eq!(written.value.as_ref().unwrap().pending, None, "no work is pending");
}

#[test]
fn next_owner_continues_pending_work() {
    let mut first = ledger(Settings::default());
    first.take_in(record(0, 100), at(100));
    read(&mut first, 101, Disposition::NotFound("404".into()));
    let record = first.take_batch(vec![]).records.remove(0);
    let written = record.value.expect("a record is written");
    assert_eq!(written.pending.as_ref().map(|pending| (pending.attempts, pending.causes.len())), Some((1, 1)));

    let mut store = StateStore::default();
    store.put(0, written);
    let rules = Quotas::default().rules(&Settings::default());
    let config = LedgerConfig {
        settings: Settings::default(),
        reconciliation: Reconciliation::default(),
        notices: Events::default().notices(),
        rules,
        merchants: first.merchants.clone(),
        update_urls: UpdateUrls::default(),
        partitions: 1,
    };
    let restored = Restored { store, ..Restored::default() };
    let mut next = Ledger::new(config, restored, &BTreeMap::from([(0, 1)]), at(102));
    assert_eq!((next.queue.len(), next.queue.attempts_of(&object())), (1, 1));
    know_permission(&mut next);
    assert!(!read(&mut next, 110, fetched("Captured", 99)), "the retry keeps its due time");
    assert!(read(&mut next, 170, fetched("Captured", 99)));
    let batch = next.take_batch(vec![]);
    assert_eq!(batch.events.len(), 1);
    assert_eq!(batch.records.iter().filter_map(|record| record.value.as_ref()?.pending.as_ref()).count(), 0);
}

#[test]
fn unknown_object_becomes_a_dead_letter_after_five_reads() {
    let mut ledger = ledger(Settings::default());
    ledger.take_in(record(0, 0), at(0));
    let mut tries = Vec::new();
    for s in 0..7200 {
        if read(&mut ledger, s, Disposition::NotFound("404".into())) {
            tries.push(s);
        }
    }
    assert_eq!(tries, [1, 61, 361, 1261, 3361]);
    let dead_letters = dead_letters(&mut ledger);
    assert_eq!((dead_letters.len(), dead_letters[0].reason), (1, DeadLetterReason::UnknownObject));
    assert_eq!(dead_letters[0].position, InboxPosition { partition: 0, offset: 0 });
    assert!(ledger.queue.is_empty() && position(&ledger) == 1);
    let batch = ledger.take_batch(vec![]);
    let written: Vec<_> = batch.records.iter().map(|record| (record.key.as_str(), record.value.is_some())).collect();
    assert_eq!(written, [(object().state_key().as_str(), false)], "a tombstone");
    assert!(ledger.store.get(&object()).is_none(), "an unknown object takes no memory");
}

#[test]
fn older_answer_is_believed_and_flagged_after_five_reads() {
    let mut ledger = ledger(Settings::default());
    ledger.take_in(record(0, 100), at(100));
    read(&mut ledger, 101, fetched("Captured", 99));
    published(&mut ledger);
    ledger.take_in(record(1, 120), at(120));
    let mut tries = Vec::new();
    let mut events = Vec::new();
    for s in 120..7200 {
        if read(&mut ledger, s, fetched("Authorized", 50)) {
            tries.push(s - 120);
            events.extend(ledger.take_batch(vec![]).events);
        }
        if !events.is_empty() {
            break;
        }
    }
    assert_eq!(tries, [0, 240, 720, 1440, 2400, 3600]);
    assert_eq!(events[0].0.event_type.name, "ChargeAuthorized");
    assert!(events[0].0.unexpected_transition);
}

#[test]
fn ipn_that_comes_while_dead_letters_are_made_is_read() {
    let mut ledger = ledger(Settings { unknown_object_retries_ms: vec![], ..Settings::default() });
    ledger.take_in(record(0, 100), at(100));
    assert!(read(&mut ledger, 101, Disposition::NotFound("404".into())));
    ledger.take_in(record(1, 102), at(102));
    assert!(ledger.is_giving_up() && ledger.queue.take_due(at(200)).is_empty() && ledger.queue.in_flight() == 0);
    assert_eq!(position(&ledger), 0, "a crash loses nothing");
    assert_eq!(dead_letters(&mut ledger).len(), 1);
    assert_eq!(position(&ledger), 1);
    assert!(read(&mut ledger, 201, fetched("Captured", 150)));
    assert_eq!((published(&mut ledger), position(&ledger)), (vec!["ChargeCaptured"], 2));
}

#[test]
fn undecodable_object_becomes_a_dead_letter_after_days() {
    let mut ledger = ledger(Settings { pending_age_max_h: 24, ..Settings::default() });
    ledger.take_in(record(0, 0), at(0));
    let failure = Disposition::ObjectError("answer is not a JSON object".to_owned());
    let mut dead_letter_at = None;
    for s in (0..200_000).step_by(5) {
        if read(&mut ledger, s, failure.clone()) && ledger.is_giving_up() {
            dead_letter_at.get_or_insert(s);
        }
    }
    assert!((86_400..86_400 + 3700).contains(&dead_letter_at.expect("a dead letter")), "{dead_letter_at:?}");
    assert_eq!(dead_letters(&mut ledger)[0].reason, DeadLetterReason::Undecodable);
}

#[test]
fn outage_does_not_count_as_failure_of_an_object() {
    let mut ledger = ledger(Settings { pending_age_max_h: 24, ..Settings::default() });
    ledger.take_in(record(0, 0), at(0));
    let failure = Disposition::ObjectError("answer is not a JSON object".to_owned());
    assert!(read(&mut ledger, 10, failure.clone()));
    let mut n_failed = 0;
    for day in 1..=100 {
        // Amazon Pay is down for a week at a time; between two outages the object still fails.
        let s = day * 7 * 86_400;
        assert!(read(&mut ledger, s, Disposition::Systemic(Blame::Amazon, "down".into())));
        n_failed += usize::from(read(&mut ledger, s + 10_000, failure.clone()));
        if ledger.is_giving_up() {
            break;
        }
    }
    assert_eq!(n_failed, 13, "at most two hours of each failure count; the limit is one day");
}

#[test]
fn open_records_above_the_limit_become_pending_at_once() {
    let mut ledger = ledger(Settings { records_open_max: 2, ..Settings::default() });
    for offset in 0..3 {
        ledger.take_in(record(offset, 100), at(100));
    }
    ledger.release_overdue(at(100));
    assert_eq!(position(&ledger), 3);
    assert_eq!(ledger.queue.pending_of(&object()).unwrap().causes_seen, 3);
}

#[test]
fn record_under_another_key_becomes_a_dead_letter() {
    let mut ledger = ledger(Settings::default());
    ledger.take_in(InboxRecord { key: b"OWNER".to_vec(), ..record(0, 100) }, at(100));
    assert!(ledger.queue.is_empty());
    assert_eq!(dead_letters(&mut ledger)[0].reason, DeadLetterReason::UnknownMerchant);
}

#[test]
fn fully_captured_one_time_permission_needs_no_action() {
    let id = ObjectId::parse("P01-1111111-2222222").unwrap();
    let permission = object().sibling(ObjectKind::ChargePermission, id);
    for (amounts, balance, code) in [
        (&["4.00", "6.00"][..], None, "NONE"),
        (&["4.00"], None, "REENGAGE_BUYER_WITH_NEW_CHECKOUT"),
        (&["4.00"], Some("6.00"), "REENGAGE_BUYER_WITH_NEW_CHECKOUT"),
        (&[], Some("0.00"), "NONE"),
    ] {
        let closed = json!({"chargePermissionId": permission.id, "chargePermissionType": "OneTime",
            "limits": {"amountLimit": {"amount": "10.00"}, "amountBalance": {"amount": balance}},
            "statusDetails": {"state": "Closed", "reasons": [{"reasonCode": "AmazonClosed"}], "lastUpdatedTimestamp": at(99)}});
        let mut ledger = ledger(Settings::default());
        for (n, amount) in amounts.iter().enumerate() {
            let charge =
                object().sibling(ObjectKind::Charge, ObjectId::parse(&format!("{}-C{n:06}", permission.id)).unwrap());
            let body = json!({"chargeId": charge.id, "chargePermissionId": permission.id, "captureAmount": {"amount": amount},
                "statusDetails": {"state": "Captured", "lastUpdatedTimestamp": at(50)}});
            ledger.apply_read(&charge, Disposition::Fetched(Box::new(decode(&charge, &body))), at(60).into(), at(60));
        }
        ledger.apply_read(
            &permission,
            Disposition::Fetched(Box::new(decode(&permission, &closed))),
            at(100).into(),
            at(100),
        );
        let (event, _) = ledger.take_batch(vec![]).events.pop().unwrap();
        assert_eq!((event.event_type.name, event.next_action.code.as_str()), ("PermissionClosed", code));
    }
}
