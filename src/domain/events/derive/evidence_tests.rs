//! Events for changed private details of a permission.

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::ipn::NotificationType;
use crate::domain::pay::{Account, DigestKey, Edge, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef};
use crate::domain::work::{ClaimedPermission, InboxPosition, Origin};

/// A permission that is read again and again.
struct Watched {
    object: ObjectRef,
    body: Value,
    key: &'static [u8],
    known: Option<Observed>,
}

/// Result of a read: event names with their evidence, and whether a confirming read is needed.
type Outcome = (Vec<String>, bool);

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
        assert_eq!(watched.read(), published(&["PermissionChargeable"]));
        watched
    }

    fn set(&mut self, pointer: &str, value: Value) {
        *self.body.pointer_mut(pointer).unwrap() = value;
    }

    fn read(&mut self) -> Outcome {
        self.read_after(&[], false).0
    }

    /// A read for ATTRIBUTE_CHANGE IPNs with these timestamps; `confirms` if it is the confirming read.
    fn read_after(&mut self, hints_s: &[i64], confirms: bool) -> (Outcome, Vec<Uuid>) {
        let causes: Vec<Cause> = hints_s
            .iter()
            .map(|sent_s| Cause {
                origin: Origin::Ipn {
                    message_id: Uuid::nil(),
                    notification_type: NotificationType::AttributeChange,
                    position: InboxPosition { partition: 0, offset: 0 },
                    traceparent: None,
                    chargeback: false,
                    permission: ClaimedPermission::None,
                },
                timestamp: Timestamp::from_unix_ms(sent_s * 1000),
            })
            .collect();
        let edge = Edge::strict(DigestKey::derive(self.key));
        let identity = (self.object.kind, &self.object.id);
        let decoded = Fetched::decode(identity, Environment::Live, &edge, self.body.to_string().as_bytes()).unwrap();
        // The times of these tests are so near to 1970 that an answer cannot mean them.
        let updated_s = self.body["statusDetails"]["lastUpdatedTimestamp"].as_i64();
        let last_updated = updated_s.map(|s| Timestamp::from_unix_ms(s * 1000)).or(decoded.last_updated);
        let fetched = Fetched { last_updated, ..decoded };
        let reading = Reading {
            causes: &causes,
            hint_is_ripe: confirms,
            ..Reading::of(
                &self.object,
                &fetched,
                Permission::unread(&self.object.id, Some("Recurring")),
                Timestamp::from_unix_ms(0),
            )
        };
        let Derivation::Current { events, observed, attributes } = derive(self.known.as_ref(), &reading) else {
            panic!()
        };
        self.known = Some(*observed);
        let names = events.iter().map(|event| {
            let evidence: Vec<String> =
                event.evidence.iter().map(|e| serde_json::to_value(e).unwrap().as_str().unwrap().to_owned()).collect();
            [vec![event.event_type.name.to_owned()], evidence].concat().join(" ")
        });
        ((names.collect(), attributes == Attributes::Unconfirmed), events.iter().map(|event| event.id).collect())
    }
}

fn published(names: &[&str]) -> Outcome {
    (names.iter().map(|name| (*name).to_owned()).collect(), false)
}

fn unconfirmed() -> Outcome {
    (vec![], true)
}

#[test]
fn change_at_equal_time_is_published_when_second_read_agrees() {
    for (pointer, value, expected) in [
        ("/paymentPreferences/0/paymentDescriptor", json!("Visa 2"), "PaymentMethodUpdated descriptor_changed"),
        ("/billingAddress/city", json!("B"), "PaymentMethodUpdated billing_address_changed"),
        ("/shippingAddress/city", json!("B"), "PermissionUpdated"),
        ("/limits/amountBalance/amount", json!("9"), "PermissionUpdated"),
        ("/expirationTimestamp", json!("20270102T030405Z"), "PermissionUpdated"),
    ] {
        let mut watched = Watched::new();
        watched.set(pointer, value);
        assert_eq!(watched.read(), unconfirmed(), "{pointer}");
        assert_eq!(watched.read(), published(&[expected]), "{pointer}");
        assert_eq!(watched.read(), published(&[]), "{pointer}");
    }
}

#[test]
fn all_evidence_is_listed_in_one_event() {
    let mut watched = Watched::new();
    watched.set("/paymentPreferences/0/paymentDescriptor", json!("Visa 2"));
    watched.set("/billingAddress/city", json!("B"));
    watched.set("/limits/amountBalance/amount", json!("9"));
    watched.read();
    let both = "PaymentMethodUpdated descriptor_changed billing_address_changed";
    assert_eq!(watched.read(), published(&[both, "PermissionUpdated"]));
}

#[test]
fn hidden_detail_that_returns_unchanged_is_no_change() {
    let mut watched = Watched::new();
    let whole = watched.body.clone();
    for field in ["paymentPreferences", "billingAddress", "shippingAddress"] {
        watched.body[field] = Value::Null;
        assert_eq!(watched.read(), published(&[]), "{field}");
    }
    watched.body["chargePermissionType"] = Value::Null;
    assert_eq!(watched.read(), published(&[]));
    assert_eq!(watched.known.as_ref().unwrap().charge_permission_type.as_deref(), Some("Recurring"));
    watched.body = whole;
    assert_eq!(watched.read(), published(&[]));
    watched.set("/billingAddress/city", json!("B"));
    watched.body["paymentPreferences"] = Value::Null;
    watched.read();
    assert_eq!(watched.read(), published(&["PaymentMethodUpdated billing_address_changed"]));
}

#[test]
fn hidden_detail_that_returns_changed_is_a_change() {
    let mut watched = Watched::new();
    watched.body["billingAddress"] = Value::Null;
    watched.read();
    watched.body["billingAddress"] = json!({"city": "B"});
    watched.read();
    assert_eq!(watched.read(), published(&["PaymentMethodUpdated billing_address_changed"]));
}

#[test]
fn newer_time_alone_publishes_nothing() {
    let mut watched = Watched::new();
    watched.set("/statusDetails/lastUpdatedTimestamp", json!(200));
    assert_eq!(watched.read(), published(&[]));
    assert_eq!(watched.known.as_ref().unwrap().last_updated, Some(Timestamp::from_unix_ms(200_000)));
    watched.set("/statusDetails/lastUpdatedTimestamp", json!(300));
    watched.set("/paymentPreferences/0/paymentDescriptor", json!("Visa 2"));
    assert_eq!(watched.read(), published(&["PaymentMethodUpdated descriptor_changed"]));
}

#[test]
fn chargeable_again_lists_other_evidence() {
    let mut watched = Watched::new();
    watched.set("/statusDetails", json!({"state": "NonChargeable", "reasons": [{"reasonCode": "PaymentMethodExpired"}], "lastUpdatedTimestamp": 200}));
    assert_eq!(watched.read(), published(&["PermissionNonChargeable"]));
    watched.set("/statusDetails", json!({"state": "Chargeable", "reasons": null, "lastUpdatedTimestamp": 300}));
    watched.set("/paymentPreferences/0/paymentDescriptor", json!("Visa 2"));
    assert_eq!(
        watched.read(),
        published(&["PermissionChargeable", "PaymentMethodUpdated became_chargeable descriptor_changed"])
    );
}

#[test]
fn unexplained_attribute_ipn_is_published_once() {
    let mut watched = Watched::new();
    let attribute_change = published(&["PaymentMethodUpdated attribute_change"]);
    assert_eq!(watched.read_after(&[500], false).0, published(&[]), "the first read does not decide");
    let (first, first_ids) = watched.read_after(&[500], true);
    assert_eq!(first, attribute_change);
    for hints in [&[500][..], &[400], &[400, 500], &[]] {
        assert_eq!(watched.read_after(hints, true).0, published(&[]), "{hints:?} is a duplicate or old");
    }
    let (second, second_ids) = watched.read_after(&[400, 501], true);
    assert_eq!(second, attribute_change);
    assert_ne!(first_ids, second_ids, "two changes have two ids");
}

#[test]
fn explained_attribute_ipn_needs_no_own_event() {
    let mut watched = Watched::new();
    watched.set("/shippingAddress/city", json!("B"));
    assert_eq!(watched.read_after(&[500], false).0, unconfirmed());
    assert_eq!(watched.read_after(&[500], true).0, published(&["PermissionUpdated"]));
    assert_eq!(watched.read_after(&[500], true).0, published(&[]), "not later either");
}

#[test]
fn attribute_ipn_at_first_sight_is_published() {
    let mut watched = Watched::new();
    watched.known = None;
    assert_eq!(watched.read_after(&[500], false).0.0, ["PermissionChargeable"]);
    assert_eq!(watched.read_after(&[500], true).0, published(&["PaymentMethodUpdated attribute_change"]));
    watched.known = None;
    let in_backlog = watched.read_after(&[500], true).0;
    assert_eq!(in_backlog, published(&["PermissionChargeable", "PaymentMethodUpdated attribute_change"]));
}

#[test]
fn balance_limit_and_expiry_explain_no_attribute_ipn() {
    for (pointer, value) in
        [("/limits/amountBalance/amount", json!("9")), ("/expirationTimestamp", json!("20270102T030405Z"))]
    {
        let mut watched = Watched::new();
        watched.set(pointer, value);
        assert_eq!(watched.read_after(&[500], false).0, unconfirmed(), "{pointer}");
        let both = published(&["PaymentMethodUpdated attribute_change", "PermissionUpdated"]);
        assert_eq!(watched.read_after(&[500], true).0, both, "{pointer}");
        assert_eq!(watched.read_after(&[500], true).0, published(&[]), "{pointer}");
    }
}

#[test]
fn merchants_own_metadata_explains_an_attribute_ipn() {
    for (field, value) in [
        ("merchantMetadata", json!({"noteToBuyer": "never published"})),
        ("recurringMetadata", json!({"frequency": {"unit": "Month", "value": "2"}})),
    ] {
        let mut watched = Watched::new();
        watched.body[field] = json!({"merchantReferenceId": "1", "frequency": {"unit": "Month", "value": "1"}});
        watched.known = None;
        watched.read();
        watched.body[field] = value;
        assert_eq!(watched.read_after(&[500], false).0, unconfirmed(), "{field}");
        let (outcome, _) = watched.read_after(&[500], true);
        assert!(!outcome.0.iter().any(|event| event.contains("attribute_change")), "{field} {outcome:?}");
    }
}

#[test]
fn state_in_progress_explains_no_attribute_ipn() {
    let mut watched = Watched::new();
    let in_progress =
        json!({"state": "NonChargeable", "reasons": [{"reasonCode": "ChargeInProgress"}], "lastUpdatedTimestamp": 501});
    watched.set("/statusDetails", in_progress);
    assert_eq!(watched.read_after(&[500], false).0, published(&["PermissionNonChargeable"]));
    assert_eq!(watched.read_after(&[500], true).0, published(&["PaymentMethodUpdated attribute_change"]));
}

#[test]
fn one_act_of_the_buyer_is_one_event() {
    let broken = json!({"state": "NonChargeable", "reasons": [{"reasonCode": "PaymentMethodExpired"}], "lastUpdatedTimestamp": 200});
    let fixed = json!({"state": "Chargeable", "reasons": null, "lastUpdatedTimestamp": 300});
    for (hint_s, published_later) in [(299, false), (301, false), (899, false), (1000, true), (-400, true)] {
        let mut watched = Watched::new();
        watched.set("/statusDetails", broken.clone());
        watched.read();
        watched.set("/statusDetails", fixed.clone());
        let chargeable = published(&["PermissionChargeable", "PaymentMethodUpdated became_chargeable"]);
        assert_eq!(watched.read(), chargeable);
        let later = watched.read_after(&[hint_s], true).0;
        assert_eq!(!later.0.is_empty(), published_later, "{hint_s}");
    }
}

#[test]
fn new_api_key_publishes_nothing() {
    let mut watched = Watched::new();
    watched.key = b"rotated";
    assert_eq!(watched.read(), published(&[]));
    watched.set("/billingAddress/city", json!("B"));
    watched.read();
    assert_eq!(watched.read(), published(&["PaymentMethodUpdated billing_address_changed"]));
}
