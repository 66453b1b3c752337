//! Requests to the Amazon Pay API, signed as Amazon's own SDK signs them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipn_receiver::domain::pay::{ApiKey, Environment, ObjectId, ObjectKind, Region, canonical_request, string_to_sign};
use ipn_receiver::domain::timestamp::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::{folder, json};

#[test]
fn requests_match_the_signing_vectors_of_amazons_sdk() {
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
    let key = ApiKey::from_pem(text("public_key_id"), include_str!("../../fixtures/merchant-key-pkcs1.pem")).unwrap();
    let signed = key.sign_get(region, environment, (kind, &id), now, &SystemRandom::new());
    assert_eq!((signed.host, signed.path.as_str()), (text("host"), text("path")), "{}", text("id"));
    for (name, value) in signed.headers() {
        if name == "authorization" {
            let (head, signature) = value.split_once(", Signature=").unwrap();
            assert_eq!(head, text("authorization").split_once(", Signature=").unwrap().0);
            UnparsedPublicKey::new(
                &RSA_PSS_2048_8192_SHA256,
                public_key_der(include_str!("../../fixtures/merchant-key-public.pem")),
            )
            .verify(text("string_to_sign").as_bytes(), &STANDARD.decode(signature).unwrap())
            .expect("our signature verifies over the SDK's string to sign");
        } else {
            assert_eq!(value, vector["headers"][name].as_str().unwrap(), "{name}");
        }
    }
}

#[test]
fn pkcs8_and_pkcs1_keys_are_accepted_others_rejected() {
    let read = |pem: &str| ApiKey::from_pem("LIVE-X", pem).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(read(include_str!("../../fixtures/merchant-key-pkcs8.pem")), Ok(()));
    assert_eq!(read(include_str!("../../fixtures/merchant-key-pkcs1.pem")), Ok(()));
    assert!(
        read(include_str!("../../fixtures/merchant-key-public.pem")).unwrap_err().contains("this is the public key")
    );
    assert!(read("-----BEGIN ENCRYPTED PRIVATE KEY-----").unwrap_err().contains("openssl pkey"));
    assert!(read("hello").unwrap_err().contains("BEGIN PRIVATE KEY"));
    assert!(
        read("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")
            .unwrap_err()
            .contains("not an RSA private key")
    );
    let key = ApiKey::from_pem("LIVE-X", include_str!("../../fixtures/merchant-key-pkcs8.pem")).unwrap();
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
