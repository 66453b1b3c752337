//! Messages that AWS really signed, judged at their own time.

use ipn_receiver::domain::ipn::Message;
use ipn_receiver::domain::sns::{
    self, BadSigningCert, CertFile, CertSource, Envelope, Intermediate, SigningCert, SigningCertUrl, TopicPolicy,
    TrustAnchors, verify,
};
use ipn_receiver::domain::timestamp::Timestamp;
use serde_json::Value;

use super::{folder, policy_for, real_messages};

/// What a captured message is, with what was read on the way.
struct Captured {
    envelope: Envelope,
    file: CertFile,
    region: String,
}

impl Captured {
    fn read(vector: &Value) -> Self {
        let message = &vector["message"];
        let envelope = Envelope::parse(message.to_string().as_bytes()).unwrap();
        assert_eq!(sns::string_to_sign(&envelope), vector["string_to_sign"].as_str().unwrap());
        let policy = policy_for(envelope.topic_arn.as_str());
        let url = SigningCertUrl::parse(&envelope.signing_cert_url, &policy).unwrap();
        let file = CertFile::from_pem(vector["cert_pem"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(file.hash(), url.hash(), "the file's name is the certificate's MD5");
        let CertSource::Region(region) = url.source().clone() else { panic!("no development here") };
        Self { envelope, file, region }
    }

    fn verify(&self, cert: &SigningCert) -> Result<(), sns::Error> {
        let policy = policy_for(self.envelope.topic_arn.as_str());
        verify(self.envelope.clone(), cert, &policy, self.envelope.timestamp).map(|_| ())
    }

    /// Everything `serve` does: name, key, use, path to Amazon's roots, validity, signature, topic.
    fn whole_check(&self) -> Result<(), sns::Error> {
        let amazon = (TrustAnchors::amazon(), Intermediate::bundled());
        let cert = self.file.check(&self.region, &amazon.0, &amazon.1, self.envelope.timestamp)?;
        self.verify(&cert)
    }

    /// Signature and validity with the message's own certificate, whoever issued it.
    fn own_certificate(&self) -> Result<(), sns::Error> {
        self.verify(&self.file.check_key_alone()?)
    }
}

#[test]
fn real_legacy_v1_messages_are_recognized() {
    let Some(messages) = real_messages() else { return };
    let of_amazon_pay: Vec<_> = messages.iter().filter(|(_, vector)| vector["amazon_pay"] == true).collect();
    for (name, vector) in &of_amazon_pay {
        let message = Message::parse(vector["message"]["Message"].as_str().unwrap());
        println!("{name}: {message:?}");
        assert!(matches!(message, Message::LegacyV1 { .. }), "{name}: {message:?}");
    }
    assert!(of_amazon_pay.len() >= 5);
}

fn verdict_text(verdict: &Result<(), sns::Error>) -> String {
    verdict.as_ref().map_or_else(ToString::to_string, |()| "genuine".to_owned())
}

#[test]
fn messages_signed_by_aws_verify() {
    let Some(messages) = real_messages() else { return };
    let mut n_whole = 0;
    for (name, vector) in &messages {
        assert_ne!(vector["lambda_style_keys"], true, "{name}: add its refusal here");
        let captured = Captured::read(vector);
        let (whole, own) = (captured.whole_check(), captured.own_certificate());
        println!("{name}\n    whole check:     {}\n    own certificate: {}", verdict_text(&whole), verdict_text(&own));
        if vector["key_bits"].as_u64().unwrap() < 2048 {
            let short = Err(BadSigningCert::Key("RSA 1024 bits".to_owned()).into());
            assert_eq!((&whole, &own), (&short, &short), "{name}");
            continue;
        }
        assert_eq!(own, Ok(()), "{name}");
        if vector["cert_issuer"].as_str().is_some_and(|issuer| issuer.contains("Amazon RSA 2048 M01")) {
            assert_eq!(whole, Ok(()), "{name}");
            n_whole += 1;
        } else {
            // The name and the use were found good, or they would be the reason.
            let Err(sns::Error::Certificate(BadSigningCert::Issuer { what, .. })) = &whole else { panic!("{whole:?}") };
            assert_eq!(what, "UnknownIssuer", "{name}");
        }
    }
    println!("{} messages, {n_whole} of them under a root of Amazon's", messages.len());
    assert!(n_whole > 0 && messages.len() >= 13);
}

#[test]
fn altered_or_expired_genuine_message_is_rejected() {
    let Some(messages) = real_messages() else { return };
    let mut n_seen = 0;
    for (name, vector) in &messages {
        let captured = Captured::read(vector);
        let Ok(cert) = captured.file.check_key_alone() else { continue };
        n_seen += 1;
        let is_confirmation = vector["message"].get("Token").is_some();
        for (field, value) in [
            ("Message", "x"),
            ("MessageId", "00000000-0000-0000-0000-000000000000"),
            ("Subject", "x"),
            ("Timestamp", "2001-01-01T00:00:00.000Z"),
            ("TopicArn", "arn:aws:sns:us-east-1:123456789012:x"),
            ("Token", "00"),
            ("SubscribeURL", "https://x"),
        ] {
            let is_signed = match field {
                "Token" | "SubscribeURL" => is_confirmation,
                "Subject" => !is_confirmation,
                _ => true,
            };
            if !is_signed {
                continue;
            }
            let mut altered = vector["message"].clone();
            altered[field] = value.into();
            let envelope = Envelope::parse(altered.to_string().as_bytes()).unwrap();
            let policy = policy_for(envelope.topic_arn.as_str());
            let verdict = verify(envelope, &cert, &policy, captured.envelope.timestamp).map(|_| ());
            assert_eq!(verdict, Err(sns::Error::Signature), "{name}: {field}");
        }
        let at = |ms: i64| {
            let policy = policy_for(captured.envelope.topic_arn.as_str());
            verify(captured.envelope.clone(), &cert, &policy, Timestamp::from_unix_ms(ms)).map(|_| ())
        };
        let (not_before, not_after) = cert.validity();
        assert!(matches!(at(not_after.unix_ms() + 1), Err(sns::Error::Certificate(BadSigningCert::Expired(_)))));
        assert!(matches!(at(not_before.unix_ms() - 1), Err(sns::Error::Certificate(BadSigningCert::NotYetValid(_)))));
        assert_eq!(at(not_after.unix_ms()), Ok(()));
        let empty_policy = sns::Policy::of(TopicPolicy::default());
        let verdict = verify(captured.envelope.clone(), &cert, &empty_policy, captured.envelope.timestamp).map(|_| ());
        assert_eq!(verdict, Err(sns::Error::TopicNotAllowed(captured.envelope.topic_arn.as_str().to_owned())));
    }
    println!("{n_seen} messages altered");
    assert!(n_seen > 0);
}

#[test]
fn certificate_is_valid_only_in_its_region_and_chain() {
    let Some(folder) = folder("sns/ca") else { return };
    let read = |name: &str| CertFile::from_pem(&std::fs::read(folder.join(name)).unwrap()).unwrap();
    let leaf = read("sns-signing-af-south-1-2026-leaf.pem");
    let (amazon, m01) = (TrustAnchors::amazon(), Intermediate::bundled());
    let at = Timestamp::parse_sns("2026-11-22T00:00:00.000Z").unwrap();
    let cert = leaf.check("af-south-1", &amazon, &m01, at).unwrap();
    assert_eq!(cert.check_validity(at), Ok(()));
    // An hour outside of its time leaves the certificate what it is; only its use is refused.
    let late = Timestamp::parse_sns("2036-11-22T00:00:00.000Z").unwrap();
    assert_eq!(leaf.check("af-south-1", &amazon, &m01, late).as_ref(), Ok(&cert));
    assert!(matches!(cert.check_validity(late), Err(BadSigningCert::Expired(_))));
    let urls = leaf.issuer_urls();
    assert_eq!(
        urls.iter().map(sns::IssuerUrl::as_str).collect::<Vec<_>>(),
        ["http://crt.r2m01.amazontrust.com/r2m01.cer"]
    );
    assert!(matches!(leaf.check("us-east-1", &amazon, &m01, at), Err(BadSigningCert::Name { .. })));
    assert!(matches!(leaf.check("af-south-1", &amazon, &[], at), Err(BadSigningCert::Issuer { .. })));
    let other_root = TrustAnchors::from_pem(include_str!("../../../src/domain/sns/amazon/root-ca-2.pem")).unwrap();
    assert!(matches!(leaf.check("af-south-1", &other_root, &m01, at), Err(BadSigningCert::Issuer { .. })));
    // A certificate authority's own certificate signs no message.
    for name in ["amazon-rsa-2048-m01.pem", "amazon-root-ca-1.pem"] {
        assert!(matches!(read(name).check("us-east-1", &amazon, &m01, at), Err(BadSigningCert::Name { .. })), "{name}");
    }
}
