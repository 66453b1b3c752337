//! Answers that are too large for Kafka.

use serde_json::json;

use super::tests::{at, decode, fetched, ledger, ledger_with, object, position, published, read, record, unlimited};
use super::*;
use crate::amazon::pay_api::Disposition;

fn too_large(object: &ObjectRef, state: &str, updated_s: i64) -> Disposition {
    let body = json!({object.kind.id_field(): object.id, "chargePermissionId": "P01-1111111-2222222",
        "merchantMetadata": {"merchantReferenceId": "x".repeat(1_000_000)},
        "statusDetails": {"state": state, "lastUpdatedTimestamp": at(updated_s)}});
    Disposition::Fetched(Box::new(decode(object, &body)))
}

#[test]
fn answer_that_fits_again_is_compared_with_what_was_published() {
    let mut ledger = ledger(Settings::default());
    ledger.take_in(record(0, 100), at(100));
    assert!(read(&mut ledger, 101, too_large(&object(), "Captured", 99)));
    assert_eq!((published(&mut ledger).len(), position(&ledger)), (0, 1), "the work is pending");
    assert_eq!((ledger.queue.attempts_of(&object()), ledger.store.is_observed(&object())), (1, false));
    assert!(!read(&mut ledger, 105, fetched("Captured", 99)), "it backs off");
    assert!(read(&mut ledger, 200, fetched("Captured", 99)));
    assert_eq!(published(&mut ledger), ["ChargeCaptured"]);
}

#[test]
fn reconciliation_of_an_answer_that_is_too_large_publishes_nothing() {
    let mut ledger = ledger(Settings::default());
    ledger.take_in(record(0, 100), at(100));
    assert!(read(&mut ledger, 101, fetched("Authorized", 99)));
    assert_eq!(published(&mut ledger), ["ChargeAuthorized"]);
    ledger.queue.reconcile(&object(), at(101));
    assert!(read(&mut ledger, 1000, too_large(&object(), "Captured", 999)));
    assert!(published(&mut ledger).is_empty() && !ledger.queue.holds(&object()));
    assert_eq!(ledger.store.observed(&object()).unwrap().state.as_str(), "Authorized");
}

#[test]
fn charge_is_published_without_a_permission_that_is_too_large() {
    let settings = Settings::default();
    let rules = unlimited(&settings);
    let mut ledger = ledger_with(settings, rules, at(0));
    ledger.take_in(record(0, 100), at(100));
    assert!(read(&mut ledger, 101, fetched("Captured", 99)));
    assert!(published(&mut ledger).is_empty(), "the permission is read first");
    let permission = object().sibling(ObjectKind::ChargePermission, ObjectId::parse("P01-1111111-2222222").unwrap());
    assert!(read(&mut ledger, 102, too_large(&permission, "Chargeable", 98)));
    assert_eq!(published(&mut ledger), ["ChargeCaptured"]);
}
