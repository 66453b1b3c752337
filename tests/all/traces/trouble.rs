//! A collector that is in trouble is nobody else's; and what the process says of it, and of its token.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use ipn_receiver::config::Telemetry;
use ipn_receiver::domain::trace::TraceParent;
use ipn_receiver::sandbox::environment::{Hint, SandboxEnvironment};
use ipn_receiver::sandbox::pay_api::{ObjectKind, charge_permission};
use ipn_receiver::sandbox::sns::SignatureVersion;
use ipn_receiver::telemetry;
use ipn_receiver::telemetry::spans::{SpanKind, Spans};
use serde_json::Value;

use super::PERMISSION;
use crate::collector::{Collector, Mood};
use crate::harness::{Stage, events, kafka, post_to, run, until};
use crate::process::Serve;

/// Neither the answer to the POST, nor the event, nor leaving waits for a collector in trouble.
async fn check_nothing_waits(endpoint: &str) {
    let stage = Stage::new(1, endpoint).await;
    let mut reader = stage.reader();
    let app = stage.receiver().await;
    let failed_before = n_spans("failed");
    for n in 0..20 {
        let id = format!("C02-0000001-11111{n:02}");
        stage.environment.put(ObjectKind::ChargePermission, charge_permission(&id, "Recurring"), "Chargeable", &[]);
        let asked = Instant::now();
        assert_eq!(stage.tell(&app, ObjectKind::ChargePermission, &id).await.status, 200);
        assert!(asked.elapsed() < Duration::from_secs(3), "answered after {:?}", asked.elapsed());
    }
    assert_eq!(events(&mut reader, 20).await.len(), 20);
    until("a loss is counted", || n_spans("failed") > failed_before).await;
    let stopping = Instant::now();
    app.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(15), "left after {:?}", stopping.elapsed());
}

#[test]
fn a_collector_that_refuses_or_is_not_there_keeps_nothing_waiting() {
    run(async {
        for status in [400, 503] {
            let collector = Collector::start(Mood::Refuses(status));
            check_nothing_waits(&collector.settings()).await;
            assert!(collector.n_requests() > 0);
        }
        check_nothing_waits("telemetry.otlp_endpoint = \"http://127.0.0.1:1/v1/traces\"").await;
    });
}

#[test]
fn a_collector_that_hangs_keeps_nothing_waiting() {
    run(async {
        let collector = Collector::start(Mood::Hangs);
        check_nothing_waits(&collector.settings()).await;
        assert!(collector.n_requests() > 0);
    });
}

/// What the metric says of an outcome, in the whole process.
fn n_spans(outcome: &str) -> u64 {
    let page = telemetry::metrics().render();
    let line = page.lines().find_map(|line| {
        line.strip_prefix(&format!("ipn_receiver_trace_spans_total{{outcome=\"{outcome}\"}} "))
            .and_then(|n| n.parse().ok())
    });
    line.unwrap_or(0)
}

#[test]
fn spans_that_nobody_takes_are_dropped_beyond_a_bound_and_counted() {
    run(async {
        telemetry::metrics();
        let collector = Collector::start(Mood::Hangs);
        let endpoint = collector.settings().split('"').nth(1).unwrap().to_owned();
        let spans = Spans::start(&Telemetry { otlp_endpoint: Some(endpoint), ..Telemetry::default() }).unwrap();
        let before = n_spans("dropped");
        let began = Instant::now();
        for n in 0..10_000_u128 {
            let trace = TraceParent::of_message(uuid::Uuid::from_u128(n + 1));
            spans.first(trace, SpanKind::Internal, "flood", SystemTime::now()).end();
        }
        assert!(began.elapsed() < Duration::from_secs(3), "nobody waited: {:?}", began.elapsed());
        assert_eq!(n_spans("dropped") - before, 10_000 - 4096);
        let finishing = Instant::now();
        tokio::task::spawn_blocking(move || spans.finish(Duration::from_secs(1))).await.unwrap();
        assert!(finishing.elapsed() < Duration::from_secs(3), "finished after {:?}", finishing.elapsed());
    });
}

/// A receiver as a process of its own, with these settings and variables.
async fn process(settings: &str, variables: &[(&str, &str)]) -> (SandboxEnvironment, Serve, tempfile::TempDir) {
    let environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("receiver.toml");
    let local = "ingress.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\nshutdown.notice_ms = 0\n";
    let text = format!("{settings}{local}{}", environment.config_for_another_process(&kafka()).unwrap());
    std::fs::write(&file, text).unwrap();
    let serve = Serve::start_with(&file, variables);
    (environment, serve, folder)
}

async fn tell(environment: &SandboxEnvironment, serve: &Serve) {
    let hint = Hint {
        merchant: &environment.merchants[0],
        kind: ObjectKind::ChargePermission,
        id: PERMISSION,
        notification_type: "STATE_CHANGE",
    };
    let body = environment.envelope(&hint, SignatureVersion::V2);
    assert_eq!(post_to(environment, &format!("http://{}/ipn", serve.address("ingress")), &body).await.status, 200);
}

#[test]
fn the_standard_variables_name_the_service_and_give_the_token_which_is_never_logged() {
    run(async {
        let collector = Collector::start(Mood::Takes);
        let variables = [
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20SECRET-TOKEN"),
            ("OTEL_SERVICE_NAME", "shop-ipn"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ];
        let (environment, serve, _folder) = process(&collector.settings(), &variables).await;
        tell(&environment, &serve).await;
        until("spans came", || !collector.spans().is_empty()).await;
        assert_eq!(collector.headers()["authorization"], "Bearer SECRET-TOKEN");
        assert_eq!(collector.resource()["service.name"], "shop-ipn");
        assert_eq!(collector.resource()["deployment.environment.name"], "test");
        let said = serve.said();
        serve.stop();
        assert!(said.contains("durable") && !said.contains("SECRET-TOKEN"), "{said}");
    });
}

#[test]
fn a_collector_that_is_not_there_is_told_once_with_its_cause() {
    run(async {
        let (environment, serve, _folder) =
            process("telemetry.otlp_endpoint = \"http://127.0.0.1:1/v1/traces\"\n", &[]).await;
        let lost = || {
            let said = serve.said();
            let lines = said.lines().filter(|line| line.contains("spans are lost"));
            lines.map(|line| serde_json::from_str::<BTreeMap<String, Value>>(line).unwrap()).collect::<Vec<_>>()
        };
        for _ in 0..3 {
            let failed = async || serve.count("ipn_receiver_trace_spans_total{outcome=\"failed\"}").await;
            let (before, deadline) = (failed().await, Instant::now() + Duration::from_secs(30));
            tell(&environment, &serve).await;
            while failed().await == before {
                assert!(Instant::now() < deadline, "no loss was counted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        until("it is told", || !lost().is_empty()).await;
        let lost = lost();
        serve.stop();
        assert_eq!(lost.len(), 1, "once a minute");
        assert_eq!(lost[0]["level"], "WARN");
        assert!(lost[0]["cause"].as_str().unwrap().contains("Connection refused"), "{lost:?}");
    });
}
