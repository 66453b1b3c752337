//! Step 3. Confirms subscriptions through the API of Amazon SNS. Never requests the SubscribeURL of a message.
//!
//! A subscription is confirmed only for a genuine message of an allowed topic. Confirming twice changes nothing.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::config::timeout::TimeoutConfig;
use aws_sdk_sns::config::{BehaviorVersion, Config, Region, SharedHttpClient};
use aws_sdk_sns::error::ProvideErrorMetadata as _;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use tokio::sync::Semaphore;

use crate::config::Development;
use crate::domain::sns::TopicArn;

/// How to reach the API of Amazon SNS.
#[derive(Clone, Debug)]
pub struct SnsApi {
    /// The HTTPS client.
    pub http_client: SharedHttpClient,
    /// Replaces the endpoint of AWS.
    pub endpoint_url: Option<String>,
}

/// Confirms subscriptions.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    api: SnsApi,
    timeout: Duration,
    /// Limits concurrent requests: anyone can replay a genuine confirmation message.
    slots: Arc<Semaphore>,
}

/// SNS did not confirm the subscription. The text does not contain the token.
#[derive(Debug, thiserror::Error)]
#[error(
    "subscription to {topic} could not be confirmed: {reason}; wait until Amazon SNS repeats the message, or confirm it with: aws sns confirm-subscription --topic-arn {topic} --token TOKEN"
)]
pub struct Unconfirmed {
    topic: String,
    reason: String,
}

impl Unconfirmed {
    /// The topic of the subscription.
    pub fn topic(&self) -> &str {
        &self.topic
    }
}

impl SnsApi {
    /// The API of AWS, with this machine's trusted roots, and the endpoint and roots of the `[development]` table.
    pub fn internet(development: Option<&Development>) -> Self {
        let pems = development.map(|development| development.trust_anchor_pems.as_slice()).unwrap_or_default();
        let roots = pems.iter().fold(TrustStore::default(), |roots, pem| roots.with_pem_certificate(pem.as_str()));
        // Without additional roots this cannot fail.
        let tls = TlsContext::builder().with_trust_store(roots).build().unwrap_or_default();
        Self {
            http_client: Builder::new().tls_provider(TLS).tls_context(tls).build_https(),
            endpoint_url: development.and_then(|development| development.sns_endpoint.clone()),
        }
    }

    /// An API at `endpoint_url` whose certificate chains to `roots`.
    pub fn at(endpoint_url: String, roots: TlsContext) -> Self {
        Self {
            http_client: Builder::new().tls_provider(TLS).tls_context(roots).build_https(),
            endpoint_url: Some(endpoint_url),
        }
    }
}

/// Each merchant has one or two topics, and each is confirmed once.
const CONFIRMATIONS_IN_FLIGHT_MAX: usize = 8;
const TLS: Provider = Provider::Rustls(CryptoMode::Ring);

impl Subscriptions {
    /// Confirms through `api`, with `timeout` for each confirmation.
    pub fn new(api: SnsApi, timeout: Duration) -> Self {
        Self { api, timeout, slots: Arc::new(Semaphore::new(CONFIRMATIONS_IN_FLIGHT_MAX)) }
    }

    /// Confirms the subscription that `token` belongs to. The request needs no AWS credentials: the token is the proof,
    /// unless the topic's owner requires authentication, which Amazon Pay does not.
    pub async fn confirm(&self, topic: &TopicArn, token: &str) -> Result<(), Unconfirmed> {
        let unconfirmed = |reason: String| Unconfirmed { topic: topic.as_str().to_owned(), reason };
        let Ok(_slot) = self.slots.try_acquire() else {
            return Err(unconfirmed(format!("{CONFIRMATIONS_IN_FLIGHT_MAX} other confirmations are in progress")));
        };
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(topic.region().to_owned()))
            .http_client(self.api.http_client.clone())
            .timeout_config(TimeoutConfig::builder().operation_timeout(self.timeout).build())
            // SNS repeats the message, so the client does not retry.
            .retry_config(RetryConfig::disabled())
            .allow_no_auth();
        config.set_endpoint_url(self.api.endpoint_url.clone());
        let request = Client::from_conf(config.build()).confirm_subscription().topic_arn(topic.as_str()).token(token);
        request.send().await.map(|_| ()).map_err(|error| {
            unconfirmed(error.code().map_or_else(|| error.to_string(), |code| format!("SNS answered {code}")))
        })
    }
}
