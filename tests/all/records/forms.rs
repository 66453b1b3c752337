//! One record of each form, as today's code writes it.

use std::collections::BTreeMap;
use std::time::Duration;

use ipn_receiver::domain::dead_letter::{DeadLetter, DeadLetterReason, Writer};
use ipn_receiver::domain::ipn::NotificationType;
use ipn_receiver::domain::ipn::in_charge_request::SetInChargeSince;
use ipn_receiver::domain::ipn::recheck_request::Recheck;
use ipn_receiver::domain::pay::{
    Account, Amount, DigestKey, Edge, Environment, Fetched, MerchantId, ObjectId, ObjectKind, ObjectRef,
    PrivateDigests, Reason, State,
};
use ipn_receiver::domain::state::in_charge::InCharge;
use ipn_receiver::domain::state::{
    InboxMark, KnownState, Observed, PermissionIdSource, RetryAwaited, Upcoming, VERSION,
};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::domain::trace::TraceParent;
use ipn_receiver::domain::work::ReadHistory;
use ipn_receiver::domain::work::{Cause, ClaimedPermission, InboxPosition, Origin, Pending};
use ipn_receiver::kafka::state_store::CompletenessMarker;
use ipn_receiver::sandbox::pay_api::{charge, with_state};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub(super) const MERCHANT: &str = "A0SANDBOXMERCHANT";
pub(super) const PERMISSION: &str = "C02-0000001-1111111";
pub(super) const PENDING_CHARGE: &str = "S02-0000001-1111111-C000001";
pub(super) const STUB_CHARGE: &str = "S02-0000001-1111111-C000002";
pub(super) const RECHECKED_CHARGE: &str = "S02-0000001-1111111-C000003";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const BARRIER: &str = "6f9619ff-8b86-4d11-b42d-00c04fc964ff";

/// What is written today, by the name of its file: records that do not depend on a running Kafka.
pub(super) fn written() -> BTreeMap<&'static str, Value> {
    let value = |json: Vec<u8>| serde_json::from_slice::<Value>(&json).unwrap();
    let state = |state: &KnownState| {
        assert_eq!(state.version, VERSION);
        json!({"key": state.object.state_key(), "headers": {"ipn-barrier-id": BARRIER}, "value": state})
    };
    let recheck = Recheck {
        object: object(ObjectKind::Charge, RECHECKED_CHARGE),
        seed: false,
        requested_at: at("2026-01-02T03:04:09.000Z"),
    };
    let account = recheck.object.account.clone();
    let since = at("2026-01-01T00:00:00.000Z");
    let mut in_charge = InCharge::new(account.clone(), since);
    in_charge.set(since, at("2026-01-02T03:04:10.500Z"));
    let set_in_charge = SetInChargeSince { account, since, requested_at: at("2026-01-02T03:04:10.000Z") };
    BTreeMap::from([
        ("state-permission.v1", state(&permission())),
        ("state-pending.v1", state(&pending())),
        ("state-stub.v1", state(&stub())),
        ("state-complete.v1", json!({"key": "__complete", "value": CompletenessMarker::new(0, true)})),
        (
            "inbox-recheck.v1",
            json!({"key": MERCHANT, "headers": {"ipn-schema-version": "1", "ipn-record-kind": "recheck"}, "value": value(recheck.to_json())}),
        ),
        (
            "state-in-charge-since.v1",
            json!({"key": InCharge::key_of(&in_charge.account), "headers": {"ipn-barrier-id": BARRIER}, "value": in_charge}),
        ),
        (
            "inbox-in-charge-since.v1",
            json!({"key": MERCHANT, "headers": {"ipn-schema-version": "1", "ipn-record-kind": "in-charge-since"}, "value": value(set_in_charge.to_json())}),
        ),
        ("dead-letter.v1", json!({"headers": dead_letter_headers()})),
    ])
}

/// Every field has a value here: one that is new does not compile until it stands here, too.
fn permission() -> KnownState {
    KnownState {
        version: VERSION,
        object: object(ObjectKind::ChargePermission, PERMISSION),
        observed: Some(Observed {
            state: State::parse("NonChargeable"),
            reasons: vec![Reason {
                reason_code: "PaymentMethodInvalid".to_owned(),
                reason_description: Some("Amazon's own sentence.".to_owned()),
            }],
            last_updated: Some(at("2026-01-01T03:04:05.000Z")),
            newest_update: Some(at("2026-01-01T03:04:06.000Z")),
            repeats: 2,
            charge_permission_id: id(PERMISSION),
            charge_permission_id_source: Some(PermissionIdSource::Ipn),
            charge_permission_type: Some("Recurring".to_owned()),
            attributes_digest: "0123456789abcdef".to_owned(),
            attribute_revision: 3,
            unconfirmed_digest: Some("fedcba9876543210".to_owned()),
            payment_method_reason: Some("PaymentMethodInvalid".to_owned()),
            captured: Some(Amount::parse("9.99").unwrap()),
            private: Some(PrivateDigests {
                key_id: "00112233445566".to_owned(),
                payment_descriptor: Some("1111111111111111".to_owned()),
                billing_address: Some("2222222222222222".to_owned()),
                shipping_address: Some("3333333333333333".to_owned()),
                metadata: Some("4444444444444444".to_owned()),
            }),
            hint_settled: Some(at("2026-01-01T03:04:06.000Z")),
            hint_explained_at: Some(at("2026-01-01T03:04:06.500Z")),
            retry_advised_at: Some(at("2026-01-01T03:04:06.600Z")),
            usable_since: Some(at("2026-01-01T03:04:06.550Z")),
            unconfirmed_reads: 1,
            has_moved: false,
            stub: false,
            upcoming: Upcoming {
                date: Some(at("2026-07-01T00:00:00.000Z")),
                noticed_dates: vec![at("2026-06-01T00:00:00.000Z")],
                is_limit_near: true,
                limit_crossings: 2,
            },
            read_started_at: at("2026-01-01T03:04:07.000Z"),
            read_after: Some(InboxMark { offset: 41, appended_at: at("2026-01-01T03:04:06.000Z") }),
            last_event_id: Some(Uuid::from_u128(1)),
        }),
        sequence: Some(1_767_236_647_000),
        retry_awaited: Some(RetryAwaited {
            since: Some(at("2026-01-01T03:04:05.000Z")),
            newest: Some(at("2026-01-01T03:04:06.000Z")),
            may_check: true,
        }),
        pending: None,
    }
}

fn pending() -> KnownState {
    let position = InboxPosition { partition: 1, offset: 42 };
    let origins = [
        Origin::Ipn {
            message_id: Uuid::from_u128(2),
            notification_type: NotificationType::StateChange,
            position,
            traceparent: Some(Box::new(TraceParent::parse(TRACEPARENT).unwrap())),
            chargeback: true,
            permission: ClaimedPermission::Named(Box::new(id(PERMISSION))),
        },
        Origin::Recheck { position, seed: false },
        Origin::ParentRead {
            read_for: id(STUB_CHARGE),
            seed: true,
            message_id: Some(Uuid::from_u128(2)),
            traceparent: Some(Box::new(TraceParent::parse(TRACEPARENT).unwrap())),
        },
        Origin::Reconciliation,
    ];
    let causes = origins.map(|origin| Cause { origin, timestamp: at("2026-01-02T03:04:05.000Z") });
    let dropped = json!({
        "ranges": [{"partition": 1, "first": 38, "last": 40}],
        "uncopied": {"count": 2, "partition": 1, "first": 35, "last": 37},
    });
    KnownState {
        version: VERSION,
        object: object(ObjectKind::Charge, PENDING_CHARGE),
        observed: None,
        sequence: None,
        retry_awaited: None,
        pending: Some(Pending {
            causes: causes.into(),
            dropped: serde_json::from_value(dropped).unwrap(),
            causes_seen: 9,
            first_seen: at("2026-01-02T03:04:05.100Z"),
            newest_seen: Some(at("2026-01-02T03:04:06.000Z")),
            evidence_seen: Some(at("2026-01-02T03:04:05.500Z")),
            due: at("2026-01-02T03:05:05.000Z"),
            attempts: 2,
            failing_ms: 60_000,
            failed_at: Some(at("2026-01-02T03:04:30.000Z")),
            last_error: Some("Amazon Pay answered 404 Not Found".into()),
            confirming: true,
        }),
    }
}

/// The charge of the stub as the simulator answers it.
fn captured_stub_charge() -> Fetched {
    let body = with_state(charge(STUB_CHARGE, PERMISSION, "9.99", "EUR"), "Captured", &[], 0);
    let edge = Edge::strict(DigestKey::derive(b"any: a charge has no private details"));
    let identity = (ObjectKind::Charge, &id(STUB_CHARGE));
    Fetched::decode(identity, Environment::Sandbox, &edge, body.to_string().as_bytes()).unwrap()
}

fn stub() -> KnownState {
    let observed = Observed {
        state: State::parse("Captured"),
        charge_permission_type: None,
        attributes_digest: captured_stub_charge().snapshot_digest,
        attribute_revision: 0,
        hint_settled: None,
        hint_explained_at: None,
        retry_advised_at: None,
        usable_since: None,
        unconfirmed_reads: 0,
        has_moved: false,
        stub: false,
        newest_update: None,
        repeats: 0,
        ..permission().observed.unwrap()
    };
    let object = object(ObjectKind::Charge, STUB_CHARGE);
    KnownState {
        version: VERSION,
        object,
        observed: Some(observed.stub()),
        sequence: None,
        retry_awaited: None,
        pending: None,
    }
}

fn dead_letter_headers() -> Map<String, Value> {
    let letter = DeadLetter {
        reason: DeadLetterReason::UnknownObject,
        detail: "Amazon Pay answered 404".to_owned(),
        history: ReadHistory {
            object: Some(object(ObjectKind::Charge, PENDING_CHARGE)),
            first_seen: Some(at("2026-01-02T03:04:05.100Z")),
            causes_seen: 1,
            attempts: 5,
            failing_for: Duration::from_hours(1),
        },
        position: InboxPosition { partition: 1, offset: 42 },
        key: Vec::new(),
        value: Vec::new(),
        headers: Vec::new(),
    };
    let now = at("2026-01-02T04:04:05.000Z");
    let writer = Writer { inbox: "amazonpay.ipn.inbox.v1", instance: "amazonpay.worker-1", version: "0.1.0", now };
    letter.own_headers(&writer).into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect()
}

pub(super) fn object(kind: ObjectKind, text: &str) -> ObjectRef {
    let account = Account { merchant_id: MerchantId::parse(MERCHANT).unwrap(), environment: Environment::Sandbox };
    ObjectRef { account, kind, id: id(text) }
}

fn id(text: &str) -> ObjectId {
    ObjectId::parse(text).unwrap()
}

pub(super) fn at(text: &str) -> Timestamp {
    Timestamp::parse_sns(text).unwrap()
}
