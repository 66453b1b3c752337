//! Amazon Pay objects with every documented field, for the simulated Amazon Pay API.
//!
//! Buyer fields hold `BUYER-DATA-MARKER-…`, never data that looks like a real buyer.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// A charge permission, Chargeable, with every field that Amazon Pay documents. The type is `OneTime`, `Recurring` or
/// `PaymentMethodOnFile`.
pub fn charge_permission(id: &str, permission_type: &str) -> Value {
    let price = |amount| json!({"amount": amount, "currencyCode": "USD"});
    let recurring = json!({"frequency": {"unit": "Month", "value": "1"}, "amount": price("9.99")});
    json!({
        "chargePermissionId": id, "chargePermissionReferenceId": null, "chargePermissionType": permission_type,
        "recurringMetadata": if permission_type == "Recurring" { recurring } else { Value::Null },
        "paymentMethodOnFileMetadata":
            if permission_type == "PaymentMethodOnFile" { json!({"setupOnly": false}) } else { Value::Null },
        "platformId": null,
        "buyer": {
            "buyerId": "amzn1.account.BUYER-DATA-MARKER-ID", "name": "BUYER-DATA-MARKER-NAME",
            "email": "BUYER-DATA-MARKER-EMAIL@buyer.invalid", "phoneNumber": "BUYER-DATA-MARKER-PHONE",
            "primeMembershipTypes": null,
        },
        "shippingAddress": address("SHIPPING"), "billingAddress": address("BILLING"),
        "paymentPreferences": [{"paymentDescriptor": "Visa ****1111 (BUYER-DATA-MARKER-CARD)"}],
        "statusDetails": {"state": "Chargeable", "reasons": null, "lastUpdatedTimestamp": CREATED},
        "creationTimestamp": CREATED, "expirationTimestamp": EXPIRES, "merchantMetadata": merchant_metadata(),
        "releaseEnvironment": release_environment(id),
        "limits": {"amountLimit": price("100.00"), "amountBalance": price("100.00")},
        "presentmentCurrency": "USD",
    })
}

/// A charge, Authorized.
pub fn charge(id: &str, permission_id: &str, amount: &str, currency: &str) -> Value {
    json!({
        "chargeId": id, "chargePermissionId": permission_id,
        "chargeAmount": {"amount": amount, "currencyCode": currency},
        "captureAmount": null, "refundedAmount": null, "convertedAmount": null, "conversionRate": null,
        "softDescriptor": "SANDBOX SHOP", "captureNow": false, "canHandlePendingAuthorization": true,
        "providerMetadata": {"providerReferenceId": null}, "merchantMetadata": merchant_metadata(),
        "platformId": null, "chargeInitiator": "CITU", "channel": "Web", "statusDetails": status("Authorized"),
        "creationTimestamp": CREATED, "expirationTimestamp": EXPIRES,
        "releaseEnvironment": release_environment(id), "webCheckoutDetails": null,
    })
}

/// A refund, `RefundInitiated`. Like Amazon's, it does not hold its charge permission id.
pub fn refund(id: &str, charge_id: &str, amount: &str, currency: &str) -> Value {
    json!({
        "refundId": id, "chargeId": charge_id, "refundAmount": {"amount": amount, "currencyCode": currency},
        "softDescriptor": "SANDBOX SHOP", "statusDetails": status("RefundInitiated"),
        "creationTimestamp": CREATED, "releaseEnvironment": release_environment(id),
        "disbursementDetails": null,
    })
}

/// A dispute, `ActionRequired`, with a response deadline 11 days after its creation.
pub fn dispute(id: &str, charge_id: &str, amount: &str, currency: &str) -> Value {
    let mut status = status("ActionRequired");
    status["reasonCode"] = json!("MerchantResponseRequired");
    status["resolution"] = Value::Null;
    json!({
        "disputeId": id, "chargeId": charge_id, "disputeType": "Chargeback",
        "disputeAmount": {"amount": amount, "currencyCode": currency}, "filingReason": "ProductNotReceived",
        "statusDetails": status, "merchantEvidences": [], "merchantResponseDeadline": "20260112T000000Z",
        "resolutionAuthority": "Amazon", "creationTimestamp": CREATED,
        "releaseEnvironment": release_environment(id),
    })
}

/// The object in another state. A charge permission holds all reasons, other objects hold the first one. A charge that
/// becomes Captured gets its whole amount as `captureAmount`, unless it already has one.
pub fn with_state(mut object: Value, state: &str, reasons: &[&str], last_updated_unix_s: i64) -> Value {
    let describe = |code: &str| format!("Amazon's sentence about {code}.");
    let status = &mut object["statusDetails"];
    status["state"] = json!(state);
    status["lastUpdatedTimestamp"] = json!(timestamp(last_updated_unix_s));
    if status.get("reasons").is_some() {
        let list = reasons.iter().map(|code| json!({"reasonCode": code, "reasonDescription": describe(code)}));
        status["reasons"] = if reasons.is_empty() { Value::Null } else { list.collect() };
    } else {
        status["reasonCode"] = json!(reasons.first());
        status["reasonDescription"] = json!(reasons.first().map(|code| describe(code)));
    }
    if state == "Captured" && object["captureAmount"].is_null() {
        object["captureAmount"] = object["chargeAmount"].clone();
    }
    object
}

fn address(which: &str) -> Value {
    let marker = |field| format!("BUYER-DATA-MARKER-{which}-{field}");
    json!({
        "name": marker("NAME"), "addressLine1": marker("LINE1"), "addressLine2": marker("LINE2"), "addressLine3": null,
        "city": marker("CITY"), "county": null, "district": null, "stateOrRegion": marker("STATE"),
        "postalCode": marker("POSTAL-CODE"), "countryCode": "US", "phoneNumber": marker("PHONE"),
    })
}

fn merchant_metadata() -> Value {
    json!({
        "merchantReferenceId": "order-1", "merchantStoreName": "Sandbox Shop", "noteToBuyer": "Thank you",
        "customInformation": null,
    })
}

fn status(state: &str) -> Value {
    json!({"state": state, "reasonCode": null, "reasonDescription": null, "lastUpdatedTimestamp": CREATED})
}

/// Ids of live objects start with P or B, ids of sandbox objects with S or C.
fn release_environment(id: &str) -> &'static str {
    if id.starts_with(['P', 'B']) { "Live" } else { "Sandbox" }
}

pub(super) fn timestamp(unix_s: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix_s)
        .ok()
        .and_then(|time| time.format(TIMESTAMP).ok())
        .expect("the time is within the years 0 to 9999")
}

pub(super) const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");
const CREATED: &str = "20260101T000000Z";
const EXPIRES: &str = "20260701T000000Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_the_shape_of_each_kind_of_object() {
        let permission = charge_permission("C01-0000000-0000001", "Recurring");
        let permission = with_state(permission, "Closed", &["BuyerClosed"], 1_767_323_045);
        assert_eq!(permission["statusDetails"]["reasons"][0]["reasonCode"], "BuyerClosed");
        assert_eq!(permission["statusDetails"]["lastUpdatedTimestamp"], "20260102T030405Z");
        let permission = with_state(permission, "Chargeable", &[], 0);
        assert!(permission["statusDetails"]["reasons"].is_null());
        let charge = charge("P01-0000000-0000001-C000001", "P01-0000000-0000001", "14.00", "USD");
        let declined = with_state(charge.clone(), "Declined", &["SoftDeclined"], 0);
        assert_eq!(declined["statusDetails"]["reasonCode"], "SoftDeclined");
        assert!(declined["captureAmount"].is_null());
        assert_eq!(with_state(charge, "Captured", &[], 0)["captureAmount"]["amount"], "14.00");
    }
}
