//! A stranger's HTTP body, all the way to a notification.
//!
//! Shown: what is parsed is what any other JSON reader sees; its string-to-sign can be read in one way only; a
//! forged signature never passes, and a genuine one passes for its message, scheme and topic only.
#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipn_receiver::domain::ipn::notification::Notification;
use ipn_receiver::domain::ipn::routing::{Merchant, Merchants};
use ipn_receiver::domain::pay::{Account, Environment, MerchantId};
use ipn_receiver::domain::sns::{
    CertFile, Envelope, Error, Policy, SigningCert, TopicPolicy, TopicRule, TrustAnchors, string_to_sign, verify,
};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::sandbox::authority::{Authority, SigningLeaf, Validity};
use ipn_receiver_fuzz::Corpus;
use ipn_receiver_fuzz::parts;
use ipn_receiver_fuzz::signed_text::SignedText;
use openssl::hash::MessageDigest;
use openssl::sign::Signer;
use serde_json::{Map, Value};

ipn_receiver_fuzz::target!(run);

fn run(input: &[u8]) -> Corpus {
    let body = parts::to_body(input);
    let parsed = Envelope::parse(&body);
    assert_eq!(parsed, Envelope::parse(&body), "parsing is a function of the body");
    let envelope = match parsed {
        Ok(envelope) => envelope,
        Err(malformed) => {
            let _ = malformed.to_string();
            return Corpus::Keep;
        }
    };
    assert_eq!(Envelope::parse(&envelope.to_json()).as_ref(), Ok(&envelope), "what is stored reads the same");
    agrees_with_an_ordinary_reader(&envelope, &body);
    is_the_same_written_otherwise(&envelope);
    let text = string_to_sign(&envelope);
    assert_eq!(SignedText::read(&text), Some(fields_of(&envelope)), "{text:?}");
    own_signature_is_refused(&envelope);
    if is_sampled(input) {
        only_its_own_signature_passes(envelope, &text);
    }
    Corpus::Keep
}

/// One key that SNS might sign with, made for this run and never stored.
static SIGNER: LazyLock<Known> = LazyLock::new(|| {
    let authority = Authority::new().unwrap();
    let leaf = authority.signing_leaf("sns.amazonaws.com", Validity::in_days(NOW_UNIX_S, -10, 187)).unwrap();
    let anchors = TrustAnchors::from_der(&authority.certificate_der()).unwrap();
    let file = CertFile::from_pem(leaf.certificate_pem().as_bytes()).unwrap();
    let cert = file.check("eu-west-1", &anchors, &[], now()).unwrap();
    let merchant = Merchant {
        account: Account { merchant_id: MerchantId::parse("A1O8CIV1A24A6X").unwrap(), environment: Environment::Live },
        topics: TopicPolicy::default(),
    };
    Known { leaf, cert, merchants: Merchants::new(vec![merchant]) }
});

struct Known {
    leaf: SigningLeaf,
    cert: SigningCert,
    merchants: Merchants,
}

fn fields_of(envelope: &Envelope) -> SignedText<'_> {
    let confirmation = envelope.confirmation.as_ref();
    SignedText {
        message: &envelope.message,
        message_id: &envelope.message_id,
        subscribe_url: confirmation.map(|confirmation| confirmation.subscribe_url.as_str()),
        subject: envelope.subject.as_deref(),
        timestamp: &envelope.timestamp_text,
        token: confirmation.map(|confirmation| confirmation.token.as_str()),
        topic_arn: envelope.topic_arn.as_str(),
        message_type: envelope.message_type.as_str(),
    }
}

/// Keys and values that the envelope was read from.
fn pairs_of(envelope: &Envelope) -> Vec<(&'static str, &str)> {
    let signed = fields_of(envelope);
    let optional = [("Subject", signed.subject), ("Token", signed.token), ("SubscribeURL", signed.subscribe_url)];
    let mut pairs = vec![
        ("Type", signed.message_type),
        ("MessageId", signed.message_id),
        ("TopicArn", signed.topic_arn),
        ("Message", signed.message),
        ("Timestamp", signed.timestamp),
        ("SignatureVersion", &envelope.signature_version),
        ("Signature", &envelope.signature),
        ("SigningCertURL", &envelope.signing_cert_url),
    ];
    pairs.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value?))));
    pairs
}

/// Where another reader takes the body at all (it may refuse deep nesting or huge numbers under keys that do not
/// matter), it reads the same values.
fn agrees_with_an_ordinary_reader(envelope: &Envelope, body: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    for (key, text) in pairs_of(envelope) {
        assert_eq!(value[key].as_str(), Some(text), "{key}");
    }
}

/// As plain JSON, and in reverse order with every character escaped, the message is the same one.
fn is_the_same_written_otherwise(envelope: &Envelope) {
    let pairs = pairs_of(envelope);
    let plain: Map<String, Value> = pairs.iter().map(|(key, text)| ((*key).to_owned(), Value::from(*text))).collect();
    let escaped: Vec<String> =
        pairs.iter().rev().map(|(key, text)| format!("{}:{}", escaped(key), escaped(text))).collect();
    for body in [Value::Object(plain).to_string(), format!("{{{}}}", escaped.join(","))] {
        let again = Envelope::parse(body.as_bytes()).expect("the same fields are as well-formed");
        assert_eq!(again, *envelope);
    }
}

fn escaped(text: &str) -> String {
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{units}\"")
}

fn own_signature_is_refused(envelope: &Envelope) {
    let refused = verify(envelope.clone(), &SIGNER.cert, &allowing(envelope), now()).map(|_| ()).unwrap_err();
    let _ = refused.to_string();
    let expected = matches!(refused, Error::Signature | Error::SignatureEncoding | Error::SignatureVersion(_));
    assert!(expected, "{refused:?}");
}

/// A signature costs a millisecond, so only some inputs get one.
fn is_sampled(input: &[u8]) -> bool {
    input.iter().fold(0_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)) >> 28 == 0
}

fn only_its_own_signature_passes(envelope: Envelope, text: &str) {
    let is_v1 = envelope.message.len().is_multiple_of(2);
    let (version, other, digest) =
        if is_v1 { ("1", "2", MessageDigest::sha1()) } else { ("2", "1", MessageDigest::sha256()) };
    let mut signer = Signer::new(digest, SIGNER.leaf.key()).unwrap();
    let signature = signer.sign_oneshot_to_vec(text.as_bytes()).unwrap();
    let signed = Envelope { signature: STANDARD.encode(&signature), signature_version: version.to_owned(), ..envelope };

    let policy = allowing(&signed);
    let verdict = |envelope: &Envelope, policy: &Policy| verify(envelope.clone(), &SIGNER.cert, policy, now());
    let no_topics = Policy { age_max: None, ahead_max: Duration::MAX, ..Policy::of(TopicPolicy::default()) };
    let not_allowed = Error::TopicNotAllowed(signed.topic_arn.as_str().to_owned());
    assert_eq!(verdict(&signed, &no_topics).map(|_| ()), Err(not_allowed));
    let mut flipped = signature;
    let at = text.len() % flipped.len();
    flipped[at] ^= 1;
    for altered in [
        Envelope { signature: STANDARD.encode(flipped), ..signed.clone() },
        Envelope { signature_version: other.to_owned(), ..signed.clone() },
        Envelope { message: format!("{}\n", signed.message), ..signed.clone() },
    ] {
        assert_eq!(verdict(&altered, &policy).map(|_| ()), Err(Error::Signature));
    }
    let verified = verdict(&signed, &policy).expect("signed, and by a topic that is allowed");
    assert_eq!(verified.get(), &signed);
    let notification = Notification::new(verified, &SIGNER.merchants, &policy);
    assert_eq!(notification.envelope(), &signed);
    assert!(!notification.key().is_empty());
}

/// Lets the envelope's own topic in, at any age.
fn allowing(envelope: &Envelope) -> Policy {
    let topics = TopicPolicy::new(vec![TopicRule::Arn(envelope.topic_arn.clone())]);
    Policy { age_max: None, ahead_max: Duration::MAX, ..Policy::of(topics) }
}

fn now() -> Timestamp {
    Timestamp::from_unix_ms(NOW_UNIX_S * 1000)
}

/// Within the certificate's time.
const NOW_UNIX_S: i64 = 1_780_000_000;
