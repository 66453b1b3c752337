//! Step 1. Where SNS posts: limits, the deadline, and which status says whose fault it is.
//!
//! SNS never repeats a delivery that was answered with a 4xx. So a 4xx is given only to what can never become
//! good (no envelope, a forgery, too large), 200 only when the notification is durable or deliberately ignored,
//! and everything else is 503: our trouble, Amazon's, or a setting the operator may be changing right now.

mod body;
mod rejection;
mod trace;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::header::RETRY_AFTER;
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

pub use self::body::Bodies;
use self::rejection::{Rejection, Told};
use self::trace::RequestTrace;
use crate::amazon::signing_certs::SigningCerts;
use crate::amazon::subscriptions::Subscriptions;
use crate::clock::Clock;
use crate::config;
use crate::domain::ipn::Message;
use crate::domain::ipn::notification::Notification;
use crate::domain::ipn::routing::Merchants;
use crate::domain::pay::Account;
use crate::domain::sns::{Envelope, MessageType, Policy, SigningCertUrl, verify};
use crate::domain::timestamp::Timestamp;
use crate::http::problem::{method_not_allowed, not_found, problem};
use crate::kafka::inbox::Inbox;
use crate::telemetry::log_throttle::LogThrottle;
use crate::telemetry::spans::Spans;

/// Everything a request needs.
pub struct Ingress {
    /// The inbox topic.
    pub inbox: Arc<Inbox>,
    /// Signing certificates.
    pub certs: SigningCerts,
    /// Confirms subscriptions.
    pub subscriptions: Subscriptions,
    /// Who may notify us.
    pub merchants: Arc<Merchants>,
    /// The terms on which their messages are taken.
    pub policy: Policy,
    /// By which signatures are judged.
    pub clock: Clock,
    /// Takes bodies in.
    pub bodies: Bodies,
    /// Limits.
    pub settings: config::Ingress,
    /// What was told lately, by outcome and subject.
    pub told: LogThrottle<(&'static str, String)>,
    /// Where the trace of each goes.
    pub spans: Spans,
    /// Set when the process is about to leave.
    pub is_leaving: Arc<AtomicBool>,
}

/// What became of a request that got a 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepted {
    Durable,
    IgnoredLegacyV1,
    IgnoredUnsubscribe,
    ConfirmedSubscription,
}

/// The routes of the public port.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/ipn")
                .route(web::post().to(receive))
                .default_service(web::to(async || method_not_allowed("POST"))),
        )
        .default_service(web::to(not_found));
}

/// No merchant's IPN has come yet: without a 0, nobody could tell that none ever did.
pub fn show_silence(merchants: &Merchants) {
    merchants.accounts().for_each(|account| show_last_genuine(account, 0.0));
}

fn show_last_genuine(account: &Account, at_s: f64) {
    let labels = [("merchant", account.merchant_id.to_string()), ("environment", account.environment.to_string())];
    metrics::gauge!("ipn_receiver_last_genuine_ipn_timestamp_seconds", &labels).set(at_s);
}

/// SNS says so in a header, which nobody has signed: it only explains a body that is no envelope.
fn is_raw_delivery(request: &HttpRequest) -> bool {
    request.headers().get("x-amz-sns-rawdelivery").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

async fn receive(ingress: web::Data<Ingress>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let started = Instant::now();
    let deadline = Duration::from_millis(ingress.settings.deadline_ms);
    let mut trace = RequestTrace::begin(&ingress.spans, &request);
    let outcome = match tokio::time::timeout(deadline, ingress.accept(&request, payload, &mut trace)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Rejection::Deadline(ingress.settings.deadline_ms)),
    };
    metrics::histogram!("ipn_receiver_request_seconds").record(started.elapsed().as_secs_f64());
    let mut answer = match &outcome {
        Ok(accepted) => {
            metrics::counter!("ipn_receiver_requests_total", "outcome" => accepted.as_str()).increment(1);
            HttpResponse::Ok().finish()
        }
        Err(rejection) => ingress.refuse(rejection),
    };
    trace.end(answer.status(), outcome.as_ref().map(|accepted| accepted.as_str()));
    if ingress.is_leaving.load(Ordering::Relaxed) {
        // Whoever keeps the connection would find it closed, perhaps in the midst of the next request.
        answer.head_mut().set_connection_type(ConnectionType::Close);
    }
    answer
}

impl Ingress {
    /// Body → envelope → certificate → proof → durable.
    async fn accept(
        &self,
        request: &HttpRequest,
        payload: web::Payload,
        trace: &mut RequestTrace<'_>,
    ) -> Result<Accepted, Rejection> {
        let received_at = self.clock.now();
        let (body, _room) = self.bodies.take(request, payload).await?;
        let envelope = match Envelope::parse(body) {
            Err(_) if is_raw_delivery(request) => return Err(Rejection::RawDelivery),
            parsed => parsed?,
        };
        let traceparent = trace.learn(&envelope.message_id);
        let url = SigningCertUrl::parse(&envelope.signing_cert_url, &self.policy)?;
        let cert = self.certs.get(&url).await?;
        let started = Instant::now();
        let verified = verify(envelope, &cert, &self.policy, self.clock.now());
        metrics::histogram!("ipn_receiver_verification_seconds").record(started.elapsed().as_secs_f64());
        let verified = verified?;
        match verified.get().message_type {
            MessageType::UnsubscribeConfirmation => {
                let topic = verified.get().topic_arn.as_str();
                if self.allow("ignored-unsubscribe-confirmation", topic).is_some() {
                    tracing::warn!(
                        topic,
                        "Amazon SNS says that our subscription was removed; check the IPN settings in Seller Central"
                    );
                }
                return Ok(Accepted::IgnoredUnsubscribe);
            }
            MessageType::SubscriptionConfirmation => return self.confirm(verified.get()).await,
            MessageType::Notification => {}
        }
        let notification = Notification::new(verified, &self.merchants, &self.policy);
        if let Message::LegacyV1 { notification_type } = notification.message() {
            let topic = notification.envelope().topic_arn.as_str();
            if let Some(n_before) = self.allow("ignored-legacy-v1", topic) {
                tracing::warn!(
                    notification_type,
                    topic,
                    n_before,
                    "a V1 (MWS, XML) notification; this service reads V2 only: move the integration to Amazon Pay's API v2, or take this URL out of the V1 settings"
                );
            }
            return Ok(Accepted::IgnoredLegacyV1);
        }
        let started = Instant::now();
        let message_id = &notification.envelope().message_id;
        let append = trace.append(self.inbox.topic(), &notification);
        let appended = self.inbox.append(&notification, received_at, append.traceparent().unwrap_or(traceparent)).await;
        if let Err(error) = appended {
            append.fail("inbox-unavailable");
            return Err(error.into());
        }
        append.end();
        metrics::histogram!("ipn_receiver_inbox_append_seconds").record(started.elapsed().as_secs_f64());
        let object = if let Message::Ipn(ipn) = notification.message() { Some(ipn.object_id.as_str()) } else { None };
        tracing::info!(object.id = object, sns.message_id = message_id, trace_id = traceparent.trace_id(), "durable");
        self.note_genuine(&notification, received_at);
        Ok(Accepted::Durable)
    }

    fn note_genuine(&self, notification: &Notification, received_at: Timestamp) {
        let Message::Ipn(ipn) = notification.message() else { return };
        // Of one that is nobody's here the worker makes a dead letter.
        if let Ok(object) = self.merchants.route(&notification.envelope().topic_arn, ipn) {
            show_last_genuine(&object.account, received_at.unix_ms() as f64 / 1000.0);
        }
    }

    async fn confirm(&self, envelope: &Envelope) -> Result<Accepted, Rejection> {
        let token = envelope.confirmation.as_ref().map_or("", |confirmation| confirmation.token.as_str());
        self.subscriptions.confirm(&envelope.topic_arn, token).await?;
        tracing::info!(topic = envelope.topic_arn.as_str(), "subscription confirmed");
        Ok(Accepted::ConfirmedSubscription)
    }

    fn refuse(&self, rejection: &Rejection) -> HttpResponse {
        let (status, slug, title) = rejection.answer();
        metrics::counter!("ipn_receiver_requests_total", "outcome" => slug).increment(1);
        match (self.allow(slug, rejection.subject()), rejection.told()) {
            (None, _) => tracing::debug!(%rejection, outcome = slug, "again"),
            (Some(n_before), Told::Info) => tracing::info!(%rejection, outcome = slug, n_before, "refused"),
            (Some(n_before), Told::Warn) => tracing::warn!(%rejection, outcome = slug, n_before, "{NOT_TAKEN}"),
            (Some(n_before), Told::Error) => tracing::error!(%rejection, outcome = slug, n_before, "{NOT_TAKEN}"),
        }
        let mut answer = problem(status, slug, title);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(RETRY_AFTER, self.settings.retry_after_s.into());
        }
        answer
    }

    /// Whether to log it now, and how often it came since it last was.
    fn allow(&self, what: &'static str, subject: &str) -> Option<u64> {
        self.told.allow((what, subject.to_owned()))
    }
}

/// What comes again and again is told once in this time, with the number of those before.
pub const TELL_EVERY: Duration = Duration::from_secs(10);
const NOT_TAKEN: &str = "a message that may be genuine was not taken; SNS will repeat it for a while";

impl Accepted {
    fn as_str(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::IgnoredLegacyV1 => "ignored-legacy-v1",
            Self::IgnoredUnsubscribe => "ignored-unsubscribe-confirmation",
            Self::ConfirmedSubscription => "confirmed-subscription",
        }
    }
}
