//! Cost of one event from the read to the encoded bytes (derive and encode), compared with hashing its id alone.
//!
//! `cargo bench --bench events`. The fastest tenth of the rounds counts. Exits with 1 above 5 µs per event.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use ipn_receiver::domain::events::{Derivation, Mode, NAMESPACE, Permission, PermissionSeen, Reading, Wire, derive};
use ipn_receiver::domain::ipn::NotificationType;
use ipn_receiver::domain::pay::{
    Account, DigestKey, Edge, Environment, Fetched, MerchantId, ObjectId, ObjectKind, ObjectRef, State,
};
use ipn_receiver::domain::state::Observed;
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::domain::work::{Cause, ClaimedPermission, InboxPosition, Origin};
use serde_json::json;
use uuid::Uuid;

const EVENT_MAX_US: f64 = 5.0;
const ROUNDS: usize = 500;
const PER_ROUND: usize = 200;

fn main() -> ExitCode {
    let scene = Scene::new();
    let Derivation::Current { observed: known, .. } = derive(None, &scene.reading(&scene.before)) else {
        unreachable!()
    };
    let wire = Wire { type_prefix: "amazonpay".to_owned(), mode: Mode::Structured };
    let bytes = derive_and_encode(&scene, &known, &wire);
    let event = each_us(|| derive_and_encode(&scene, &known, &wire));
    let hash = each_us(|| Uuid::new_v5(&NAMESPACE, black_box(&bytes[..200])));
    println!(
        "derive and encode a declined charge of {} bytes: {event:.2} µs (at most {EVENT_MAX_US}), {:.1} × one UUIDv5 of {hash:.2} µs",
        bytes.len(),
        event / hash
    );
    if event <= EVENT_MAX_US { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn derive_and_encode(scene: &Scene, known: &Observed, wire: &Wire) -> Vec<u8> {
    let Derivation::Current { events, .. } = derive(Some(known), &scene.reading(&scene.after)) else { unreachable!() };
    wire.encode(&events[0], 1_767_323_046_902).value
}

/// Microseconds per call; the fastest tenth of the rounds.
fn each_us<T>(mut work: impl FnMut() -> T) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..PER_ROUND {
                black_box(work());
            }
            began.elapsed().as_secs_f64() * 1e6 / PER_ROUND as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 10]
}

/// A charge that is declined.
struct Scene {
    object: ObjectRef,
    permission: ObjectId,
    causes: Vec<Cause>,
    before: Fetched,
    after: Fetched,
}

impl Scene {
    fn new() -> Self {
        let id = |text| ObjectId::parse(text).expect("an id");
        let merchant_id = MerchantId::parse("A1O8CIV1A24A6X").expect("a merchant's id");
        let account = Account { merchant_id, environment: Environment::Live };
        let object = ObjectRef { account, kind: ObjectKind::Charge, id: id("P01-1234567-7654321-C000001") };
        let origin = Origin::Ipn {
            message_id: Uuid::from_u128(1),
            notification_type: NotificationType::StateChange,
            position: InboxPosition { partition: 3, offset: 4711 },
            traceparent: None,
            chargeback: false,
            permission: ClaimedPermission::None,
        };
        let causes = vec![Cause { origin, timestamp: Timestamp::from_unix_ms(1_767_323_046_204) }];
        let (before, after) = (
            fetched(&object, "AuthorizationInitiated", None, 1),
            fetched(&object, "Declined", Some("HardDeclined"), 2),
        );
        Self { object, permission: id("B01-1234567-7654321"), causes, before, after }
    }

    fn reading<'a>(&'a self, fetched: &'a Fetched) -> Reading<'a> {
        let at = Timestamp::from_unix_ms(1_767_323_046_901);
        let seen = PermissionSeen {
            state: &State::Chargeable,
            reasons: &[],
            last_updated: None,
            has_moved: false,
            usable_since: None,
            read_at: at,
        };
        let permission = Permission { seen: Some(seen), ..Permission::unread(&self.permission, Some("Recurring")) };
        Reading {
            update_url: "https://payments.amazon.com/jr/your-account/ba/{ChargePermissionId}",
            causes: &self.causes,
            ..Reading::of(&self.object, fetched, permission, at)
        }
    }
}

fn fetched(object: &ObjectRef, state: &str, reason: Option<&str>, updated_s: i64) -> Fetched {
    let price = json!({"amount": "9.99", "currencyCode": "USD"});
    let body = json!({
        "chargeId": object.id, "chargePermissionId": "B01-1234567-7654321", "chargeAmount": price, "captureAmount": null,
        "softDescriptor": "A SHOP", "captureNow": true, "canHandlePendingAuthorization": false, "chargeInitiator": "MITR", "channel": "Web",
        "statusDetails": {"state": state, "reasonCode": reason, "reasonDescription": reason.map(|_| "The buyer's bank said no."),
            "lastUpdatedTimestamp": 1_767_323_000 + updated_s},
        "creationTimestamp": "20260102T030405Z", "expirationTimestamp": "20260202T030405Z", "releaseEnvironment": "Live",
        "merchantMetadata": {"merchantReferenceId": "order-4711"},
    });
    let edge = Edge::strict(DigestKey::derive(b"bench"));
    let read = Fetched::decode((object.kind, &object.id), Environment::Live, &edge, body.to_string().as_bytes());
    Fetched { request_id: Some("5ee0d5f4-7cf5-4d9a-9f5f-4bcd1ff7a2a6".into()), ..read.expect("a charge") }
}
