//! A span that has started and not ended.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::export::{Export, new_span_id};
use crate::domain::trace::TraceParent;

/// A span that is exported when it ends, or as canceled if it is dropped before. The default is no span, at no cost.
#[derive(Default)]
pub struct Open(Option<Box<Recorded>>);

struct Recorded {
    export: Arc<Export>,
    trace: TraceParent,
    span: SpanData,
}

/// The parent of a span.
#[derive(Clone, Copy)]
pub(super) enum Parent {
    /// No parent: the span is the root of this trace.
    None(TraceParent),
    /// A span of this process.
    Local(TraceParent),
    /// A span of another process, or of an earlier stage.
    Remote(TraceParent),
}

impl Open {
    pub(super) fn new(
        export: &Arc<Export>,
        parent: Parent,
        span_kind: SpanKind,
        name: &'static str,
        start_time: SystemTime,
    ) -> Self {
        let (trace, parent_span_id, parent_span_is_remote) = match parent {
            Parent::None(trace) => (trace, SpanId::INVALID, false),
            Parent::Local(trace) => (trace, SpanId::from(trace.ids().1), false),
            Parent::Remote(trace) => (trace, SpanId::from(trace.ids().1), true),
        };
        let trace = trace.under(new_span_id());
        let span = SpanData {
            span_context: context(trace, false),
            parent_span_id,
            parent_span_is_remote,
            span_kind,
            name: name.into(),
            start_time,
            end_time: start_time,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: export.scope.clone(),
        };
        Self(Some(Box::new(Recorded { export: export.clone(), trace, span })))
    }

    /// A child of this span.
    #[must_use]
    pub fn child(&self, kind: SpanKind, name: &'static str) -> Self {
        let Some(Recorded { export, trace, .. }) = self.0.as_deref() else { return Self::default() };
        Self::new(export, Parent::Local(*trace), kind, name, SystemTime::now())
    }

    /// The parent for followers, if this span is recorded.
    pub fn traceparent(&self) -> Option<TraceParent> {
        self.0.as_deref().map(|recorded| recorded.trace)
    }

    /// Renames the span; the name is built only if the span is recorded.
    pub fn rename(&mut self, name: impl FnOnce() -> String) {
        if let Some(recorded) = &mut self.0 {
            recorded.span.name = name().into();
        }
    }

    /// Adds an attribute, named by OpenTelemetry's semantic conventions.
    pub fn note(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(recorded) = &mut self.0 {
            recorded.span.attributes.push(KeyValue::new(name, value));
        }
    }

    /// Adds the attributes of a record sent to Kafka. `message_id` is the id of the CloudEvent or of the SNS message.
    pub fn note_sending(&mut self, topic: &str, message_id: &str) {
        let Some(recorded) = &mut self.0 else { return };
        recorded.span.name = format!("send {topic}").into();
        recorded.span.attributes.extend([
            KeyValue::new("messaging.system", "kafka"),
            KeyValue::new("messaging.operation.name", "send"),
            KeyValue::new("messaging.operation.type", "send"),
            KeyValue::new("messaging.destination.name", topic.to_owned()),
            KeyValue::new("messaging.message.id", message_id.to_owned()),
        ]);
    }

    /// Links other traces that also led to this span.
    pub fn link(&mut self, traces: impl Iterator<Item = TraceParent>) {
        if let Some(recorded) = &mut self.0 {
            let links = traces.take(LINKS_MAX).map(|trace| Link::with_context(context(trace, true)));
            recorded.span.links.links.extend(links);
        }
    }

    /// Ends the span as successful.
    pub fn end(self) {
        self.finish(Status::Unset);
    }

    /// Ends the span as failed. `error_type` is a word of a known set.
    pub fn fail(mut self, error_type: &'static str) {
        self.note("error.type", error_type);
        self.finish(Status::error(error_type));
    }

    /// Discards the span.
    pub fn discard(mut self) {
        self.0 = None;
    }

    fn finish(mut self, status: Status) {
        let Some(recorded) = self.0.take() else { return };
        let Recorded { export, mut span, .. } = *recorded;
        span.status = status;
        span.end_time = SystemTime::now();
        export.hand_over(span);
    }
}

/// The code that the span covers was canceled.
impl Drop for Open {
    fn drop(&mut self) {
        if self.0.is_some() {
            std::mem::take(self).fail("canceled");
        }
    }
}

fn context(trace: TraceParent, is_remote: bool) -> SpanContext {
    let (trace_id, span_id) = trace.ids();
    let flags = if trace.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    SpanContext::new(TraceId::from(trace_id), SpanId::from(span_id), flags, is_remote, TraceState::NONE)
}

/// The most that OpenTelemetry's SDKs keep of a span's links.
const LINKS_MAX: usize = 128;
