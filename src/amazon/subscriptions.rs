//! Confirming that this endpoint wants a topic's messages: by SNS's API, and never by visiting the SubscribeURL.
//!
//! Asked only for a message that was proven genuine and came from an allowed topic. Confirming twice changes nothing.

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

/// How SNS's API is reached.
#[derive(Clone, Debug)]
pub struct SnsApi {
    /// Speaks TLS.
    pub http_client: SharedHttpClient,
    /// Where it is, if not where AWS says.
    pub endpoint_url: Option<String>,
}

/// Confirms subscriptions.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    api: SnsApi,
    timeout: Duration,
    /// A genuine confirmation can be posted again and again: SNS is not asked more often for it than this at once.
    slots: Arc<Semaphore>,
}

/// SNS did not confirm. The token stays out of the text.
#[derive(Debug, thiserror::Error)]
#[error(
    "subscription to {topic} could not be confirmed: {what}; SNS will ask again, or confirm it with: aws sns confirm-subscription --topic-arn {topic} --token TOKEN"
)]
pub struct Unconfirmed {
    topic: String,
    what: String,
}

impl SnsApi {
    /// AWS's own, with the machine's trusted roots; in development another endpoint and further roots.
    pub fn internet(development: Option<&Development>) -> Self {
        let pems = development.map(|development| development.trust_anchor_pems.as_slice()).unwrap_or_default();
        let roots = pems.iter().fold(TrustStore::default(), |roots, pem| roots.with_pem_certificate(pem.as_str()));
        // Without more roots there is nothing in them that could be wrong.
        let tls = TlsContext::builder().with_trust_store(roots).build().unwrap_or_default();
        Self {
            http_client: Builder::new().tls_provider(TLS).tls_context(tls).build_https(),
            endpoint_url: development.and_then(|development| development.sns_endpoint.clone()),
        }
    }

    /// One at `endpoint_url` that bears a certificate under roots of its own.
    pub fn at(endpoint_url: String, roots: TlsContext) -> Self {
        Self {
            http_client: Builder::new().tls_provider(TLS).tls_context(roots).build_https(),
            endpoint_url: Some(endpoint_url),
        }
    }
}

/// Each merchant has a topic or two, confirmed once in its life.
const AT_ONCE: usize = 8;
const TLS: Provider = Provider::Rustls(CryptoMode::Ring);

impl Subscriptions {
    /// With this much time for one confirmation.
    pub fn new(api: SnsApi, timeout: Duration) -> Self {
        Self { api, timeout, slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Confirms the subscription that `token` belongs to. No credentials are needed: the token is the proof, unless
    /// the topic's owner demands more, which Amazon Pay cannot of a merchant.
    pub async fn confirm(&self, topic: &TopicArn, token: &str) -> Result<(), Unconfirmed> {
        let unconfirmed = |what: String| Unconfirmed { topic: topic.as_str().to_owned(), what };
        let Ok(_slot) = self.slots.try_acquire() else {
            return Err(unconfirmed(format!("{AT_ONCE} confirmations are under way")));
        };
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(topic.region().to_owned()))
            .http_client(self.api.http_client.clone())
            .timeout_config(TimeoutConfig::builder().operation_timeout(self.timeout).build())
            // SNS repeats its message; that is retry enough.
            .retry_config(RetryConfig::disabled())
            .allow_no_auth();
        config.set_endpoint_url(self.api.endpoint_url.clone());
        let request = Client::from_conf(config.build()).confirm_subscription().topic_arn(topic.as_str()).token(token);
        request.send().await.map(|_| ()).map_err(|error| {
            unconfirmed(error.code().map_or_else(|| error.to_string(), |code| format!("SNS answered {code}")))
        })
    }
}
