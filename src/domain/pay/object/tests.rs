//! Tests of decoding Amazon Pay's answers.

use super::*;
use crate::domain::pay::{DigestKey, Edge, FreeText};
use serde_json::json;

pub(super) fn decode(kind: ObjectKind, id: &str, body: &Value) -> Result<Fetched, DecodeError> {
    read(kind, id, body.to_string().as_bytes())
}

fn read(kind: ObjectKind, id: &str, body: &[u8]) -> Result<Fetched, DecodeError> {
    let edge = Edge::strict(DigestKey::derive(b"test"));
    Fetched::decode((kind, &ObjectId::parse(id).unwrap()), Environment::Sandbox, &edge, body)
}

fn permission(details: &Value) -> Value {
    json!({"chargePermissionId": "C01-0000000-0000001", "chargePermissionType": "Recurring", "statusDetails": details,
        "buyer": {"name": "BUYER-DATA"}, "billingAddress": {"city": "BUYER-DATA"}, "shippingAddress": {"city": "BUYER-DATA"},
        "paymentPreferences": [{"paymentDescriptor": "BUYER-DATA"}], "releaseEnvironment": "Sandbox",
        "merchantMetadata": {"merchantReferenceId": "order-1", "noteToBuyer": "BUYER-DATA", "customInformation": "BUYER-DATA"},
        "limits": {"amountBalance": {"amount": "10.00", "currencyCode": "USD"}}})
}

#[test]
fn reasons_in_every_form_decode_as_a_list() {
    let at = "20260102T030405Z";
    for (details, codes) in [
        (
            json!({"state": "Closed", "reasons": [{"reasonCode": "BuyerClosed", "reasonDescription": "x"}], "lastUpdatedTimestamp": at}),
            vec!["BuyerClosed"],
        ),
        (json!({"state": "Closed", "reasons": [{"reasonCode": null}], "lastUpdatedTimestamp": at}), vec![]),
        (json!({"state": "Closed", "reasons": null, "lastUpdatedTimestamp": at}), vec![]),
        (
            json!({"state": "NonChargeable", "reasons": [{"reasonCode": "MFAFailed"}, {"reasonCode": "Novel"}], "lastUpdatedTimestamp": at}),
            vec!["MFAFailed", "Novel"],
        ),
    ] {
        let fetched = decode(ObjectKind::ChargePermission, "C01-0000000-0000001", &permission(&details)).unwrap();
        assert_eq!(fetched.reasons.iter().map(|r| r.reason_code.as_str()).collect::<Vec<_>>(), codes);
    }
}

#[test]
fn decoding_drops_all_buyer_data() {
    let details = json!({"state": "Chargeable", "reasons": null, "lastUpdatedTimestamp": "20260102T030405Z"});
    let fetched = decode(ObjectKind::ChargePermission, "C01-0000000-0000001", &permission(&details)).unwrap();
    assert!(!format!("{fetched:?}").contains("BUYER-DATA"));
    assert_eq!(fetched.snapshot["merchantReferenceId"], "order-1");
    assert_eq!(fetched.snapshot["limits"]["amountBalance"]["amount"], "10.00");
}

#[test]
fn free_text_is_published_only_if_configured() {
    let details = json!({"state": "Chargeable", "reasons": null, "lastUpdatedTimestamp": "20260102T030405Z"});
    let id = ObjectId::parse("C01-0000000-0000001").unwrap();
    let edge = Edge { free_text: FreeText::Published, ..Edge::strict(DigestKey::derive(b"test")) };
    let body = permission(&details).to_string();
    let fetched =
        Fetched::decode((ObjectKind::ChargePermission, &id), Environment::Sandbox, &edge, body.as_bytes()).unwrap();
    assert_eq!(
        (&fetched.snapshot["noteToBuyer"], &fetched.snapshot["customInformation"]),
        (&json!("BUYER-DATA"), &json!("BUYER-DATA"))
    );
    assert_eq!(format!("{fetched:?}").matches("BUYER-DATA").count(), 2, "and nothing else");
}

#[test]
fn answer_about_another_object_is_an_error() {
    let details = json!({"state": "Chargeable", "lastUpdatedTimestamp": "20260102T030405Z"});
    let other = decode(ObjectKind::ChargePermission, "C01-0000000-0000002", &permission(&details));
    assert_eq!(other, Err(DecodeError::Identity("object")));
    let mut live = permission(&details);
    live["releaseEnvironment"] = json!("Live");
    assert_eq!(
        decode(ObjectKind::ChargePermission, "C01-0000000-0000001", &live),
        Err(DecodeError::Identity("environment"))
    );
}

#[test]
fn early_payloads_are_decoded() {
    let charge = json!({"chargeId": "S01-1-2-C1", "chargePermissionId": "C01-0000000-0000001",
        "statusDetail": {"state": "Declined", "reasonCode": "SoftDeclined", "lastUpdatedTimestamp": 1_767_323_045_000_i64}});
    let fetched = decode(ObjectKind::Charge, "S01-1-2-C1", &charge).unwrap();
    assert_eq!(
        (fetched.state, fetched.last_updated.unwrap().to_string().as_str()),
        (State::Declined, "2026-01-02T03:04:05.000Z")
    );
}

#[test]
fn truncated_or_unrelated_json_is_an_error() {
    for body in ["", "[]", "{\"chargeId\":", "<html>"] {
        let answer = read(ObjectKind::Charge, "S01", body.as_bytes());
        assert_eq!(answer, Err(DecodeError::NotJson), "{body}");
    }
    assert_eq!(
        decode(ObjectKind::Charge, "S01", &json!({"chargeId": "S01"})),
        Err(DecodeError::Missing("statusDetails"))
    );
}

#[test]
fn null_fields_decode_as_absent() {
    let at = "20260102T030405Z";
    let details = json!({"state": "Captured", "reasonCode": null, "reasonDescription": null, "resolution": null, "lastUpdatedTimestamp": at});
    let charge = json!({"chargeId": "S01-1-2-C1", "chargePermissionId": "S01-1-2", "chargeAmount": {"amount": "500", "currencyCode": "JPY"},
        "captureAmount": null, "refundedAmount": null, "convertedAmount": null, "conversionRate": null, "merchantMetadata": null,
        "platformId": null, "providerMetadata": null, "statusDetails": details, "expirationTimestamp": null, "releaseEnvironment": null});
    let fetched = decode(ObjectKind::Charge, "S01-1-2-C1", &charge).unwrap();
    assert_eq!((fetched.reasons.len(), fetched.snapshot.len()), (0, 1), "{:?}", fetched.snapshot);
    let permission = json!({"chargePermissionId": "S01-1-2", "chargePermissionType": null, "recurringMetadata": null, "buyer": null,
        "paymentPreferences": null, "limits": null, "statusDetails": {"state": "NonChargeable", "reasons": [{"reasonCode": null}, null], "lastUpdatedTimestamp": at}});
    let fetched = decode(ObjectKind::ChargePermission, "S01-1-2", &permission).unwrap();
    assert_eq!((fetched.reasons.len(), fetched.charge_permission_type, fetched.snapshot.len()), (0, None, 0));
    for (kind, field) in [(ObjectKind::Refund, "refundId"), (ObjectKind::Dispute, "disputeId")] {
        let body = json!({field: "S01-1-2-X1", "chargeId": "S01-1-2-C1", "statusDetails": details, "disbursementDetails": null, "merchantEvidences": null});
        assert_eq!(decode(kind, "S01-1-2-X1", &body).unwrap().charge_id, ObjectId::parse("S01-1-2-C1"));
    }
}

#[test]
fn unknown_words_are_kept_and_unknown_fields_ignored() {
    let charge = json!({"chargeId": "S01-1-2-C1", "chargePermissionId": "S01-1-2", "novelField": {"deep": [1, 2]},
        "convertedAmount": "14.00", "conversionRate": 1.25,
        "statusDetails": {"state": "Teleported", "reasonCode": "NovelReason", "reasonDescription": "x", "lastUpdatedTimestamp": 1_767_323_045, "novel": true}});
    let fetched = decode(ObjectKind::Charge, "S01-1-2-C1", &charge).unwrap();
    assert_eq!(
        (fetched.state, fetched.reasons[0].reason_code.as_str()),
        (State::Other("Teleported".into()), "NovelReason")
    );
    assert_eq!(fetched.last_updated.unwrap().to_string(), "2026-01-02T03:04:05.000Z");
    assert_eq!(fetched.snapshot.keys().collect::<Vec<_>>(), ["convertedAmount", "conversionRate"]);
}
