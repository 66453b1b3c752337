//! Published events are enough to rebuild known state.

use serde_json::json;

use super::*;
use crate::domain::events::{Derivation, Encoded, Event, Mode, Permission, Reading, Wire, derive};
use crate::domain::pay::{Amount, DigestKey, Edge, Environment, Fetched, MerchantId};
use crate::domain::work::{Cause, ClaimedPermission, InboxPosition, Origin};

const NOON: i64 = 1_767_323_045_000;

/// One read of an object: state, reason codes, time of the change in seconds, balance, type of the IPN that caused it.
type Read = (&'static str, &'static [&'static str], i64, &'static str, &'static str);

fn object(kind: ObjectKind) -> ObjectRef {
    let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Sandbox };
    let id = if kind == ObjectKind::Charge { "S01-1-2-C3" } else { "B01-1-2" };
    ObjectRef { account, kind, id: ObjectId::parse(id).unwrap() }
}

fn fetched(object: &ObjectRef, (state, codes, updated_s, balance, _): Read) -> Fetched {
    let mut reasons: Vec<Value> = codes.iter().map(|code| json!({"reasonCode": code})).collect();
    reasons.extend(codes.first().map(|_| json!({"reasonCode": "Another", "reasonDescription": "A sentence."})));
    let status = json!({"state": state, "lastUpdatedTimestamp": 1_700_000_000 + updated_s, "reasons": reasons});
    let permission_type = (object.kind == ObjectKind::ChargePermission).then_some("Recurring");
    let body = json!({
        object.kind.id_field(): object.id, "chargePermissionId": "B01-1-2", "chargePermissionType": permission_type,
        "statusDetails": status, "limits": {"amountBalance": {"amount": balance, "currencyCode": "EUR"}},
        "captureAmount": {"amount": balance, "currencyCode": "EUR"}, "billingAddress": {"city": "A"},
    });
    let edge = Edge::strict(DigestKey::derive(b"test"));
    Fetched::decode((object.kind, &object.id), object.account.environment, &edge, body.to_string().as_bytes()).unwrap()
}

/// Known state after these reads, and the events with their sequence numbers.
fn life(object: &ObjectRef, reads: &[Read]) -> (Observed, Vec<(Event, u64)>) {
    let (mut known, mut published) = (None, Vec::new());
    let permission = ObjectId::parse("B01-1-2").unwrap();
    for (n, read) in reads.iter().enumerate() {
        let fetched = fetched(object, *read);
        let origin = Origin::Ipn {
            message_id: Uuid::nil(),
            notification_type: NotificationType::parse(read.4),
            position: InboxPosition { partition: 0, offset: 0 },
            traceparent: None,
            chargeback: false,
            permission: ClaimedPermission::None,
        };
        let at = Timestamp::from_unix_ms(NOON + n as i64 * 1000);
        let reading = Reading {
            causes: &[Cause { origin, timestamp: at }],
            hint_is_ripe: true,
            ..Reading::of(object, &fetched, Permission::unread(&permission, Some("Recurring")), at)
        };
        let Derivation::Current { events, observed, .. } = derive(known.as_ref(), &reading) else {
            panic!("no read is stale")
        };
        for event in events {
            published.push((event, NOON as u64 + published.len() as u64));
        }
        known = Some(*observed);
    }
    (known.unwrap(), published)
}

fn reread(mode: Mode, event: &Event, sequence: u64) -> Option<PublishedEvent> {
    let Encoded { headers, value } = Wire { type_prefix: "a.b".to_owned(), mode }.encode(event, sequence);
    let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_bytes());
    PublishedEvent::read(header, &value)
}

#[test]
fn known_state_is_rebuilt_from_events_in_both_modes() {
    let permission: &[Read] = &[
        ("Chargeable", &[], 10, "100", "STATE_CHANGE"),
        ("NonChargeable", &["PaymentMethodInvalid"], 20, "100", "STATE_CHANGE"),
        ("NonChargeable", &["ChargeInProgress"], 30, "90", "ATTRIBUTE_CHANGE"),
    ];
    let attributes: &[Read] = &[
        ("Chargeable", &[], 10, "100", "STATE_CHANGE"),
        ("Chargeable", &[], 10, "90", "STATE_CHANGE"),
        ("Chargeable", &[], 10, "90", "STATE_CHANGE"),
        ("Chargeable", &[], 10, "90", "ATTRIBUTE_CHANGE"),
    ];
    let charge: &[Read] =
        &[("Authorized", &[], 10, "0", "STATE_CHANGE"), ("Captured", &[], 20, "9.99", "STATE_CHANGE")];
    for (kind, reads, n_published) in [
        (ObjectKind::ChargePermission, permission, 4),
        (ObjectKind::ChargePermission, attributes, 3),
        (ObjectKind::Charge, charge, 2),
    ] {
        let object = object(kind);
        let (mut known, published) = life(&object, reads);
        assert_eq!(published.len(), n_published, "{kind}");
        let last_sequence = published.last().unwrap().1;
        for mode in [Mode::Structured, Mode::Binary] {
            let mut history = History::default();
            // An older event that comes again changes nothing.
            for (event, sequence) in published.iter().chain(published.iter().rev()) {
                history.add(reread(mode, event, *sequence).unwrap());
            }
            let rebuilt = history.into_known();
            let of = |id: &str| rebuilt.iter().find(|state| state.object.id.as_str() == id).unwrap();
            assert_eq!(of("B01-1-2").sequence, Some(last_sequence));
            let observed = of(object.id.as_str()).observed.clone().unwrap();
            known.private = None; // not published
            (known.attribute_revision, known.repeats) = (last_sequence, last_sequence);
            // The last read may have published nothing.
            known.read_started_at = observed.read_started_at;
            if n_published == reads.len() {
                assert_eq!(observed, known, "{kind} {mode:?}");
            }
            assert_eq!(observed.last_event_id, known.last_event_id);
        }
    }
}

#[test]
fn rebuilt_state_publishes_only_changes() {
    let object = object(ObjectKind::Charge);
    let (_, published) = life(&object, &[("Captured", &[], 20, "9.99", "STATE_CHANGE")]);
    let mut history = History::default();
    published.iter().for_each(|(event, sequence)| history.add(reread(Mode::Structured, event, *sequence).unwrap()));
    let known = history.into_known().into_iter().find_map(|state| state.observed).unwrap();
    assert_eq!(known.captured, Amount::parse("9.99"));
    let permission = ObjectId::parse("B01-1-2").unwrap();
    for (state, updated_s, expected) in [("Captured", 20, None), ("Canceled", 30, Some(("ChargeCanceled", "Captured")))]
    {
        let fetched = fetched(&object, (state, &[], updated_s, "9.99", ""));
        let at = Timestamp::from_unix_ms(NOON + 1_000_000);
        let reading = Reading::of(&object, &fetched, Permission::unread(&permission, Some("Recurring")), at);
        let Derivation::Current { events, .. } = derive(Some(&known), &reading) else {
            panic!("the read is not stale")
        };
        let published =
            events.first().map(|event| (event.event_type.name, event.previous_state.as_ref().unwrap().as_str()));
        assert_eq!(published, expected);
    }
}

#[test]
fn rebuilt_wait_ends_with_a_later_captured_charge() {
    let object = object(ObjectKind::Charge);
    let reads: [Read; 2] =
        [("Declined", &["HardDeclined"], 10, "0", "STATE_CHANGE"), ("Captured", &[], 20, "9.99", "STATE_CHANGE")];
    for (n_reads, is_waiting) in [(1, true), (2, false)] {
        let (_, published) = life(&object, &reads[..n_reads]);
        let mut history = History::default();
        published.iter().for_each(|(event, sequence)| history.add(reread(Mode::Binary, event, *sequence).unwrap()));
        let known = history.into_known();
        let permission = known.iter().find(|state| state.object.kind == ObjectKind::ChargePermission).unwrap();
        assert_eq!(permission.retry_awaited.is_some(), is_waiting, "{:?}", permission.retry_awaited);
    }
}

#[test]
fn foreign_record_is_not_read() {
    let none = |_: &str| None;
    for value in ["", "{}", "null", r#"{"id":"x","data":{}}"#] {
        assert_eq!(PublishedEvent::read(none, value.as_bytes()), None, "{value}");
    }
}
