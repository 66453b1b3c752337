//! Reads that wait for a read of their parent object.

use serde_json::json;

use super::tests::{
    ID, at, decode, fetched, ledger, ledger_with, object, position, published, read, record, record_of,
};
use crate::amazon::pay_api::{Blame, Disposition};
use crate::config::{Quotas, Worker as Settings};
use crate::domain::pay::{ObjectId, ObjectKind};
use crate::domain::work::{Quota, Rules};

#[test]
fn deferred_read_is_published_unless_a_newer_ipn_arrives() {
    let refund = object().sibling(ObjectKind::Refund, ObjectId::parse("P01-1111111-2222222-R000001").unwrap());
    let refunded = |state: &str| {
        let body = json!({"refundId": refund.id, "chargeId": ID, "statusDetails": {"state": state, "lastUpdatedTimestamp": at(99)}});
        Disposition::Fetched(Box::new(decode(&refund, &body)))
    };
    for has_newer_ipn in [false, true] {
        let mut ledger = ledger(Settings::default());
        ledger.take_in(record_of(&refund, "STATE_CHANGE", 0, at(100)), at(100));
        assert_eq!(ledger.queue.take_due(at(101)), std::slice::from_ref(&refund));
        ledger.apply_read(&refund, refunded("RefundInitiated"), at(101).into(), at(101));
        assert_eq!(ledger.queue.take_due(at(102)), [object()], "its charge is read");
        assert_eq!(ledger.queue.attempts_of(&refund), 0, "the refund is deferred, its read did not fail");
        let pending = ledger.queue.pending_of(&refund).unwrap();
        assert!(pending.due <= at(102), "the next owner has no answer and reads it at once");
        if has_newer_ipn {
            ledger.take_in(record_of(&refund, "STATE_CHANGE", 1, at(102)), at(102));
        }
        ledger.apply_read(&object(), fetched("Captured", 99), at(102).into(), at(103));
        if has_newer_ipn {
            assert_eq!(published(&mut ledger), ["ChargeCaptured"], "the answer is older than the IPN");
            assert_eq!(ledger.queue.take_due(at(104)), std::slice::from_ref(&refund));
            ledger.apply_read(&refund, refunded("Refunded"), at(104).into(), at(104));
            assert_eq!((published(&mut ledger), position(&ledger)), (vec!["RefundCompleted"], 2));
        } else {
            assert_eq!(published(&mut ledger), ["ChargeCaptured", "RefundInitiated"]);
            assert_eq!(position(&ledger), 1);
        }
        assert!(ledger.queue.is_empty());
    }
}

#[test]
fn charge_is_published_without_an_unreadable_permission() {
    let permission = object().sibling(ObjectKind::ChargePermission, ObjectId::parse("P01-1111111-2222222").unwrap());
    let quota = Quota { burst: 1e6, per_second: 1e9 };
    let settings = Settings::default();
    let rules = Rules { live: quota, sandbox: quota, ..Quotas::default().rules(&settings) };
    for failure in [
        Disposition::NotFound("404".into()),
        Disposition::ObjectError("no JSON".into()),
        Disposition::Systemic(Blame::Amazon, "503".into()),
    ] {
        let mut ledger = ledger_with(settings.clone(), rules, at(0));
        ledger.take_in(record(0, 100), at(100));
        assert_eq!(ledger.queue.take_due(at(101)), [object()]);
        ledger.apply_read(&object(), fetched("Declined", 99), at(101).into(), at(101));
        let mut published_at = None;
        for s in 102..2000 {
            for due in ledger.queue.take_due(at(s)) {
                let is_permission = due == permission;
                ledger.apply_read(
                    &due,
                    if is_permission { failure.clone() } else { fetched("Declined", 99) },
                    at(s).into(),
                    at(s),
                );
            }
            ledger.maintain(at(s));
            if published_at.is_none() && published(&mut ledger) == ["ChargeDeclined"] {
                published_at = Some(s);
            }
        }
        // A failure of the permission alone ends the wait at once; an outage ends it after worker.parent_wait_max_ms.
        let latest = if matches!(failure, Disposition::Systemic(..)) { 101 + 121 } else { 102 };
        assert!(published_at.is_some_and(|s| s <= latest), "{failure:?}: {published_at:?}");
    }
}

#[test]
fn permission_event_carries_the_ids_of_the_charges_ipn() {
    let quota = Quota { burst: 1e6, per_second: 1e9 };
    let settings = Settings::default();
    let rules = Rules { live: quota, sandbox: quota, ..Quotas::default().rules(&settings) };
    let mut ledger = ledger_with(settings, rules, at(0));
    ledger.take_in(record(0, 100), at(100));
    assert!(read(&mut ledger, 101, fetched("Captured", 99)));
    let permission = object().sibling(ObjectKind::ChargePermission, ObjectId::parse("P01-1111111-2222222").unwrap());
    let body = json!({"chargePermissionId": permission.id, "chargePermissionType": "Recurring", "statusDetails": {"state": "Chargeable", "lastUpdatedTimestamp": at(98)}});
    let answer = Disposition::Fetched(Box::new(decode(&permission, &body)));
    assert_eq!(ledger.queue.take_due(at(102)), std::slice::from_ref(&permission));
    ledger.apply_read(&permission, answer, at(102).into(), at(102));
    let events = ledger.take_batch(vec![]).events;
    let names: Vec<_> = events.iter().map(|(event, _)| event.event_type.name).collect();
    assert_eq!(names, ["PermissionChargeable", "ChargeCaptured"]);
    let message_id = Some("72fd219f-d2d6-5fea-afff-70487e01d695".parse().unwrap());
    let trace_id = Some("72fd219fd2d65feaafff70487e01d695".to_owned());
    for (event, is_ipn) in events.iter().map(|(event, _)| event).zip([false, true]) {
        let cause = &event.causes[0];
        assert_eq!((cause.message_id(), cause.trace_id(), cause.is_ipn()), (message_id, trace_id.clone(), is_ipn));
    }
}
