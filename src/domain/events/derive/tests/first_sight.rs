//! The first sight of an object, after an outage and from before the merchant was in our charge.

use super::*;

/// The first sight of an object that reached its state at day 10: its event and whether that is late.
fn first_event(state: &str, in_charge_day: Option<i64>, found_h: i64, sent_h: &[i64]) -> (&'static str, bool) {
    let kind = if state == "Chargeable" { ObjectKind::ChargePermission } else { ObjectKind::Charge };
    let (object, fetched) = (object(kind), fetched(kind, state, &[], 10 * 86_400, "0"));
    let after = |h: i64| Timestamp::from_unix_ms((240 + h) * HOUR_MS);
    let causes: Vec<Cause> =
        sent_h.iter().map(|h| Cause { timestamp: after(*h), ..cause("STATE_CHANGE", 0) }).collect();
    let observed_at = after(found_h);
    let in_charge_since = in_charge_day.map(|day| Timestamp::from_unix_ms(day * 24 * HOUR_MS));
    let reading = Reading { observed_at, in_charge_since, ..reading(&object, &fetched, &causes, false) };
    let Derivation::Current { events, .. } = derive(None, &reading) else { panic!() };
    (events[0].event_type.name, events[0].is_late)
}

#[test]
fn change_since_in_charge_keeps_its_type_however_late() {
    const DAYS: i64 = 24;
    let in_charge = Some(10);
    let not_yet = Some(11);
    for (state, in_charge_day, found_h, sent_h, event) in [
        ("Captured", in_charge, 1, &[1][..], ("ChargeCaptured", false)),
        ("Captured", in_charge, 3 * DAYS, &[3 * DAYS], ("ChargeCaptured", true)),
        ("Captured", in_charge, 800 * DAYS, &[800 * DAYS], ("ChargeCaptured", true)),
        ("Chargeable", in_charge, 3 * DAYS, &[3 * DAYS], ("PermissionChargeable", true)),
        ("Captured", not_yet, 1, &[1], ("ChargeCaptured", false)),
        ("Captured", not_yet, 3 * DAYS, &[3 * DAYS], ("ChargeUpdated", true)),
        ("Chargeable", not_yet, 3 * DAYS, &[3 * DAYS], ("PermissionUpdated", true)),
        ("Declined", not_yet, 3 * DAYS, &[3 * DAYS], ("ChargeDeclined", true)),
        ("Captured", None, 3 * DAYS, &[3 * DAYS], ("ChargeUpdated", true)),
        // The IPN came at once, and the read comes only now.
        ("Captured", not_yet, 3 * DAYS, &[0], ("ChargeCaptured", true)),
        ("Captured", not_yet, 3 * DAYS, &[0, 3 * DAYS], ("ChargeCaptured", true)),
        ("Captured", in_charge, 24, &[24], ("ChargeCaptured", false)),
    ] {
        let found = first_event(state, in_charge_day, found_h, sent_h);
        assert_eq!(found, event, "{state}, in charge since day {in_charge_day:?}, found after {found_h} h");
    }
}

#[test]
fn late_is_flagged_at_every_state_event_and_nowhere_else() {
    let kind = ObjectKind::ChargePermission;
    let (object, day) = (object(kind), 86_400);
    let mut known: Option<Observed> = None;
    for (state, updated_s, observed_s, names, is_late) in [
        ("Chargeable", 0, day, &["PermissionChargeable"][..], false),
        ("NonChargeable", day, 2 * day + 1, &["PermissionNonChargeable"], true),
        ("Chargeable", 3 * day, 3 * day, &["PermissionChargeable"], false),
        ("Chargeable", 3 * day, 30 * day, &["PaymentMethodUpdated"], false),
    ] {
        let fetched = fetched(kind, state, &[], updated_s, "0");
        let observed_at = Timestamp::from_unix_ms(observed_s * 1000);
        let hint = [cause("ATTRIBUTE_CHANGE", observed_s)];
        let causes = if names[0] == "PaymentMethodUpdated" { &hint[..] } else { &[] };
        let reading = Reading { observed_at, hint_is_ripe: true, ..reading(&object, &fetched, causes, false) };
        let Derivation::Current { events, observed, .. } = derive(known.as_ref(), &reading) else { panic!() };
        let published: Vec<&str> = events.iter().map(|event| event.event_type.name).collect();
        assert_eq!((published.as_slice(), events[0].is_late), (names, is_late), "{state} {updated_s}");
        known = Some(*observed);
    }
}

#[test]
fn first_sight_without_a_time_keeps_its_type() {
    let kind = ObjectKind::Charge;
    let body = json!({"chargeId": "P01-1-2", "statusDetails": {"state": "Captured", "lastUpdatedTimestamp": "soon"}});
    let (object, fetched, causes) = (object(kind), decode(kind, &body), [cause("STATE_CHANGE", 5000)]);
    let Derivation::Current { events, .. } = derive(None, &reading(&object, &fetched, &causes, false)) else {
        panic!()
    };
    assert_eq!((events[0].event_type.name, events[0].is_late), ("ChargeCaptured", false));
}
