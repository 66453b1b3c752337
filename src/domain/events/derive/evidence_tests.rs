//! What is told of a permission's private details, and what is not.

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::ipn::NotificationType;
use crate::domain::pay::{Account, DigestKey, Edge, Environment, MerchantId, ObjectKind};
use crate::domain::work::{InboxPosition, Origin};

/// A permission under observation.
struct Watched {
    object: ObjectRef,
    body: Value,
    key: &'static [u8],
    known: Option<Observed>,
}

/// What a look told: names with their evidence, and whether another look is wanted.
type Told = (Vec<String>, bool);

impl Watched {
    fn new() -> Self {
        let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
        let id = ObjectId::parse("B01-1234567-7654321").unwrap();
        let object = ObjectRef { account, kind: ObjectKind::ChargePermission, id };
        let body = json!({
            "chargePermissionId": object.id, "chargePermissionType": "Recurring",
            "statusDetails": {"state": "Chargeable", "reasons": null, "lastUpdatedTimestamp": 100},
            "paymentPreferences": [{"paymentDescriptor": "Visa 1"}],
            "billingAddress": {"city": "A"}, "shippingAddress": {"city": "A"},
            "limits": {"amountBalance": {"amount": "10"}}, "expirationTimestamp": "20260102T030405Z",
        });
        let mut watched = Self { object, body, key: b"key", known: None };
        assert_eq!(watched.look(), told(&["PermissionChargeable"]));
        watched
    }

    fn set(&mut self, pointer: &str, value: Value) {
        *self.body.pointer_mut(pointer).unwrap() = value;
    }

    fn look(&mut self) -> Told {
        self.look_after(&[], false).0
    }

    /// A look for these notifications about attributes, by their times; `confirms` if it is the second one.
    fn look_after(&mut self, hints_s: &[i64], confirms: bool) -> (Told, Vec<Uuid>) {
        let causes: Vec<Cause> = hints_s
            .iter()
            .map(|sent_s| Cause {
                origin: Origin::Ipn {
                    message_id: Uuid::nil(),
                    notification_type: NotificationType::AttributeChange,
                    position: InboxPosition { partition: 0, offset: 0 },
                    traceparent: None,
                },
                timestamp: Timestamp::from_unix_ms(sent_s * 1000),
            })
            .collect();
        let edge = Edge::strict(DigestKey::derive(self.key));
        let identity = (self.object.kind, &self.object.id);
        let fetched = Fetched::decode(identity, Environment::Live, &edge, self.body.to_string().as_bytes()).unwrap();
        let reading = Reading {
            object: &self.object,
            fetched: &fetched,
            permission: Permission { id: &self.object.id, permission_type: Some("Recurring"), seen: None },
            captured: None,
            update_url: "",
            causes: &causes,
            is_confirming: confirms,
            read_started_at: Timestamp::from_unix_ms(0),
            observed_at: Timestamp::from_unix_ms(0),
            believe_older: false,
        };
        let Derivation::Told { events, observed, ask_again } = derive(self.known.as_ref(), &reading) else { panic!() };
        self.known = Some(*observed);
        let names = events.iter().map(|event| {
            let evidence: Vec<String> =
                event.evidence.iter().map(|e| serde_json::to_value(e).unwrap().as_str().unwrap().to_owned()).collect();
            [vec![event.event_type.name.to_owned()], evidence].concat().join(" ")
        });
        ((names.collect(), ask_again), events.iter().map(|event| event.id).collect())
    }
}

fn told(names: &[&str]) -> Told {
    (names.iter().map(|name| (*name).to_owned()).collect(), false)
}

fn ask_again() -> Told {
    (vec![], true)
}

#[test]
fn a_difference_at_the_same_time_is_told_with_its_evidence_when_a_second_look_agrees() {
    for (pointer, value, told_of) in [
        ("/paymentPreferences/0/paymentDescriptor", json!("Visa 2"), "PaymentMethodUpdated descriptor_changed"),
        ("/billingAddress/city", json!("B"), "PaymentMethodUpdated billing_address_changed"),
        ("/shippingAddress/city", json!("B"), "PermissionUpdated"),
        ("/limits/amountBalance/amount", json!("9"), "PermissionUpdated"),
        ("/expirationTimestamp", json!("20270102T030405Z"), "PermissionUpdated"),
    ] {
        let mut watched = Watched::new();
        watched.set(pointer, value);
        assert_eq!(watched.look(), ask_again(), "{pointer}");
        assert_eq!(watched.look(), told(&[told_of]), "{pointer}");
        assert_eq!(watched.look(), told(&[]), "{pointer}");
    }
}

#[test]
fn several_pieces_of_evidence_are_all_listed_and_other_facts_have_their_own_event() {
    let mut watched = Watched::new();
    watched.set("/paymentPreferences/0/paymentDescriptor", json!("Visa 2"));
    watched.set("/billingAddress/city", json!("B"));
    watched.set("/limits/amountBalance/amount", json!("9"));
    watched.look();
    let both = "PaymentMethodUpdated descriptor_changed billing_address_changed";
    assert_eq!(watched.look(), told(&[both, "PermissionUpdated"]));
}

#[test]
fn what_amazon_no_longer_shows_is_no_change_and_what_comes_back_as_it_was_is_none_either() {
    let mut watched = Watched::new();
    let whole = watched.body.clone();
    for field in ["paymentPreferences", "billingAddress", "shippingAddress"] {
        watched.body[field] = Value::Null;
        assert_eq!(watched.look(), told(&[]), "{field}");
    }
    watched.body["chargePermissionType"] = Value::Null;
    assert_eq!(watched.look(), told(&[]));
    assert_eq!(watched.known.as_ref().unwrap().charge_permission_type.as_deref(), Some("Recurring"));
    watched.body = whole;
    assert_eq!(watched.look(), told(&[]));
    watched.set("/billingAddress/city", json!("B"));
    watched.body["paymentPreferences"] = Value::Null;
    watched.look();
    assert_eq!(watched.look(), told(&["PaymentMethodUpdated billing_address_changed"]));
}

#[test]
fn what_comes_back_changed_is_a_change() {
    let mut watched = Watched::new();
    watched.body["billingAddress"] = Value::Null;
    watched.look();
    watched.body["billingAddress"] = json!({"city": "B"});
    watched.look();
    assert_eq!(watched.look(), told(&["PaymentMethodUpdated billing_address_changed"]));
}

#[test]
fn a_newer_time_alone_is_noted_and_told_to_nobody_and_with_a_difference_needs_no_second_look() {
    let mut watched = Watched::new();
    watched.set("/statusDetails/lastUpdatedTimestamp", json!(200));
    assert_eq!(watched.look(), told(&[]));
    assert_eq!(watched.known.as_ref().unwrap().last_updated, Timestamp::from_unix_ms(200_000));
    watched.set("/statusDetails/lastUpdatedTimestamp", json!(300));
    watched.set("/paymentPreferences/0/paymentDescriptor", json!("Visa 2"));
    assert_eq!(watched.look(), told(&["PaymentMethodUpdated descriptor_changed"]));
}

#[test]
fn a_permission_that_is_chargeable_again_lists_what_changed_besides() {
    let mut watched = Watched::new();
    watched.set("/statusDetails", json!({"state": "NonChargeable", "reasons": [{"reasonCode": "PaymentMethodExpired"}], "lastUpdatedTimestamp": 200}));
    assert_eq!(watched.look(), told(&["PermissionNonChargeable"]));
    watched.set("/statusDetails", json!({"state": "Chargeable", "reasons": null, "lastUpdatedTimestamp": 300}));
    watched.set("/paymentPreferences/0/paymentDescriptor", json!("Visa 2"));
    assert_eq!(
        watched.look(),
        told(&["PermissionChargeable", "PaymentMethodUpdated became_chargeable descriptor_changed"])
    );
}

#[test]
fn an_unexplained_hint_is_told_once_at_the_second_look_and_a_newer_one_again() {
    let mut watched = Watched::new();
    let attribute_change = told(&["PaymentMethodUpdated attribute_change"]);
    assert_eq!(watched.look_after(&[500], false).0, told(&[]), "the first look settles nothing");
    let (first, first_ids) = watched.look_after(&[500], true);
    assert_eq!(first, attribute_change);
    for hints in [&[500][..], &[400], &[400, 500], &[]] {
        assert_eq!(watched.look_after(hints, true).0, told(&[]), "{hints:?} is a duplicate, or old");
    }
    let (second, second_ids) = watched.look_after(&[400, 501], true);
    assert_eq!(second, attribute_change);
    assert_ne!(first_ids, second_ids, "two changes are two facts");
}

#[test]
fn a_hint_that_something_visible_explains_is_not_told_as_a_riddle() {
    let mut watched = Watched::new();
    watched.set("/shippingAddress/city", json!("B"));
    assert_eq!(watched.look_after(&[500], false).0, ask_again());
    assert_eq!(watched.look_after(&[500], true).0, told(&["PermissionUpdated"]));
    assert_eq!(watched.look_after(&[500], true).0, told(&[]), "nor later");
}

#[test]
fn a_hint_at_first_sight_has_nothing_to_compare_with() {
    let mut watched = Watched::new();
    watched.known = None;
    assert_eq!(watched.look_after(&[500], false).0.0, ["PermissionChargeable"]);
    assert_eq!(watched.look_after(&[500], true).0, told(&[]));
}

#[test]
fn another_api_key_makes_a_new_baseline_and_no_event() {
    let mut watched = Watched::new();
    watched.key = b"rotated";
    assert_eq!(watched.look(), told(&[]));
    watched.set("/billingAddress/city", json!("B"));
    watched.look();
    assert_eq!(watched.look(), told(&["PaymentMethodUpdated billing_address_changed"]));
}
