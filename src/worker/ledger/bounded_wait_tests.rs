//! No object waits without bound for another one.

use serde_json::{Value, json};

use super::tests::{at, dead_letters, decode, ledger, ledger_with, object, record_of};
use super::*;
use crate::amazon::pay_api::{Blame, Disposition};
use crate::config::Quotas;
use crate::domain::pay::ObjectKind;
use crate::domain::state::PermissionIdSource;
use crate::domain::work::{Quota, Rules};

const CLAIMED: &str = "B01-7654321-1234567";

fn sibling(kind: ObjectKind, id: &str) -> ObjectRef {
    object().sibling(kind, ObjectId::parse(id).unwrap())
}

fn refund() -> ObjectRef {
    sibling(ObjectKind::Refund, "P01-1111111-2222222-R000001")
}

/// A record whose IPN has these fields instead of the usual ones.
fn claiming(object: &ObjectRef, offset: i64, s: i64, fields: &Value) -> InboxRecord {
    let mut record = record_of(object, "STATE_CHANGE", offset, at(s));
    let mut body: Value = serde_json::from_slice(&record.value).unwrap();
    let mut message: Value = serde_json::from_str(body["Message"].as_str().unwrap()).unwrap();
    message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body["Message"] = message.to_string().into();
    body["MessageId"] = uuid::Uuid::from_u128(offset as u128 + 1).to_string().into();
    record.value = body.to_string().into_bytes();
    record
}

fn answer(object: &ObjectRef, state: &str, more: &Value) -> Disposition {
    let mut body = json!({"statusDetails": {"state": state, "lastUpdatedTimestamp": at(99)}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Disposition::Fetched(Box::new(decode(object, &body)))
}

fn unlimited(settings: Settings) -> Ledger {
    let quota = Quota { burst: 1e6, per_second: 1e9 };
    let rules = Rules { live: quota, sandbox: quota, ..Quotas::default().rules(&settings) };
    ledger_with(settings, rules, at(0))
}

/// Runs the ledger second by second. Returns published events with their time, and how often each object was read.
type Played = (Vec<(i64, Event)>, HashMap<ObjectRef, usize>);
fn play(
    ledger: &mut Ledger,
    seconds: std::ops::Range<i64>,
    answers: impl Fn(&ObjectRef, i64) -> Disposition,
) -> Played {
    let (mut events, mut reads) = (vec![], HashMap::new());
    for s in seconds {
        for due in ledger.queue.take_due(at(s)) {
            *reads.entry(due.clone()).or_insert(0) += 1;
            ledger.apply_read(&due, answers(&due, s), at(s).into(), at(s));
        }
        ledger.maintain(at(s));
        events.extend(ledger.take_batch(vec![]).events.into_iter().map(|(event, _)| (s, event)));
    }
    (events, reads)
}

fn summary(events: &[(i64, Event)]) -> Vec<(&'static str, &str, bool)> {
    let of = |(_, event): &'_ (i64, Event)| -> (&'static str, String, bool) {
        (event.event_type.name, event.charge_permission_id.to_string(), event.charge_permission_id_source.is_some())
    };
    events.iter().map(|event| (of(event).0, event.1.charge_permission_id.as_str(), of(event).2)).collect()
}

#[test]
fn refund_whose_charge_is_unreadable_is_published_in_time() {
    for failure in [
        Disposition::NotFound("404".into()),
        Disposition::ObjectError("400".into()),
        Disposition::Systemic(Blame::Amazon, "503".into()),
        Disposition::Throttled { retry_after: None },
    ] {
        for kept_max in [0, 1000] {
            let mut ledger = unlimited(Settings { answers_kept_max: kept_max, ..Settings::default() });
            ledger.take_in(claiming(&refund(), 0, 100, &json!({"ChargePermissionId": CLAIMED})), at(100));
            let found = json!({"refundId": refund().id, "chargeId": object().id});
            let (events, reads) = play(&mut ledger, 100..1000, |due, _| match due.kind {
                ObjectKind::Refund => answer(due, "RefundInitiated", &found),
                _ => failure.clone(),
            });
            assert_eq!(summary(&events), [("RefundInitiated", CLAIMED, true)], "{failure:?} {kept_max}");
            assert!((215..=240).contains(&events[0].0), "{failure:?} {kept_max}: {}", events[0].0);
            assert_eq!(events[0].1.charge_permission_type, None);
            assert!(reads[&refund()] <= 2, "{failure:?} {kept_max}: {reads:?}");
            assert!(!ledger.queue.holds(&refund()), "{failure:?}");
            assert_eq!(ledger.deferred_reads.len(), (0, 0));
        }
    }
}

#[test]
fn charges_wait_in_time_while_only_permissions_are_down() {
    for kept_max in [0, 1000] {
        let mut ledger = unlimited(Settings { answers_kept_max: kept_max, ..Settings::default() });
        let ids: Vec<_> = (1..5).map(|n| format!("P01-1111111-222222{n}-C000001")).collect();
        for (n, id) in ids.iter().enumerate() {
            ledger.take_in(record_of(&sibling(ObjectKind::Charge, id), "STATE_CHANGE", n as i64, at(100)), at(100));
        }
        let (events, reads) = play(&mut ledger, 100..100 + 6 * 3600, |due, _| match due.kind {
            ObjectKind::Charge => {
                answer(due, "Captured", &json!({"chargeId": due.id, "chargePermissionId": due.id.parent().unwrap()}))
            }
            _ => Disposition::Systemic(Blame::Amazon, "503".into()),
        });
        assert_eq!(events.len(), 4, "{events:?}");
        assert!(events.iter().all(|(s, event)| *s < 250 && event.charge_permission_id_source.is_none()), "{events:?}");
        let n_reads: usize = reads.iter().filter(|(object, _)| object.kind == ObjectKind::Charge).map(|(_, n)| n).sum();
        assert!(n_reads <= 8, "{n_reads} reads for 4 charges");
    }
}

#[test]
fn readable_charge_corrects_permission_and_publishes_nothing() {
    let mut ledger = unlimited(Settings::default());
    ledger.take_in(claiming(&refund(), 0, 100, &json!({"ChargePermissionId": CLAIMED})), at(100));
    let answers = |is_down: bool| {
        move |due: &ObjectRef, _| match due.kind {
            ObjectKind::Refund => answer(due, "RefundInitiated", &json!({"refundId": due.id, "chargeId": object().id})),
            _ if is_down => Disposition::NotFound("404".into()),
            ObjectKind::Charge => {
                answer(due, "Captured", &json!({"chargeId": due.id, "chargePermissionId": "P01-1111111-2222222"}))
            }
            _ => answer(due, "Chargeable", &json!({"chargePermissionId": due.id})),
        }
    };
    let (events, _) = play(&mut ledger, 100..300, answers(true));
    assert_eq!(summary(&events), [("RefundInitiated", CLAIMED, true)]);
    assert_eq!(ledger.store.observed(&refund()).unwrap().charge_permission_id_source, Some(PermissionIdSource::Ipn));
    let (events, _) = play(&mut ledger, 300..1000, answers(false));
    assert_eq!(
        summary(&events),
        [("PermissionChargeable", "P01-1111111-2222222", false), ("ChargeCaptured", "P01-1111111-2222222", false)]
    );
    ledger.take_in(claiming(&refund(), 1, 1000, &json!({"ChargePermissionId": CLAIMED})), at(1000));
    let (events, _) = play(&mut ledger, 1000..1010, answers(false));
    assert_eq!(summary(&events), []);
    let observed = ledger.store.observed(&refund()).unwrap();
    assert_eq!(observed.charge_permission_id.as_str(), "P01-1111111-2222222");
    assert_eq!(observed.charge_permission_id_source, None);
}

#[test]
fn charge_without_permission_id_is_published_under_the_ipns() {
    let mut ledger = ledger(Settings::default());
    ledger.take_in(claiming(&object(), 0, 100, &json!({"ChargePermissionId": "P01-1111111-2222222"})), at(100));
    let (events, _) = play(&mut ledger, 100..110, |due, _| answer(due, "Captured", &json!({"chargeId": due.id})));
    assert_eq!(summary(&events), [("ChargeCaptured", "P01-1111111-2222222", true)]);
    assert_eq!(events[0].1.charge_permission_type.as_deref(), Some("Recurring"), "the permission is known");
}

#[test]
fn refund_that_nothing_names_becomes_a_dead_letter_as_before() {
    let mut ledger = unlimited(Settings { pending_age_max_h: 24, ..Settings::default() });
    ledger.take_in(record_of(&refund(), "STATE_CHANGE", 0, at(100)), at(100));
    let (events, _) = play(&mut ledger, 100..200_000, |due, _| match due.kind {
        ObjectKind::Refund => answer(due, "RefundInitiated", &json!({"refundId": due.id, "chargeId": object().id})),
        _ => Disposition::ObjectError("400".into()),
    });
    assert_eq!(summary(&events), []);
    assert_eq!(dead_letters(&mut ledger).len(), 1);
}

#[test]
fn declined_charge_waits_for_the_queued_read_of_its_permission() {
    let mut ledger = ledger(Settings::default());
    let permission = sibling(ObjectKind::ChargePermission, "P01-1111111-2222222");
    ledger.take_in(record_of(&permission, "STATE_CHANGE", 0, at(100)), at(100));
    ledger.take_in(record_of(&object(), "STATE_CHANGE", 1, at(100)), at(100));
    let mut due = ledger.queue.take_due(at(101));
    due.sort_by_key(|due| due.kind != ObjectKind::Charge);
    let declined = json!({"chargeId": object().id, "chargePermissionId": permission.id});
    ledger.apply_read(&due[0], answer(&due[0], "Declined", &declined), at(101).into(), at(101));
    assert!(ledger.take_batch(vec![]).events.is_empty());
    let closed = json!({"chargePermissionId": permission.id, "chargePermissionType": "Recurring"});
    ledger.apply_read(&permission, answer(&permission, "Closed", &closed), at(101).into(), at(102));
    let names: Vec<_> = ledger.take_batch(vec![]).events.iter().map(|(event, _)| event.event_type.name).collect();
    assert_eq!(names, ["PermissionClosed", "ChargeDeclined"]);
}

#[test]
fn chargeback_naming_a_charge_is_published_once_per_ipn() {
    let mut ledger = ledger(Settings::default());
    let captured = |due: &ObjectRef, _: i64| {
        answer(due, "Captured", &json!({"chargeId": due.id, "chargePermissionId": "P01-1111111-2222222"}))
    };
    let chargeback = json!({"ObjectType": "CHARGEBACK", "ChargePermissionId": "P01-1111111-2222222"});
    ledger.take_in(claiming(&object(), 0, 100, &chargeback), at(100));
    let (events, _) = play(&mut ledger, 100..200, captured);
    let names: Vec<_> = events.iter().map(|(_, event)| event.event_type.name).collect();
    assert_eq!(names, ["ChargeCaptured", "ChargebackReported"]);
    assert_eq!(events[1].1.next_action.code.as_str(), "RESPOND_TO_DISPUTE");
    ledger.take_in(claiming(&object(), 0, 100, &chargeback), at(205));
    let (events, _) = play(&mut ledger, 205..4000, captured);
    assert_eq!(summary(&events), [], "a repeat of the same IPN");
    ledger.take_in(claiming(&object(), 2, 4001, &chargeback), at(4001));
    let (events, reads) = play(&mut ledger, 4001..9000, captured);
    assert_eq!(summary(&events), [("ChargebackReported", "P01-1111111-2222222", false)], "another IPN");
    assert_eq!(reads[&object()], 1, "no confirming read: the charge does not show it");
}

#[test]
fn chargeback_of_unreadable_charge_is_an_alerting_dead_letter() {
    let mut ledger = ledger(Settings::default());
    ledger.take_in(claiming(&object(), 0, 100, &json!({"ObjectType": "CHARGEBACK"})), at(100));
    play(&mut ledger, 100..4000, |_, _| Disposition::NotFound("404".into()));
    let reasons: Vec<_> = dead_letters(&mut ledger).iter().map(|pending| pending.reason.as_str()).collect();
    assert_eq!(reasons, ["chargeback"]);
}

#[test]
fn chargeback_of_vanished_charge_is_a_dead_letter_in_an_hour() {
    for failure in [Disposition::NotFound("404".into()), Disposition::ObjectError("no JSON".into())] {
        let mut ledger = ledger(Settings::default());
        let status = json!({"state": "Captured", "lastUpdatedTimestamp": at(40)});
        let body =
            json!({"chargeId": object().id, "chargePermissionId": "P01-1111111-2222222", "statusDetails": status});
        let captured = Disposition::Fetched(Box::new(decode(&object(), &body)));
        ledger.apply_read(&object(), captured, at(50).into(), at(50));
        ledger.take_in(claiming(&object(), 0, 100, &json!({"ObjectType": "CHARGEBACK"})), at(100));
        play(&mut ledger, 100..4000, |_, _| failure.clone());
        let reasons: Vec<_> = dead_letters(&mut ledger).iter().map(|pending| pending.reason.as_str()).collect();
        assert_eq!(reasons, ["chargeback"], "{failure:?}");
    }
}

#[test]
fn newest_older_answer_is_believed_and_ipns_do_not_hurry_it() {
    let mut ledger = ledger(Settings::default());
    let charge = |state: &str, s: i64| {
        let status = json!({"state": state, "lastUpdatedTimestamp": at(s)});
        let body =
            json!({"chargeId": object().id, "chargePermissionId": "P01-1111111-2222222", "statusDetails": status});
        Disposition::Fetched(Box::new(decode(&object(), &body)))
    };
    ledger.take_in(record_of(&object(), "STATE_CHANGE", 0, at(100)), at(100));
    play(&mut ledger, 100..110, |_, _| charge("Captured", 99));
    let mut events = vec![];
    for n in 0..300 {
        let s = 120 + n * 25;
        ledger.take_in(record_of(&object(), "STATE_CHANGE", n + 1, at(s)), at(s));
        let older = |_: &ObjectRef, s: i64| match s {
            ..=1000 => Disposition::ObjectError("no JSON".into()),
            _ if s % 2 == 0 => charge("Authorized", 50),
            _ => charge("AuthorizationInitiated", 40),
        };
        events.extend(play(&mut ledger, s..s + 25, older).0);
    }
    assert_eq!(events[0].1.event_type.name, "ChargeAuthorized", "the newest of the older answers");
    assert!(events[0].0 >= 1000 + 3000, "not before about an hour: {}", events[0].0);
    assert!(events[0].1.unexpected_transition);
}

/// Nothing is broken: charges and permissions have a backlog of their own, and each charge needs a permission.
#[test]
fn plain_backlog_keeps_the_facts_of_its_permissions() {
    let settings = Settings::default();
    let mut ledger = ledger_with(settings.clone(), Quotas::default().rules(&settings), at(0));
    let permission = |n: i64| sibling(ObjectKind::ChargePermission, &format!("P01-1111111-{n:07}"));
    for n in 0..1500 {
        let charge = sibling(ObjectKind::Charge, &format!("{}-C000001", permission(n).id));
        ledger.take_in(record_of(&charge, "STATE_CHANGE", 3 * n, at(100)), at(100));
        ledger.take_in(record_of(&permission(n), "STATE_CHANGE", 3 * n + 1, at(100)), at(100));
        let other = permission(n + 5000);
        ledger.take_in(record_of(&other, "STATE_CHANGE", 3 * n + 2, at(100)), at(100));
    }
    let (events, _) = play(&mut ledger, 100..3000, |due, _| {
        let permission = if due.kind == ObjectKind::Charge { due.id.parent().unwrap() } else { due.id.as_str() };
        match due.kind {
            ObjectKind::Charge => {
                answer(due, "Captured", &json!({"chargeId": due.id, "chargePermissionId": permission}))
            }
            _ => {
                answer(due, "Chargeable", &json!({"chargePermissionId": permission, "chargePermissionType": "OneTime"}))
            }
        }
    });
    let charges: Vec<_> = events.iter().filter(|(_, event)| event.object.kind == ObjectKind::Charge).collect();
    assert_eq!(charges.len(), 1500);
    let n_bare = charges.iter().filter(|(_, event)| event.charge_permission_type.is_none()).count();
    assert!(n_bare <= 15, "{n_bare} of 1500 without the facts of their permission");
}
