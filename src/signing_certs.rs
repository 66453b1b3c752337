//! Step 2. Signing certificates: fetched once from their pinned URL, checked, kept.
//!
//! A URL names its certificate by a hash of its content, so a fetched one never has to be fetched again. Fetches
//! for one URL at a time are one fetch. Nothing but a pinned URL is ever asked, and no redirect is followed.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::config::Sns;
use crate::domain::sns::{BadSigningCert, SigningCert, SigningCertUrl};
use crate::outbound::{limited_body, told};

/// The cache and the client behind it.
#[derive(Clone)]
pub struct SigningCerts {
    client: reqwest::Client,
    cache: Cache<SigningCertUrl, Arc<SigningCert>>,
    runtime: tokio::runtime::Handle,
    bytes_max: usize,
    timeout: Duration,
}

/// Why there is no certificate now. Never the poster's fault: the URL was good.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It could not be had.
    #[error("signing certificate {url} cannot be fetched: {what}")]
    Unavailable {
        /// From where.
        url: String,
        /// What happened.
        what: String,
    },
    /// It was had and is not what it should be.
    #[error("{0}")]
    Unusable(#[from] BadSigningCert),
}

impl SigningCerts {
    /// An empty cache. Must be made inside the runtime that fetches are to run on.
    pub fn new(client: reqwest::Client, settings: &Sns) -> Self {
        Self {
            client,
            cache: Cache::new(settings.certificates_max),
            runtime: tokio::runtime::Handle::current(),
            bytes_max: settings.certificate_bytes_max,
            timeout: Duration::from_millis(settings.certificate_timeout_ms),
        }
    }

    /// The certificate at `url`.
    pub async fn get(&self, url: &SigningCertUrl) -> Result<Arc<SigningCert>, Error> {
        if let Some(cert) = self.cache.get(url).await {
            return Ok(cert);
        }
        let fetch = async {
            // On a runtime that outlives the request: others may be waiting for the same fetch.
            let (client, url, bytes_max, timeout) = (self.client.clone(), url.clone(), self.bytes_max, self.timeout);
            let fetched = self.runtime.spawn(async move {
                match tokio::time::timeout(timeout, fetch(&client, &url, bytes_max)).await {
                    Ok(fetched) => fetched,
                    Err(_) => Err(unavailable(&url, format!("no answer within {} ms", timeout.as_millis()))),
                }
            });
            fetched.await.expect("fetching a certificate does not panic").map(Arc::new)
        };
        self.cache.try_get_with_by_ref(url, fetch).await.map_err(|error: Arc<Error>| Error::clone(&error))
    }
}

async fn fetch(client: &reqwest::Client, url: &SigningCertUrl, bytes_max: usize) -> Result<SigningCert, Error> {
    metrics::counter!("signing_certificate_fetches_total").increment(1);
    let answer = client.get(url.as_str()).send().await.map_err(|error| unavailable(url, told(error)))?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(unavailable(url, format!("the host answered {}", answer.status())));
    }
    let pem = limited_body(answer, bytes_max).await.map_err(|what| unavailable(url, what))?;
    Ok(SigningCert::from_pem(&pem, url.region())?)
}

fn unavailable(url: &SigningCertUrl, what: String) -> Error {
    Error::Unavailable { url: url.as_str().to_owned(), what }
}
