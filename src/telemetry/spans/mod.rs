//! Spans: the trace of a notification as a collector sees it, from the POST to the event.
//!
//! They are made by hand at four places (the POST, the append, the read, the publishing) and hold ids, words and times, never
//! what a buyer said. There is no ambient context: what belongs together is told by the `traceparent` that a notification has
//! anyway. Nothing of the receiver waits for the collector, and without `telemetry.otlp_endpoint` there is no span at all.

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

/// Where spans go, if they go anywhere. Clones are the same.
#[derive(Clone, Default)]
pub struct Spans(Option<Arc<Export>>);

impl Spans {
    /// Where the settings say. Requests to the collector run on the runtime this is called in.
    pub fn start(settings: &Telemetry) -> Result<Self, Error> {
        let export = settings.otlp_endpoint.as_deref().map(|endpoint| Export::start(endpoint, settings.sample_ratio));
        Ok(Self(export.transpose()?.map(Arc::new)))
    }

    /// Whether there is a collector.
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// A span under one of another process, if that one is recorded.
    pub fn under(&self, parent: Option<TraceParent>, kind: SpanKind, name: &'static str) -> Open {
        match (&self.0, parent.filter(|parent| parent.is_sampled())) {
            (Some(export), Some(parent)) => Open::new(export, Parent::Remote(parent), kind, name, SystemTime::now()),
            _ => Open::default(),
        }
    }

    /// The first span of a trace that nobody has recorded yet, if it belongs to the part that is to be.
    pub fn first(&self, trace: TraceParent, kind: SpanKind, name: &'static str, started_at: SystemTime) -> Open {
        match &self.0 {
            Some(export) if trace.is_within(export.sample_ratio) => {
                Open::new(export, Parent::None(trace), kind, name, started_at)
            }
            _ => Open::default(),
        }
    }

    /// Hands over what is left, and waits for that no longer than `timeout`. Blocks.
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
    fn without_an_endpoint_there_is_no_span_whatever_comes() {
        // There is no runtime here either, which a way out would need.
        let spans = Spans::start(&Telemetry::default()).expect("nothing is started");
        let given = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("sampled");
        let span = spans.under(Some(given), SpanKind::Server, "POST /ipn");
        let first = spans.first(given, SpanKind::Server, "POST /ipn", SystemTime::now());
        assert!(!spans.are_on());
        assert_eq!([span.traceparent(), first.child(SpanKind::Producer, "send").traceparent()], [None, None]);
    }
}
