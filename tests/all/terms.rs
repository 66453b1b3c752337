//! Conditions on a message besides a valid signature: its age, its signature version, and its form of delivery.

use std::time::Duration;

use ipn_receiver::sandbox::environment::{Hint, message};
use ipn_receiver::sandbox::pay_api::{ObjectKind, charge};
use ipn_receiver::sandbox::sns::{Draft, SignatureVersion};
use serde_json::json;
use time::OffsetDateTime;

use crate::harness::{Stage, events, metric, names, run, silence};
use crate::mock_stage::MockStage;

const CHARGE: &str = "S02-5454037-1929856-C000001";

fn draft(stage: &MockStage, ago: time::Duration) -> Draft {
    let topic = stage.environment.topic_arn(&stage.environment.merchants[0]);
    Draft::new(&topic, "{}", OffsetDateTime::now_utc() - ago)
}

#[test]
fn message_outside_its_age_limits_is_answered_503() {
    run(async {
        const MINUTE: time::Duration = time::Duration::minutes(1);
        for (settings, ago, status) in [
            ("", time::Duration::days(15) - MINUTE, 200),
            ("", time::Duration::days(15) + MINUTE, 503),
            ("", -14 * MINUTE, 200),
            ("", -16 * MINUTE, 503),
            ("sns.ipn_age_max_h = 1", 59 * MINUTE, 200),
            ("sns.ipn_age_max_h = 1", 61 * MINUTE, 503),
            ("sns.ipn_age_max_h = 0", time::Duration::days(4000), 200),
            ("sns.ipn_ahead_max_s = 30", -MINUTE, 503),
        ] {
            let stage = MockStage::new(settings).await;
            let answer = stage.post_body(&stage.environment.sns.notification(&draft(&stage, ago))).await;
            assert_eq!(answer.status, status, "{settings} {ago}: {}", answer.body);
            assert_eq!(answer.body.contains("timestamp-out-of-range"), status == 503, "{}", answer.body);
            assert!(metric(&stage.app, "ipn_receiver_requests_total").await >= 1.0);
            stage.stop().await;
        }
    });
}

#[test]
fn genuine_message_replayed_a_month_later_publishes_nothing() {
    run(async {
        let stage = Stage::new(1, "sns.ipn_age_max_h = 0").await;
        let mut reader = stage.reader();
        stage.environment.put(
            ObjectKind::Charge,
            charge(CHARGE, "S02-5454037-1929856", "9.99", "EUR"),
            "Declined",
            &["HardDeclined"],
        );
        let hint = Hint {
            merchant: &stage.environment.merchants[0],
            kind: ObjectKind::Charge,
            id: CHARGE,
            notification_type: "STATE_CHANGE",
        };
        let topic = stage.environment.topic_arn(&stage.environment.merchants[0]);
        let month_ago = OffsetDateTime::now_utc() - time::Duration::days(30);
        let old = stage.environment.sns.notification(&Draft::new(&topic, &message(&hint), month_ago));
        let app = stage.receiver().await;
        assert_eq!(stage.post(&app, &stage.environment.envelope(&hint, SignatureVersion::V2)).await.status, 200);
        assert_eq!(names(&events(&mut reader, 1).await), ["ChargeDeclined"]);
        // Without an age limit a replayed message is accepted any number of times.
        for _ in 0..3 {
            assert_eq!(stage.post(&app, &old).await.status, 200);
        }
        silence(&mut reader).await;
        app.stop().await;
        stage.environment.stop().await;
    });
}

#[test]
fn signature_version_below_the_setting_is_answered_503() {
    run(async {
        let stage = MockStage::new("").await;
        for (version, status) in [(SignatureVersion::V1, 200), (SignatureVersion::V2, 200)] {
            let body = stage.environment.sns.notification(&Draft { version, ..draft(&stage, time::Duration::ZERO) });
            assert_eq!(stage.post_body(&body).await.status, status);
        }
        stage.stop().await;
        let stage = MockStage::with_merchant_settings("signature_version_min = 2").await;
        for (version, status, slug) in
            [(SignatureVersion::V1, 503, "signature-version-too-low"), (SignatureVersion::V2, 200, "")]
        {
            let body = stage.environment.sns.notification(&Draft { version, ..draft(&stage, time::Duration::ZERO) });
            let answer = stage.post_body(&body).await;
            assert!(answer.status == status && answer.body.contains(slug), "{} {}", answer.status, answer.body);
            // With a changed SignatureVersion the receiver checks the signature by that version only.
            let (own, other) = (version.as_str(), if version == SignatureVersion::V1 { "2" } else { "1" });
            let label = |version: &str| format!("\"SignatureVersion\" : \"{version}\"");
            let relabelled = body.replace(&label(own), &label(other));
            assert_ne!(relabelled, body);
            let answer = stage.post_body(&relabelled).await;
            assert!(answer.status == 403 && answer.body.contains("signature-invalid"), "{}", answer.body);
        }
        stage.stop().await;
    });
}

#[test]
fn raw_delivery_is_rejected_and_its_header_is_not_trusted() {
    run(async {
        let stage = MockStage::new("").await;
        let client = reqwest::Client::new();
        let ipn = json!({"MerchantID": stage.environment.merchants[0], "ObjectType": "CHARGE", "ObjectId": CHARGE})
            .to_string();
        let genuine = stage.environment.sns.notification(&draft(&stage, time::Duration::ZERO));
        for (body, raw, status, slug) in [
            (ipn.as_str(), "true", 400, "raw-delivery"),
            (ipn.as_str(), "false", 400, "not-an-envelope"),
            (genuine.as_str(), "true", 200, ""),
            (&genuine.replace("\"Message\" : \"{}\"", "\"Message\" : \"{ }\""), "true", 403, "signature-invalid"),
        ] {
            let answer = client
                .post(format!("http://{}/ipn", stage.app.ingress_address()))
                .header("x-amz-sns-rawdelivery", raw)
                .timeout(Duration::from_secs(15))
                .body(body.to_owned())
                .send()
                .await
                .unwrap();
            let (found, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            assert!(found == status && text.contains(slug), "{found} {text}, expected {status} {slug}");
        }
        stage.stop().await;
    });
}
