//! Messages that AWS really signed, and requests that Amazon's own SDK signed. They are read where
//! `IPN_VECTORS_DIR` says (default `../shared/vectors`) and are no part of this project.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipn_receiver::domain::pay::{ApiKey, Environment, ObjectId, ObjectKind, Region, canonical_request, string_to_sign};
use ipn_receiver::domain::sns::{
    self, BadSigningCert, Envelope, SigningCert, SigningCertUrl, TopicArn, TopicPolicy, TopicRule, verify,
};
use ipn_receiver::domain::timestamp::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("IPN_VECTORS_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is not there; set IPN_VECTORS_DIR to the folder of vectors", folder.display());
    None
}

fn json(path: &PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn policy_for(topic: &str) -> TopicPolicy {
    TopicPolicy::new(vec![TopicRule::Arn(TopicArn::parse(topic).expect("a real topic"))])
}

/// Checks one captured message by signature, name and validity with its own certificate, at its own time.
fn judge(vector: &Value) -> Result<(), String> {
    let message = &vector["message"];
    let envelope = Envelope::parse(message.to_string().into_bytes()).map_err(|error| error.to_string())?;
    let policy = policy_for(message["TopicArn"].as_str().unwrap());
    assert_eq!(sns::string_to_sign(&envelope), vector["string_to_sign"].as_str().unwrap());
    let url = SigningCertUrl::parse(&envelope.signing_cert_url, &policy).map_err(|error| error.to_string())?;
    let pem = vector["cert_pem"].as_str().unwrap();
    let cert = SigningCert::from_pem(pem.as_bytes(), url.region()).map_err(|error| error.to_string())?;
    let at = envelope.timestamp;
    verify(envelope, &cert, &policy, at).map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn every_message_aws_really_signed_verifies_but_one_with_a_short_key() {
    let Some(folder) = folder("sns/real") else { return };
    let mut n_seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let vector = json(&path);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let verdict = judge(&vector);
        println!("{name}: {}", verdict.as_ref().map_or_else(Clone::clone, |()| "genuine".to_owned()));
        n_seen += 1;
        if vector["lambda_style_keys"] == true {
            verdict.expect_err("keys as Lambda spells them are no HTTP delivery");
        } else if vector["key_bits"].as_u64().unwrap() < 2048 {
            assert_eq!(verdict.unwrap_err(), BadSigningCert::Key("RSA 1024 bits".into()).to_string(), "{name}");
        } else {
            assert_eq!(verdict, Ok(()), "{name}");
        }
    }
    println!("{n_seen} messages seen");
    assert!(n_seen > 0, "the folder is empty");
}

#[test]
fn a_genuine_message_is_refused_with_any_signed_field_changed_and_outside_its_certificates_time() {
    let Some(folder) = folder("sns/real") else { return };
    let mut n_seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let vector = json(&entry.unwrap().path());
        if judge(&vector).is_err() {
            continue;
        }
        n_seen += 1;
        for (field, value) in [
            ("Message", "x"),
            ("MessageId", "00000000-0000-0000-0000-000000000000"),
            ("Subject", "x"),
            ("Timestamp", "2001-01-01T00:00:00.000Z"),
            ("TopicArn", "arn:aws:sns:us-east-1:123456789012:x"),
            ("Token", "00"),
        ] {
            let is_confirmation = vector["message"].get("Token").is_some();
            if (field == "Token") != is_confirmation && (field == "Token" || field == "Subject") {
                continue; // not signed in this type
            }
            let mut altered = vector["message"].clone();
            altered[field] = value.into();
            let envelope = Envelope::parse(altered.to_string().into_bytes()).unwrap();
            let policy = TopicPolicy::new(vec![TopicRule::Arn(envelope.topic_arn.clone())]);
            let region = TopicArn::parse(vector["message"]["TopicArn"].as_str().unwrap()).unwrap().region().to_owned();
            let cert = SigningCert::from_pem(vector["cert_pem"].as_str().unwrap().as_bytes(), &region).unwrap();
            let genuine_at = Timestamp::parse_sns(vector["message"]["Timestamp"].as_str().unwrap()).unwrap();
            assert_eq!(verify(envelope, &cert, &policy, genuine_at).map(|_| ()), Err(sns::Error::Signature), "{field}");
        }
        let envelope = Envelope::parse(vector["message"].to_string().into_bytes()).unwrap();
        let policy = TopicPolicy::new(vec![TopicRule::Arn(envelope.topic_arn.clone())]);
        let cert = SigningCert::from_pem(vector["cert_pem"].as_str().unwrap().as_bytes(), envelope.topic_arn.region())
            .unwrap();
        let late = verify(envelope.clone(), &cert, &policy, Timestamp::from_unix_ms(4_000_000_000_000)).map(|_| ());
        assert!(matches!(late, Err(sns::Error::Certificate(BadSigningCert::Expired(_)))));
        let early = verify(envelope.clone(), &cert, &policy, Timestamp::from_unix_ms(0)).map(|_| ());
        assert!(matches!(early, Err(sns::Error::Certificate(BadSigningCert::NotYetValid(_)))));
        let nobody = verify(envelope.clone(), &cert, &TopicPolicy::default(), envelope.timestamp).map(|_| ());
        assert_eq!(nobody, Err(sns::Error::TopicNotAllowed(envelope.topic_arn.as_str().to_owned())));
    }
    println!("{n_seen} messages altered");
    assert!(n_seen > 0);
}

#[test]
fn certificate_urls_that_must_be_refused_are() {
    let Some(folder) = folder("sns") else { return };
    let cases = json(&folder.join("negative.json"));
    let cases = cases.as_array().or_else(|| cases["cases"].as_array()).expect("a list of cases").clone();
    let mut n_seen = 0;
    for case in cases.iter().filter(|case| case["kind"] == "cert_url") {
        let policy = TopicPolicy::new(vec![TopicRule::Owner {
            owner: "X".into(),
            accounts: vec![],
            regions: ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "ap-southeast-2"].map(str::to_owned).to_vec(),
        }]);
        let Some(text) = case["signing_cert_url"].as_str() else { continue }; // refused by the envelope's parser
        let is_accepted = SigningCertUrl::parse(text, &policy).is_ok();
        assert_eq!(is_accepted, case["expected"] == "accept", "{text}: {}", case["reason"]);
        n_seen += 1;
    }
    println!("{n_seen} certificate URLs seen; the other kinds of case in negative.json are not judged yet");
    assert!(n_seen > 0);
}

#[test]
fn a_certificate_is_one_of_sns_only_in_the_region_it_names() {
    let Some(folder) = folder("sns/ca") else { return };
    let mut n_seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let pem = std::fs::read(&path).unwrap();
        let (_, block) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
        let certificate = block.parse_x509().unwrap();
        let names = format!("{:?}", certificate.subject_alternative_name().unwrap().map(|names| names.value));
        let own_region = names
            .split_once("sns-signing.")
            .and_then(|(_, rest)| rest.split_once(".amazonaws.com"))
            .map(|(region, _)| region);
        println!("{}: signs for {own_region:?}", path.file_name().unwrap().to_string_lossy());
        if let Some(region) = own_region {
            SigningCert::from_pem(&pem, region).map_or_else(|error| panic!("{region}: {error}"), |_| ());
        }
        let elsewhere = SigningCert::from_pem(&pem, "us-east-1").map(|_| ());
        assert!(matches!(elsewhere, Err(BadSigningCert::Name { .. })), "{}: {elsewhere:?}", path.display());
        n_seen += 1;
    }
    println!("{n_seen} certificates seen");
    assert!(n_seen > 0);
}

#[test]
fn requests_are_signed_as_amazons_own_sdk_signs_them() {
    let Some(folder) = folder("amazon-pay-signing") else { return };
    let file = json(&folder.join("vectors.json"));
    let public_key = public_key_der(&std::fs::read_to_string(folder.join("public.spki.pem")).unwrap());
    let mut n_seen = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let text = |field: &str| vector[field].as_str().unwrap();
        let region = region(text("region"));
        let canonical = canonical_request(text("path"), region, text("x_amz_pay_date"));
        assert_eq!(canonical, text("canonical_request"), "{}", text("id"));
        assert_eq!(string_to_sign(&canonical), text("string_to_sign"), "{}", text("id"));
        let signature = STANDARD.decode(text("signature_base64")).unwrap();
        UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &public_key)
            .verify(text("string_to_sign").as_bytes(), &signature)
            .unwrap_or_else(|_| panic!("{}: the SDK's own signature verifies", text("id")));
        sign_the_same_ourselves(vector);
        n_seen += 1;
    }
    println!("{n_seen} signing vectors seen");
    assert!(n_seen > 0);
}

/// Our own request for the same object, with a key of these tests: same path, same headers, a signature that verifies.
fn sign_the_same_ourselves(vector: &Value) {
    let text = |field: &str| vector[field].as_str().unwrap();
    let region = region(text("region"));
    let environment = if text("environment") == "live" { Environment::Live } else { Environment::Sandbox };
    let kind = match text("operation") {
        "getChargePermission" => ObjectKind::ChargePermission,
        "getCharge" => ObjectKind::Charge,
        "getRefund" => ObjectKind::Refund,
        "getDispute" => ObjectKind::Dispute,
        other => panic!("{other} is not read by this service"),
    };
    let id = ObjectId::parse(text("path").rsplit('/').next().unwrap()).unwrap();
    let now = Timestamp::from_amazon(&vector["x_amz_pay_date"]).unwrap();
    let key = ApiKey::from_pem(text("public_key_id"), include_str!("../fixtures/merchant-key-pkcs1.pem")).unwrap();
    let signed = key.sign_get(region, environment, (kind, &id), now, &SystemRandom::new());
    assert_eq!((signed.host, signed.path.as_str()), (text("host"), text("path")), "{}", text("id"));
    for (name, value) in signed.headers() {
        if name == "authorization" {
            let (head, signature) = value.split_once(", Signature=").unwrap();
            assert_eq!(head, text("authorization").split_once(", Signature=").unwrap().0);
            UnparsedPublicKey::new(
                &RSA_PSS_2048_8192_SHA256,
                public_key_der(include_str!("../fixtures/merchant-key-public.pem")),
            )
            .verify(text("string_to_sign").as_bytes(), &STANDARD.decode(signature).unwrap())
            .expect("our signature verifies over the SDK's string to sign");
        } else {
            assert_eq!(value, vector["headers"][name].as_str().unwrap(), "{name}");
        }
    }
}

#[test]
fn keys_in_pkcs8_and_pkcs1_are_one_key_and_anything_else_is_refused() {
    let read = |pem: &str| ApiKey::from_pem("LIVE-X", pem).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(read(include_str!("../fixtures/merchant-key-pkcs8.pem")), Ok(()));
    assert_eq!(read(include_str!("../fixtures/merchant-key-pkcs1.pem")), Ok(()));
    assert!(read(include_str!("../fixtures/merchant-key-public.pem")).unwrap_err().contains("this is the public key"));
    assert!(read("-----BEGIN ENCRYPTED PRIVATE KEY-----").unwrap_err().contains("openssl pkey"));
    assert!(read("hello").unwrap_err().contains("BEGIN PRIVATE KEY"));
    assert!(
        read("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")
            .unwrap_err()
            .contains("not an RSA private key")
    );
    let key = ApiKey::from_pem("LIVE-X", include_str!("../fixtures/merchant-key-pkcs8.pem")).unwrap();
    assert_eq!(format!("{key:?}"), "ApiKey(LIVE-X)", "a key prints as its public id");
}

fn region(word: &str) -> Region {
    [Region::Na, Region::Eu, Region::Jp].into_iter().find(|region| region.as_str() == word).unwrap()
}

/// The PKCS#1 key inside a PEM of a SubjectPublicKeyInfo.
fn public_key_der(pem: &str) -> Vec<u8> {
    use x509_parser::prelude::FromDer as _;
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(base64).unwrap();
    let (_, spki) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&der).unwrap();
    spki.subject_public_key.data.to_vec()
}
