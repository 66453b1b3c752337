//! Step 1. Receives the messages of Amazon SNS at `POST /ipn`: limits, deadline and response status.
//!
//! SNS never repeats a delivery that was answered 4xx. The receiver therefore answers 4xx only to a message that can
//! never be accepted (not an envelope, forged, too large), and 200 only when the message is stored in the inbox or
//! deliberately ignored. It answers 503 to everything else: failures of the receiver, of Kafka or of Amazon, and
//! messages that a setting refuses, since an operator may correct the setting.

mod body;
mod last_genuine;
mod misdirected;
mod rejection;
mod stored_lately;
mod topic_limits;
mod trace;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::header::RETRY_AFTER;
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

pub use self::body::Bodies;
pub use self::last_genuine::LastGenuine;
use self::rejection::{Answer, NotStored, Rejection, Severity};
use self::stored_lately::Stored;
pub use self::stored_lately::StoredLately;
pub use self::topic_limits::TopicLimits;
use self::trace::RequestTrace;
use crate::amazon::signing_certs::SigningCerts;
use crate::amazon::subscriptions::Subscriptions;
use crate::clock::Clock;
use crate::config;
use crate::domain::ipn::Message;
use crate::domain::ipn::notification::Notification;
use crate::domain::ipn::routing::Merchants;
use crate::domain::sns::{Envelope, MessageType, Policy, SigningCert, SigningCertUrl, Verified, verify};
use crate::domain::trace::TraceParent;
use crate::http::connections::Connection;
use crate::http::problem::problem;
use crate::kafka::inbox::{AppendError, Inbox};
use crate::telemetry::log_throttle::LogThrottle;
use crate::telemetry::spans::{Open, Spans};

/// Everything a request needs.
pub struct Ingress {
    /// The inbox topic.
    pub inbox: Arc<Inbox>,
    /// The cache of signing certificates.
    pub certs: SigningCerts,
    /// Confirms subscriptions.
    pub subscriptions: Subscriptions,
    /// The configured merchants.
    pub merchants: Arc<Merchants>,
    /// The rules for accepting a message.
    pub policy: Policy,
    /// The time for checks of signatures and certificates.
    pub clock: Clock,
    /// The messages that were stored lately.
    pub stored_lately: StoredLately,
    /// How many messages of a topic are stored per second.
    pub topic_limits: TopicLimits,
    /// Reads bodies.
    pub bodies: Bodies,
    /// When the last genuine IPNs were published.
    pub last_genuine: LastGenuine,
    /// The limits.
    pub settings: config::Ingress,
    /// Limits equal log lines, by outcome and cause (for messages that are verified, the topic).
    pub log_throttle: LogThrottle<(&'static str, Option<String>)>,
    /// The export of traces.
    pub spans: Spans,
    /// Set when the process is shutting down.
    pub is_leaving: Arc<AtomicBool>,
}

/// The outcome of a request that was answered 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepted {
    Stored,
    AlreadyStored,
    IgnoredLegacyV1,
    IgnoredUnsubscribe,
    ConfirmedSubscription,
}

/// The routes of the public port. The server removes surplus slashes from paths first: `/ipn/` and `//ipn` are `/ipn`.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/ipn")
                .route(web::post().to(receive))
                .default_service(web::to(misdirected::method_not_allowed)),
        )
        .default_service(web::to(misdirected::not_found));
}

/// SNS sets this header for raw deliveries. The header is not signed, so it only explains a body that is not an envelope.
fn is_raw_delivery(request: &HttpRequest) -> bool {
    request.headers().get("x-amz-sns-rawdelivery").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// The HTTP server takes everything that follows for the body then, whatever Content-Length says.
fn is_websocket(request: &HttpRequest) -> bool {
    request.headers().get("upgrade").is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
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
        Err(rejection) => ingress.reject(rejection),
    };
    trace.end(answer.status(), outcome.as_ref().map(|accepted| accepted.as_str()));
    if ingress.is_leaving.load(Ordering::Relaxed) || answer.status().is_client_error() || request.head().upgrade() {
        // A connection that stays open would be closed during shutdown, perhaps in the middle of a request. And who is refused
        // for good has no claim to one, nor who asks for another protocol.
        answer.head_mut().set_connection_type(ConnectionType::Close);
    }
    answer
}

impl Ingress {
    /// Reads the body, parses the envelope, fetches the certificate, verifies the signature, and stores the message.
    async fn accept(
        &self,
        request: &HttpRequest,
        payload: web::Payload,
        trace: &mut RequestTrace<'_>,
    ) -> Result<Accepted, Rejection> {
        let received_at = self.clock.now();
        if is_websocket(request) {
            return Err(Rejection::Upgrade);
        }
        let body = self.bodies.read(request, payload).await?;
        let _working = request.conn_data::<Arc<Connection>>().map(Connection::work);
        let envelope = match Envelope::parse(&body.bytes) {
            Err(_) if is_raw_delivery(request) => return Err(Rejection::RawDelivery),
            parsed => parsed?,
        };
        let traceparent = trace.set_message(&envelope.message_id);
        let (verified, signing_cert) = self.verify(envelope).await?;
        match verified.get().message_type {
            MessageType::UnsubscribeConfirmation => return Ok(self.ignore_unsubscribe(verified.get())),
            MessageType::SubscriptionConfirmation => return self.confirm(verified.get()).await,
            MessageType::Notification => {}
        }
        let notification = Notification::new(verified, &self.merchants, &self.policy);
        if let Message::LegacyV1 { notification_type } = notification.message() {
            return Ok(self.ignore_legacy_v1(notification.envelope(), notification_type));
        }
        let append = async {
            self.topic_limits.take(notification.envelope(), received_at)?;
            let span = trace.append(self.inbox.topic(), &notification);
            let traceparent = span.traceparent().unwrap_or(traceparent);
            self.append(self.inbox.append(&notification, &signing_cert, received_at, traceparent), span).await
        };
        match self.stored_lately.store(notification.envelope(), append).await? {
            Stored::Before => return Ok(self.skip_stored(notification.envelope())),
            Stored::Now => log_stored(&notification, traceparent),
        }
        // An IPN without a configured merchant becomes a dead letter in the worker.
        if let Some(object) = notification.object() {
            self.last_genuine.note(&object.account, notification.envelope().timestamp);
        }
        Ok(Accepted::Stored)
    }

    async fn append(
        &self,
        appending: impl Future<Output = Result<(), AppendError>>,
        span: Open,
    ) -> Result<(), NotStored> {
        let started = Instant::now();
        if let Err(error) = appending.await {
            span.fail("inbox-unavailable");
            return Err(error.into());
        }
        span.end();
        metrics::histogram!("ipn_receiver_inbox_append_seconds").record(started.elapsed().as_secs_f64());
        Ok(())
    }

    async fn verify(&self, envelope: Envelope) -> Result<(Verified<Envelope>, Arc<SigningCert>), Rejection> {
        let url = SigningCertUrl::parse(&envelope.signing_cert_url, &self.policy).map_err(|refused| {
            Rejection::CertificateUrl { refused, topic_arn: envelope.topic_arn.as_str().to_owned() }
        })?;
        let cert = self.certs.get(&url).await?;
        let started = Instant::now();
        let verified = verify(envelope, &cert, &self.policy, self.clock.now());
        metrics::histogram!("ipn_receiver_verification_seconds").record(started.elapsed().as_secs_f64());
        Ok((verified?, cert))
    }

    async fn confirm(&self, envelope: &Envelope) -> Result<Accepted, Rejection> {
        let token = envelope.confirmation.as_ref().map_or("", |confirmation| confirmation.token.as_str());
        self.subscriptions.confirm(&envelope.topic_arn, token).await?;
        tracing::info!(
            topic_arn = envelope.topic_arn.as_str(),
            sns_message_id = envelope.message_id,
            "subscription confirmed; Amazon SNS delivers the topic's messages from now on"
        );
        Ok(Accepted::ConfirmedSubscription)
    }

    fn skip_stored(&self, envelope: &Envelope) -> Accepted {
        let topic_arn = envelope.topic_arn.as_str();
        if let Some(suppressed) = self.allow_log(Accepted::AlreadyStored.as_str(), Some(topic_arn.to_owned())) {
            tracing::info!(
                topic_arn,
                sns_message_id = envelope.message_id,
                suppressed,
                "a message came again that is in the inbox already, answered 200; many of them are copies that somebody sends, or answers \
                 that Amazon SNS did not get"
            );
        }
        Accepted::AlreadyStored
    }

    fn ignore_unsubscribe(&self, envelope: &Envelope) -> Accepted {
        let topic_arn = envelope.topic_arn.as_str();
        if let Some(suppressed) = self.allow_log(Accepted::IgnoredUnsubscribe.as_str(), Some(topic_arn.to_owned())) {
            tracing::warn!(
                topic_arn,
                sns_message_id = envelope.message_id,
                suppressed,
                "Amazon SNS reports that the subscription of this endpoint was removed; check the IPN settings in Seller Central"
            );
        }
        Accepted::IgnoredUnsubscribe
    }

    fn ignore_legacy_v1(&self, envelope: &Envelope, notification_type: &str) -> Accepted {
        let topic_arn = envelope.topic_arn.as_str();
        if let Some(suppressed) = self.allow_log(Accepted::IgnoredLegacyV1.as_str(), Some(topic_arn.to_owned())) {
            tracing::warn!(
                notification_type,
                topic_arn,
                sns_message_id = envelope.message_id,
                suppressed,
                "IPN of API version 1 (MWS, XML) ignored; the receiver supports version 2 only: migrate the integration to Amazon Pay API v2, or remove this URL from the V1 settings"
            );
        }
        Accepted::IgnoredLegacyV1
    }

    fn reject(&self, error: &Rejection) -> HttpResponse {
        let Answer { status, slug, title } = error.answer();
        metrics::counter!("ipn_receiver_requests_total", "outcome" => slug).increment(1);
        let (outcome, topic_arn) = (slug, error.topic());
        match (self.allow_log(slug, error.cause()), error.severity()) {
            (None, _) => {
                tracing::debug!(%error, topic_arn, outcome, "request rejected; equal lines above debug level are suppressed");
            }
            (Some(suppressed), Severity::Info) => {
                tracing::info!(%error, topic_arn, outcome, suppressed, "request rejected");
            }
            (Some(suppressed), Severity::Warn) => {
                tracing::warn!(%error, topic_arn, outcome, suppressed, "{NOT_STORED}");
            }
            (Some(suppressed), Severity::Error) => {
                tracing::error!(%error, topic_arn, outcome, suppressed, "{NOT_STORED}");
            }
        }
        let mut answer = problem(status, slug, title);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(RETRY_AFTER, self.settings.retry_after_s.into());
        }
        answer
    }

    /// Whether to log an outcome now; `Some` carries the number of lines suppressed before.
    fn allow_log(&self, outcome: &'static str, cause: Option<String>) -> Option<u64> {
        self.log_throttle.allow((outcome, cause))
    }
}

fn log_stored(notification: &Notification, traceparent: TraceParent) {
    let ipn = if let Message::Ipn(ipn) = notification.message() { Some(ipn) } else { None };
    tracing::info!(
        sns_message_id = notification.envelope().message_id,
        merchant = ipn.map(|ipn| ipn.merchant_id.as_str()),
        environment = notification.object().map(|object| display(&object.account.environment)),
        object_id = ipn.map(|ipn| ipn.object_id.as_str()),
        object_type = ipn.map(|ipn| ipn.kind.as_str()),
        trace_id = traceparent.trace_id(),
        "IPN stored in inbox, answered 200"
    );
}

/// Equal log lines are written once in this interval.
pub const LOG_EVERY: Duration = Duration::from_secs(10);
const NOT_STORED: &str =
    "a message that may be genuine was not stored, answered 503; Amazon SNS retries it for an hour at most";

impl Accepted {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::AlreadyStored => "already-stored",
            Self::IgnoredLegacyV1 => "ignored-legacy-v1",
            Self::IgnoredUnsubscribe => "ignored-unsubscribe-confirmation",
            Self::ConfirmedSubscription => "confirmed-subscription",
        }
    }
}
