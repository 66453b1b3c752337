use std::collections::BTreeSet;

use super::*;
use crate::config::Events;
use crate::domain::pay::{Account, Environment, MerchantId, ObjectKind};

const AT_S: i64 = 1_767_323_045;

fn account() -> Account {
    Account { merchant_id: MerchantId::parse("A1O8CIV1A24A6X").unwrap(), environment: Environment::Sandbox }
}

fn recipe_of(variant: Variant, overrides: &[Override]) -> Result<Recipe, String> {
    let ids = Ids::new(Environment::Sandbox, variant.permission_type, 12_345_677_654_321);
    recipe(variant, &Inputs { ids: &ids, overrides, at_s: AT_S, notices: Events::default().notices() })
}

#[test]
fn variants_cover_every_event_and_reason_once() {
    let variants = variants();
    let names: BTreeSet<String> = variants.iter().map(Variant::name).collect();
    assert_eq!(names.len(), variants.len());
    for row in CATALOG {
        let n_types = if row.name == "PermissionLimitNear" { 2 } else { 3 };
        let of_row = variants.iter().filter(|variant| variant.event == row).count();
        assert_eq!(of_row, row.reasons.len().max(1) * n_types, "{}", row.name);
    }
    assert_eq!(variants.len(), 185);
}

fn names(played: &[Played]) -> Vec<&'static str> {
    played.iter().map(|(event, _)| event.event_type.name).collect()
}

#[test]
fn each_step_publishes_exactly_its_events() {
    for variant in variants() {
        let recipe = recipe_of(variant, &[]).unwrap();
        let name = variant.name();
        let played = play(&recipe, &account());
        for (step, played) in recipe.steps.iter().zip(&played) {
            let expected: Vec<&str> = step.publishes.iter().map(|event| event.name).collect();
            assert_eq!(names(played), expected, "{name}: {step:?}");
        }
        let (event, sequence) = played.last().unwrap().last().unwrap();
        assert_eq!((event.event_type, event.object.id.as_str()), (variant.event, &*recipe.last().id), "{name}");
        assert_eq!(event.charge_permission_type.as_deref(), Some(variant.permission_type), "{name}");
        let reasons: Vec<&str> = event.reasons.iter().map(|reason| reason.reason_code.as_str()).collect();
        assert_eq!(reasons, variant.reason.as_slice(), "{name}");
        assert!(!event.unexpected_transition && !event.is_late, "{name}: {event:#?}");
        let sequences: Vec<u64> = played.iter().flatten().map(|(_, sequence)| *sequence).collect();
        assert!(sequences.is_sorted() && sequences.last() == Some(sequence), "{name}: {sequences:?}");
        assert_eq!(play(&recipe, &account()), played, "{name} is always the same");
    }
}

#[test]
fn only_the_limit_comes_with_another_event() {
    for variant in variants() {
        let n_events = recipe_of(variant, &[]).unwrap().last().publishes.len();
        let expected = if variant.event.name == "PermissionLimitNear" { 2 } else { 1 };
        assert_eq!(n_events, expected, "{}", variant.name());
    }
}

#[test]
fn overrides_show_from_the_creation_of_the_object_on() {
    let variant = Variant::find("ChargeCaptured", None, Some("OneTime")).unwrap();
    let overrides = [Override::parse("chargeAmount.amount=14.00").unwrap()];
    let played = play(&recipe_of(variant, &overrides).unwrap(), &account());
    let amount = |played: &[Played], field: &str| played.last().unwrap().0.snapshot[field]["amount"].clone();
    for (step, field) in [(1, "chargeAmount"), (2, "chargeAmount"), (2, "captureAmount")] {
        assert_eq!(amount(&played[step], field), "14.00", "{step} {field}");
    }

    // Where the recipe changes the same field, only its end shows the override.
    let limit = Variant::find("PermissionLimitNear", None, None).unwrap();
    let overrides = [Override::parse("limits.amountBalance.amount=1.00").unwrap()];
    let played = play(&recipe_of(limit, &overrides).unwrap(), &account());
    assert_eq!(names(&played[1]), ["PermissionUpdated", "PermissionLimitNear"]);
    assert_eq!(played[1][1].0.snapshot["limits"]["amountBalance"]["amount"], "1.00");

    let wrong = recipe_of(variant, &[Override::parse("chargeAmount.sum=1").unwrap()]).unwrap_err();
    assert!(wrong.contains("the fields are: amount, currencyCode"), "{wrong}");
}

#[test]
fn wrong_names_are_answered_with_the_valid_ones() {
    let named =
        |event, reason, permission_type| Variant::find(event, reason, permission_type).map(|found| found.name());
    for (event, reason, permission_type, expected) in [
        ("ChargeDeclined", Some("harddeclined"), Some("onetime"), "ChargeDeclined.HardDeclined.OneTime"),
        ("amazonpay.ChargeDeclined.v1", None, None, "ChargeDeclined.SoftDeclined.Recurring"),
        ("refundcompleted", None, None, "RefundCompleted.Recurring"),
    ] {
        assert_eq!(named(event, reason, permission_type).as_deref(), Ok(expected));
    }
    for (event, reason, permission_type, expected) in [
        ("ChargeLost", None, None, "there is no event type ChargeLost; the event types are: PermissionChargeable, "),
        ("RefundDeclined", Some("X"), None, "RefundDeclined has no --reason X; its reasons are: AmazonRejected, "),
        ("RefundCompleted", Some("X"), None, "RefundCompleted has no reasons; leave out --reason"),
        ("PermissionLimitNear", None, Some("OneTime"), "PermissionLimitNear has no --permission-type OneTime; its "),
    ] {
        let error = named(event, reason, permission_type).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn ids_follow_amazons_forms() {
    let ids = |permission_type, kind, id: &str| {
        let ids = Ids::new(Environment::Sandbox, permission_type, 5).with(kind, id, permission_type);
        ObjectKind::ALL.map(|kind| ids.of(kind).to_owned())
    };
    assert_eq!(
        ids("OneTime", ObjectKind::Refund, "S01-1-2-R000009"),
        ["S01-1-2", "S01-1-2-C000001", "S01-1-2-R000009", "S01-1-2-B000001"]
    );
    assert_eq!(
        ids("Recurring", ObjectKind::Charge, "S01-1-2-C000009"),
        ["C01-0000000-0000005", "S01-1-2-C000009", "S01-1-2-R000001", "S01-1-2-B000001"]
    );
    assert_eq!(
        ids("OneTime", ObjectKind::ChargePermission, "S01-1-2")[..2],
        ["S01-1-2".to_owned(), "S01-1-2-C000001".to_owned()]
    );
    assert_eq!(
        ids("PaymentMethodOnFile", ObjectKind::ChargePermission, "C01-1-2")[..2],
        ["C01-1-2".to_owned(), "S01-0000000-0000005-C000001".to_owned()]
    );
}
