//! Tests of the simulated SNS over HTTP.

use super::*;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use std::time::Duration;
use x509_parser::pem::parse_x509_pem;

const TOPIC: &str = "arn:aws:sns:eu-west-1:291180941288:A1G8446IYHA4MRA1EXAMPLE";

async fn sns_and_client() -> (Sns, reqwest::Client) {
    let authority = Authority::new().unwrap();
    let sns = Sns::start(&authority, "eu-west-1").await.unwrap();
    let client = authority.client(&[(sns.host(), sns.address())]).unwrap();
    (sns, client)
}

/// Verifies a body with ring, under the certificate that its `SigningCertURL` serves.
async fn verify(client: &reqwest::Client, body: &str, names: &[&str]) {
    let envelope: Value = serde_json::from_str(body).unwrap();
    let field = |name: &str| envelope[name].as_str().unwrap();
    let pem = client.get(field("SigningCertURL")).send().await.unwrap().bytes().await.unwrap();
    let (rest, pem) = parse_x509_pem(&pem).unwrap();
    assert!(rest.is_empty());
    let certificate = pem.parse_x509().unwrap();
    let key: &[u8] = &certificate.public_key().subject_public_key.data;
    let algorithm: &'static dyn VerificationAlgorithm = match field("SignatureVersion") {
        "1" => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        _ => &signature::RSA_PKCS1_2048_8192_SHA256,
    };
    let signed: String = names.iter().map(|name| [name, "\n", field(name), "\n"].concat()).collect();
    let found = BASE64.decode(field("Signature")).unwrap();
    let verdict = |text: &str| UnparsedPublicKey::new(algorithm, key).verify(text.as_bytes(), &found);
    verdict(&signed).unwrap();
    verdict(&signed.replace(TOPIC, "arn:aws:sns:eu-west-1:000000000000:other")).unwrap_err();
}

#[tokio::test]
async fn every_message_verifies_under_the_served_certificate() {
    let (sns, client) = sns_and_client().await;
    let plain = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"];
    let with_subject = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
    let confirming = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
    for version in [SignatureVersion::V1, SignatureVersion::V2] {
        let now = OffsetDateTime::now_utc();
        let mut draft = Draft { version, ..Draft::new(TOPIC, "{\"a\":\"\u{e9}\n\"}", now) };
        verify(&client, &sns.notification(&draft), &plain).await;
        verify(&client, &sns.subscription_confirmation(&draft, "2336"), &confirming).await;
        verify(&client, &sns.unsubscribe_confirmation(&draft, "2337"), &confirming).await;
        draft.subject = Some("Hello".to_owned());
        verify(&client, &sns.notification(&draft), &with_subject).await;
    }
    assert_eq!(sns.certificate_fetches(), 8);
}

#[tokio::test]
async fn only_a_known_token_confirms() {
    let (sns, client) = sns_and_client().await;
    let draft = Draft::new(TOPIC, "You have chosen to subscribe", OffsetDateTime::now_utc());
    sns.subscription_confirmation(&draft, "2336");
    let confirm = async |token: &str| {
        let form = format!(
            "Action=ConfirmSubscription&Version=2010-03-31&TopicArn={}&Token={token}",
            TOPIC.replace(':', "%3A")
        );
        let answer = client.post("https://sns.eu-west-1.amazonaws.com/").body(form).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, body) = confirm("beef").await;
    assert_eq!((status, body.contains("<Code>InvalidParameter</Code>")), (400, true));
    assert!(sns.confirmed().is_empty());
    let (status, body) = confirm("2336").await;
    assert_eq!((status, body.contains(&format!("<SubscriptionArn>{TOPIC}:"))), (200, true));
    assert_eq!(sns.confirmed(), [TOPIC]);
    assert_eq!(sns.requests(), ["POST /", "POST /"]);
}

#[tokio::test]
async fn certificate_answers_can_be_set() {
    let (sns, client) = sns_and_client().await;
    let get = || client.get(sns.signing_cert_url()).timeout(Duration::from_millis(300)).send();
    sns.set_certificate_answer(CertificateAnswer::Status(503));
    assert_eq!(get().await.unwrap().status(), 503);
    sns.set_certificate_answer(CertificateAnswer::Body(b"no certificate".to_vec()));
    assert_eq!(get().await.unwrap().text().await.unwrap(), "no certificate");
    sns.set_certificate_answer(CertificateAnswer::Redirect("https://other.example/".to_owned()));
    assert_eq!(get().await.unwrap().headers()["location"], "https://other.example/");
    sns.set_certificate_answer(CertificateAnswer::Hang);
    assert!(get().await.unwrap_err().is_timeout());
    sns.set_certificate_answer(CertificateAnswer::Good);
    assert_eq!(get().await.unwrap().status(), 200);
    assert_eq!(sns.certificate_fetches(), 5);
}

#[tokio::test]
async fn delivery_has_the_headers_of_sns() {
    let authority = Authority::new().unwrap();
    let sns = Sns::start(&authority, "eu-west-1").await.unwrap();
    let endpoint = |request: HttpRequest, body: String| async move {
        let header = |name| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
        HttpResponse::ServiceUnavailable().insert_header(("retry-after", "7")).body(format!(
            "{} {} {} {} {} {}",
            header("x-amz-sns-message-type"),
            header("x-amz-sns-topic-arn"),
            header("x-amz-sns-subscription-arn").starts_with(TOPIC),
            header("content-type"),
            header("user-agent"),
            body.len()
        ))
    };
    let receiver = authority.serve(&["shop.example"], move |app| {
        app.default_service(web::to(endpoint));
    });
    let receiver = receiver.await.unwrap();
    let client = authority.client(&[("shop.example", receiver.address())]).unwrap();
    let body = sns.notification(&Draft::new(TOPIC, "{}", OffsetDateTime::now_utc()));
    let answer = post(&client, "https://shop.example/ipn", &body).await.unwrap();
    let expected = format!(
        "Notification {TOPIC} true text/plain; charset=UTF-8 Amazon Simple Notification Service Agent {}",
        body.len()
    );
    assert_eq!((answer.status, answer.body.as_str(), answer.retry_after()), (503, expected.as_str(), Some("7")));
    assert!(post(&client, "https://shop.example/ipn", "not json").await.is_ok());
}
