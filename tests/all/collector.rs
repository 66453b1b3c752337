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

/// How it behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mood {
    Takes,
    Refuses(u16),
    Hangs,
}

/// One that is running, and what it was sent.
#[derive(Clone)]
pub(crate) struct Collector {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    spans: Vec<Span>,
    resource: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    bodies: Vec<u8>,
    n_requests: usize,
}

impl Collector {
    pub(crate) fn start(mood: Mood) -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let state = (heard.clone(), mood);
        let address = http_server(move |config| {
            config
                .app_data(web::PayloadConfig::new(64 << 20))
                .app_data(web::Data::new(state.clone()))
                .route("/v1/traces", web::post().to(take));
        });
        Self { address, heard }
    }

    /// The settings that send traces here.
    pub(crate) fn settings(&self) -> String {
        format!("telemetry.otlp_endpoint = \"http://{}/v1/traces\"\n", self.address)
    }

    /// All that came so far, in whatever order.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.heard.lock().unwrap().spans.clone()
    }

    /// Those of one trace, by name.
    pub(crate) fn trace(&self, trace_id: &str) -> BTreeMap<String, Span> {
        let of_trace = self.spans().into_iter().filter(|span| hex(&span.trace_id) == trace_id);
        of_trace.map(|span| (span.name.clone(), span)).collect()
    }

    pub(crate) fn n_requests(&self) -> usize {
        self.heard.lock().unwrap().n_requests
    }

    pub(crate) fn resource(&self) -> BTreeMap<String, String> {
        self.heard.lock().unwrap().resource.clone()
    }

    pub(crate) fn headers(&self) -> BTreeMap<String, String> {
        self.heard.lock().unwrap().headers.clone()
    }

    /// Every byte that came, in protobuf, where text stands as it is.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap().bodies).into_owned()
    }
}

async fn take(state: web::Data<(Arc<Mutex<Heard>>, Mood)>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let (heard, mood) = state.get_ref();
    heard.lock().unwrap().n_requests += 1;
    match mood {
        Mood::Takes => {}
        Mood::Refuses(status) => {
            return HttpResponse::build(actix_web::http::StatusCode::from_u16(*status).unwrap()).finish();
        }
        Mood::Hangs => tokio::time::sleep(Duration::from_hours(1)).await,
    }
    let mut heard = heard.lock().unwrap();
    heard
        .headers
        .extend(request.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())));
    heard.bodies.extend_from_slice(&body);
    for of_resource in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
        heard.resource = attributes(&of_resource.resource.unwrap().attributes);
        heard.spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
    }
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

/// Names and values, as text.
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
