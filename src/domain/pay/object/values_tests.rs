//! Tests of the forms in which Amazon's values are read, and of the one form in which they are published.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

use super::tests::decode;
use super::*;
use crate::domain::pay::canonical_json::write_canonical;

const AT: &str = "20260102T030405Z";

fn id_of(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::ChargePermission => "S01-1234567-7654321",
        ObjectKind::Charge => "S01-1234567-7654321-C000001",
        ObjectKind::Refund => "S01-1234567-7654321-R000001",
        ObjectKind::Dispute => "S01-1234567-7654321-B000001",
    }
}

/// An answer as documented, with all fields that this kind can have.
fn documented(kind: ObjectKind) -> Value {
    let price = json!({"amount": "14.00", "currencyCode": "USD"});
    let state = match kind {
        ObjectKind::ChargePermission => "NonChargeable",
        ObjectKind::Charge | ObjectKind::Refund => "Declined",
        ObjectKind::Dispute => "ActionRequired",
    };
    let mut body = json!({
        "chargePermissionId": id_of(ObjectKind::ChargePermission), "chargeId": id_of(ObjectKind::Charge),
        "chargePermissionType": "Recurring", "chargePermissionReferenceId": "ref-1",
        "recurringMetadata": {"frequency": {"unit": "Month", "value": "1"}, "amount": price},
        "paymentMethodOnFileMetadata": {"setupOnly": false}, "limits": {"amountLimit": price, "amountBalance": price},
        "presentmentCurrency": "USD", "platformId": "platform-1", "creationTimestamp": AT, "expirationTimestamp": AT,
        "chargeAmount": price, "captureAmount": price, "refundedAmount": price, "convertedAmount": price, "conversionRate": "1.25",
        "softDescriptor": "Shop", "captureNow": true, "canHandlePendingAuthorization": false, "chargeInitiator": "MITR",
        "channel": "Web", "refundAmount": price, "disputeType": "Chargeback", "disputeAmount": price,
        "filingReason": "ProductNotReceived", "merchantResponseDeadline": AT, "resolutionAuthority": "Amazon",
        "merchantMetadata": {"merchantReferenceId": "order-1", "noteToBuyer": "BUYER-DATA"}, "releaseEnvironment": "Sandbox",
        "statusDetails": {"state": state, "reasonCode": "HardDeclined", "reasonDescription": "x", "resolution": "NoFault",
            "lastUpdatedTimestamp": AT},
    });
    body[kind.id_field()] = json!(id_of(kind));
    body
}

fn read(kind: ObjectKind, change: impl FnOnce(&mut Value)) -> Fetched {
    let mut body = documented(kind);
    change(&mut body);
    decode(kind, id_of(kind), &body).unwrap()
}

fn unreadable(fetched: &Fetched) -> Vec<(&str, &str)> {
    fetched.unreadable.iter().map(|missed| (missed.field, missed.shape.as_str())).collect()
}

#[test]
fn documented_values_are_published_as_they_are() {
    for kind in ObjectKind::ALL {
        let (fetched, body) = (read(kind, |_| {}), documented(kind));
        assert_eq!(unreadable(&fetched), []);
        assert!(fetched.snapshot.len() >= 6, "{kind}: {:?}", fetched.snapshot);
        for (name, value) in fetched.snapshot.iter() {
            let found = [&body[name], &body["statusDetails"][name], &body["merchantMetadata"][name]];
            assert!(found.contains(&value), "{kind}: {name} is {value}");
        }
    }
}

#[test]
fn prices_in_every_form_are_published_as_plain_text() {
    for (written, published) in [
        (json!({"amount": "14.00", "currencyCode": "USD"}), json!({"amount": "14.00", "currencyCode": "USD"})),
        (json!({"amount": " 14.00 ", "currencyCode": " usd "}), json!({"amount": "14.00", "currencyCode": "USD"})),
        (json!({"amount": 14.1, "currencyCode": "USD"}), json!({"amount": "14.1", "currencyCode": "USD"})),
        (json!({"amount": 12.50, "currencyCode": "USD"}), json!({"amount": "12.5", "currencyCode": "USD"})),
        (json!({"amount": 500, "currencyCode": "JPY"}), json!({"amount": "500", "currencyCode": "JPY"})),
        (json!({"amount": 500.0, "currencyCode": "JPY"}), json!({"amount": "500", "currencyCode": "JPY"})),
        (json!({"amount": "1.4e1", "currencyCode": "USD"}), json!({"amount": "14", "currencyCode": "USD"})),
        (json!({"amount": -3.2, "currencyCode": "USD"}), json!({"amount": "-3.2", "currencyCode": "USD"})),
        (json!({"Amount": "9.99", "CurrencyCode": "EUR"}), json!({"amount": "9.99", "currencyCode": "EUR"})),
        (json!({"amount": "9.99", "currencyCode": null}), json!({"amount": "9.99"})),
        (
            json!({"amount": "9.99", "currencyCode": "EUR", "buyer": "BUYER-DATA"}),
            json!({"amount": "9.99", "currencyCode": "EUR"}),
        ),
        (json!("14.00"), json!({"amount": "14.00"})),
        (json!(14.1), json!({"amount": "14.1"})),
    ] {
        for name in ["chargeAmount", "captureAmount", "refundedAmount", "convertedAmount"] {
            let fetched = read(ObjectKind::Charge, |body| body[name] = written.clone());
            assert_eq!((&fetched.snapshot[name], unreadable(&fetched)), (&published, vec![]), "{name} {written}");
        }
        let permission = read(ObjectKind::ChargePermission, |body| {
            for price in ["/limits/amountLimit", "/limits/amountBalance", "/recurringMetadata/amount"] {
                *body.pointer_mut(price).unwrap() = written.clone();
            }
        });
        assert_eq!(
            permission.snapshot["limits"],
            json!({"amountLimit": published, "amountBalance": published}),
            "{written}"
        );
        assert_eq!(permission.snapshot["recurringMetadata"]["amount"], published, "{written}");
        let refund = read(ObjectKind::Refund, |body| body["refundAmount"] = written.clone());
        let dispute = read(ObjectKind::Dispute, |body| body["disputeAmount"] = written.clone());
        assert_eq!((&refund.snapshot["refundAmount"], &dispute.snapshot["disputeAmount"]), (&published, &published));
    }
}

#[test]
fn no_amount_is_left_out_and_a_wrong_one_is_reported() {
    for absent in [
        json!(null),
        json!({}),
        json!(""),
        json!({"amount": null, "currencyCode": null}),
        json!({"amount": "", "currencyCode": "USD"}),
    ] {
        let fetched = read(ObjectKind::Charge, |body| body["captureAmount"] = absent.clone());
        assert_eq!((fetched.snapshot.get("captureAmount"), unreadable(&fetched)), (None, vec![]), "{absent}");
        assert_eq!(fetched.captured(), None);
    }
    for (wrong, shape) in [
        (json!({"amount": "14,00", "currencyCode": "EUR"}), "object"),
        (json!({"amount": "14.00 EUR", "currencyCode": "EUR"}), "object"),
        (json!({"amount": true, "currencyCode": "EUR"}), "object"),
        (json!({"amount": {"value": 14}, "currencyCode": "EUR"}), "object"),
        (json!({"value": 14, "currencyCode": "EUR"}), "object"),
        (json!({"amount": 123_456_789_012.345_67, "currencyCode": "EUR"}), "object"),
        (json!({"amount": 0.1 + 0.2, "currencyCode": "EUR"}), "object"),
        (json!("fourteen"), "text"),
        (json!([14]), "array"),
        (json!(true), "boolean"),
        (json!(1e300), "number"),
    ] {
        let fetched = read(ObjectKind::Charge, |body| body["captureAmount"] = wrong.clone());
        assert_eq!(fetched.snapshot.get("captureAmount"), None, "{wrong}");
        assert_eq!(unreadable(&fetched), [("captureAmount", shape)], "{wrong}");
    }
    let fetched = read(ObjectKind::Charge, |body| body["chargeAmount"]["currencyCode"] = json!(840));
    assert_eq!(
        (&fetched.snapshot["chargeAmount"], unreadable(&fetched)),
        (&json!({"amount": "14.00"}), vec![("currencyCode", "number")])
    );
}

#[test]
fn an_overdrawn_balance_is_used_up() {
    for (balance, is_used_up) in
        [(json!(0), true), (json!("0.00"), true), (json!(-0.5), true), (json!("-1.00"), true), (json!(0.01), false)]
    {
        let fetched =
            read(ObjectKind::ChargePermission, |body| body["limits"]["amountBalance"]["amount"] = balance.clone());
        assert_eq!(fetched.is_used_up(None), is_used_up, "{balance}");
    }
}

#[test]
fn dates_in_every_form_are_published_in_one() {
    for written in [
        json!(AT),
        json!("2026-01-02T04:04:05.678+01:00"),
        json!(1_767_323_045),
        json!(1_767_323_045_000_i64),
        json!("2026-01-02 03:04:05"),
    ] {
        let charge = read(ObjectKind::Charge, |body| {
            body["creationTimestamp"] = written.clone();
            body["expirationTimestamp"] = written.clone();
        });
        assert_eq!(
            (&charge.snapshot["creationTimestamp"], &charge.snapshot["expirationTimestamp"]),
            (&json!(AT), &json!(AT))
        );
        let dispute = read(ObjectKind::Dispute, |body| body["merchantResponseDeadline"] = written.clone());
        assert_eq!(
            (&dispute.snapshot["merchantResponseDeadline"], unreadable(&dispute)),
            (&json!(AT), vec![]),
            "{written}"
        );
    }
    let dispute = read(ObjectKind::Dispute, |body| body["merchantResponseDeadline"] = json!("in 11 days"));
    assert_eq!(dispute.snapshot.get("merchantResponseDeadline"), None);
    assert_eq!(unreadable(&dispute), [("merchantResponseDeadline", "text")]);
}

#[test]
fn a_time_is_never_replaced_by_another_field() {
    for (written, shape) in [
        (json!("yesterday"), "text"),
        (json!(null), "null"),
        (json!(true), "boolean"),
        (json!(0), "number"),
        (json!([2026]), "array"),
    ] {
        let fetched = read(ObjectKind::Charge, |body| body["statusDetails"]["lastUpdatedTimestamp"] = written.clone());
        assert_eq!(
            (fetched.last_updated, unreadable(&fetched)),
            (None, vec![("lastUpdatedTimestamp", shape)]),
            "{written}"
        );
        assert_eq!(fetched.snapshot["creationTimestamp"], AT);
    }
    let absent = read(ObjectKind::Charge, |body| {
        body["statusDetails"].as_object_mut().unwrap().remove("lastUpdatedTimestamp");
    });
    assert_eq!((absent.last_updated, unreadable(&absent)), (None, vec![("lastUpdatedTimestamp", "absent")]));
    let early = read(ObjectKind::Charge, |body| {
        body["statusDetails"]["lastUpdatedTimestamp"] = json!(null);
        body["statusDetails"]["lastUpdateTimestamp"] = json!(1_767_323_045);
    });
    assert_eq!((early.last_updated.map(Timestamp::basic).as_deref(), unreadable(&early)), (Some(AT), vec![]));
}

#[test]
fn words_numbers_and_flags_have_their_documented_types() {
    let charge = read(ObjectKind::Charge, |body| {
        body["conversionRate"] = json!(1.25);
        body["captureNow"] = json!("TRUE");
        body["canHandlePendingAuthorization"] = json!(" false ");
        body["chargeInitiator"] = json!(" MITR ");
        body["softDescriptor"] = json!(4711);
        body["platformId"] = json!(" ");
        body["merchantMetadata"]["merchantReferenceId"] = json!(4711);
    });
    let expected = json!({"conversionRate": "1.25", "captureNow": true, "canHandlePendingAuthorization": false,
        "chargeInitiator": "MITR", "softDescriptor": "4711", "merchantReferenceId": "4711"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&charge.snapshot[name], value, "{name}");
    }
    assert_eq!((charge.snapshot.get("platformId"), unreadable(&charge)), (None, vec![]));
    let permission = read(ObjectKind::ChargePermission, |body| {
        body["recurringMetadata"]["frequency"]["value"] = json!(1);
        body["paymentMethodOnFileMetadata"]["setupOnly"] = json!("true");
        body["chargePermissionType"] = json!("RECURRING ");
    });
    assert_eq!(permission.snapshot["recurringMetadata"]["frequency"], json!({"unit": "Month", "value": "1"}));
    assert_eq!(permission.snapshot["paymentMethodOnFileMetadata"], json!({"setupOnly": true}));
    assert_eq!(permission.charge_permission_type.as_deref(), Some("Recurring"));
    let wrong = read(ObjectKind::Charge, |body| {
        body["captureNow"] = json!("perhaps");
        body["conversionRate"] = json!({"rate": 1});
        body["channel"] = json!(7);
    });
    assert_eq!(unreadable(&wrong), [("conversionRate", "object"), ("captureNow", "text"), ("channel", "number")]);
}

#[test]
fn identity_is_read_in_any_case_and_with_spaces() {
    let refund = read(ObjectKind::Refund, |body| {
        body["refundId"] = json!(" S01-1234567-7654321-R000001 ");
        body["chargeId"] = json!("S01-1234567-7654321-C000001\n");
        body["releaseEnvironment"] = json!(" SANDBOX");
    });
    assert_eq!(refund.charge_id, ObjectId::parse("S01-1234567-7654321-C000001"));
    assert_eq!(refund.snapshot["chargeId"], "S01-1234567-7654321-C000001");
    let mut live = documented(ObjectKind::Refund);
    live["releaseEnvironment"] = json!("live ");
    assert_eq!(decode(ObjectKind::Refund, id_of(ObjectKind::Refund), &live), Err(DecodeError::Identity("environment")));
    let charge = read(ObjectKind::Charge, |body| {
        body["chargePermissionId"] = json!({"id": "S01-1234567-7654321"});
        body["releaseEnvironment"] = json!("Production");
    });
    assert_eq!(charge.charge_permission_id, None);
    assert_eq!(unreadable(&charge), [("releaseEnvironment", "text"), ("chargePermissionId", "object")]);
}

#[test]
fn names_of_fields_are_read_in_any_case() {
    let body = json!({"ChargeId": id_of(ObjectKind::Charge), "ChargePermissionID": id_of(ObjectKind::ChargePermission),
        "StatusDetails": {"State": "COMPLETED", "LastUpdatedTimestamp": AT}, "CaptureAmount": {"Amount": 5}});
    let charge = decode(ObjectKind::Charge, id_of(ObjectKind::Charge), &body).unwrap();
    assert_eq!((&charge.state, charge.last_updated.map(Timestamp::basic).as_deref()), (&State::Captured, Some(AT)));
    assert_eq!((charge.captured(), charge.charge_permission_id.is_some()), (Amount::parse("5"), true));
}

/// Any JSON value of moderate size.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|flag| json!(flag)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        (0_u32..100_000, 0_u32..4).prop_map(|(n, places)| json!(f64::from(n) / f64::from(10_u32.pow(places)))),
        "[0-9eE.+ -]{0,20}".prop_map(|text| json!(text)),
        "\\PC{0,20}".prop_map(|text| json!(text)),
        select(vec![
            json!(AT),
            json!("HardDeclined"),
            json!("true"),
            json!(1_767_323_045),
            json!("14.00"),
            json!("USD")
        ]),
    ];
    let key = prop_oneof![
        select(vec![
            "amount",
            "currencyCode",
            "reasonCode",
            "reasonDescription",
            "AMOUNT",
            "frequency",
            "value",
            "amountLimit",
            "0"
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z0-9]{0,8}",
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// What was published, written as Amazon documents it.
fn strict_body(fetched: &Fetched) -> Value {
    let mut snapshot = (*fetched.snapshot).clone();
    let metadata = json!({"merchantReferenceId": snapshot.remove("merchantReferenceId")});
    let mut details =
        json!({"state": fetched.state, "reasons": fetched.reasons, "resolution": snapshot.remove("resolution")});
    if let Some(time) = fetched.last_updated {
        details["lastUpdatedTimestamp"] = json!(time);
    }
    let mut body = Value::Object(snapshot);
    body["chargePermissionId"] = json!(fetched.charge_permission_id);
    body["chargePermissionType"] = json!(fetched.charge_permission_type);
    body["chargeId"] = json!(fetched.charge_id);
    body["merchantMetadata"] = metadata;
    body["statusDetails"] = details;
    body[fetched.kind.id_field()] = json!(fetched.id);
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever stands in any field: the object is decoded, what is published has one form, and reading that changes nothing.
    #[test]
    fn any_value_in_any_field_is_decoded(
        kind in 0_usize..4,
        changes in prop::collection::vec((any::<Index>(), any_json()), 1..4),
    ) {
        let kind = ObjectKind::ALL[kind];
        let mut body = documented(kind);
        for (place, value) in changes {
            let mut names: Vec<String> = body.as_object().unwrap().keys().map(|name| format!("/{name}")).collect();
            names.extend(["reasonCode", "reasons", "reasonDescription", "resolution", "lastUpdatedTimestamp"].map(|name| format!("/statusDetails/{name}")));
            names.extend(["/limits/amountLimit", "/recurringMetadata/frequency", "/recurringMetadata/frequency/value"].map(str::to_owned));
            names.retain(|name| ![format!("/{}", kind.id_field()).as_str(), "/statusDetails"].contains(&name.as_str()));
            let place = place.get(&names);
            if place == "/statusDetails/reasons" {
                body["statusDetails"]["reasons"] = value;
            } else if let Some(field) = body.pointer_mut(place) {
                *field = value;
            }
        }
        let other_environment = word(body.as_object().unwrap(), "releaseEnvironment").is_some_and(|word| word.eq_ignore_ascii_case("live"));
        prop_assume!(!other_environment);
        let fetched = decode(kind, id_of(kind), &body);
        prop_assert!(fetched.is_ok(), "{:?}: {}", fetched, body);
        let fetched = fetched.unwrap();
        for missed in &fetched.unreadable {
            prop_assert!(FIELD_NAMES.contains(&missed.field), "{} is not in FIELD_NAMES", missed.field);
        }
        let again = decode(kind, id_of(kind), &strict_body(&fetched)).unwrap();
        let (mut first, mut second) = (String::new(), String::new());
        write_canonical(&json!(*fetched.snapshot), &mut first);
        write_canonical(&json!(*again.snapshot), &mut second);
        prop_assert_eq!(first, second);
        prop_assert_eq!(&again.snapshot_digest, &fetched.snapshot_digest);
        prop_assert_eq!((&again.state, &again.reasons, again.last_updated), (&fetched.state, &fetched.reasons, fetched.last_updated));
        prop_assert_eq!((&again.charge_id, &again.charge_permission_id), (&fetched.charge_id, &fetched.charge_permission_id));
        prop_assert!(again.unreadable.iter().all(|missed| missed.field == "lastUpdatedTimestamp"), "{:?}", again.unreadable);
    }
}
