//! The text inside a genuine envelope: an IPN, or whatever else a topic's owner publishes.
//!
//! Shown: ids and words that come out hold nothing but what may stand in a URL path, a record key or a log line; what
//! was read can be written and read again; an IPN goes to its own merchant or nowhere.
#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use ipn_receiver::domain::ipn::routing::{Merchant, Merchants, Unroutable};
use ipn_receiver::domain::ipn::{Ipn, Message};
use ipn_receiver::domain::pay::{Account, Environment, MerchantId, ObjectId, ObjectKind};
use ipn_receiver::domain::sns::{TopicArn, TopicPolicy, TopicRule};
use ipn_receiver_fuzz::Corpus;
use serde_json::json;

ipn_receiver_fuzz::target!(run);

fn run(input: &[u8]) -> Corpus {
    let Ok(text) = std::str::from_utf8(input) else { return Corpus::Reject };
    let message = Message::parse(text);
    assert_eq!(message, Message::parse(text), "parsing is a function of the text");
    match &message {
        Message::Ipn(ipn) => {
            is_fit_for_paths_keys_and_logs(ipn);
            reads_the_same_again(ipn);
            goes_to_its_own_merchant_or_nowhere(ipn);
        }
        Message::LegacyV1 { notification_type } => is_a_word(notification_type),
        Message::NotUnderstood(why) => assert!(!why.is_empty()),
    }
    Corpus::Keep
}

fn is_fit_for_paths_keys_and_logs(ipn: &Ipn) {
    let is_id =
        |id: &str| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    assert!(is_id(ipn.merchant_id.as_str()) && !ipn.merchant_id.as_str().contains('-'));
    assert!(is_id(ipn.object_id.as_str()));
    assert!(ipn.charge_permission_id.as_ref().is_none_or(|id| is_id(id.as_str())));
    is_a_word(ipn.notification_type.as_str());
    let _ = (ipn.object_id.environment_hint(), ipn.object_id.kind_hint());
}

fn is_a_word(word: &str) {
    assert!(word.len() <= 64 && !word.chars().any(char::is_control) && word.is_ascii(), "{word:?}");
}

fn reads_the_same_again(ipn: &Ipn) {
    let object_type = match ipn.kind {
        ObjectKind::ChargePermission => "CHARGE_PERMISSION",
        ObjectKind::Charge => "CHARGE",
        ObjectKind::Refund => "REFUND",
        ObjectKind::Dispute => "DISPUTE",
    };
    let text = json!({
        "NotificationVersion": "V2", "NotificationType": ipn.notification_type.as_str(),
        "MerchantID": ipn.merchant_id.as_str(), "ObjectType": object_type, "ObjectId": ipn.object_id.as_str(),
        "ChargePermissionId": ipn.charge_permission_id.as_ref().map(ObjectId::as_str),
    });
    let Message::Ipn(again) = Message::parse(&text.to_string()) else { panic!("{text} was an IPN") };
    // A word that became a known one by losing its strange characters is a known one now.
    let again = Ipn { notification_type: ipn.notification_type.clone(), ..again };
    assert_eq!(again, *ipn);
}

fn goes_to_its_own_merchant_or_nowhere(ipn: &Ipn) {
    let strangers = Merchants::new(vec![merchant(STRANGER, Environment::Live)]);
    let both =
        [Environment::Live, Environment::Sandbox].map(|environment| merchant(ipn.merchant_id.as_str(), environment));
    let live = Merchants::new(both[..1].to_vec());
    let both = Merchants::new(both.to_vec());
    for merchants in [&strangers, &live, &both] {
        for topic in [&*TOPIC, &*OTHER_TOPIC] {
            match merchants.route(topic, ipn) {
                Ok(object) => {
                    assert_eq!(
                        (&object.account.merchant_id, object.kind, &object.id),
                        (&ipn.merchant_id, ipn.kind, &ipn.object_id)
                    );
                    assert_eq!(topic, &*TOPIC, "only its own topic may speak of it");
                    let hint = ipn.object_id.environment_hint();
                    assert!(hint.is_none_or(|hint| hint == object.account.environment));
                    assert!(!object.state_key().chars().any(char::is_control));
                }
                Err(Unroutable::UnknownMerchant) => assert!(!merchants.knows(&ipn.merchant_id)),
                Err(Unroutable::Misrouted) => assert!(merchants.knows(&ipn.merchant_id)),
            }
        }
    }
}

fn merchant(id: &str, environment: Environment) -> Merchant {
    let merchant_id = MerchantId::parse(id).expect("the id of a parsed IPN, or ours");
    let topics = TopicPolicy::new(vec![TopicRule::Arn(TOPIC.clone())]);
    Merchant { account: Account { merchant_id, environment }, topics }
}

fn topic(name: &str) -> TopicArn {
    TopicArn::parse(&format!("arn:aws:sns:eu-west-1:291180941288:{name}")).expect("a topic")
}

const STRANGER: &str = "A1O8CIV1A24A6X";
static TOPIC: LazyLock<TopicArn> = LazyLock::new(|| topic("A1G8446IYHA4MRA1O8CIV1A24A6X"));
static OTHER_TOPIC: LazyLock<TopicArn> = LazyLock::new(|| topic("A1G8446IYHA4MRA2ANOTHER"));
