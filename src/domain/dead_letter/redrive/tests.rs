//! Tests of redriven records and of the filter.

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

fn record(value: Vec<u8>, headers: &[(&str, &str)]) -> DeadLetterRecord {
    let headers = headers.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    DeadLetterRecord::read(b"FORMER".to_vec(), value, headers, Timestamp::from_unix_ms(0))
}

fn redriven(record: DeadLetterRecord, configured: &[&str]) -> Option<Redriven> {
    let merchants = merchants(configured);
    Redriven::new(record, "dlq/1/2", &merchants, &merchants.topic_policy())
}

#[test]
fn in_charge_request_is_not_redriven() {
    let request = json!({"version": 1, "merchantId": "M7", "environment": "live",
        "since": "2026-01-02T03:04:05.678Z", "requestedAt": "2026-01-02T03:04:05.678Z"});
    for (value, merchant) in [(request.to_string(), Some("M7")), ("?".to_owned(), None)] {
        let record = record(value.into_bytes(), &[(RECORD_KIND, "in-charge-since"), (DLQ_REASON, "unknown_merchant")]);
        assert_eq!((record.is_in_charge_request(), record.merchant(), record.object()), (true, merchant, None));
        assert!(redriven(record, &["M7"]).is_none());
    }
}

#[test]
fn redriven_record_keeps_original_under_current_key() {
    let recheck = json!({"version": 1, "merchantId": "M7", "environment": "live", "objectId": OBJECT,
        "requestedAt": "2026-01-02T03:04:05.678Z"});
    let recheck = recheck.to_string().into_bytes();
    for (value, kind, configured, key) in [
        (ipn_of("M1"), "", ["M1"], "M1"),
        (ipn_of("M1"), "", ["M2"], "OWNER"),
        (b"{\"Type\":\"?\"}".to_vec(), "", ["M1"], "FORMER"),
        (recheck.clone(), "recheck", ["M1"], "M7"),
    ] {
        let record = record(value.clone(), &[(RECORD_KIND, kind), (DLQ_REASON, "unknown_merchant")]);
        let redriven = redriven(record, &configured).unwrap();
        assert_eq!(String::from_utf8_lossy(redriven.key()), key);
        assert_eq!(redriven.value(), value);
        assert_eq!(header(redriven.headers(), RECORD_KIND), Some(kind));
        assert_eq!(header(redriven.headers(), REDRIVEN_FROM), Some("dlq/1/2"));
        assert_eq!(header(redriven.headers(), REDRIVE_COUNT), Some("1"));
        assert_eq!(header(redriven.headers(), DLQ_REASON), None, "dead-letter headers are removed");
    }
    assert!(redriven(record(vec![], &[]), &["M1"]).is_none(), "the original is missing");
}

#[test]
fn redrives_are_counted() {
    let again = record(ipn_of("M1"), &[(REDRIVE_COUNT, "2"), (REDRIVEN_FROM, "dlq/0/0")]);
    let redriven = redriven(again, &["M1"]).unwrap();
    let named = |name| redriven.headers().iter().filter(|(known, _)| known == name).count();
    assert_eq!((named(REDRIVE_COUNT), named(REDRIVEN_FROM)), (1, 1));
    assert_eq!(header(redriven.headers(), REDRIVE_COUNT), Some("3"));
}

#[test]
fn unroutable_dead_letter_is_recognized() {
    assert!(record(ipn_of("M1"), &[]).is_unroutable(&merchants(&["M2"])));
    assert!(!record(ipn_of("M1"), &[]).is_unroutable(&merchants(&["M1"])));
}

#[test]
fn filter_matches_any_value_of_a_key_and_all_keys() {
    let known = record(ipn_of("M1"), &[(DLQ_REASON, "misrouted"), (DLQ_WRITTEN_AT, "2026-01-02T00:00:00.000Z")]);
    let gone = record(vec![], &[(DLQ_REASON, "vanished"), (DLQ_OBJECT, "M1/live/P01-1-2")]);
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
fn filter_id_ignores_order_of_terms() {
    let filter = |terms: &[&str]| {
        let terms: Vec<String> = terms.iter().map(|term| (*term).to_owned()).collect();
        Filter::parse(&terms, None, None).unwrap().id()
    };
    assert_eq!(filter(&["reason=vanished", "merchant=M1"]), filter(&["merchant=M1", "reason=vanished"]));
    assert_ne!(filter(&["reason=vanished"]), filter(&[]));
    assert_eq!(filter(&[]).len(), 16);
}

#[test]
fn invalid_filter_names_valid_values() {
    for (term, part) in [
        ("reason", "is not key=value; keys are reason, merchant, object, topic-arn, message-id"),
        ("cause=misrouted", "there is no key \"cause\""),
        ("reason=lost", "reasons are not_understood, unknown_merchant"),
        ("object=a/b", "cannot be the object of any dead letter"),
        ("message-id=", "cannot be the message-id"),
    ] {
        let error = Filter::parse(&[term.to_owned()], None, None).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    let (since, until) =
        (Timestamp::parse_written("2026-01-02T00:00:00Z"), Timestamp::parse_written("2026-01-01T00:00:00Z"));
    assert!(Filter::parse(&[], since, until).unwrap_err().contains("nothing could match"));
}
