//! Answers of the simulated Amazon Pay API, and the events that the receiver derives from them.

use ipn_receiver::domain::events::{Derivation, Encoded, Mode, Permission, Reading, Wire, derive};
use ipn_receiver::domain::pay::{DigestKey, Edge, Fetched, ObjectKind};
use ipn_receiver::sandbox::pay_api::{charge, charge_permission, dispute, refund, with_state};
use ipn_receiver_fuzz::record::{NEXT, Record};
use ipn_receiver_fuzz::stage::{object, seconds_after};
use serde_json::{Value, json};

use super::Seed;

/// One answer, or several of one object with [`NEXT`] between them.
pub fn answers() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    for (name, _, bodies) in histories() {
        let bodies: Vec<Vec<u8>> = bodies.iter().map(|body| body.to_string().into_bytes()).collect();
        seeds.push((format!("{name}.json"), bodies[0].clone()));
        seeds.push((format!("list-{name}"), bodies.join(&NEXT)));
    }
    for (status, body) in [
        ("404", r#"{"reasonCode":"ResourceNotFound","message":"The requested resource was not found"}"#),
        ("403", r#"{"reasonCode":"InvalidAccountStatus","message":"x"}"#),
        ("429", r#"{"reasonCode":"TooManyRequests"}"#),
        ("500", "<html>"),
        ("200", "<html>"),
    ] {
        let answer = Record { key: status.into(), value: body.into(), headers: vec![] };
        seeds.push((format!("status-{status}"), answer.to_input()));
    }
    let mut other_forms = first(ObjectKind::Charge);
    other_forms["statusDetails"] =
        json!({"state": "Declined", "lastUpdatedTimestamp": 1_767_323_045, "reasons": "HardDeclined"});
    other_forms["chargeAmount"] = json!(14.5);
    other_forms["expirationTimestamp"] = json!("2026-01-02T03:04:05+09:00");
    seeds.push(("other-forms.json".to_owned(), other_forms.to_string().into_bytes()));
    let mut far = first(ObjectKind::ChargePermission);
    far["statusDetails"]["lastUpdatedTimestamp"] = json!(1_767_323_045_000_000_i64);
    far["expirationTimestamp"] = json!(1_767_323_045_000_000_i64);
    seeds.push(("far-time.json".to_owned(), far.to_string().into_bytes()));
    seeds
}

/// The events of the answers, in both content modes.
pub fn events() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, kind, bodies) in histories() {
        for (mode, mode_name) in [(Mode::Structured, "structured"), (Mode::Binary, "binary")] {
            let records: Vec<Vec<u8>> = events_of(kind, &bodies, mode).iter().map(Record::to_input).collect();
            seeds.push((format!("{mode_name}-{name}"), records.join(&NEXT)));
        }
    }
    let mut greatest = events_of(ObjectKind::Charge, &[first(ObjectKind::Charge)], Mode::Structured).remove(0);
    let mut event: Value = serde_json::from_slice(&greatest.value).unwrap();
    event["sequence"] = u64::MAX.to_string().into();
    greatest.value = event.to_string().into_bytes();
    seeds.push(("greatest-sequence".to_owned(), greatest.to_input()));
    let foreign =
        json!({"specversion": "1.0", "id": "1", "source": "/other", "type": "com.example.Other.v1", "data": {}});
    seeds.push(("foreign".to_owned(), foreign.to_string().into_bytes()));
    seeds
}

fn events_of(kind: ObjectKind, bodies: &[Value], mode: Mode) -> Vec<Record> {
    let object = object(kind);
    let wire = Wire { type_prefix: "com.example".to_owned(), mode };
    let edge = Edge::strict(DigestKey::derive(b"seeds"));
    let (mut known, mut records, mut sequence) = (None, Vec::new(), 1_767_323_045_000);
    for body in bodies {
        let body = body.to_string();
        let fetched = Fetched::decode((kind, &object.id), object.account.environment, &edge, body.as_bytes()).unwrap();
        let permission_id = fetched.charge_permission_id.clone().unwrap_or_else(|| object.id.clone());
        let permission = Permission::unread(&permission_id, fetched.charge_permission_type.as_deref());
        let reading = Reading::of(&object, &fetched, permission, seconds_after(3600));
        let Derivation::Current { events, observed, .. } = derive(known.as_ref(), &reading) else { continue };
        for event in events {
            let Encoded { headers, value } = wire.encode(&event, sequence);
            let headers = headers.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes())).collect();
            records.push(Record { key: event.charge_permission_id.to_string().into(), value, headers });
            sequence += 1;
        }
        known = Some(*observed);
    }
    records
}

/// Each object in a few states, one after the other.
fn histories() -> Vec<(&'static str, ObjectKind, Vec<Value>)> {
    let states = |kind: ObjectKind, states: &[(&str, &[&str])]| {
        let object = first(kind);
        let times = (1_767_323_045..).step_by(60);
        let later =
            states.iter().zip(times).map(|((state, reasons), at)| with_state(object.clone(), state, reasons, at));
        std::iter::once(object.clone()).chain(later).collect::<Vec<Value>>()
    };
    let permission = ObjectKind::ChargePermission;
    vec![
        (
            "permission",
            permission,
            states(
                permission,
                &[("NonChargeable", &["PaymentMethodInvalid"]), ("Chargeable", &[]), ("Closed", &["MerchantClosed"])],
            ),
        ),
        (
            "charge",
            ObjectKind::Charge,
            states(ObjectKind::Charge, &[("Declined", &["SoftDeclined"]), ("Captured", &[])]),
        ),
        ("refund", ObjectKind::Refund, states(ObjectKind::Refund, &[("Refunded", &[])])),
        ("dispute", ObjectKind::Dispute, states(ObjectKind::Dispute, &[("Resolved", &["MerchantWon"])])),
    ]
}

fn first(kind: ObjectKind) -> Value {
    let id = |kind| object(kind).id.to_string();
    let of_kind = id(kind);
    match kind {
        ObjectKind::ChargePermission => charge_permission(&of_kind, "Recurring"),
        ObjectKind::Charge => charge(&of_kind, &id(ObjectKind::ChargePermission), "14.00", "USD"),
        ObjectKind::Refund => refund(&of_kind, &id(ObjectKind::Charge), "14.00", "USD"),
        ObjectKind::Dispute => dispute(&of_kind, &id(ObjectKind::Charge), "14.00", "USD"),
    }
}
