//! Spans: the trace of an IPN from the POST to the event, exported over OTLP.
//!
//! The code creates spans explicitly at four places (POST, append, read, publish). They hold ids, enum values and times,
//! never buyer data. There is no ambient context: the `traceparent` of the IPN links its spans. The receiver never waits
//! for the collector, and without `telemetry.otlp_endpoint` it creates no spans.

mod export;
mod open;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use opentelemetry::trace::SpanKind;

pub use self::export::Error;
use self::export::Export;
pub use self::open::Open;
use self::open::Parent;
use crate::config::Telemetry;
use crate::domain::trace::TraceParent;

/// The export of spans, if one is configured. Clones share it.
#[derive(Clone, Default)]
pub struct Spans(Option<Arc<Export>>);

impl Spans {
    /// Starts the export to `telemetry.otlp_endpoint`. Requests run on the Tokio runtime that this is called in.
    pub fn start(settings: &Telemetry) -> Result<Self, Error> {
        let export = settings.otlp_endpoint.as_deref().map(|endpoint| Export::start(endpoint, settings.sample_ratio));
        Ok(Self(export.transpose()?.map(Arc::new)))
    }

    /// Whether spans are exported.
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// A child of a span of another process, if that span is sampled.
    pub fn under(&self, parent: Option<TraceParent>, kind: SpanKind, name: &'static str) -> Open {
        match (&self.0, parent.filter(|parent| parent.is_sampled())) {
            (Some(export), Some(parent)) => Open::new(export, Parent::Remote(parent), kind, name, SystemTime::now()),
            _ => Open::default(),
        }
    }

    /// The root span of a new trace, if the trace is within `telemetry.sample_ratio`.
    pub fn first(&self, trace: TraceParent, kind: SpanKind, name: &'static str, started_at: SystemTime) -> Open {
        match &self.0 {
            Some(export) if trace.is_within(export.sample_ratio) => {
                Open::new(export, Parent::None(trace), kind, name, started_at)
            }
            _ => Open::default(),
        }
    }

    /// Exports the remaining spans. Blocks up to `timeout`.
    pub fn finish(&self, timeout: Duration) {
        if let Some(export) = &self.0 {
            export.finish(timeout);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_endpoint_no_span_is_created() {
        // An export would need a Tokio runtime, which this test does not have.
        let spans = Spans::start(&Telemetry::default()).expect("nothing is started");
        let given = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("sampled");
        let span = spans.under(Some(given), SpanKind::Server, "POST /ipn");
        let first = spans.first(given, SpanKind::Server, "POST /ipn", SystemTime::now());
        assert!(!spans.are_on());
        assert_eq!([span.traceparent(), first.child(SpanKind::Producer, "send").traceparent()], [None, None]);
    }
}
