//! Nothing about a buyer leaves the answers it came in: every object carries marker words, and every topic, log line, metric,
//! span and page is searched for them.

use std::time::Duration;

use ipn_receiver::sandbox::environment::{Hint, SandboxEnvironment};
use ipn_receiver::sandbox::pay_api::{Environment, Fault, ObjectKind, charge, charge_permission, dispute, refund};
use ipn_receiver::sandbox::sns::SignatureVersion;
use serde_json::json;

use crate::collector::{Collector, Mode};
use crate::harness::{committed_records, kafka, post_to, run, until};
use crate::process::{Serve, config_file};

const MARKER: &str = "BUYER-DATA";
const PERMISSION: &str = "C02-0000001-1111111";
const CHARGE: &str = "S02-0000001-2222222-C000001";
const REFUND: &str = "S02-0000001-2222222-R000001";
const DISPUTE: &str = "S02-0000001-2222222-B000001";
const UNREADABLE: &str = "S02-0000009-2222222-C000001";

/// A receiver as a process of its own, in an environment of its own.
pub(crate) struct Busy {
    pub(crate) environment: SandboxEnvironment,
    pub(crate) collector: Collector,
    pub(crate) serve: Serve,
    servers: String,
    _folder: tempfile::TempDir,
}

impl Busy {
    pub(crate) async fn start() -> Self {
        let servers = kafka();
        let environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
        let folder = tempfile::tempdir().unwrap();
        let settings = "worker.confirm_reads_after_ms = [200]\n\
                        worker.unknown_object_retries_ms = []\nquota.share = 1.0\nquota.sandbox = { burst = 50, per_second = 50 }\n";
        let collector = Collector::start(Mode::Accept);
        let settings = format!("{settings}{}", collector.settings());
        let serve = Serve::start(&config_file(&folder, &environment, &servers, &settings));
        Self { environment, collector, serve, servers, _folder: folder }
    }

    /// Makes everything happen, and waits until the last event is published.
    pub(crate) async fn everything(&self) {
        everything(&self.environment, &format!("http://{}/ipn", self.serve.address("ingress"))).await;
        let said = |what: &str| self.serve.said().contains(what);
        for wanted in [
            "PaymentMethodUpdated published",
            "DisputeActionRequired published",
            "RefundCompleted published",
            "IPN moved to the dead-letter topic",
            "cannot be read",
        ] {
            until(wanted, || said(wanted)).await;
        }
        let published = || self.serve.said().matches("PaymentMethodUpdated published").count();
        until("the new card is published", || published() == 2).await;
    }
}

/// Everything that happens to one permission and its objects, and trouble that quotes what came.
async fn everything(environment: &SandboxEnvironment, url: &str) {
    let notify = async |kind, id: &str, notification_type| {
        let hint = Hint { merchant: &environment.merchants[0], kind, id, notification_type };
        let answer = post_to(environment, url, &environment.envelope(&hint, SignatureVersion::V2)).await;
        assert_eq!(answer.status, 200);
    };
    let permission = charge_permission(PERMISSION, "Recurring");
    for (state, reason) in [("Chargeable", None), ("NonChargeable", Some("PaymentMethodExpired")), ("Chargeable", None)]
    {
        environment.put(ObjectKind::ChargePermission, permission.clone(), state, reason.as_slice());
        notify(ObjectKind::ChargePermission, PERMISSION, "STATE_CHANGE").await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    for (kind, id, object, state) in [
        (ObjectKind::Charge, CHARGE, charge(CHARGE, PERMISSION, "1.00", "EUR"), "Declined"),
        (ObjectKind::Refund, REFUND, refund(REFUND, CHARGE, "1.00", "EUR"), "Refunded"),
        (ObjectKind::Dispute, DISPUTE, dispute(DISPUTE, CHARGE, "1.00", "EUR"), "ActionRequired"),
    ] {
        environment.put(kind, object, state, &[]);
        notify(kind, id, "STATE_CHANGE").await;
    }
    // The buyer moves, and gets another card.
    let mut moved = environment.pay_api.get(Environment::Sandbox, ObjectKind::ChargePermission, PERMISSION).unwrap();
    moved["billingAddress"]["city"] = json!(format!("{MARKER}-NEW-CITY"));
    moved["paymentPreferences"][0]["paymentDescriptor"] = json!(format!("{MARKER}-NEW-CARD"));
    environment.pay_api.put(Environment::Sandbox, ObjectKind::ChargePermission, moved);
    notify(ObjectKind::ChargePermission, PERMISSION, "ATTRIBUTE_CHANGE").await;
    // Answers that are no object, or an error that quotes the buyer.
    for (n, body) in [
        format!("{{\"chargeId\": \"{MARKER}\", \"buyer\": \"{MARKER}\"}}"),
        format!("{{\"chargeId\": \"{UNREADABLE}\", \"statusDetails\": {{\"state\": 7, \"x\": \"{MARKER}\"}}}}"),
        format!("<html>{MARKER}"),
        format!("{{\"reasonCode\": \"{MARKER} with spaces\", \"message\": \"{MARKER}\"}}"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("S02-000000{n}-3333333-C000001");
        environment.pay_api.set_object_fault(&id, Some(Fault::Body(body)));
        notify(ObjectKind::Charge, &id, "STATE_CHANGE").await;
    }
    // An IPN about an unknown object becomes a dead letter.
    notify(ObjectKind::Charge, UNREADABLE, "STATE_CHANGE").await;
}

#[test]
fn buyer_data_reaches_no_topic_log_metric_span_or_page() {
    run(async {
        let busy = Busy::start().await;
        let Busy { environment, collector, serve, servers, .. } = &busy;
        let admin = serve.address("admin");
        busy.everything().await;
        assert!(
            environment
                .pay_api
                .get(Environment::Sandbox, ObjectKind::ChargePermission, PERMISSION)
                .unwrap()
                .to_string()
                .contains(MARKER),
            "the answers really held it"
        );
        for page in ["metrics", "readyz", "healthz"] {
            let text = reqwest::get(format!("http://{admin}/{page}")).await.unwrap().text().await.unwrap();
            assert!(!text.contains(MARKER), "{page}");
        }
        let config = environment.config_with(servers, "").unwrap().kafka;
        let topics = config.topics();
        for topic in [topics.inbox, topics.events, topics.state, topics.dead_letters] {
            let records = committed_records(&config, &topic);
            assert!(!records.is_empty(), "{topic}");
            let text = format!(
                "{:?}",
                records
                    .iter()
                    .map(|record| (&record.key, String::from_utf8_lossy(&record.value), &record.headers))
                    .collect::<Vec<_>>()
            );
            assert!(!text.contains(MARKER), "{topic}");
        }
        assert!(!serve.said().contains(MARKER), "a log line holds it");
        until("the last span came", || collector.text().contains("amazonpay.PaymentMethodUpdated")).await;
        assert!(!collector.text().contains(MARKER), "a span holds it");
    });
}
