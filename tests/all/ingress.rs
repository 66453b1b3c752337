//! The status of each request to `POST /ipn`, over real sockets.

use ipn_receiver::amazon::Clients;
use ipn_receiver::app::App;
use ipn_receiver::kafka::Broker;
use ipn_receiver::sandbox::environment::{Hint, message};
use ipn_receiver::sandbox::pay_api::ObjectKind;
use ipn_receiver::sandbox::sns::{CertificateAnswer, Draft, SignatureVersion};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::harness::{Record, Stage, committed_records, metric, run};

const CHARGE: &str = "S02-5454037-1929856-C000001";

#[test]
fn genuine_ipn_is_in_inbox_unchanged_when_answered_200() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        for version in [SignatureVersion::V1, SignatureVersion::V2] {
            let hint = Hint {
                merchant: &stage.environment.merchants[0],
                kind: ObjectKind::Charge,
                id: CHARGE,
                notification_type: "STATE_CHANGE",
            };
            let body = stage.environment.envelope(&hint, version);
            assert_eq!(stage.post(&app, &body).await.status, 200);
            let inbox = committed_records(&stage.kafka(), &stage.kafka().topics().inbox);
            let sent: Value = serde_json::from_str(&body).unwrap();
            let of_it = |record: &&Record| sent["MessageId"] == record.headers["ipn-sns-message-id"];
            let record = inbox.iter().find(of_it).expect("the message is in the inbox");
            assert_eq!(record.key, stage.environment.merchants[0]);
            let stored: Value = serde_json::from_slice(&record.value).unwrap();
            for key in ["Type", "Message", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL"] {
                assert_eq!(stored[key], sent[key]);
            }
        }
        assert_eq!(stage.environment.sns.certificate_fetches(), 1, "each URL is fetched once");
        let now_s = OffsetDateTime::now_utc().unix_timestamp() as f64;
        assert!(metric(&app, "ipn_receiver_signing_certificate_not_after_timestamp_seconds").await > now_s);
        app.stop().await;
    });
}

#[test]
fn each_rejection_has_its_status_and_leaves_no_record() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let genuine = stage.envelope(ObjectKind::Charge, CHARGE);
        let with = |field: &str, value: Value| {
            let mut body: Value = serde_json::from_str(&genuine).unwrap();
            body[field] = value;
            body.to_string()
        };
        let in_region = |host: &str| {
            let file = "SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";
            with("SigningCertURL", json!(format!("https://sns.{host}/{file}")))
        };
        let foreign = stage.environment.sns.notification(&Draft::new(
            "arn:aws:sns:us-east-1:999999999999:stranger",
            "{}",
            OffsetDateTime::now_utc(),
        ));
        let cases = [
            ("hello".to_owned(), 400, "not-an-envelope"),
            (with("Type", json!("Other")), 400, "not-an-envelope"),
            (with("SignatureVersion", json!(2)), 400, "not-an-envelope"),
            (with("Message", json!("{}")), 403, "signature-invalid"),
            (with("Signature", json!("AAAA")), 403, "signature-invalid"),
            (with("Signature", json!("not base64!")), 403, "signature-invalid"),
            (with("SignatureVersion", json!("1")), 403, "signature-invalid"),
            (
                with(
                    "SigningCertURL",
                    json!(
                        "https://sns.us-east-1.amazonaws.com.evil.example/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
                    ),
                ),
                403,
                "certificate-url-refused",
            ),
            (in_region("us-east-2.amazonaws.com"), 503, "region-not-allowed"),
            (in_region("us-gov-west-1.amazonaws.com"), 503, "region-not-allowed"),
            (in_region("cn-north-1.amazonaws.com.cn"), 503, "region-not-allowed"),
            (in_region("s3-us-east-2.amazonaws.com"), 403, "certificate-url-refused"),
            (in_region("us-east-2.amazonaws.com.cn"), 403, "certificate-url-refused"),
            (
                with(
                    "SigningCertURL",
                    json!(
                        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
                    ),
                ),
                503,
                "certificate-unavailable",
            ),
            (with("SignatureVersion", json!("3")), 503, "signature-version-unsupported"),
            (foreign, 503, "topic-not-allowed"),
            ("x".repeat(524_289), 413, "body-too-large"),
        ];
        for (body, status, slug) in cases {
            let answer = stage.post(&app, &body).await;
            let problem: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(
                (answer.status, problem["type"].as_str().unwrap()),
                (status, format!("urn:ipn-receiver:problem:{slug}").as_str())
            );
            assert_eq!(problem.as_object().unwrap().len(), 3, "type, title and status: {problem}");
            assert_eq!(answer.retry_after().is_some(), status == 503, "{slug}");
        }
        assert!(committed_records(&stage.kafka(), &stage.kafka().topics().inbox).is_empty());
        app.stop().await;
    });
}

#[test]
fn ignored_messages_are_answered_200_and_no_url_is_requested() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let sns = &stage.environment.sns;
        let topic = stage.environment.topic_arn(&stage.environment.merchants[0]);
        let draft = |message: &str| Draft::new(&topic, message, OffsetDateTime::now_utc());
        let legacy =
            json!({"Version": "2013-01-01", "NotificationType": "PaymentCapture", "NotificationData": "<?xml?>"})
                .to_string();
        assert_eq!(stage.post(&app, &sns.notification(&draft(&legacy))).await.status, 200);
        assert_eq!(stage.post(&app, &sns.unsubscribe_confirmation(&draft("gone"), "00ff")).await.status, 200);
        assert!(committed_records(&stage.kafka(), &stage.kafka().topics().inbox).is_empty());
        let visits = sns.requests();
        assert!(
            visits.iter().all(|visit| visit == "HEAD /" || visit.starts_with("GET /SimpleNotificationService-")),
            "{visits:?}"
        );
        app.stop().await;
    });
}

#[test]
fn subscription_to_allowed_topic_is_confirmed_by_the_api_only() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let sns = &stage.environment.sns;
        let topic = stage.environment.topic_arn(&stage.environment.merchants[0]);
        let confirmation = |topic: &str| {
            sns.subscription_confirmation(&Draft::new(topic, "please confirm", OffsetDateTime::now_utc()), "00ff00ff")
        };
        let foreign = stage.post(&app, &confirmation("arn:aws:sns:us-east-1:999999999999:stranger")).await;
        assert_eq!((foreign.status, sns.confirmed().len()), (503, 0));
        for _ in 0..2 {
            assert_eq!(stage.post(&app, &confirmation(&topic)).await.status, 200);
        }
        assert_eq!(sns.confirmed(), [topic.clone(), topic.clone()]);
        let visits = sns.requests();
        assert!(
            visits.iter().all(|visit| visit == "HEAD /"
                || visit == "POST /"
                || visit.starts_with("GET /SimpleNotificationService-")),
            "{visits:?}"
        );
        app.stop().await;

        let clients =
            Clients { sns_api: stage.environment.sns_api(1).unwrap(), ..stage.environment.clients().unwrap() };
        let app = App::start(stage.config(), clients, Broker::Real).await.unwrap();
        let answer = stage.post(&app, &confirmation(&topic)).await;
        assert!(
            answer.status == 503 && answer.body.contains("confirmation-failed"),
            "{} {}",
            answer.status,
            answer.body
        );
        app.stop().await;
    });
}

#[test]
fn unroutable_genuine_messages_are_stored_under_the_topic_owner() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let owner = stage.environment.merchants[0].clone();
        let hint =
            Hint { merchant: "ASTRANGER", kind: ObjectKind::Charge, id: CHARGE, notification_type: "STATE_CHANGE" };
        for text in ["not json".to_owned(), "{}".to_owned(), message(&hint)] {
            let draft = Draft::new(&stage.environment.topic_arn(&owner), &text, OffsetDateTime::now_utc());
            assert_eq!(stage.post(&app, &stage.environment.sns.notification(&draft)).await.status, 200, "{text}");
        }
        let inbox = committed_records(&stage.kafka(), &stage.kafka().topics().inbox);
        assert_eq!(inbox.iter().map(|record| record.key.as_str()).collect::<Vec<_>>(), vec![owner.as_str(); 3]);
        app.stop().await;
    });
}

#[test]
fn unknown_paths_and_methods_get_a_problem_on_each_port() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let client = reqwest::Client::new();
        let (ingress, admin) = (app.ingress_address(), app.admin_address());
        let paths = [
            ("GET", ingress, "/ipn", 405),
            ("GET", ingress, "/", 404),
            ("POST", ingress, "/metrics", 404),
            ("POST", admin, "/ipn", 404),
            ("GET", admin, "/healthz", 200),
            ("GET", admin, "/readyz", 200),
            ("GET", admin, "/metrics", 200),
            ("POST", admin, "/readyz", 405),
        ];
        for (method, address, path, status) in paths {
            let answer =
                client.request(method.parse().unwrap(), format!("http://{address}{path}")).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{method} {path}");
            if status == 405 {
                assert_eq!(answer.headers()["allow"], if method == "GET" { "POST" } else { "GET" });
            }
            if status >= 400 {
                assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method} {path}");
            }
        }
        app.stop().await;
    });
}

#[test]
fn surplus_slashes_in_the_path_are_ignored() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        for path in ["/ipn", "/ipn/", "//ipn", "//ipn//", "/ipn/?x=1"] {
            let body = stage.envelope(ObjectKind::Charge, CHARGE);
            let url = format!("http://{}{path}", app.ingress_address());
            let answer = reqwest::Client::new().post(url).body(body).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
        }
        app.stop().await;
    });
}

#[test]
fn requests_to_other_paths_are_counted_by_sender() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let count = async |sender: &str| {
            let page = format!("http://{}/metrics", app.admin_address());
            let page = reqwest::get(page).await.unwrap().text().await.unwrap();
            let name = format!("ipn_receiver_misdirected_requests_total{{sender=\"{sender}\"}} ");
            page.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok())
        };
        let before = [count("sns").await.expect("it starts at 0"), count("other").await.expect("it starts at 0")];
        let client = reqwest::Client::new();
        let url = |path: &str| format!("http://{}{path}", app.ingress_address());
        for path in ["/IPN", "/shop/ipn", "/"] {
            let post = client.post(url(path)).header("x-amz-sns-message-type", "Notification").body("{}");
            assert_eq!(post.send().await.unwrap().status(), 404, "{path}");
        }
        assert_eq!(client.put(url("/ipn")).send().await.unwrap().status(), 405);
        assert_eq!([count("sns").await.unwrap() - before[0], count("other").await.unwrap() - before[1]], [3, 1]);
        app.stop().await;
    });
}

#[test]
fn certificate_host_failure_is_503_until_certificate_is_cached() {
    run(async {
        let stage = Stage::new(1, "sns.certificate_timeout_ms = 700\nsns.certificate_failure_ms = 1").await;
        let app = stage.receiver().await;
        let body = stage.envelope(ObjectKind::Charge, CHARGE);
        for (answer, slug) in [
            (CertificateAnswer::Status(404), "certificate-unavailable"),
            (CertificateAnswer::Status(500), "certificate-unavailable"),
            (CertificateAnswer::Hang, "certificate-unavailable"),
            (CertificateAnswer::Redirect("https://evil.example/".into()), "certificate-unavailable"),
            (CertificateAnswer::Body(vec![b'x'; 70_000]), "certificate-unavailable"),
            (CertificateAnswer::Endless, "certificate-unavailable"),
            (CertificateAnswer::Body(b"<html>".to_vec()), "certificate-unusable"),
        ] {
            stage.environment.sns.set_certificate_answer(answer);
            let answer = stage.post(&app, &body).await;
            assert!(answer.status == 503 && answer.body.contains(slug), "{} {}", answer.status, answer.body);
        }
        stage.environment.sns.set_certificate_answer(CertificateAnswer::Good);
        assert_eq!(stage.post(&app, &body).await.status, 200);
        stage.environment.sns.set_certificate_answer(CertificateAnswer::Status(500));
        assert_eq!(stage.post(&app, &body).await.status, 200);
        app.stop().await;
    });
}
