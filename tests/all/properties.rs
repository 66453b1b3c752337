//! Properties of the trust boundary, tried with made-up changes to genuine messages.

use std::sync::OnceLock;

use ipn_receiver::domain::ipn::notification::Notification;
use ipn_receiver::domain::ipn::routing::Merchants;
use ipn_receiver::domain::sns::{
    CertFile, Envelope, Policy, SigningCert, TopicArn, TopicPolicy, TopicRule, TrustAnchors, verify,
};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::sandbox::authority::{Authority, Validity};
use ipn_receiver::sandbox::sns::{Draft, SignatureVersion, Sns};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::harness::run;

const TOPIC: &str = "arn:aws:sns:eu-west-1:291180941288:A1G8446IYHA4MRA1O8CIV1A24A6X";

/// Genuine messages of every kind, and what proves them.
struct Genuine {
    bodies: Vec<String>,
    cert: SigningCert,
    policy: Policy,
    now: Timestamp,
}

fn genuine() -> &'static Genuine {
    static GENUINE: OnceLock<Genuine> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        run(async {
            let authority = Authority::new().unwrap();
            let now = OffsetDateTime::now_utc();
            let leaf = authority.signing_leaf("sns.amazonaws.com", Validity::in_days(now.unix_timestamp(), -1, 9)).unwrap();
            let file = CertFile::from_pem(leaf.certificate_pem().as_bytes()).unwrap();
            let (anchors, at) =
                (TrustAnchors::from_der(&authority.certificate_der()).unwrap(), Timestamp::from_unix_ms(now.unix_timestamp() * 1000));
            let cert = file.check("eu-west-1", &anchors, &[], at).unwrap();
            let sns = Sns::start_with_leaf(&authority, "eu-west-1", leaf).await.unwrap();
            let ipn = json!({"MerchantID": "A1O8CIV1A24A6X", "ObjectType": "CHARGE", "ObjectId": "S02-1234567-1234567-C000001",
                "ChargePermissionId": "S02-1234567-1234567", "NotificationType": "STATE_CHANGE", "NotificationVersion": "V2"});
            let mut bodies = Vec::new();
            for version in [SignatureVersion::V1, SignatureVersion::V2] {
                let draft = Draft { version, ..Draft::new(TOPIC, &ipn.to_string(), now) };
                bodies.push(sns.notification(&draft));
                bodies.push(sns.notification(&Draft { subject: Some("an \u{e9} and a \"".to_owned()), ..draft.clone() }));
                bodies.push(sns.subscription_confirmation(&draft, "00ff00ff"));
                bodies.push(sns.unsubscribe_confirmation(&draft, "00ff00ff"));
            }
            let rule = TopicRule::Arn(TopicArn::parse(TOPIC).unwrap());
            sender.send(Genuine { bodies, cert, policy: Policy::of(TopicPolicy::new(vec![rule])), now: at }).unwrap();
        });
        receiver.recv().unwrap()
    })
}

/// Everything of a message that can reach a topic, a log line or SNS's API: what is proven, and what is made of it.
#[derive(Debug, PartialEq)]
struct Believed {
    signed: [Option<String>; 9],
    key: String,
    message: String,
}

fn judge(body: &[u8]) -> Option<Believed> {
    let genuine = genuine();
    let envelope = Envelope::parse(body).ok()?;
    let verified = verify(envelope, &genuine.cert, &genuine.policy, genuine.now).ok()?;
    let notification = Notification::new(verified, &Merchants::default(), &genuine.policy);
    let envelope = notification.envelope();
    let confirmation = envelope.confirmation.as_ref();
    let signed = [
        Some(envelope.message_type.as_str().to_owned()),
        Some(envelope.message_id.clone()),
        Some(envelope.topic_arn.as_str().to_owned()),
        envelope.subject.clone(),
        Some(envelope.message.clone()),
        Some(envelope.timestamp_text.clone()),
        Some(envelope.timestamp.to_string()),
        confirmation.map(|confirmation| confirmation.token.clone()),
        confirmation.map(|confirmation| confirmation.subscribe_url.clone()),
    ];
    Some(Believed { signed, key: notification.key().to_owned(), message: format!("{:?}", notification.message()) })
}

/// The bytes of the body between the quotes of a signed field's value.
fn signed_spans(body: &str) -> Vec<std::ops::Range<usize>> {
    let names = ["Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "Token", "SubscribeURL"];
    let span = |name: &&str| {
        let start = body.find(&format!("\"{name}\" : \""))? + name.len() + 6;
        let end = start + body[start..].find("\",\n").or_else(|| body[start..].find("\"\n"))?;
        Some(start..end)
    };
    names.iter().filter_map(span).collect()
}

fn an_unsigned_change() -> impl Strategy<Value = (String, Value)> {
    let name = select(vec![
        "UnsubscribeURL",
        "MessageAttributes",
        "SignatureVersion",
        "SigningCertURL",
        "Signature",
        "Extra",
        "token",
    ]);
    let value = prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!({"MerchantID": {"Type": "String", "Value": "AN0THER"}})),
        Just(json!(["Message", TOPIC])),
        Just(Value::Null),
        select(vec!["1", "2"]).prop_map(Value::from),
    ];
    (name.prop_map(str::to_owned), value)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_signed_byte_is_rejected(which: Index, field: Index, at: Index, byte: u8) {
        let body = which.get(&genuine().bodies);
        let before = judge(body.as_bytes()).expect("it is genuine as it is");
        let spans = signed_spans(body);
        prop_assert!(spans.len() >= 5);
        let span = field.get(&spans).clone();
        let at = span.start + at.index(span.len());
        let mut altered = body.clone().into_bytes();
        prop_assume!(altered[at] != byte);
        altered[at] = byte;
        // One byte can spell the same text otherwise: a hex digit of an escape in the other case.
        if let Some(after) = judge(&altered) {
            prop_assert_eq!(after, before);
            prop_assert!(byte.is_ascii_hexdigit() && body.as_bytes()[at].eq_ignore_ascii_case(&byte));
        }
    }

    #[test]
    fn unsigned_changes_do_not_affect_trusted_fields(
        which: Index,
        changes in prop::collection::vec(an_unsigned_change(), 1..4),
        removed: Index,
        rotate: Index,
    ) {
        let body = which.get(&genuine().bodies);
        let before = judge(body.as_bytes()).expect("it is genuine as it is");
        let fields: Map<String, Value> = serde_json::from_str(body).unwrap();
        let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
        fields.retain(|(name, _)| *removed.get(&["UnsubscribeURL", "nothing"]) != name);
        for (name, value) in changes {
            fields.retain(|(known, _)| *known != name);
            fields.push((name, value));
        }
        let n = rotate.index(fields.len());
        fields.rotate_left(n);
        let altered = Value::Object(fields.into_iter().collect()).to_string();
        if let Some(after) = judge(altered.as_bytes()) {
            prop_assert_eq!(after, before);
        }
    }
}

#[test]
fn some_unsigned_changes_are_accepted() {
    // Or the property above would hold for want of anything that passes.
    let body = &genuine().bodies[0];
    let altered = body.replace("\"UnsubscribeURL\" : \"https://", "\"UnsubscribeURL\" : \"https://evil.example/");
    assert_ne!(*body, altered);
    assert_eq!(judge(altered.as_bytes()), judge(body.as_bytes()));
    assert!(judge(altered.as_bytes()).is_some());
}
