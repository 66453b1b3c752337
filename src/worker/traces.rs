//! The worker's spans. The parent of each is the IPN that led to it, by the `traceparent` of the inbox record.

use crate::config::Topics;
use crate::domain::events::Wire;
use crate::domain::pay::ObjectRef;
use crate::domain::record_headers::{self, header};
use crate::domain::trace::TraceParent;
use crate::domain::work::{Cause, Origin, WorkQueue};
use crate::kafka::outbox::Batch;
use crate::telemetry::spans::{Open, SpanKind, Spans};

/// A read of the Amazon Pay API, under the newest IPN that waits for it.
pub(super) fn read(spans: &Spans, queue: &WorkQueue, object: &ObjectRef) -> Open {
    if !spans.are_on() {
        return Open::default();
    }
    let mut span = under_newest(spans, causes_of(queue, object), SpanKind::Client, "GET");
    span.rename(|| format!("GET /v2/{}/{{{}}}", object.kind.path_segment(), object.kind.id_field()));
    span.note("http.request.method", "GET");
    span.note("url.template", format!("/v2/{}/{{{}}}", object.kind.path_segment(), object.kind.id_field()));
    span.note("object.id", object.id.to_string());
    span
}

/// The events and dead letters of a transaction. Each event gets the span that publishes it.
pub(super) fn sending(spans: &Spans, batch: &mut Batch, topics: &Topics, wire: &Wire) -> Vec<Open> {
    if !spans.are_on() {
        return Vec::new();
    }
    let mut sending = Vec::new();
    for (event, _) in &mut batch.events {
        let mut span = under_newest(spans, &event.causes, SpanKind::Producer, "send");
        span.note_sending(&topics.events, &event.id.to_string());
        span.note("messaging.kafka.message.key", event.charge_permission_id.to_string());
        span.note("cloudevents.event_id", event.id.to_string());
        span.note("cloudevents.event_type", wire.type_of(event));
        span.note("object.id", event.object.id.to_string());
        event.published_by = span.traceparent();
        sending.push(span);
    }
    for dead_letter in &batch.dead_letters {
        let parent = header(&dead_letter.headers, record_headers::TRACEPARENT).and_then(TraceParent::parse);
        let mut span = spans.under(parent, SpanKind::Producer, "send");
        span.note_sending(
            &topics.dead_letters,
            header(&dead_letter.headers, record_headers::SNS_MESSAGE_ID).unwrap_or_default(),
        );
        span.note("ipn_receiver.dead_letter.reason", dead_letter.reason.as_str());
        sending.push(span);
    }
    sending
}

/// Ends the spans of a transaction.
pub(super) fn sent(sending: Vec<Open>, is_committed: bool) {
    for span in sending {
        if is_committed { span.end() } else { span.fail("transaction-in-doubt") }
    }
}

/// A span under the newest IPN, linked with the others that it answers.
fn under_newest(spans: &Spans, causes: &[Cause], kind: SpanKind, name: &'static str) -> Open {
    let mut newest_first = causes.iter().rev().filter_map(Cause::traceparent);
    let mut span = spans.under(newest_first.next(), kind, name);
    span.link(newest_first);
    span
}

/// The causes of a read. For a parent read, the causes of the object that needs the parent.
fn causes_of<'a>(queue: &'a WorkQueue, object: &ObjectRef) -> &'a [Cause] {
    let mut object = object.clone();
    for _ in 0..PARENT_DEPTH_MAX {
        let causes = queue.causes_of(&object).0;
        let waits = causes.iter().find_map(|cause| match &cause.origin {
            Origin::ParentRead { read_for, .. } => Some((read_for.kind_hint()?, read_for.clone())),
            Origin::Ipn { .. } | Origin::Reconciliation | Origin::Recheck { .. } => None,
        });
        match waits {
            Some((kind, id)) if !causes.iter().any(Cause::is_ipn) => object = object.sibling(kind, id),
            _ => return causes,
        }
    }
    &[]
}

/// Refund, charge, charge permission.
const PARENT_DEPTH_MAX: usize = 3;
