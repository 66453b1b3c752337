//! A collector of traces, on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::harness::http_server;

/// How the collector behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Accept,
    Refuse(u16),
    Hang,
}

/// A running collector and its received requests.
#[derive(Clone)]
pub(crate) struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    resource: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    bodies: Vec<u8>,
    n_requests: usize,
}

impl Collector {
    pub(crate) fn start(mode: Mode) -> Self {
        let received = Arc::<Mutex<Received>>::default();
        let state = (received.clone(), mode);
        let address = http_server(move |config| {
            config
                .app_data(web::PayloadConfig::new(64 << 20))
                .app_data(web::Data::new(state.clone()))
                .route("/v1/traces", web::post().to(receive));
        });
        Self { address, received }
    }

    /// The settings that export traces to this collector.
    pub(crate) fn settings(&self) -> String {
        format!("telemetry.otlp_endpoint = \"http://{}/v1/traces\"\n", self.address)
    }

    /// All spans received so far, in any order.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.received.lock().unwrap().spans.clone()
    }

    /// The spans of one trace, by name.
    pub(crate) fn trace(&self, trace_id: &str) -> BTreeMap<String, Span> {
        let of_trace = self.spans().into_iter().filter(|span| hex(&span.trace_id) == trace_id);
        of_trace.map(|span| (span.name.clone(), span)).collect()
    }

    pub(crate) fn n_requests(&self) -> usize {
        self.received.lock().unwrap().n_requests
    }

    pub(crate) fn resource(&self) -> BTreeMap<String, String> {
        self.received.lock().unwrap().resource.clone()
    }

    pub(crate) fn headers(&self) -> BTreeMap<String, String> {
        self.received.lock().unwrap().headers.clone()
    }

    /// All received bytes; protobuf contains text verbatim.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.received.lock().unwrap().bodies).into_owned()
    }
}

async fn receive(
    state: web::Data<(Arc<Mutex<Received>>, Mode)>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let (received, mode) = state.get_ref();
    received.lock().unwrap().n_requests += 1;
    match mode {
        Mode::Accept => {}
        Mode::Refuse(status) => {
            return HttpResponse::build(actix_web::http::StatusCode::from_u16(*status).unwrap()).finish();
        }
        Mode::Hang => tokio::time::sleep(Duration::from_hours(1)).await,
    }
    let mut received = received.lock().unwrap();
    received
        .headers
        .extend(request.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())));
    received.bodies.extend_from_slice(&body);
    for of_resource in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
        received.resource = attributes(&of_resource.resource.unwrap().attributes);
        received.spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
    }
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

/// Attribute names and values as text.
pub(crate) fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pair = |pair: &KeyValue| (pair.key.clone(), text(pair.value.as_ref().unwrap().value.as_ref().unwrap()));
    all.iter().map(pair).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
