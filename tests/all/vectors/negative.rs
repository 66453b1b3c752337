//! Hostile cases with their verdicts: each must be refused for the reason it states, and what is to be accepted, accepted.

use std::time::Duration;

use ipn_receiver::domain::sns::{
    CertFile, CertSource, Envelope, Intermediate, MalformedEnvelope, Policy, RefusedCertUrl, SigningCertUrl,
    TopicPolicy, TopicRule, TrustAnchors, verify,
};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::sandbox::authority::{Authority, Validity};
use ipn_receiver::sandbox::sns::{Draft, Sns};
use serde_json::{Value, json};

use super::{folder, json, policy_for};
use crate::harness::run;

/// The cases of one kind; a line for each goes into the test's output.
pub(crate) fn cases(kind: &str) -> Option<Vec<Value>> {
    let cases = json(&folder("sns")?.join("negative.json"));
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 77, "new cases need their judges");
    Some(cases.iter().filter(|case| case["kind"] == kind).cloned().collect())
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("{field} of {case}"))
}

/// What `serve` does with a body, with this certificate as if it had been fetched. The error is the part that refuses, and
/// its reason.
fn judge(body: &str, pem: &str, policy: &Policy, anchors: &TrustAnchors, now: Timestamp) -> Result<(), String> {
    let envelope = Envelope::parse(body.as_bytes()).map_err(|why| format!("Envelope({why:?})"))?;
    let url = SigningCertUrl::parse(&envelope.signing_cert_url, policy).map_err(|why| format!("CertUrl({why:?})"))?;
    let CertSource::Region(region) = url.source() else { panic!("no development here") };
    let cert = CertFile::from_pem(pem.as_bytes())
        .and_then(|file| file.check(region, anchors, &Intermediate::bundled(), now))
        .map_err(|why| format!("Certificate({why:?})"))?;
    verify(envelope, &cert, policy, now).map(|_| ()).map_err(|why| format!("Sns({why:?})"))
}

#[test]
fn each_certificate_url_gets_its_stated_verdict() {
    let Some(cases) = cases("cert_url") else { return };
    let regions = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "ap-southeast-2"].map(str::to_owned).to_vec();
    let rule = TopicRule::Owner { owner: "X".into(), accounts: vec![], regions };
    let policy = Policy::of(TopicPolicy::new(vec![rule]));
    for case in &cases {
        let Some(url) = case["signing_cert_url"].as_str() else {
            let body = json!({"Type": "Notification", "SigningCertURL": case["signing_cert_url"]}).to_string();
            let why = Envelope::parse(body.as_bytes()).unwrap_err();
            println!("{}: {why}", case["signing_cert_url"]);
            assert_eq!(text(case, "reason"), "non-string JSON value");
            assert_eq!(why, MalformedEnvelope::NotAString("SigningCertURL"));
            continue;
        };
        let verdict = SigningCertUrl::parse(url, &policy);
        println!("{url:?}: {}", verdict.as_ref().map_or_else(ToString::to_string, |_| "accepted".to_owned()));
        let reason = text(case, "reason");
        match verdict {
            Ok(_) => {
                assert_eq!(text(case, "expected"), "accept", "{url}: {reason}");
                let elsewhere = SigningCertUrl::parse(url, &Policy::of(TopicPolicy::default()));
                assert!(
                    matches!(elsewhere, Err(RefusedCertUrl::Region(_))),
                    "without its region it is a 503: {elsewhere:?}"
                );
            }
            Err(why) => {
                let part = match why {
                    RefusedCertUrl::Scheme => "scheme",
                    RefusedCertUrl::Host => "host",
                    // `serve` answers 503 to these: the message may be genuine.
                    RefusedCertUrl::Region(_) | RefusedCertUrl::Partition(_) => "region",
                    RefusedCertUrl::Path => "path",
                };
                assert_eq!(text(case, "expected"), "refuse", "{url}: {reason}");
                assert_eq!(part, part_at_fault(reason), "{url}: {reason}");
            }
        }
    }
    println!("{} certificate URLs judged", cases.len());
    assert_eq!(cases.len(), 37);
}

/// Which part of the URL a reason speaks of.
fn part_at_fault(reason: &str) -> &'static str {
    let parts = [
        ("plain http", "scheme"),
        ("http + foreign host", "scheme"),
        ("not a URL", "scheme"),
        ("non-http scheme", "scheme"),
        ("regex-valid but region/partition mismatch", "host"),
        ("host lacks sns.<region>", "host"),
        ("foreign", "host"),
        ("service label is not sns", "host"),
        ("suffix appended", "host"),
        ("default host rule", "host"),
        ("S3 path style", "host"),
        ("backslash", "host"),
        ("userinfo", "host"),
        ("trailing-dot host", "host"),
        ("upper-case host", "host"),
        ("prefix host", "host"),
        ("metadata address", "host"),
        ("regex-valid, region does not exist", "host"),
        ("virtual-hosted S3 bucket", "host"),
        ("S3 accelerate", "host"),
        ("path not canonical", "path"),
        ("extension not .pem", "path"),
        ("dot segments", "path"),
        ("query", "path"),
        ("API endpoint on the same host", "path"),
        ("trailing newline", "path"),
        ("upper-case hash", "path"),
    ];
    parts.iter().find(|(start, _)| reason.starts_with(start)).unwrap_or_else(|| panic!("new reason: {reason}")).1
}

#[test]
fn each_altered_message_gets_its_stated_verdict() {
    let Some(cases) = cases("message") else { return };
    run(async {
        let own = OwnSns::start().await;
        for case in &cases {
            let base = json(&folder("sns/real").unwrap().join(text(case, "base")));
            for (what, body, expected) in variants(case, &base["message"], &own) {
                let own_time = Timestamp::parse_sns(base["message"]["Timestamp"].as_str().unwrap()).unwrap();
                let is_own = body.contains(&own.sns.signing_cert_url());
                let (pem, anchors) = if is_own {
                    (own.pem.as_str(), TrustAnchors::from_der(&own.authority.certificate_der()).unwrap())
                } else {
                    (base["cert_pem"].as_str().unwrap(), TrustAnchors::amazon())
                };
                // The two cases about time come from suites that allow an hour back and five minutes ahead.
                let policy = Policy {
                    age_max: Some(Duration::from_hours(1)),
                    ahead_max: Duration::from_mins(5),
                    ..policy_for(base["message"]["TopicArn"].as_str().unwrap())
                };
                let verdict = judge(&body, pem, &policy, &anchors, own_time);
                let found = verdict.map_or_else(|why| why, |()| "accepted".to_owned());
                println!("{what} ({}): {found}", text(case, "reason"));
                assert!(found.starts_with(&expected), "{what}: {found}, expected {expected}");
                assert_eq!(found == "accepted", text(case, "expected") == "accept", "{what}");
            }
        }
        println!("{} altered messages judged", cases.len());
        assert_eq!(cases.len(), 25);
    });
}

/// A certificate and a key of the test's own, for what must be signed rightly.
struct OwnSns {
    authority: Authority,
    sns: Sns,
    pem: String,
}

impl OwnSns {
    async fn start() -> Self {
        let authority = Authority::new().unwrap();
        // A year around the messages' own times.
        let leaf = authority.signing_leaf("sns.amazonaws.com", Validity::in_days(1_780_000_000, -300, 300)).unwrap();
        let pem = leaf.certificate_pem();
        Self { sns: Sns::start_with_leaf(&authority, "us-west-2", leaf).await.unwrap(), pem, authority }
    }

    fn signed(&self, base: &Value, offset_s: i64) -> String {
        let time = Timestamp::parse_sns(base["Timestamp"].as_str().unwrap()).unwrap();
        let time = Timestamp::from_unix_ms(time.unix_ms() + offset_s * 1000);
        let draft = Draft::new(
            base["TopicArn"].as_str().unwrap(),
            "the same",
            time::OffsetDateTime::from_unix_timestamp(0).unwrap(),
        );
        self.sns.notification(&Draft { timestamp: time.to_string(), ..draft })
    }
}

/// The bodies a case stands for, with the verdict in the words of [`judge`].
fn variants(case: &Value, base: &Value, own: &OwnSns) -> Vec<(String, String, String)> {
    let (key, value) = case["mutation"].as_object().unwrap().iter().next().unwrap();
    let with = |value: &Value| {
        let mut body = base.clone();
        body[key.as_str()] = value.clone();
        body.to_string()
    };
    let expected = |text: &str| text.to_owned();
    let one = |body: String, verdict: &str| vec![(format!("{key} = {value}"), body, verdict.to_owned())];
    match (key.as_str(), value.as_str()) {
        ("<whole body>", Some("[]")) => one("[]".to_owned(), "Envelope(Json("),
        ("<whole body>", Some(body)) => one(body.to_owned(), "Envelope(Missing(\"Type\"))"),
        ("<lambda keys>", Some(_)) => {
            let respelled = ["SigningCert", "Unsubscribe", "Subscribe"].iter().fold(base.to_string(), |body, name| {
                body.replace(&format!("\"{name}URL\""), &format!("\"{name}Url\""))
            });
            one(respelled, "Envelope(Missing(\"SigningCertURL\"))")
        }
        ("Signature", Some("<swapcase of base64>")) => {
            let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            let signature = base["Signature"].as_str().unwrap();
            let swapped: String = signature.chars().map(swap).collect();
            let (head, end) = (&swapped[..swapped.len() - 4], &signature[signature.len() - 4..]);
            vec![
                // Swapping sets bits that the last digit of base64 has no room for; without the end it is base64.
                (format!("{key}, all of it swapped"), with(&json!(swapped)), expected("Sns(SignatureEncoding)")),
                (
                    format!("{key}, swapped but for its end"),
                    with(&json!(format!("{head}{end}"))),
                    expected("Sns(Signature)"),
                ),
            ]
        }
        ("Signature", Some("<256 zero bytes, base64>")) => {
            use base64::Engine as _;
            let zeros = base64::engine::general_purpose::STANDARD.encode([0; 256]);
            one(with(&json!(zeros)), "Sns(Signature)")
        }
        ("Timestamp", Some("<now - 1h exactly, correctly signed>")) => one(own.signed(base, -3600), "accepted"),
        ("Timestamp", Some("<now + 10 min, correctly signed>")) => one(own.signed(base, 600), "Sns(TooNew"),
        (_, Some(unknown)) if unknown.starts_with('<') => panic!("a new value to be made: {unknown}"),
        (_, None) if value.is_null() => {
            let mut absent = base.clone();
            absent.as_object_mut().unwrap().remove(key).unwrap();
            vec![
                (format!("{key} absent"), absent.to_string(), expected(&format!("Envelope(Missing({key:?}))"))),
                (format!("{key} null"), with(value), expected(&format!("Envelope(NotAString({key:?}))"))),
            ]
        }
        ("MessageAttributes" | "UnsubscribeURL", _) => one(with(value), "accepted"),
        (_, None) => one(with(value), &format!("Envelope(NotAString({key:?}))")),
        ("Signature", _) => one(with(value), "Sns(SignatureEncoding)"),
        // The latter is a downgrade: the signature is one of version 2, and is not tried as that.
        ("Message", _) | ("SignatureVersion", Some("1")) => one(with(value), "Sns(Signature)"),
        ("SignatureVersion", _) => one(with(value), "Sns(SignatureVersion("),
        ("Type", _) => one(with(value), "Envelope(Missing(\"Token\"))"),
        ("Timestamp" | "Subject", _) => one(with(value), &format!("Envelope(Grammar({key:?}))")),
        _ => panic!("a new mutation: {case}"),
    }
}

#[test]
fn ambiguous_string_to_sign_is_rejected_by_form() {
    let Some(cases) = cases("canonicalisation") else { return };
    for case in &cases {
        let key = CertFile::from_pem(text(case, "cert_pem").as_bytes()).unwrap().check_key_alone().unwrap();
        let now = key.validity().0;
        let original = Envelope::parse(case["original"].to_string().as_bytes()).unwrap();
        let policy = policy_for(original.topic_arn.as_str());
        verify(original, &key, &policy, now).expect("what the attacker had signed for his own topic is genuine");
        let forged = Envelope::parse(case["message"].to_string().as_bytes()).unwrap_err();
        println!("{}: {forged}", text(case, "reason"));
        assert_eq!(forged, MalformedEnvelope::Grammar("Type"));
    }
    assert_eq!(cases.len(), 1);
}

#[test]
fn every_vector_kind_has_a_check() {
    let kinds = ["cert_url", "message", "canonicalisation", "certificate", "subscribe_url"];
    let Some(n_judged) = kinds.iter().map(|kind| cases(kind).map(|cases| cases.len())).sum::<Option<usize>>() else {
        return;
    };
    println!("{n_judged} of 77 cases have a judge: here and in `hostile_hosts`");
    assert_eq!(n_judged, 77);
}
