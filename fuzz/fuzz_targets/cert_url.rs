//! The text of `SigningCertURL`, and the URL that a certificate names its issuer's certificate by.
//!
//! Shown: an HTTP client, whose URL parser follows the WHATWG and not ours, would go where the pin says and nowhere
//! else. A second line of the input is a development origin in place of the usual one.
#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use ipn_receiver::domain::sns::{
    CertSource, DevelopmentOrigin, IssuerUrl, Policy, SigningCertUrl, TopicArn, TopicPolicy, TopicRule,
};
use ipn_receiver_fuzz::Corpus;
use url::{Host, Url};

ipn_receiver_fuzz::target!(run);

fn run(input: &[u8]) -> Corpus {
    let Ok(text) = std::str::from_utf8(input) else { return Corpus::Reject };
    leads_where_the_pin_says(text, USUAL_ORIGIN, &POLICY);
    if let Some((text, origin)) = text.split_once('\n')
        && let Some(development) = DevelopmentOrigin::parse(origin)
    {
        let policy = Policy { development_origins: vec![development], ..POLICY.clone() };
        leads_where_the_pin_says(text, origin, &policy);
    }
    leads_to_amazon_trust_services(text);
    Corpus::Keep
}

fn leads_where_the_pin_says(text: &str, origin: &str, policy: &Policy) {
    let parsed = SigningCertUrl::parse(text, policy);
    assert_eq!(parsed, SigningCertUrl::parse(text, policy), "parsing is a function of the text");
    let url = match parsed {
        Ok(url) => url,
        Err(refused) => {
            let _ = refused.to_string();
            return;
        }
    };
    assert_eq!(url.as_str(), text);
    let hash = url.hash();
    assert!(hash.len() == 32 && hash.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{hash}");
    let file = format!("/SimpleNotificationService-{hash}.pem");
    match url.source() {
        CertSource::Region(region) => {
            assert!(REGIONS.contains(&region.as_str()), "{text}");
            let seen = seen_by_a_client(text);
            let host = format!("sns.{region}.amazonaws.com");
            assert_eq!((seen.scheme(), seen.host(), seen.path()), ("https", Some(Host::Domain(&*host)), &*file));
            assert_eq!(seen.port(), None, "{text}");
        }
        CertSource::Development => {
            let origin = origin.trim_end_matches('/');
            assert_eq!(text.strip_prefix(origin), Some(&*file), "{text}");
            // An operator's own setting may be no URL at all; then no client goes there.
            if let (Ok(seen), Ok(origin)) = (Url::parse(text), Url::parse(origin)) {
                assert_eq!(seen.origin(), origin.origin(), "{text}");
                assert!(seen.username().is_empty() && seen.query().is_none() && seen.fragment().is_none(), "{text}");
            }
        }
    }
}

fn leads_to_amazon_trust_services(text: &str) {
    let parsed = IssuerUrl::parse(text);
    assert_eq!(parsed, IssuerUrl::parse(text), "parsing is a function of the text");
    let Some(url) = parsed else { return };
    assert_eq!(url.as_str(), text);
    // A label may be bad punycode (`xn--…`): no client takes such a URL, and nothing is fetched.
    if Url::parse(text).is_err() {
        assert!(text.contains("xn--"), "{text}");
        return;
    }
    let seen = seen_by_a_client(text);
    assert_eq!((seen.scheme(), seen.port()), ("http", None), "{text}");
    let Some(Host::Domain(host)) = seen.host() else { panic!("{text}") };
    assert!(host.len() > ".amazontrust.com".len() && host.ends_with(".amazontrust.com"), "{text}");
}

/// What reqwest makes of it. It must need no mending.
fn seen_by_a_client(text: &str) -> Url {
    let seen = Url::parse(text).expect("what is accepted is a URL");
    assert_eq!(seen.as_str(), text, "a client would ask for another text");
    assert!(seen.username().is_empty() && seen.password().is_none(), "{text}");
    assert!(seen.query().is_none() && seen.fragment().is_none(), "{text}");
    seen
}

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let topics = REGIONS.map(|region| {
        let arn = format!("arn:aws:sns:{region}:291180941288:A1G8446IYHA4MRA1O8CIV1A24A6X");
        TopicRule::Arn(TopicArn::parse(&arn).expect("a topic"))
    });
    Policy {
        development_origins: vec![DevelopmentOrigin::parse(USUAL_ORIGIN).expect("an origin")],
        ..Policy::of(TopicPolicy::new(topics.to_vec()))
    }
});

const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];
const USUAL_ORIGIN: &str = "http://localhost:4566/_aws/sns/";
