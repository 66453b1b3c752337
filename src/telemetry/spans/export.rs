//! Exports spans: a bounded queue, a thread that empties it, and one request at a time to the collector.
//!
//! A span is dropped if the queue is full, and lost if the collector does not accept it within some seconds. Both are
//! counted, and logged once a minute. The requests to the collector create no spans themselves.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, IdGenerator as _, RandomIdGenerator, SpanData, SpanProcessor as _,
};
use parking_lot::Mutex;

use crate::http::client::{error_chain, limited_body};
use crate::telemetry::log_throttle::LogThrottle;

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An HTTP client could not be built.
    #[error("HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The exporter refuses telemetry.otlp_endpoint or an OTEL_EXPORTER_OTLP_… variable.
    #[error(
        "the exporter of traces refuses its settings: {0}; correct telemetry.otlp_endpoint and the variables OTEL_EXPORTER_OTLP_…"
    )]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// The export to one collector.
pub(super) struct Export {
    pub(super) sample_ratio: f64,
    pub(super) scope: InstrumentationScope,
    processor: BatchSpanProcessor,
    losses: Arc<Losses>,
}

/// Counts the spans in flight and the lost spans.
struct Losses {
    /// Spans that were handed to the exporter and are not answered yet.
    in_flight: AtomicUsize,
    /// Why the last request failed.
    last_error: Mutex<String>,
    log_throttle: LogThrottle<()>,
}

impl Export {
    /// Starts the exporter's thread. Requests run on the Tokio runtime that this is called in.
    pub(super) fn start(endpoint: &str, sample_ratio: f64) -> Result<Self, Error> {
        let losses = Arc::new(Losses {
            in_flight: AtomicUsize::new(0),
            last_error: Mutex::default(),
            log_throttle: LogThrottle::new(LOG_EVERY),
        });
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(REQUEST_TIMEOUT)
            .user_agent(concat!("ipn-receiver/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let collector = Collector { http, runtime: tokio::runtime::Handle::current(), losses: losses.clone() };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .with_timeout(REQUEST_TIMEOUT)
            .build()?;
        let config =
            BatchConfigBuilder::default().with_max_queue_size(SPANS_MAX).with_scheduled_delay(SEND_EVERY).build();
        let mut processor = BatchSpanProcessor::new(Counted { exporter, losses: losses.clone() }, config);
        processor.set_resource(&resource());
        Ok(Self { sample_ratio, scope: InstrumentationScope::builder("ipn-receiver").build(), processor, losses })
    }

    /// Queues a finished span, or drops it if the queue is full. Never blocks.
    pub(super) fn hand_over(&self, span: SpanData) {
        if self.losses.in_flight.fetch_add(1, Ordering::Relaxed) < SPANS_MAX {
            return self.processor.on_end(span);
        }
        self.losses.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.losses.lost("dropped", 1);
    }

    /// Exports the remaining spans. Blocks up to `timeout`.
    pub(super) fn finish(&self, timeout: Duration) {
        // `in_flight` gives the number of lost spans, which the error does not.
        let _ = self.processor.shutdown_with_timeout(timeout);
        let n_spans = self.losses.in_flight.load(Ordering::Relaxed);
        if n_spans > 0 {
            let error = self.losses.last_error();
            tracing::warn!(
                n_spans,
                error,
                "the collector of traces did not accept the last spans before shutdown; they are lost"
            );
        }
    }
}

pub(super) fn new_span_id() -> u64 {
    u64::from_be_bytes(RandomIdGenerator::default().new_span_id().to_bytes())
}

/// The attributes of this process. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let given = Resource::builder().build();
    let name = given.get(&Key::from_static_str("service.name")).map(|name| name.to_string());
    let builder = Resource::builder().with_attribute(version);
    match name {
        Some(name) if !name.starts_with("unknown_service") => builder.build(),
        _ => builder.with_service_name("ipn-receiver").build(),
    }
}

impl Losses {
    fn lost(&self, outcome: &'static str, n_spans: usize) {
        metrics::counter!("ipn_receiver_trace_spans_total", "outcome" => outcome).increment(n_spans as u64);
        if let Some(suppressed) = self.log_throttle.allow(()) {
            let error = self.last_error();
            tracing::warn!(
                outcome,
                suppressed,
                error = (!error.is_empty()).then_some(error),
                "the collector of traces does not accept spans; they are lost, IPNs and events are not affected; check the collector and telemetry.otlp_endpoint"
            );
        }
    }

    fn last_error(&self) -> String {
        self.last_error.lock().clone()
    }

    fn note_error(&self, error: &str) {
        error.clone_into(&mut self.last_error.lock());
    }
}

/// Wraps the library's exporter and counts its outcomes.
#[derive(Debug)]
struct Counted {
    exporter: SpanExporter,
    losses: Arc<Losses>,
}

impl opentelemetry_sdk::trace::SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let n_spans = batch.len();
        let outcome = self.exporter.export(batch).await;
        self.losses.in_flight.fetch_sub(n_spans, Ordering::Relaxed);
        match outcome {
            Ok(()) => {
                metrics::counter!("ipn_receiver_trace_spans_total", "outcome" => "exported").increment(n_spans as u64);
            }
            Err(_) => self.losses.lost("failed", n_spans),
        }
        outcome
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The exporter's HTTP client. It posts on the Tokio runtime, which the exporter's own thread does not have.
#[derive(Debug)]
struct Collector {
    http: reqwest::Client,
    runtime: tokio::runtime::Handle,
    losses: Arc<Losses>,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let posted = self.runtime.spawn(post(self.http.clone(), request)).await;
        let outcome = posted.unwrap_or_else(|_| Err("the process is shutting down".to_owned()));
        match &outcome {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.losses.note_error(&format!("the collector answered {}", answer.status())),
            Err(error) => self.losses.note_error(error),
        }
        Ok(outcome?)
    }
}

async fn post(http: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
    let (head, body) = request.into_parts();
    let request = http.post(head.uri.to_string()).headers(head.headers).body(body);
    let answer = request.send().await.map_err(error_chain)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = limited_body(answer, ANSWER_BYTES_MAX).await.map_err(|bad| bad.to_string())?;
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

impl fmt::Debug for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Losses").finish_non_exhaustive()
    }
}

/// A span has some hundred bytes.
const SPANS_MAX: usize = 4096;
const SEND_EVERY: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const LOG_EVERY: Duration = Duration::from_mins(1);
