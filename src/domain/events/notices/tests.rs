//! Notices over sequences of reads: each date and each crossing of a limit has one event.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::events::{Permission, derive};
use crate::domain::pay::{Account, DigestKey, Edge, Environment, Fetched, MerchantId, ObjectId, ObjectRef};
use crate::domain::state::NoticeRules;
use crate::domain::work::{InboxPosition, Origin};

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

/// Day 0.
fn start() -> Timestamp {
    Timestamp::from_unix_ms(1_767_225_600_000)
}

fn day(days: i64) -> Timestamp {
    Timestamp::from_unix_ms(start().unix_ms() + days * 86_400_000)
}

fn rules() -> NoticeRules {
    NoticeRules { expiring_before: 14 * DAY, limit_near_percent: 10, dispute_deadline_before: 72 * HOUR }
}

/// An object that is read again and again.
struct Life {
    object: ObjectRef,
    permission_type: &'static str,
    rules: NoticeRules,
    known: Option<Observed>,
}

impl Life {
    fn of(kind: ObjectKind, permission_type: &'static str) -> Self {
        let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
        let id = match kind {
            ObjectKind::ChargePermission => "B01-1-2",
            ObjectKind::Charge => "P01-3-4-C000001",
            ObjectKind::Refund | ObjectKind::Dispute => "P01-3-4-B000001",
        };
        let object = ObjectRef { account, kind, id: ObjectId::parse(id).unwrap() };
        Self { object, permission_type, rules: rules(), known: None }
    }

    fn permission(permission_type: &'static str) -> Self {
        Self::of(ObjectKind::ChargePermission, permission_type)
    }

    /// Reads the object and returns the events.
    fn read(&mut self, at: Timestamp, state: &str, attributes: &Value) -> Vec<Event> {
        self.read_because(&[Origin::Reconciliation], at, state, attributes)
    }

    fn read_because(&mut self, why: &[Origin], at: Timestamp, state: &str, attributes: &Value) -> Vec<Event> {
        let mut body = json!({
            self.object.kind.id_field(): self.object.id, "chargePermissionId": "B01-1-2", "chargeId": "P01-3-4-C000001",
            "chargePermissionType": self.permission_type, "statusDetails": {"state": state, "lastUpdatedTimestamp": at},
        });
        body.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        let edge = Edge::strict(DigestKey::derive(b"test"));
        let named = (self.object.kind, &self.object.id);
        let fetched = Fetched::decode(named, Environment::Live, &edge, body.to_string().as_bytes()).unwrap();
        let permission = ObjectId::parse("B01-1-2").unwrap();
        let causes: Vec<Cause> = why.iter().map(|origin| Cause { origin: origin.clone(), timestamp: at }).collect();
        let reading = Reading {
            notices: self.rules,
            causes: &causes,
            observed_at: at.plus(HOUR),
            accept_stale: true,
            ..Reading::of(&self.object, &fetched, Permission::unread(&permission, Some(self.permission_type)), at)
        };
        let Derivation::Current { events, observed, .. } = derive(self.known.as_ref(), &reading) else {
            panic!("read in order")
        };
        assert_eq!(derive(self.known.as_ref(), &reading), derive(self.known.as_ref(), &reading));
        // A restart reads what was written.
        let written = serde_json::to_vec(&observed).unwrap();
        self.known = Some(serde_json::from_slice(&written).unwrap());
        assert_eq!(self.known.as_ref(), Some(&*observed));
        events
    }
}

fn notices_in(events: &[Event]) -> Vec<(&'static str, Option<&str>)> {
    let notices = events.iter().filter(|event| event.event_type.is_notice());
    notices.map(|event| (event.event_type.name, event.next_action.deadline.as_deref())).collect()
}

fn expires(at: Timestamp) -> Value {
    json!({"expirationTimestamp": at.basic()})
}

fn limits(balance: &str, limit: &str) -> Value {
    let price = |amount| json!({"amount": amount, "currencyCode": "EUR"});
    json!({"limits": {"amountBalance": price(balance), "amountLimit": price(limit)}})
}

#[test]
fn expiry_is_announced_once_for_each_date() {
    let mut life = Life::permission("Recurring");
    let (first, second) = (expires(day(20)), expires(day(40)));
    let announced = |deadline| vec![("PermissionExpiring", Some(deadline))];
    assert_eq!(notices_in(&life.read(day(0), "Chargeable", &first)), []);
    assert_eq!(notices_in(&life.read(day(6).minus(Duration::from_millis(1)), "Chargeable", &first)), []);
    let events = life.read(day(6), "Chargeable", &first);
    assert_eq!(notices_in(&events), announced("20260121T000000Z"));
    assert_eq!(events[0].next_action.code.as_str(), "RENEW_BEFORE_EXPIRY");
    assert_eq!(life.known.as_ref().unwrap().last_event_id, Some(events[0].id));
    assert_eq!(notices_in(&life.read(day(7), "NonChargeable", &first)), []);
    assert_eq!(notices_in(&life.read(day(8), "Chargeable", &second)), [], "the date moved");
    assert_eq!(notices_in(&life.read(day(9), "Chargeable", &first)), [], "and back");
    assert_eq!(notices_in(&life.read(day(27), "Chargeable", &second)), announced("20260210T000000Z"));
    assert_eq!(notices_in(&life.read(day(41), "Chargeable", &second)), [], "a past date is not near");
    assert_eq!(life.known.unwrap().upcoming.noticed_dates, []);
}

#[test]
fn only_permissions_that_matter_are_announced() {
    let with_limits = |balance| {
        let mut attributes = expires(day(5));
        attributes["limits"] = limits(balance, "100")["limits"].clone();
        attributes
    };
    for (permission_type, state, attributes, expected) in [
        ("Recurring", "NonChargeable", expires(day(5)), Some("RENEW_BEFORE_EXPIRY")),
        ("PaymentMethodOnFile", "Chargeable", expires(day(5)), Some("RENEW_BEFORE_EXPIRY")),
        ("OneTime", "Chargeable", with_limits("60"), Some("CHARGE_BEFORE_EXPIRY")),
        ("OneTime", "Chargeable", with_limits("0.00"), None),
        ("OneTime", "NonChargeable", with_limits("60"), None),
        ("Recurring", "Closed", expires(day(5)), None),
        ("Recurring", "Chargeable", json!({"expirationTimestamp": null}), None),
        ("Recurring", "Chargeable", json!({"expirationTimestamp": "soon"}), None),
    ] {
        let events = Life::permission(permission_type).read(day(0), state, &attributes);
        let code =
            events.iter().find(|event| event.event_type.is_notice()).map(|event| event.next_action.code.as_str());
        assert_eq!(code, expected, "{permission_type} {state} {attributes}");
    }
    let charge = expires(day(1));
    assert_eq!(notices_in(&Life::of(ObjectKind::Charge, "Recurring").read(day(0), "Authorized", &charge)), []);
}

#[test]
fn first_sight_within_the_window_has_both_events() {
    let mut life = Life::permission("Recurring");
    let events = life.read(day(0), "Chargeable", &expires(day(5)));
    let names: Vec<_> = events.iter().map(|event| event.event_type.name).collect();
    assert_eq!(names, ["PermissionChargeable", "PermissionExpiring"]);
    assert_eq!(notices_in(&life.read(day(1), "Chargeable", &expires(day(5)))), []);
}

#[test]
fn low_balance_is_announced_until_it_rises() {
    let mut life = Life::permission("PaymentMethodOnFile");
    let mut ids = BTreeSet::new();
    for (at, (balance, limit, is_announced)) in [
        ("100", "500", false),
        ("50.01", "500", false),
        ("50.00", "500", true),
        ("20.00", "500", false),
        ("0", "500", false),
        ("500", "500", false),
        ("50", "500", true),
        ("none", "500", false),
        ("40", "500", false),
        ("40", "0", false),
    ]
    .into_iter()
    .enumerate()
    {
        let events = life.read(day(at as i64), "Chargeable", &limits(balance, limit));
        let expected = if is_announced { vec![("PermissionLimitNear", None)] } else { vec![] };
        assert_eq!(notices_in(&events), expected, "{at}: {balance} of {limit}");
        ids.extend(events.iter().filter(|event| event.event_type.is_notice()).map(|event| event.id));
    }
    assert_eq!(ids.len(), 2, "each crossing has its own id");
    assert_eq!(notices_in(&Life::permission("OneTime").read(day(0), "Chargeable", &limits("1", "500"))), []);
    let mut other_currency = limits("1", "500");
    other_currency["limits"]["amountLimit"]["currencyCode"] = "JPY".into();
    assert_eq!(notices_in(&Life::permission("Recurring").read(day(0), "Chargeable", &other_currency)), []);
}

#[test]
fn deadline_of_a_dispute_is_announced_once() {
    let mut life = Life::of(ObjectKind::Dispute, "Recurring");
    let deadline = |at: Timestamp| json!({"merchantResponseDeadline": at.basic()});
    assert_eq!(notices_in(&life.read(day(0), "ActionRequired", &deadline(day(7)))), []);
    assert_eq!(notices_in(&life.read(day(3), "ActionRequired", &deadline(day(7)))), []);
    let events = life.read(day(4), "ActionRequired", &deadline(day(7)));
    assert_eq!(notices_in(&events), [("DisputeDeadlineNear", Some("20260108T000000Z"))]);
    assert_eq!(events[0].next_action.code.as_str(), "RESPOND_TO_DISPUTE");
    assert_eq!(notices_in(&life.read(day(5), "ActionRequired", &deadline(day(7)))), []);
    assert_eq!(notices_in(&life.read(day(5).plus(HOUR), "UnderReview", &deadline(day(6)))), []);
    let earlier = life.read(day(5).plus(2 * HOUR), "ActionRequired", &deadline(day(6)));
    assert_eq!(notices_in(&earlier), [("DisputeDeadlineNear", Some("20260107T000000Z"))]);
}

#[test]
fn baseline_publishes_no_notice_and_stays_a_baseline() {
    let position = InboxPosition { partition: 0, offset: 0 };
    let mut life = Life::permission("Recurring");
    let seed = [Origin::Recheck { position, seed: true }];
    assert_eq!(life.read_because(&seed, day(0), "Chargeable", &expires(day(5))), []);
    assert!(life.known.as_ref().unwrap().upcoming.date.is_some());
    let updated = life.known.clone().unwrap();
    let events = life.read(day(1), "Chargeable", &expires(day(5)));
    assert_eq!(notices_in(&events), [("PermissionExpiring", Some("20260106T000000Z"))]);
    assert_eq!(life.known.unwrap().last_event_id, updated.last_event_id);
}

#[test]
fn notice_that_is_switched_off_is_not_published() {
    let mut attributes = limits("1", "500");
    attributes["expirationTimestamp"] = day(5).basic().into();
    let mut life = Life { rules: NoticeRules::default(), ..Life::permission("Recurring") };
    assert_eq!(notices_in(&life.read(day(0), "Chargeable", &attributes)), []);
    let mut dispute = Life { rules: NoticeRules::default(), ..Life::of(ObjectKind::Dispute, "Recurring") };
    let deadline = json!({"merchantResponseDeadline": day(1).basic()});
    assert_eq!(notices_in(&dispute.read(day(0), "ActionRequired", &deadline)), []);
    life.rules = rules();
    assert_eq!(notices_in(&life.read(day(1), "Chargeable", &attributes)).len(), 2);
}

/// One read of a permission or dispute: hours since the read before, state, date in days, and balance of 100.
type Step = (u64, usize, Option<i64>, u8);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let balance = prop::sample::select(vec![0_u8, 5, 10, 11, 60, 100]);
    prop::collection::vec((0..200_u64, 0..3_usize, prop::option::of(0..12_i64), balance), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Each date is announced at most once and within its window; each crossing once; no id stands for two facts.
    #[test]
    fn each_notice_is_published_at_most_once(steps in steps(), is_dispute in any::<bool>()) {
        let (kind, states) = if is_dispute {
            (ObjectKind::Dispute, ["ActionRequired", "UnderReview", "Closed"])
        } else {
            (ObjectKind::ChargePermission, ["Chargeable", "NonChargeable", "Closed"])
        };
        let mut life = Life::of(kind, "Recurring");
        let mut at = start();
        let (mut announced, mut ids) = (BTreeSet::new(), BTreeMap::<Uuid, String>::new());
        let mut was_low = false;
        for (hours, state, date, balance) in steps {
            at = at.plus(HOUR * hours as u32);
            let date = date.map(|days| day(days * 10));
            let mut attributes = limits(&balance.to_string(), "100");
            attributes["expirationTimestamp"] = date.map(Timestamp::basic).into();
            attributes["merchantResponseDeadline"] = date.map(Timestamp::basic).into();
            let was_settled = life.known.as_ref().and_then(|known| known.unconfirmed_digest.clone());
            let events = life.read(at, states[state], &attributes);
            let is_settled = life.known.as_ref().unwrap().unconfirmed_digest.is_none();
            let mut crossings = 0;
            for event in events.iter().filter(|event| event.event_type.is_notice()) {
                let fact = format!("{} {:?} {at}", event.event_type.name, event.next_action.deadline);
                prop_assert!(ids.insert(event.id, fact).is_none(), "{was_settled:?}");
                match &event.next_action.deadline {
                    Some(deadline) => {
                        let date = date.unwrap();
                        prop_assert_eq!(deadline, &date.basic());
                        prop_assert!(announced.insert(date), "{date} is announced twice");
                        let window = rules().window(kind).unwrap();
                        prop_assert!(at < date && at.plus(window) >= date);
                    }
                    None => crossings += 1,
                }
            }
            if is_settled && !is_dispute && states[state] != "Closed" {
                let is_low = balance <= 10;
                prop_assert_eq!(crossings, usize::from(is_low && !was_low));
                was_low = is_low;
            } else {
                prop_assert_eq!(crossings, 0);
            }
            if is_settled && !is_dispute && states[state] != "Closed" && let Some(date) = date {
                let is_near = at < date && at.plus(14 * DAY) >= date;
                prop_assert!(!is_near || announced.contains(&date), "a near date is announced");
            }
        }
    }
}
