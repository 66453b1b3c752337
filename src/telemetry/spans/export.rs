//! The way out: a bounded queue, a thread that empties it, and one request at a time to the collector.
//!
//! A span that finds the queue full is dropped, one that the collector does not take within some seconds is lost; both are
//! counted and told once a minute. These requests leave no spans themselves.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

use crate::http::client::{limited_body, told};
use crate::telemetry::log_throttle::LogThrottle;

/// Why spans cannot go out at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An HTTP client could not be built.
    #[error("HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The exporter refuses its settings, which OTEL_EXPORTER_OTLP_… variables are, too.
    #[error("telemetry.otlp_endpoint and the variables OTEL_EXPORTER_OTLP_…: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// One collector.
pub(super) struct Export {
    pub(super) sample_ratio: f64,
    pub(super) scope: InstrumentationScope,
    processor: BatchSpanProcessor,
    losses: Arc<Losses>,
}

/// What is on its way, and what became of the rest.
struct Losses {
    /// Spans that were handed over and have no answer yet.
    under_way: AtomicUsize,
    /// Why the last request failed.
    cause: Mutex<String>,
    told: LogThrottle<()>,
}

impl Export {
    /// Starts the thread. Requests run on the runtime this is called in.
    pub(super) fn start(endpoint: &str, sample_ratio: f64) -> Result<Self, Error> {
        let losses = Arc::new(Losses {
            under_way: AtomicUsize::new(0),
            cause: Mutex::default(),
            told: LogThrottle::new(TELL_EVERY),
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

    /// Takes a finished span, or drops it. Never waits.
    pub(super) fn hand_over(&self, span: SpanData) {
        if self.losses.under_way.fetch_add(1, Ordering::Relaxed) < SPANS_MAX {
            return self.processor.on_end(span);
        }
        self.losses.under_way.fetch_sub(1, Ordering::Relaxed);
        self.losses.lost("dropped", 1);
    }

    /// Hands over what is left. Blocks.
    pub(super) fn finish(&self, timeout: Duration) {
        // Why it failed is known better from `under_way`.
        let _ = self.processor.shutdown_with_timeout(timeout);
        let n_spans = self.losses.under_way.load(Ordering::Relaxed);
        if n_spans > 0 {
            let cause = self.losses.cause();
            tracing::warn!(n_spans, cause, "the collector of traces did not take the last spans in time");
        }
    }
}

/// A random one.
pub(super) fn new_span_id() -> u64 {
    u64::from_be_bytes(RandomIdGenerator::default().new_span_id().to_bytes())
}

/// What tells this program's spans from those of others. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go first.
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
        if let Some(n_before) = self.told.allow(()) {
            tracing::warn!(
                outcome,
                n_before,
                cause = self.cause(),
                "spans are lost: the collector of traces does not take them; look at it and at telemetry.otlp_endpoint. Nothing else waits for it"
            );
        }
    }

    fn cause(&self) -> String {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_cause(&self, cause: &str) {
        cause.clone_into(&mut self.cause.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The exporter of the library, and a count of what it does.
#[derive(Debug)]
struct Counted {
    exporter: SpanExporter,
    losses: Arc<Losses>,
}

impl opentelemetry_sdk::trace::SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let n_spans = batch.len();
        let outcome = self.exporter.export(batch).await;
        self.losses.under_way.fetch_sub(n_spans, Ordering::Relaxed);
        match outcome {
            Ok(()) => {
                metrics::counter!("ipn_receiver_trace_spans_total", "outcome" => "exported").increment(n_spans as u64)
            }
            Err(_) => self.losses.lost("failed", n_spans),
        }
        outcome
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Posts for the exporter, whose own thread has no runtime for sockets.
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
        let outcome = posted.unwrap_or_else(|_| Err("the process ends".to_owned()));
        match &outcome {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.losses.note_cause(&format!("it answered {}", answer.status())),
            Err(what) => self.losses.note_cause(what),
        }
        Ok(outcome?)
    }
}

async fn post(http: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
    let (head, body) = request.into_parts();
    let request = http.post(head.uri.to_string()).headers(head.headers).body(body);
    let answer = request.send().await.map_err(told)?;
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

/// Some hundred bytes each.
const SPANS_MAX: usize = 4096;
const SEND_EVERY: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const TELL_EVERY: Duration = Duration::from_mins(1);
