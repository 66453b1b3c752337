//! The world as the receiver meets it: clients, roots and the time of day.
//!
//! `serve` uses the internet. The sandbox and the tests hand in clients that resolve Amazon's names to loopback, and
//! their own root. The pins on names and URLs are elsewhere and hold for all of them.

use std::time::Duration;

use crate::amazon::signing_certs::CertAuthorities;
use crate::amazon::subscriptions::SnsApi;
use crate::clock::Clock;
use crate::config::{Config, Development};
use crate::domain::sns::TrustAnchors;
use crate::kafka::Broker;

/// Everything outside of this process but Kafka.
pub struct Clients {
    /// Where certificates come from and must lead to.
    pub cert_authorities: CertAuthorities,
    /// Reads from Amazon Pay; must not follow redirects.
    pub pay_api: reqwest::Client,
    /// Confirms subscriptions.
    pub sns_api: SnsApi,
    /// The time of day.
    pub clock: Clock,
    /// What is known of the cluster.
    pub broker: Broker,
}

impl Clients {
    /// The internet; in development also what its settings add.
    pub fn internet(config: &Config) -> Result<Self, reqwest::Error> {
        let development = config.development.as_ref();
        Ok(Self {
            cert_authorities: CertAuthorities::internet(
                Duration::from_millis(config.sns.certificate_timeout_ms),
                development,
            )?,
            pay_api: client(Duration::from_millis(config.pay_api.connect_timeout_ms), development)
                // What is read by way of a development endpoint may come without TLS.
                .https_only(development.is_none_or(|d| d.pay_api_endpoint.is_none()))
                .build()?,
            sns_api: SnsApi::internet(development),
            clock: Clock::system(),
            broker: Broker::Real,
        })
    }
}

impl CertAuthorities {
    /// Amazon's hosts and roots; in development also the roots its settings name.
    pub fn internet(timeout: Duration, development: Option<&Development>) -> Result<Self, reqwest::Error> {
        let more = development.and_then(|development| development.trust_anchors.clone());
        Ok(Self {
            signing_certs: client(timeout, None).https_only(true).build()?,
            issuers: client(timeout, None).build()?,
            development: client(timeout, development).build()?,
            anchors: more.into_iter().fold(TrustAnchors::amazon(), TrustAnchors::and),
        })
    }
}

fn client(connect_timeout: Duration, development: Option<&Development>) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .user_agent(concat!("ipn-receiver/", env!("CARGO_PKG_VERSION")));
    let more = development.map(|development| development.trust_anchor_pems.as_slice()).unwrap_or_default();
    more.iter().fold(builder, |builder, pem| {
        reqwest::Certificate::from_pem_bundle(pem.as_bytes())
            .unwrap_or_default()
            .into_iter()
            .fold(builder, reqwest::ClientBuilder::add_root_certificate)
    })
}
