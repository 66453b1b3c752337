//! The HTTP clients for Amazon's hosts, the trusted roots, and the clock.
//!
//! `serve` connects to the internet. The sandbox and the tests pass clients that resolve Amazon's host names to loopback
//! and trust a root of their own. The checks of host names and URLs are in `domain::sns` and apply to all clients.

use std::time::Duration;

use crate::amazon::signing_certs::CertAuthorities;
use crate::amazon::subscriptions::SnsApi;
use crate::clock::Clock;
use crate::config::{Config, Development};
use crate::domain::sns::TrustAnchors;

/// The clients of all external services except Kafka.
pub struct Clients {
    /// Fetches certificates, and the roots that they must chain to.
    pub cert_authorities: CertAuthorities,
    /// Reads objects from the Amazon Pay API; must not follow redirects.
    pub pay_api: reqwest::Client,
    /// Confirms subscriptions.
    pub sns_api: SnsApi,
    /// The time of day.
    pub clock: Clock,
}

impl Clients {
    /// Clients for Amazon's hosts on the internet, and for the hosts and roots of the `[development]` table.
    pub fn internet(config: &Config) -> Result<Self, reqwest::Error> {
        let development = config.development.as_ref();
        Ok(Self {
            cert_authorities: CertAuthorities::internet(
                Duration::from_millis(config.sns.certificate_timeout_ms),
                development,
            )?,
            pay_api: client(Duration::from_millis(config.pay_api.connect_timeout_ms), development)
                // A development endpoint may use plain HTTP.
                .https_only(development.is_none_or(|d| d.pay_api_endpoint.is_none()))
                .build()?,
            sns_api: SnsApi::internet(development),
            clock: Clock::system(),
        })
    }
}

impl CertAuthorities {
    /// Amazon's hosts and roots, and the roots of the `[development]` table.
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
