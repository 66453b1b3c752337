//! The span of one `POST /ipn`, and the trace of its message.

use std::time::SystemTime;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use uuid::Uuid;

use super::rejection::{Rejection, Severity};
use crate::domain::ipn::Message;
use crate::domain::ipn::notification::Notification;
use crate::domain::record_headers;
use crate::domain::trace::TraceParent;
use crate::telemetry::spans::{Open, SpanKind, Spans};

/// The trace of a request that is in progress.
pub(super) struct RequestTrace<'a> {
    spans: &'a Spans,
    started_at: SystemTime,
    /// The sender's `traceparent`, otherwise one derived from the message id.
    traceparent: Option<TraceParent>,
    span: Open,
}

impl<'a> RequestTrace<'a> {
    pub(super) fn begin(spans: &'a Spans, request: &HttpRequest) -> Self {
        let given =
            request.headers().get(record_headers::TRACEPARENT).and_then(|text| TraceParent::parse(text.to_str().ok()?));
        let span = spans.under(given, SpanKind::Server, NAME);
        Self { spans, started_at: SystemTime::now(), traceparent: given, span }
    }

    /// Sets the message of the request. Without a `traceparent` of the sender, the trace is derived from the message id.
    pub(super) fn set_message(&mut self, message_id: &str) -> TraceParent {
        let traceparent = *self.traceparent.get_or_insert_with(|| {
            let uuid: Uuid = message_id.parse().expect("an envelope's MessageId is a UUID");
            let derived = TraceParent::of_message(uuid);
            self.span = self.spans.first(derived, SpanKind::Server, NAME, self.started_at);
            derived
        });
        self.span.note("messaging.message.id", message_id.to_owned());
        traceparent
    }

    /// The span of the append, a child of the request's span.
    pub(super) fn append(&self, topic: &str, notification: &Notification) -> Open {
        let mut span = self.span.child(SpanKind::Producer, "send");
        span.note_sending(topic, &notification.envelope().message_id);
        if let Message::Ipn(ipn) = notification.message() {
            span.note("object.id", ipn.object_id.to_string());
        }
        span
    }

    /// Ends the span. A request that anyone can cause at will leaves no span.
    pub(super) fn end(mut self, status: StatusCode, outcome: Result<&'static str, &Rejection>) {
        if outcome.is_err_and(|rejection| rejection.severity() == Severity::Info) {
            return self.span.discard();
        }
        let outcome = outcome.unwrap_or_else(|rejection| rejection.answer().slug);
        self.span.note("http.request.method", "POST");
        self.span.note("http.route", "/ipn");
        self.span.note("url.path", "/ipn");
        self.span.note("url.scheme", "http");
        self.span.note("http.response.status_code", i64::from(status.as_u16()));
        self.span.note("ipn_receiver.outcome", outcome);
        if status.is_server_error() { self.span.fail(outcome) } else { self.span.end() }
    }
}

const NAME: &str = "POST /ipn";
