//! One trace from the POST to the event, as the collector receives it.

mod trouble;

use ipn_receiver::app::App;
use ipn_receiver::sandbox::pay_api::{Fault, ObjectKind, charge, charge_permission};
use ipn_receiver::sandbox::sns::Draft;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as Kind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::Value;
use time::OffsetDateTime;

use crate::collector::{Collector, Mode, attributes, hex};
use crate::harness::{Stage, committed_records, events, names, run, until};

const PERMISSION: &str = "C02-0000001-1111111";
const CHARGE: &str = "S02-0000001-2222222-C000001";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

const POST: &str = "POST /ipn";
const READ: &str = "GET /v2/chargePermissions/{chargePermissionId}";

/// The `traceparent` that a proxy sends.
fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

fn to_inbox(stage: &Stage) -> String {
    format!("send {}", stage.kafka().topics().inbox)
}

fn to_events(stage: &Stage) -> String {
    format!("send {}", stage.kafka().topics().events)
}

fn put_permission(stage: &Stage) {
    let permission = charge_permission(PERMISSION, "Recurring");
    stage.environment.put(ObjectKind::ChargePermission, permission, "Chargeable", &[]);
}

/// Posts an IPN with a `traceparent`, as a tracing proxy does.
async fn post_traced(app: &App, body: &str, traceparent: &str) {
    let url = format!("http://{}/ipn", app.ingress_address());
    let request = reqwest::Client::new().post(url).header("traceparent", traceparent).body(body.to_owned());
    assert_eq!(request.send().await.unwrap().status(), 200);
}

fn message_id(body: &str) -> String {
    serde_json::from_str::<Value>(body).unwrap()["MessageId"].as_str().unwrap().to_owned()
}

/// The trace id of a message without a `traceparent`.
fn own_trace(body: &str) -> String {
    message_id(body).replace('-', "")
}

#[track_caller]
fn check_span(span: &Span, kind: Kind, parent: &[u8], wanted: &[(&str, &str)]) {
    assert_eq!((span.kind(), hex(&span.parent_span_id)), (kind, hex(parent)), "{span:?}");
    assert!(span.start_time_unix_nano > 0 && span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    let found = attributes(&span.attributes);
    for (name, value) in wanted {
        assert_eq!(found.get(*name).map(String::as_str), Some(*value), "{name}: {found:?}");
    }
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

#[test]
fn spans_of_an_ipn_form_one_trace_from_post_to_event() {
    run(async {
        let collector = Collector::start(Mode::Accept);
        let stage = Stage::new(1, &collector.settings()).await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        put_permission(&stage);
        let body = stage.envelope(ObjectKind::ChargePermission, PERMISSION);
        post_traced(&app, &body, &traceparent("01")).await;
        let event = events(&mut reader, 1).await.remove(0);
        until("four spans came", || collector.trace(TRACE).len() == 4).await;
        let trace = collector.trace(TRACE);
        let (entry, append) = (&trace[POST], &trace[&to_inbox(&stage)]);
        let (read, publish) = (&trace[READ], &trace[&to_events(&stage)]);

        assert_eq!(hex(&entry.parent_span_id), CALLER);
        let answered = [("http.request.method", "POST"), ("http.route", "/ipn"), ("http.response.status_code", "200")];
        check_span(entry, Kind::Server, &entry.parent_span_id, &answered);
        let id = message_id(&body);
        check_span(
            entry,
            Kind::Server,
            &entry.parent_span_id,
            &[("messaging.message.id", &id), ("ipn_receiver.outcome", "stored")],
        );
        let topics = stage.kafka().topics();
        let appended = [("messaging.system", "kafka"), ("messaging.operation.type", "send"), ("object.id", PERMISSION)];
        check_span(append, Kind::Producer, &entry.span_id, &appended);
        let where_to = [("messaging.destination.name", topics.inbox.as_str()), ("messaging.message.id", &id)];
        check_span(append, Kind::Producer, &entry.span_id, &where_to);
        let fetched = [("http.request.method", "GET"), ("http.response.status_code", "200"), ("object.id", PERMISSION)];
        check_span(read, Kind::Client, &append.span_id, &fetched);
        let published = [
            ("messaging.destination.name", topics.events.as_str()),
            ("messaging.message.id", event["id"].as_str().unwrap()),
            ("cloudevents.event_id", event["id"].as_str().unwrap()),
            ("cloudevents.event_type", event["type"].as_str().unwrap()),
            ("messaging.kafka.message.key", PERMISSION),
        ];
        check_span(publish, Kind::Producer, &append.span_id, &published);
        assert!(trace.values().all(|span| !is_error(span)), "{trace:?}");
        assert_eq!(
            event["traceparent"],
            format!("00-{TRACE}-{}-01", hex(&publish.span_id)),
            "the event names its span"
        );
        assert_eq!(collector.resource()["service.name"], "ipn-receiver");
        assert_eq!(collector.resource()["service.version"], env!("CARGO_PKG_VERSION"));
        app.stop().await;
    });
}

#[test]
fn ipn_without_traceparent_starts_a_trace_flushed_at_shutdown() {
    run(async {
        let collector = Collector::start(Mode::Accept);
        let stage = Stage::new(1, &collector.settings()).await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        put_permission(&stage);
        let body = stage.envelope(ObjectKind::ChargePermission, PERMISSION);
        assert_eq!(stage.post(&app, &body).await.status, 200);
        let event = events(&mut reader, 1).await.remove(0);
        app.stop().await;
        let trace = collector.trace(&own_trace(&body));
        assert_eq!(trace.len(), 4, "{trace:?}");
        assert!(trace[POST].parent_span_id.is_empty(), "the POST is the root span");
        let span_id = hex(&trace[&to_events(&stage)].span_id);
        assert_eq!(event["traceparent"], format!("00-{}-{span_id}-01", own_trace(&body)));
    });
}

#[test]
fn failed_reads_have_spans_and_one_event_links_both_ipns() {
    run(async {
        let collector = Collector::start(Mode::Accept);
        let settings = format!("{}worker.systemic_retry_ms = 200", collector.settings());
        let stage = Stage::new(1, &settings).await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        put_permission(&stage);
        stage.environment.pay_api.set_fault(Some(Fault::Status(503)));
        let [first, second] = [(); 2].map(|()| stage.envelope(ObjectKind::ChargePermission, PERMISSION));
        assert_eq!(stage.post(&app, &first).await.status, 200);
        until("a read has failed", || collector.trace(&own_trace(&first)).contains_key(READ)).await;
        assert_eq!(stage.post(&app, &second).await.status, 200);
        until("a read for the second has failed", || collector.trace(&own_trace(&second)).contains_key(READ)).await;
        let failed = &collector.trace(&own_trace(&second))[READ];
        assert!(is_error(failed));
        let found = attributes(&failed.attributes);
        assert_eq!((found["error.type"].as_str(), found["http.response.status_code"].as_str()), ("amazon", "503"));
        stage.environment.pay_api.set_fault(None);
        let event = events(&mut reader, 1).await.remove(0);
        app.stop().await;

        let (first, second) = (collector.trace(&own_trace(&first)), collector.trace(&own_trace(&second)));
        let publish = &second[&to_events(&stage)];
        assert_eq!(publish.parent_span_id, second[&to_inbox(&stage)].span_id, "the parent is the newest IPN");
        let links: Vec<_> = publish.links.iter().map(|link| (&link.trace_id, &link.span_id)).collect();
        let other = &first[&to_inbox(&stage)];
        assert_eq!(links, [(&other.trace_id, &other.span_id)], "the other IPN is linked");
        assert!(event["traceparent"].as_str().unwrap().contains(&hex(&publish.span_id)));
    });
}

#[test]
fn parent_reads_and_dead_letters_are_in_the_trace_of_their_ipn() {
    run(async {
        let collector = Collector::start(Mode::Accept);
        let settings = format!("{}worker.unknown_object_retries_ms = []", collector.settings());
        let stage = Stage::new(1, &settings).await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        put_permission(&stage);
        stage.environment.put(ObjectKind::Charge, charge(CHARGE, PERMISSION, "1.00", "EUR"), "Captured", &[]);
        let of_charge = stage.envelope(ObjectKind::Charge, CHARGE);
        assert_eq!(stage.post(&app, &of_charge).await.status, 200);
        let published = names(&events(&mut reader, 2).await);
        assert!(published.contains(&"ChargeCaptured".to_owned()), "{published:?}");
        let of_unknown = stage.envelope(ObjectKind::Charge, "S02-0000009-2222222-C000009");
        assert_eq!(stage.post(&app, &of_unknown).await.status, 200);
        let topics = stage.kafka().topics();
        until("it is a dead letter", || !committed_records(&stage.kafka(), &topics.dead_letters).is_empty()).await;
        app.stop().await;
        let trace = collector.trace(&own_trace(&of_charge));
        assert!(trace.contains_key("GET /v2/charges/{chargeId}") && trace.contains_key(READ), "{trace:?}");
        let trace = collector.trace(&own_trace(&of_unknown));
        let dead_letter = &trace[&format!("send {}", topics.dead_letters)];
        assert_eq!(dead_letter.parent_span_id, trace[&to_inbox(&stage)].span_id);
        assert_eq!(attributes(&dead_letter.attributes)["messaging.message.id"], message_id(&of_unknown));
    });
}

#[test]
fn unsampled_and_unverified_requests_create_no_span() {
    run(async {
        let collector = Collector::start(Mode::Accept);
        let stage = Stage::new(1, &format!("{}telemetry.sample_ratio = 0", collector.settings())).await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        put_permission(&stage);
        let unsampled = stage.envelope(ObjectKind::ChargePermission, PERMISSION);
        post_traced(&app, &unsampled, &traceparent("00")).await;
        let event = events(&mut reader, 1).await.remove(0);
        assert_eq!(event["traceparent"], traceparent("00"), "the traceparent is passed on unchanged");
        assert_eq!(stage.post_ipn(&app, ObjectKind::ChargePermission, PERMISSION).await.status, 200);
        let forged = stage.envelope(ObjectKind::ChargePermission, PERMISSION).replace("C02-0000001", "C02-0000002");
        let url = format!("http://{}/ipn", app.ingress_address());
        let request = reqwest::Client::new().post(&url).header("traceparent", traceparent("01")).body(forged);
        assert_eq!(request.send().await.unwrap().status(), 403);
        // A trace that the caller samples is recorded although the ratio is 0. It arrives after all earlier spans.
        let sampled = stage.envelope(ObjectKind::ChargePermission, PERMISSION);
        post_traced(&app, &sampled, &traceparent("01").replace(CALLER, "00f067aa0ba902b8")).await;
        app.stop().await;
        let spans = collector.spans();
        let entries: Vec<_> = spans.iter().filter(|span| span.name == POST).collect();
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert_eq!(hex(&entries[0].parent_span_id), "00f067aa0ba902b8");
        assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{spans:?}");
    });
}

#[test]
fn rejected_genuine_message_has_a_span_with_the_reason() {
    run(async {
        let collector = Collector::start(Mode::Accept);
        let stage = Stage::new(1, &format!("{}sns.ipn_age_max_h = 1", collector.settings())).await;
        let app = stage.receiver().await;
        let merchant = &stage.environment.merchants[0];
        let made_at = OffsetDateTime::now_utc() - time::Duration::hours(2);
        let late =
            stage.environment.sns.notification(&Draft::new(&stage.environment.topic_arn(merchant), "{}", made_at));
        assert_eq!(stage.post(&app, &late).await.status, 503);
        app.stop().await;
        let entry = &collector.trace(&own_trace(&late))[POST];
        assert!(is_error(entry));
        let found = attributes(&entry.attributes);
        assert_eq!(found["error.type"], "timestamp-out-of-range");
        assert_eq!(found["http.response.status_code"], "503");
    });
}
