//! What SNS delivers: every kind of message, signed either way, and what stands inside.

use ipn_receiver::sandbox::authority::Authority;
use ipn_receiver::sandbox::sns::{Draft, SignatureVersion, Sns};
use ipn_receiver_fuzz::parts;
use time::OffsetDateTime;
use time::macros::datetime;

use super::Seed;

/// HTTP bodies as the sandbox's SNS posts them, a few of them as lists of fields too.
pub fn envelopes() -> Vec<Seed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let authority = Authority::new().unwrap();
        let sns = Sns::start(&authority, "eu-west-1").await.unwrap();
        let seeds = signed_by(&sns);
        sns.stop().await;
        seeds
    })
}

fn signed_by(sns: &Sns) -> Vec<Seed> {
    let token = "0f".repeat(125);
    let v1 = |draft: Draft| Draft { version: SignatureVersion::V1, ..draft };
    let with_subject = |draft: Draft, subject: &str| Draft { subject: Some(subject.to_owned()), ..draft };
    let mut seeds: Vec<Seed> = Vec::new();
    let mut add = |name: &str, body: String| seeds.push((format!("{name}.json"), body.into_bytes()));
    for (name, message) in ipns() {
        add(&format!("notification-{name}"), sns.notification(&draft(&message)));
    }
    let plain = draft(&charge());
    add("notification-v1", sns.notification(&v1(plain.clone())));
    add("notification-subject", sns.notification(&with_subject(plain.clone(), "A \"subject\" of ours, naïve — 件名")));
    let lines = draft("two\nlines\n\nSubject\nnone\nTimestamp\n2026-01-02T03:04:05.678Z\n");
    add("notification-lines", sns.notification(&lines));
    let subject_lines =
        with_subject(draft("x\nMessageId\n72fd219f-d2d6-5fea-afff-70487e01d695\nSubject\ny"), "Subject");
    add("notification-subject-lines", sns.notification(&v1(subject_lines)));
    add("notification-empty", sns.notification(&draft("")));
    add("notification-controls", sns.notification(&draft("\u{0}\u{1f}\u{7f}\t\r\n\u{2028}\u{1f600}\\\"/")));
    let welcome = draft("You have chosen to subscribe to the topic.\nTo confirm, visit the SubscribeURL.");
    add("subscription", sns.subscription_confirmation(&welcome, &token));
    add("subscription-v1", sns.subscription_confirmation(&v1(welcome.clone()), &token));
    let goodbye = draft("You have chosen to deactivate the subscription.");
    add("unsubscribe", sns.unsubscribe_confirmation(&goodbye, &token));
    add("unsubscribe-v1", sns.unsubscribe_confirmation(&v1(goodbye), "00"));
    let body = sns.notification(&plain);
    add("escaped", with_every_letter_escaped(&body));
    add("attributes", with_attributes(&body));
    add("twice", body.replacen('{', "{\"Type\":\"Notification\",", 1));

    let lists =
        ["notification-charge", "notification-subject-lines", "notification-lines", "subscription"].map(|name| {
            let body = &seeds.iter().find(|(file, _)| *file == format!("{name}.json")).unwrap().1;
            (format!("list-{name}"), parts::from_body(std::str::from_utf8(body).unwrap()))
        });
    seeds.extend(lists);
    seeds
}

/// Texts of `Message`.
pub fn messages() -> Vec<Seed> {
    let others = [
        ("no-json", "hello".to_owned()),
        ("list", "[]".to_owned()),
        ("empty", "{}".to_owned()),
        ("path", ipn("CHARGE", "../charges")),
        ("twice", ipn("CHARGE", "S02-6865442-5879427-C004671").replacen('{', "{\"merchantid\":\"A2\",", 1)),
        ("numbers", r#"{"MerchantID":1,"ObjectId":1e400,"ObjectType":null,"x":[[[{}]]],"y":-0.0}"#.to_owned()),
        ("strange-word", ipn("REFUND", "P02-1-2-R3").replace("STATE_CHANGE", "STATE\\u000aCHANGE \\ud83d\\ude00")),
    ];
    ipns().into_iter().chain(others).map(|(name, text)| (format!("{name}.json"), text.into_bytes())).collect()
}

/// An IPN of each kind, in the spellings that are known.
fn ipns() -> Vec<(&'static str, String)> {
    let camel_case = charge().replace("MerchantID", "merchantId").replace("ObjectId", "objectId");
    let legacy = r#"{"ReleaseEnvironment":"Sandbox","MarketplaceID":"136291","Version":"2013-01-01","NotificationType":"PaymentCapture","SellerId":"A1O8CIV1A24A6X","NotificationReferenceId":"1111111-1111-11111-1111-11111EXAMPLE","Timestamp":"2026-01-02T03:04:05.678Z","NotificationData":"<?xml version=\"1.0\" encoding=\"UTF-8\"?><CaptureNotification/>"}"#;
    vec![
        ("charge-permission", ipn("CHARGE_PERMISSION", "S02-6865442-5879427")),
        ("charge", charge()),
        ("refund", ipn("REFUND", "P02-6865442-5879427-R004671")),
        ("chargeback", ipn("CHARGEBACK", "B02-6865442-5879427-B004671")),
        ("chargeback-of-a-charge", ipn("CHARGEBACK", "S02-6865442-5879427-C004671")),
        ("dispute", ipn("DISPUTE", "X02-6865442-5879427-D004671").replace("STATE_CHANGE", "ATTRIBUTE_CHANGE")),
        ("camel-case", camel_case),
        ("novelty", ipn("NOVELTY", "S02-6865442-5879427-N004671")),
        ("legacy", legacy.to_owned()),
    ]
}

fn charge() -> String {
    ipn("CHARGE", "S02-6865442-5879427-C004671")
}

fn ipn(object_type: &str, object_id: &str) -> String {
    serde_json::json!({
        "NotificationVersion": "V2", "NotificationType": "STATE_CHANGE",
        "NotificationId": "64f57c9a-0000-4000-8000-000000000000", "MerchantID": "A1O8CIV1A24A6X",
        "ObjectType": object_type, "ObjectId": object_id, "ChargePermissionId": "S02-6865442-5879427",
        "MockedNotification": "false",
    })
    .to_string()
}

fn draft(message: &str) -> Draft {
    Draft::new("arn:aws:sns:eu-west-1:291180941288:A1G8446IYHA4MRA1O8CIV1A24A6X", message, SENT_AT)
}

fn with_attributes(body: &str) -> String {
    let attributes = r#"{"MessageAttributes":{"n":{"Type":"Number","Value":"1"},"l":[1,2.5e3,null,true]},"x":"y","#;
    body.replacen('{', attributes, 1)
}

/// Keys too.
fn with_every_letter_escaped(body: &str) -> String {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(body).unwrap();
    let escaped = |text: &str| text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>();
    let pairs = fields.iter().map(|(key, value)| {
        // The signature is long, and base64 needs no escapes.
        let value = value.as_str().unwrap();
        let value = if key == "Signature" { value.to_owned() } else { escaped(value) };
        format!("\"{}\":\"{value}\"", escaped(key))
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

const SENT_AT: OffsetDateTime = datetime!(2026-01-02 03:04:05.678 UTC);
