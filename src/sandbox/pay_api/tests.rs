//! Tests of the simulated Amazon Pay API over HTTP.

use super::*;
use actix_web::http::header::HeaderName;
use authority::{MerchantKey, merchant_key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use objects::timestamp;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Padding;
use openssl::sha::sha256;
use openssl::sign::{RsaPssSaltlen, Signer};

const PERMISSION: &str = "S01-0000000-0000001";

struct Fixture {
    api: PayApi,
    client: reqwest::Client,
    key: MerchantKey,
}

async fn fixture(key_id: &str) -> Fixture {
    let (authority, key) = (Authority::new().unwrap(), merchant_key().unwrap());
    let registered = RegisteredKey {
        public_key_id: key_id.to_owned(),
        public_pem: key.public_pem(),
        environment: Environment::Sandbox,
    };
    let api = PayApi::start(&authority, "eu", &[registered]).await.unwrap();
    let permission = charge_permission(PERMISSION, "Recurring");
    api.put(Environment::Sandbox, ObjectKind::ChargePermission, permission);
    let client = authority.client(&[(api.host(), api.address())]).unwrap();
    Fixture { api, client, key }
}

/// Signs a request without the code under test.
fn request(fixture: &Fixture, key_id: &str, path: &str, date: &str) -> reqwest::RequestBuilder {
    let canonical = format!(
        "GET\n{path}\n\naccept:application/json\ncontent-type:application/json\nx-amz-pay-date:{date}\n\
         x-amz-pay-host:pay-api.amazon.eu\nx-amz-pay-region:eu\n\n\
         accept;content-type;x-amz-pay-date;x-amz-pay-host;x-amz-pay-region\n\
         e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    let private = PKey::private_key_from_pem(fixture.key.private_pem_pkcs8().as_bytes()).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &private).unwrap();
    signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
    signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32)).unwrap();
    let digest = authenticator::hex(&sha256(canonical.as_bytes()));
    let covered = format!("AMZN-PAY-RSASSA-PSS-V2\n{digest}");
    let signature = BASE64.encode(signer.sign_oneshot_to_vec(covered.as_bytes()).unwrap());
    fixture
        .client
        .get(format!("https://pay-api.amazon.eu{path}"))
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .header("x-amz-pay-date", date)
        .header("x-amz-pay-host", "pay-api.amazon.eu")
        .header("x-amz-pay-region", "eu")
        .header(
            "authorization",
            format!(
                "AMZN-PAY-RSASSA-PSS-V2 PublicKeyId={key_id}, SignedHeaders=accept;content-type;x-amz-pay-date;\
                 x-amz-pay-host;x-amz-pay-region, Signature={signature}"
            ),
        )
}

fn in_seconds(offset_s: i64) -> String {
    timestamp(OffsetDateTime::now_utc().unix_timestamp() + offset_s)
}

async fn outcome(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    assert!(response.headers().contains_key("x-amz-pay-request-id"));
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    (status, body["reasonCode"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn only_a_valid_signature_for_the_right_path_is_answered() {
    let known = format!("/v2/chargePermissions/{PERMISSION}");
    let generic = format!("/sandbox{known}");
    let cases = [
        ("SANDBOX-AAAA", &*known, 0, 200, ""),
        ("SANDBOX-AAAA", &*known, -290, 200, ""),
        ("SANDBOX-AAAA", &*known, -310, 401, "InvalidRequestSignature"),
        ("SANDBOX-AAAA", &*known, 310, 401, "InvalidRequestSignature"),
        ("SANDBOX-AAAA", &*generic, 0, 401, "InvalidRequestSignature"),
        ("SANDBOX-AAAA", "/v2/charges/S01-0000000-0000001", 0, 404, "ResourceNotFound"),
        ("AAAA", &*generic, 0, 200, ""),
        ("AAAA", &*known, 0, 401, "InvalidRequestSignature"),
        ("AAAA", "/live/v2/charges/P01-0000000-0000001", 0, 401, "UnauthorizedAccess"),
    ];
    for (key_id, path, offset_s, status, reason) in cases {
        let fixture = fixture(key_id).await;
        let found = outcome(request(&fixture, key_id, path, &in_seconds(offset_s))).await;
        assert_eq!(found, (status, reason.to_owned()), "{key_id} {path} {offset_s}");
        let [seen] = &fixture.api.requests()[..] else { panic!("one request") };
        assert_eq!((seen.path.as_str(), seen.status), (path, Some(status)));
        assert_eq!(seen.public_key_id.as_deref(), Some(key_id));
    }
}

#[tokio::test]
async fn tampered_request_and_unknown_key_are_rejected() {
    let mut fixture = fixture("SANDBOX-AAAA").await;
    let path = format!("/v2/chargePermissions/{PERMISSION}");
    let send = async |fixture: &Fixture, name: &str, value: Option<&str>| {
        let mut request = request(fixture, "SANDBOX-AAAA", &path, &in_seconds(0)).build().unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        match value {
            Some(value) => request
                .headers_mut()
                .insert(name.as_str().parse::<reqwest::header::HeaderName>().unwrap(), value.parse().unwrap()),
            None => request.headers_mut().remove(name.as_str()),
        };
        outcome(reqwest::RequestBuilder::from_parts(fixture.client.clone(), request)).await
    };
    let rejected = |status, reason: &str| (status, reason.to_owned());
    let unsigned = rejected(401, "InvalidRequestSignature");
    assert_eq!(send(&fixture, "accept", Some("text/plain")).await, unsigned);
    assert_eq!(send(&fixture, "x-amz-pay-date", Some(&in_seconds(-9))).await, unsigned);
    assert_eq!(send(&fixture, "authorization", Some("Basic AAAA")).await, unsigned);
    assert_eq!(send(&fixture, "x-amz-pay-region", Some("na")).await, rejected(400, "InvalidHeaderValue"));
    assert_eq!(send(&fixture, "x-amz-pay-date", None).await, rejected(400, "MissingHeader"));
    assert_eq!(send(&fixture, "authorization", None).await, rejected(400, "MissingHeader"));
    fixture.key = merchant_key().unwrap();
    assert_eq!(send(&fixture, "accept", Some("application/json")).await, unsigned);
}

#[tokio::test]
async fn faults_take_effect_and_end() {
    let fixture = fixture("SANDBOX-AAAA").await;
    let path = format!("/v2/chargePermissions/{PERMISSION}");
    let read = || request(&fixture, "SANDBOX-AAAA", &path, &in_seconds(0));
    fixture.api.set_fault(Some(Fault::Status(429)));
    assert_eq!(outcome(read()).await, (429, "TooManyRequests".to_owned()));
    fixture.api.set_object_fault(PERMISSION, Some(Fault::Body("{}".to_owned())));
    assert_eq!(read().send().await.unwrap().text().await.unwrap(), "{}");
    fixture.api.set_object_fault(PERMISSION, Some(Fault::Drop));
    assert!(read().send().await.is_err());
    assert_eq!(fixture.api.requests().len(), 3);
    assert_eq!(fixture.api.requests().last().unwrap().status, None);
    fixture.api.set_object_fault(PERMISSION, Some(Fault::Delay(Duration::from_millis(50))));
    let before = Instant::now();
    assert_eq!(outcome(read()).await.0, 200);
    assert!(before.elapsed() >= Duration::from_millis(50));
    fixture.api.set_object_fault(PERMISSION, None);
    fixture.api.set_fault(None);
    assert_eq!(outcome(read()).await.0, 200);
    assert!(fixture.api.remove(Environment::Sandbox, ObjectKind::ChargePermission, PERMISSION).is_some());
    assert_eq!(outcome(read()).await.0, 404);
}
