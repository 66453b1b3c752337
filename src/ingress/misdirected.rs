//! Requests to another path than `/ipn`, or with another method than POST: counted, logged and answered 404 or 405.
//!
//! SNS repeats none of them, so a wrong path in Seller Central or in a proxy loses IPNs. Headers of SNS, which anyone can
//! send, only choose the log line and the label of the count; they decide nothing.

use actix_web::http::ConnectionType;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Ingress;
use crate::domain::sns::TopicArn;
use crate::http::problem;

/// The sender of a request, as its headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Sns,
    Other,
}

pub(super) async fn not_found(ingress: web::Data<Ingress>, request: HttpRequest) -> HttpResponse {
    ingress.note_misdirected(&request, 404);
    closing(problem::not_found().await)
}

pub(super) async fn method_not_allowed(ingress: web::Data<Ingress>, request: HttpRequest) -> HttpResponse {
    ingress.note_misdirected(&request, 405);
    closing(problem::method_not_allowed("POST"))
}

fn closing(mut answer: HttpResponse) -> HttpResponse {
    answer.head_mut().set_connection_type(ConnectionType::Close);
    answer
}

impl Ingress {
    fn note_misdirected(&self, request: &HttpRequest, status: u16) {
        let sender = Sender::of(request);
        metrics::counter!("ipn_receiver_misdirected_requests_total", "sender" => sender.as_str()).increment(1);
        let suppressed = self.allow_log("misdirected", Some(sender.as_str().to_owned()));
        let (method, path) = (shortened(request.method().as_str()), shortened(request.path()));
        let (topic_arn, sender_name) = (claimed_topic(request), sender.as_str());
        match (suppressed, sender) {
            (None, _) => tracing::debug!(
                method,
                path,
                status,
                sender = sender_name,
                topic_arn,
                "request to another path or with another method; equal lines above debug level are suppressed"
            ),
            (Some(suppressed), Sender::Sns) => tracing::warn!(
                method,
                path,
                status,
                sender = sender_name,
                topic_arn,
                suppressed,
                "Amazon SNS requests a path that the receiver does not serve; the message is lost, since Amazon SNS does not repeat it: \
                 correct the Merchant URL in Seller Central, or the proxy in front of the receiver, so that SNS posts to /ipn"
            ),
            (Some(suppressed), Sender::Other) => tracing::info!(
                method,
                path,
                status,
                sender = sender_name,
                suppressed,
                "request rejected: the receiver serves POST /ipn only"
            ),
        }
    }
}

impl Sender {
    fn of(request: &HttpRequest) -> Self {
        let headers = request.headers();
        let is_sns = headers.contains_key("x-amz-sns-message-type")
            || headers.get("user-agent").is_some_and(|agent| agent.as_bytes().starts_with(SNS_AGENT));
        if is_sns { Self::Sns } else { Self::Other }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Sns => "sns",
            Self::Other => "other",
        }
    }
}

/// The topic in the header of SNS, if it has the form of one.
fn claimed_topic(request: &HttpRequest) -> Option<String> {
    let text = request.headers().get("x-amz-sns-topic-arn")?.to_str().ok()?;
    TopicArn::parse(text).map(|arn| arn.as_str().to_owned())
}

/// The beginning of an untrusted word; HTTP admits visible ASCII only.
fn shortened(word: &str) -> String {
    word.chars().filter(char::is_ascii_graphic).take(CHARS_MAX).collect()
}

const SNS_AGENT: &[u8] = b"Amazon Simple Notification Service";
/// Longer paths are cut in the log.
const CHARS_MAX: usize = 200;
