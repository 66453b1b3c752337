//! A failing collector affects only traces; and what the process logs about the collector and its token.

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
use crate::collector::{Collector, Mode};
use crate::harness::{Stage, events, kafka, post_to, run, until};
use crate::process::{Serve, config_file};

/// Asserts that answers, events and shutdown do not wait for a failing collector.
async fn check_nothing_waits(endpoint: &str) {
    let stage = Stage::new(1, endpoint).await;
    let mut reader = stage.reader();
    let app = stage.receiver().await;
    let failed_before = n_spans("failed");
    for n in 0..20 {
        let id = format!("C02-0000001-11111{n:02}");
        stage.environment.put(ObjectKind::ChargePermission, charge_permission(&id, "Recurring"), "Chargeable", &[]);
        let asked = Instant::now();
        assert_eq!(stage.post_ipn(&app, ObjectKind::ChargePermission, &id).await.status, 200);
        assert!(asked.elapsed() < Duration::from_secs(3), "answered after {:?}", asked.elapsed());
    }
    assert_eq!(events(&mut reader, 20).await.len(), 20);
    until("a loss is counted", || n_spans("failed") > failed_before).await;
    let stopping = Instant::now();
    app.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(15), "stopped after {:?}", stopping.elapsed());
}

#[test]
fn refusing_or_absent_collector_delays_nothing() {
    run(async {
        for status in [400, 503] {
            let collector = Collector::start(Mode::Refuse(status));
            check_nothing_waits(&collector.settings()).await;
            assert!(collector.n_requests() > 0);
        }
        check_nothing_waits("telemetry.otlp_endpoint = \"http://127.0.0.1:1/v1/traces\"").await;
    });
}

#[test]
fn hung_collector_delays_nothing() {
    run(async {
        let collector = Collector::start(Mode::Hang);
        check_nothing_waits(&collector.settings()).await;
        assert!(collector.n_requests() > 0);
    });
}

/// The number of spans with an outcome in the whole process.
fn n_spans(outcome: &str) -> u64 {
    let page = telemetry::metrics().render();
    let line = page.lines().find_map(|line| {
        line.strip_prefix(&format!("ipn_receiver_trace_spans_total{{outcome=\"{outcome}\"}} "))
            .and_then(|n| n.parse().ok())
    });
    line.unwrap_or(0)
}

#[test]
fn spans_beyond_the_queue_limit_are_dropped_and_counted() {
    run(async {
        telemetry::metrics();
        let collector = Collector::start(Mode::Hang);
        let endpoint = collector.settings().split('"').nth(1).unwrap().to_owned();
        let spans = Spans::start(&Telemetry { otlp_endpoint: Some(endpoint), ..Telemetry::default() }).unwrap();
        let before = n_spans("dropped");
        let began = Instant::now();
        for n in 0..10_000_u128 {
            let trace = TraceParent::of_message(uuid::Uuid::from_u128(n + 1));
            spans.first(trace, SpanKind::Internal, "flood", SystemTime::now()).end();
        }
        assert!(began.elapsed() < Duration::from_secs(3), "ending a span blocked: {:?}", began.elapsed());
        assert_eq!(n_spans("dropped") - before, 10_000 - 4096);
        let finishing = Instant::now();
        tokio::task::spawn_blocking(move || spans.finish(Duration::from_secs(1))).await.unwrap();
        assert!(finishing.elapsed() < Duration::from_secs(3), "finished after {:?}", finishing.elapsed());
    });
}

/// Starts a receiver as a separate process with these settings and environment variables.
async fn process(settings: &str, variables: &[(&str, &str)]) -> (SandboxEnvironment, Serve, tempfile::TempDir) {
    let environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
    let folder = tempfile::tempdir().unwrap();
    let serve = Serve::start_with(&config_file(&folder, &environment, &kafka(), settings), variables);
    (environment, serve, folder)
}

async fn post_ipn(environment: &SandboxEnvironment, serve: &Serve) {
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
fn otel_variables_are_used_and_the_token_is_never_logged() {
    run(async {
        let collector = Collector::start(Mode::Accept);
        let variables = [
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20SECRET-TOKEN"),
            ("OTEL_SERVICE_NAME", "shop-ipn"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ];
        let (environment, serve, _folder) = process(&collector.settings(), &variables).await;
        post_ipn(&environment, &serve).await;
        until("spans came", || !collector.spans().is_empty()).await;
        assert_eq!(collector.headers()["authorization"], "Bearer SECRET-TOKEN");
        assert_eq!(collector.resource()["service.name"], "shop-ipn");
        assert_eq!(collector.resource()["deployment.environment.name"], "test");
        let said = serve.said();
        serve.stop();
        assert!(said.contains("IPN stored in inbox") && !said.contains("SECRET-TOKEN"), "{said}");
    });
}

#[test]
fn absent_collector_is_logged_once_with_its_error() {
    run(async {
        let (environment, serve, _folder) =
            process("telemetry.otlp_endpoint = \"http://127.0.0.1:1/v1/traces\"\n", &[]).await;
        let lost = || {
            let said = serve.said();
            let lines = said.lines().filter(|line| line.contains("does not accept spans"));
            lines.map(|line| serde_json::from_str::<BTreeMap<String, Value>>(line).unwrap()).collect::<Vec<_>>()
        };
        for _ in 0..3 {
            let failed = async || serve.count("ipn_receiver_trace_spans_total{outcome=\"failed\"}").await;
            let (before, deadline) = (failed().await, Instant::now() + Duration::from_secs(30));
            post_ipn(&environment, &serve).await;
            while failed().await == before {
                assert!(Instant::now() < deadline, "no loss was counted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        until("the loss is logged", || !lost().is_empty()).await;
        let lost = lost();
        serve.stop();
        assert_eq!(lost.len(), 1, "logged once a minute");
        assert_eq!(lost[0]["level"], "WARN");
        assert!(lost[0]["error"].as_str().unwrap().contains("Connection refused"), "{lost:?}");
    });
}
