//! Tests of what is appended again, and of which letters are meant.

use serde_json::json;

use super::*;
use crate::domain::ipn::routing::Merchant;
use crate::domain::pay::{Account, Environment};
use crate::domain::sns::TopicRule;

const TOPIC: &str = "arn:aws:sns:eu-west-1:291180941288:PREFIXOWNER";
const OBJECT: &str = "P01-1111111-2222222-C000001";

fn merchants(ids: &[&str]) -> Merchants {
    let rule = |owner: &str| TopicRule::Owner {
        owner: owner.into(),
        accounts: vec!["291180941288".into()],
        regions: vec!["eu-west-1".into()],
    };
    let merchant = |id: &&str| Merchant {
        account: Account { merchant_id: MerchantId::parse(id).unwrap(), environment: Environment::Live },
        topics: TopicPolicy::new(vec![rule("OWNER")]),
    };
    Merchants::new(ids.iter().map(merchant).collect())
}

fn ipn_of(merchant: &str) -> Vec<u8> {
    let message = json!({"MerchantID": merchant, "ObjectType": "CHARGE", "ObjectId": OBJECT,
        "NotificationType": "STATE_CHANGE", "NotificationVersion": "V2"});
    let body = json!({"Type": "Notification", "MessageId": "72fd219f-d2d6-5fea-afff-70487e01d695", "TopicArn": TOPIC,
        "Message": message.to_string(), "Timestamp": "2020-01-02T03:04:05.678Z", "SignatureVersion": "1",
        "Signature": "x", "SigningCertURL": "x"});
    body.to_string().into_bytes()
}

fn letter(value: Vec<u8>, headers: &[(&str, &str)]) -> DeadLetterRecord {
    let headers = headers.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    DeadLetterRecord::read(b"FORMER".to_vec(), value, headers, Timestamp::from_unix_ms(0))
}

fn redriven(letter: DeadLetterRecord, configured: &[&str]) -> Option<Redriven> {
    let merchants = merchants(configured);
    Redriven::new(letter, "dlq/1/2", &merchants, &merchants.topic_policy())
}

#[test]
fn the_original_comes_back_word_for_word_under_the_key_that_the_present_settings_give_it() {
    let recheck = json!({"version": 1, "merchantId": "M7", "environment": "live", "objectId": OBJECT,
        "requestedAt": "2026-01-02T03:04:05.678Z"});
    let recheck = recheck.to_string().into_bytes();
    for (value, kind, configured, key) in [
        (ipn_of("M1"), "", ["M1"], "M1"),
        (ipn_of("M1"), "", ["M2"], "OWNER"),
        (b"{\"Type\":\"?\"}".to_vec(), "", ["M1"], "FORMER"),
        (recheck.clone(), "recheck", ["M1"], "M7"),
    ] {
        let letter = letter(value.clone(), &[(KIND_HEADER, kind), ("ipn-dlq-reason", "unknown_merchant")]);
        let redriven = redriven(letter, &configured).unwrap();
        assert_eq!(String::from_utf8_lossy(redriven.key()), key);
        assert_eq!(redriven.value(), value);
        assert_eq!(header(redriven.headers(), KIND_HEADER), Some(kind));
        assert_eq!(header(redriven.headers(), FROM_HEADER), Some("dlq/1/2"));
        assert_eq!(header(redriven.headers(), COUNT_HEADER), Some("1"));
        assert_eq!(header(redriven.headers(), "ipn-dlq-reason"), None, "it is no dead letter any more");
    }
    assert!(redriven(letter(vec![], &[]), &["M1"]).is_none(), "there is nothing to append");
}

#[test]
fn how_often_a_letter_came_back_is_counted() {
    let again = letter(ipn_of("M1"), &[(COUNT_HEADER, "2"), (FROM_HEADER, "dlq/0/0")]);
    let redriven = redriven(again, &["M1"]).unwrap();
    let named = |name| redriven.headers().iter().filter(|(known, _)| known == name).count();
    assert_eq!((named(COUNT_HEADER), named(FROM_HEADER)), (1, 1));
    assert_eq!(header(redriven.headers(), COUNT_HEADER), Some("3"));
}

#[test]
fn a_letter_whose_place_is_still_missing_is_known_beforehand() {
    assert!(letter(ipn_of("M1"), &[]).has_no_place(&merchants(&["M2"])));
    assert!(!letter(ipn_of("M1"), &[]).has_no_place(&merchants(&["M1"])));
}

#[test]
fn within_a_key_any_value_will_do_and_all_keys_must_agree() {
    let known =
        letter(ipn_of("M1"), &[("ipn-dlq-reason", "misrouted"), ("ipn-dlq-written-at", "2026-01-02T00:00:00.000Z")]);
    let gone = letter(vec![], &[("ipn-dlq-reason", "vanished"), ("ipn-dlq-object", "M1/live/P01-1-2")]);
    let time = |text| Timestamp::parse_written(text);
    for (terms, since, until, accepts) in [
        (vec![], None, None, (true, true)),
        (vec!["reason=misrouted"], None, None, (true, false)),
        (vec!["reason=misrouted", "reason=vanished"], None, None, (true, true)),
        (vec!["reason=misrouted", "merchant=M2"], None, None, (false, false)),
        (vec!["merchant=M1"], None, None, (true, true)),
        (vec!["object=P01-1111111-2222222-C000001"], None, None, (true, false)),
        (vec!["object=P01-1-2"], None, None, (false, true)),
        (vec!["topic-arn=arn:aws:sns:eu-west-1:291180941288:PREFIXOWNER"], None, None, (true, false)),
        (vec!["message-id=72fd219f-d2d6-5fea-afff-70487e01d695"], None, None, (true, false)),
        (vec![], time("2026-01-02T00:00:00Z"), None, (true, false)),
        (vec![], None, time("2026-01-02T00:00:00Z"), (false, true)),
    ] {
        let terms: Vec<String> = terms.into_iter().map(str::to_owned).collect();
        let filter = Filter::parse(&terms, since, until).unwrap();
        assert_eq!((filter.accepts(&known), filter.accepts(&gone)), accepts, "{filter}");
    }
}

#[test]
fn a_filter_is_the_same_in_any_order_and_another_one_gets_on_by_itself() {
    let filter = |terms: &[&str]| {
        let terms: Vec<String> = terms.iter().map(|term| (*term).to_owned()).collect();
        Filter::parse(&terms, None, None).unwrap().id()
    };
    assert_eq!(filter(&["reason=vanished", "merchant=M1"]), filter(&["merchant=M1", "reason=vanished"]));
    assert_ne!(filter(&["reason=vanished"]), filter(&[]));
    assert_eq!(filter(&[]).len(), 16);
}

#[test]
fn a_slip_in_a_filter_says_what_would_be_right() {
    for (term, part) in [
        ("reason", "is not key=value; keys are reason, merchant, object, topic-arn, message-id"),
        ("cause=misrouted", "there is no key \"cause\""),
        ("reason=lost", "reasons are not_understood, unknown_merchant"),
        ("object=a/b", "cannot be the object of any dead letter"),
        ("message-id=", "cannot be the message-id"),
    ] {
        let said = Filter::parse(&[term.to_owned()], None, None).unwrap_err();
        assert!(said.contains(part), "{said}");
    }
    let (since, until) =
        (Timestamp::parse_written("2026-01-02T00:00:00Z"), Timestamp::parse_written("2026-01-01T00:00:00Z"));
    assert!(Filter::parse(&[], since, until).unwrap_err().contains("nothing could match"));
}
