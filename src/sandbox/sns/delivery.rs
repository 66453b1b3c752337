//! Posts a message to an endpoint as SNS does.
//!
//! It uses the headers and the time-out of SNS. It never retries.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::Error;

/// The answer of an endpoint to a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body as text.
    pub body: String,
    /// Headers with lower-case names.
    pub headers: BTreeMap<String, String>,
}

impl Answer {
    /// Reads a response completely.
    pub async fn read(response: reqwest::Response) -> Result<Self, reqwest::Error> {
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        Ok(Self { status: response.status().as_u16(), headers, body: response.text().await? })
    }

    /// The `Retry-After` header.
    pub fn retry_after(&self) -> Option<&str> {
        self.headers.get("retry-after").map(String::as_str)
    }
}

/// Posts a body to an endpoint as SNS does (Amazon SNS developer guide: parsing message formats, and HTTP/HTTPS
/// headers), and waits 15 seconds for the answer. The headers are taken from the body. A field that the body lacks, or that
/// no header can hold, is left out, so that damaged bodies can be posted too.
pub async fn post(client: &reqwest::Client, url: &str, body: &str) -> Result<Answer, Error> {
    let envelope: Value = serde_json::from_str(body).unwrap_or_default();
    let field = |name: &str| envelope[name].as_str();
    let subscription_arn = field("UnsubscribeURL").and_then(|url| Some(url.split_once("SubscriptionArn=")?.1));
    let headers = [
        ("x-amz-sns-message-type", field("Type")),
        ("x-amz-sns-message-id", field("MessageId")),
        ("x-amz-sns-topic-arn", field("TopicArn")),
        ("x-amz-sns-subscription-arn", subscription_arn),
        ("content-type", Some("text/plain; charset=UTF-8")),
        ("user-agent", Some(USER_AGENT)),
    ];
    let mut request = client.post(url).timeout(DELIVERY_TIMEOUT).body(body.to_owned());
    for (name, value) in headers {
        if let Some(Ok(value)) = value.map(reqwest::header::HeaderValue::from_str) {
            request = request.header(name, value);
        }
    }
    let failed = |source| Error::Post { url: url.to_owned(), source };
    Answer::read(request.send().await.map_err(failed)?).await.map_err(failed)
}

const USER_AGENT: &str = "Amazon Simple Notification Service Agent";
/// SNS counts a delivery as failed after this (Amazon SNS developer guide: preparing an HTTP/HTTPS endpoint).
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(15);
