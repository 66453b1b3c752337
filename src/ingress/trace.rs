//! The span of one `POST /ipn`, and the trace that its message belongs to.

use std::time::SystemTime;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use uuid::Uuid;

use super::rejection::{Rejection, Told};
use crate::domain::ipn::Message;
use crate::domain::ipn::notification::Notification;
use crate::domain::record_headers;
use crate::domain::trace::TraceParent;
use crate::telemetry::spans::{Open, SpanKind, Spans};

/// What is known of it while the request is answered.
pub(super) struct RequestTrace<'a> {
    spans: &'a Spans,
    started_at: SystemTime,
    /// What the poster gave, or else what is made of the message.
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

    /// The request is about this message: its trace, if the poster gave none, is the message's own.
    pub(super) fn learn(&mut self, message_id: &str) -> TraceParent {
        let traceparent = *self.traceparent.get_or_insert_with(|| {
            let uuid: Uuid = message_id.parse().expect("an envelope's MessageId is a UUID");
            let made = TraceParent::of_message(uuid);
            self.span = self.spans.first(made, SpanKind::Server, NAME, self.started_at);
            made
        });
        self.span.note("messaging.message.id", message_id.to_owned());
        traceparent
    }

    /// The span of the append, under that of the request.
    pub(super) fn append(&self, topic: &str, notification: &Notification) -> Open {
        let mut span = self.span.child(SpanKind::Producer, "send");
        span.note_sending(topic, &notification.envelope().message_id);
        if let Message::Ipn(ipn) = notification.message() {
            span.note("object.id", ipn.object_id.to_string());
        }
        span
    }

    /// The request is answered. What strangers can cause as they like leaves no span.
    pub(super) fn end(mut self, status: StatusCode, outcome: Result<&'static str, &Rejection>) {
        if outcome.is_err_and(|rejection| rejection.told() == Told::Info) {
            return self.span.forget();
        }
        let word = outcome.unwrap_or_else(|rejection| rejection.answer().1);
        self.span.note("http.request.method", "POST");
        self.span.note("http.route", "/ipn");
        self.span.note("url.path", "/ipn");
        self.span.note("url.scheme", "http");
        self.span.note("http.response.status_code", i64::from(status.as_u16()));
        self.span.note("ipn_receiver.outcome", word);
        if status.is_server_error() { self.span.fail(word) } else { self.span.end() }
    }
}

const NAME: &str = "POST /ipn";
