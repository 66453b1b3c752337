//! A realistic event of each type, derived from reads as the worker does it.

use ipn_receiver::config::Events;
use ipn_receiver::domain::events::{
    Derivation, Event, EventType, Permission, PermissionSeen, Reading, Trigger, derive,
};
use ipn_receiver::domain::ipn::NotificationType;
use ipn_receiver::domain::pay::{
    Account, DigestKey, Edge, Environment, Fetched, MerchantId, ObjectId, ObjectKind, ObjectRef, State,
};
use ipn_receiver::domain::state::Observed;
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::domain::work::{Cause, ClaimedPermission, InboxPosition, Origin};
use serde_json::{Value, json};

const PERMISSION: &str = "B02-1234567-7654321";
const CHANGED_AT: i64 = 1_767_323_045;
pub(super) const UPDATE_URL: &str = "https://payments.amazon.com/jr/your-account/ba/{ChargePermissionId}";

pub(super) fn id(kind: ObjectKind) -> ObjectId {
    let id = match kind {
        ObjectKind::ChargePermission => PERMISSION,
        ObjectKind::Charge => "P02-2345678-8765432-C012345",
        ObjectKind::Refund => "P02-2345678-8765432-R012345",
        ObjectKind::Dispute => "P02-2345678-8765432-B012345",
    };
    ObjectId::parse(id).unwrap()
}

/// A realistic object of this kind. `amount` is the attribute that changes.
fn fetched(kind: ObjectKind, state: &str, reason: Option<&str>, at: i64, amount: &str) -> Fetched {
    decode(kind, &body(kind, state, reason, at, amount))
}

fn body(kind: ObjectKind, state: &str, reason: Option<&str>, at: i64, amount: &str) -> Value {
    let reasons = reason.map(|code| json!([{"reasonCode": code, "reasonDescription": "Amazon's own sentence."}]));
    let money = json!({"amount": amount, "currencyCode": "EUR"});
    json!({
        kind.id_field(): id(kind), "chargePermissionId": PERMISSION, "releaseEnvironment": "Live",
        "chargePermissionType": (kind == ObjectKind::ChargePermission).then_some("Recurring"),
        "statusDetails": {"state": state, "reasons": reasons, "lastUpdatedTimestamp": at},
        "limits": {"amountBalance": &money}, "chargeAmount": {"amount": "9.99", "currencyCode": "EUR"}, "refundedAmount": (state == "Captured").then_some(&money),
        "merchantResponseDeadline": (kind == ObjectKind::Dispute).then_some("20260112T000000Z"),
        "refundAmount": &money, "disputeAmount": &money, "chargeId": "P02-2345678-8765432-C012345", "merchantMetadata": {"merchantReferenceId": "order-4711"},
    })
}

/// An object of which the merchant is warned.
fn fetched_near(kind: ObjectKind) -> Fetched {
    let (state, reason) = match kind {
        ObjectKind::Dispute => ("ActionRequired", Some("MerchantResponseRequired")),
        _ => ("Chargeable", None),
    };
    let mut body = body(kind, state, reason, CHANGED_AT, "9.99");
    body["merchantResponseDeadline"] = "20260105T000000Z".into();
    body["expirationTimestamp"] = "20260112T000000Z".into();
    body["limits"]["amountLimit"] = json!({"amount": "500.00", "currencyCode": "EUR"});
    decode(kind, &body)
}

fn decode(kind: ObjectKind, body: &Value) -> Fetched {
    let edge = Edge::strict(DigestKey::derive(b"docs"));
    let read = Fetched::decode((kind, &id(kind)), Environment::Live, &edge, body.to_string().as_bytes()).unwrap();
    Fetched { request_id: Some("5ee0d5f4-7cf5-4d9a-9f5f-4bcd1ff7a2a6".into()), ..read }
}

/// Reads the objects in turn and returns the last event of type `wanted`.
fn last_event(reads: &[Fetched], wanted: &EventType) -> Event {
    let account = Account { merchant_id: MerchantId::parse("A1O8CIV1A24A6X").unwrap(), environment: Environment::Live };
    let permission = id(ObjectKind::ChargePermission);
    let mut known: Option<Observed> = None;
    let mut sample = None;
    for fetched in reads {
        let object = ObjectRef { account: account.clone(), kind: fetched.kind, id: fetched.id.clone() };
        let origin = Origin::Ipn {
            message_id: uuid::uuid!("72fd219f-d2d6-5fea-afff-70487e01d695"),
            notification_type: NotificationType::StateChange,
            position: InboxPosition { partition: 3, offset: 4711 },
            traceparent: None,
            chargeback: wanted.trigger == Trigger::ChargebackReported,
            permission: ClaimedPermission::None,
        };
        let causes = [Cause { origin, timestamp: Timestamp::from_unix_ms(CHANGED_AT * 1000 + 1204) }];
        let of_permission = Permission {
            seen: (fetched.kind != ObjectKind::ChargePermission).then_some(PermissionSeen {
                state: &State::Chargeable,
                reasons: &[],
                last_updated: None,
                has_moved: false,
                usable_since: None,
                read_at: Timestamp::from_unix_ms(CHANGED_AT * 1000 - 86_400_000),
            }),
            ..Permission::unread(&permission, Some("Recurring"))
        };
        let read_started_at = Timestamp::from_unix_ms(CHANGED_AT * 1000 + 1700);
        let reading = Reading {
            update_url: UPDATE_URL,
            notices: Events::default().notices(),
            causes: &causes,
            observed_at: Timestamp::from_unix_ms(CHANGED_AT * 1000 + 1901),
            ..Reading::of(&object, fetched, of_permission, read_started_at)
        };
        let Derivation::Current { events, observed, .. } = derive(known.as_ref(), &reading) else {
            panic!("read in order")
        };
        known = Some(*observed);
        sample = events.into_iter().find(|event| event.event_type == wanted).or(sample);
    }
    sample.unwrap_or_else(|| panic!("no {} was published", wanted.name))
}

/// A typical previous state of the object, and a typical reason of this state.
fn typical_transition(name: &str) -> (Option<&'static str>, Option<&'static str>) {
    match name {
        "PermissionNonChargeable" => (Some("Chargeable"), Some("PaymentMethodInvalid")),
        "PermissionClosed" => (Some("Chargeable"), Some("BuyerClosed")),
        "ChargeAuthorized" => (Some("AuthorizationInitiated"), None),
        "ChargeCaptureInitiated" => (Some("Authorized"), None),
        "ChargeCaptured" => (Some("CaptureInitiated"), None),
        "ChargeDeclined" => (Some("AuthorizationInitiated"), Some("HardDeclined")),
        "ChargeCanceled" => (Some("Authorized"), Some("MerchantCanceled")),
        "RefundCompleted" => (Some("RefundInitiated"), None),
        "RefundDeclined" => (Some("RefundInitiated"), Some("ProcessingFailure")),
        "DisputeActionRequired" => (Some("UnderReview"), Some("MerchantResponseRequired")),
        "DisputeResolved" => (Some("UnderReview"), Some("InvestigatorResolved")),
        "DisputeClosed" => (Some("ActionRequired"), Some("MerchantAcceptedDispute")),
        _ => (None, None),
    }
}

/// An event of this type.
pub(super) fn sample(row: &EventType) -> Event {
    let (kind, now) = (row.kind, CHANGED_AT);
    let reads = match row.trigger {
        Trigger::StateReached { state, .. } => {
            let (before, reason) = typical_transition(row.name);
            let before = before.map(|before| fetched(kind, before, None, now - 60, "9.99"));
            before.into_iter().chain([fetched(kind, state, reason, now, "9.99")]).collect()
        }
        Trigger::ChargebackReported => vec![fetched(kind, "Captured", None, now, "9.99")],
        Trigger::UnknownState => vec![fetched(kind, "AWordOfTomorrow", None, now, "9.99")],
        Trigger::AttributesChanged => {
            let state = if kind == ObjectKind::ChargePermission { "Chargeable" } else { "Captured" };
            ["20.00", "9.99", "9.99"].map(|amount| fetched(kind, state, None, now, amount)).to_vec()
        }
        Trigger::PaymentMethodChanged => vec![
            fetched(kind, "NonChargeable", Some("PaymentMethodInvalid"), now - 60, "9.99"),
            fetched(kind, "Chargeable", None, now, "9.99"),
        ],
        Trigger::Notice(_) => vec![fetched_near(kind)],
    };
    last_event(&reads, row)
}
