//! Step 2. Fetches signing certificates from their pinned URLs, checks their chain up to a root, and caches them.
//!
//! A URL names its certificate by a hash of its content, so a certificate is fetched once and stays in the cache even
//! when its host fails; its validity period is checked at each use. Failed fetches are cached for a short time, the
//! number of concurrent fetches is limited, and concurrent requests for one URL share one fetch. Anybody can make up URLs, so
//! those of unknown certificates are fetched at a low rate, and slots are kept for known ones. This module requests only
//! pinned URLs, and the issuer's URL if the certificate names one of Amazon Trust Services. It never follows a redirect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::RateLimiter;
use governor::clock::MonotonicClock;
use governor::state::{InMemoryState, NotKeyed};
use moka::future::Cache;
use parking_lot::RwLock;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::amazon::clock_skew::{ClockWatch, Peer};
use crate::clock::Clock;
use crate::config::Sns;
use crate::domain::sns::{
    BadSigningCert, CertFile, CertSource, Intermediate, IssuerUrl, SigningCert, SigningCertUrl, TrustAnchors,
};
use crate::http::client::{error_chain, limited_body};
use crate::http::rate::rate;

/// The clients that fetch certificates, and the roots that certificates must chain to.
#[derive(Clone, Debug)]
pub struct CertAuthorities {
    /// Fetches signing certificates; must not follow redirects.
    pub signing_certs: reqwest::Client,
    /// Fetches issuers' certificates, which are published over plain HTTP; must not follow redirects.
    pub issuers: reqwest::Client,
    /// Fetches signing certificates from the origins of `[development]`.
    pub development: reqwest::Client,
    /// The trusted roots.
    pub anchors: TrustAnchors,
}

/// The cache of signing certificates.
#[derive(Clone)]
pub struct SigningCerts {
    cache: Cache<SigningCertUrl, Arc<SigningCert>>,
    failures: Cache<SigningCertUrl, Error>,
    runtime: tokio::runtime::Handle,
    fetcher: Arc<Fetcher>,
}

struct Fetcher {
    authorities: CertAuthorities,
    /// The bundled intermediates, and fetched ones that completed a chain.
    intermediates: RwLock<Vec<Intermediate>>,
    slots: Slots,
    clock: Clock,
    clock_watch: ClockWatch,
    bytes_max: usize,
    timeout: Duration,
}

/// How many fetches may run, and how often they may begin.
struct Slots {
    /// The URLs of certificates that were valid, or that a stored message names.
    known: moka::sync::Cache<SigningCertUrl, ()>,
    for_known: Semaphore,
    for_unknown: Semaphore,
    unknown: RateLimiter<NotKeyed, InMemoryState, MonotonicClock>,
}

/// Why there is no certificate now. The sender is not at fault: the URL was valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The certificate could not be fetched.
    #[error("signing certificate {url} cannot be fetched: {reason}")]
    Unavailable {
        /// The URL of the certificate.
        url: String,
        /// Why the fetch failed.
        reason: String,
    },
    /// The certificate was fetched and is not valid.
    #[error("{0}")]
    Unusable(#[from] BadSigningCert),
    /// The certificate's issuer is not known and could not be fetched.
    #[error("{bad}; the issuer's certificate at {url} cannot be fetched: {reason}")]
    IssuerUnavailable {
        /// Why the certificate is not valid without its issuer.
        bad: BadSigningCert,
        /// The URL of the issuer's certificate.
        url: String,
        /// Why the fetch failed.
        reason: String,
    },
    /// Too many other certificates are being fetched.
    #[error(
        "too many signing certificates are being fetched (sns.certificate_fetches_max, sns.certificate_unknown_per_s_max)"
    )]
    Busy,
}

impl SigningCerts {
    /// An empty cache. Fetches run on the Tokio runtime that this is called in.
    pub fn new(authorities: CertAuthorities, settings: &Sns, clock: Clock, clock_watch: ClockWatch) -> Self {
        Self {
            cache: Cache::new(settings.certificates_max),
            failures: Cache::builder()
                .max_capacity(FAILURES_MAX)
                .time_to_live(Duration::from_millis(settings.certificate_failure_ms))
                .build(),
            runtime: tokio::runtime::Handle::current(),
            fetcher: Arc::new(Fetcher {
                authorities,
                intermediates: RwLock::new(Intermediate::bundled()),
                slots: Slots::new(settings),
                clock,
                clock_watch,
                bytes_max: settings.certificate_bytes_max,
                timeout: Duration::from_millis(settings.certificate_timeout_ms),
            }),
        }
    }

    /// Makes the certificate at `url` ready for the next message: takes the `stored` copy, which need not be genuine, or else
    /// fetches it.
    pub async fn warm_up(&self, url: &SigningCertUrl, stored: Option<&CertFile>) -> Result<(), Error> {
        self.fetcher.slots.known.insert(url.clone(), ());
        if let Some(cert) = self.fetcher.check_stored(url, stored).await {
            self.cache.insert(url.clone(), Arc::new(cert)).await;
            return Ok(());
        }
        self.get(url).await.map(drop)
    }

    /// The certificate at `url`.
    pub async fn get(&self, url: &SigningCertUrl) -> Result<Arc<SigningCert>, Error> {
        if let Some(cert) = self.cache.get(url).await {
            return Ok(cert);
        }
        if let Some(error) = self.failures.get(url).await {
            metrics::counter!("ipn_receiver_signing_certificate_cached_failures_total").increment(1);
            return Err(error);
        }
        let fetch = async {
            // The fetch runs on a runtime that outlives the request: other requests may wait for the same fetch.
            let (fetcher, wanted) = (self.fetcher.clone(), url.clone());
            let fetched = self.runtime.spawn(async move { fetcher.fetch(&wanted).await }).await;
            let fetched = fetched.expect("fetching a certificate does not panic").map(Arc::new);
            match &fetched {
                Err(Error::Busy) | Ok(_) => {}
                Err(error) => self.failures.insert(url.clone(), error.clone()).await,
            }
            fetched
        };
        self.cache.try_get_with_by_ref(url, fetch).await.map_err(|error: Arc<Error>| Error::clone(&error))
    }
}

impl Slots {
    fn new(settings: &Sns) -> Self {
        // Half of the slots are kept for known certificates.
        let for_unknown = settings.certificate_fetches_max.div_ceil(2);
        Self {
            known: moka::sync::Cache::new(KNOWN_MAX),
            for_known: Semaphore::new((settings.certificate_fetches_max - for_unknown).max(1)),
            for_unknown: Semaphore::new(for_unknown),
            unknown: RateLimiter::direct(rate(settings.certificate_unknown_per_s_max)),
        }
    }

    fn take(&self, url: &SigningCertUrl) -> Option<SemaphorePermit<'_>> {
        if self.known.contains_key(url)
            && let Ok(slot) = self.for_known.try_acquire()
        {
            return Some(slot);
        }
        let slot = self.for_unknown.try_acquire().ok()?;
        (self.known.contains_key(url) || self.unknown.check().is_ok()).then_some(slot)
    }
}

impl Fetcher {
    async fn fetch(&self, url: &SigningCertUrl) -> Result<SigningCert, Error> {
        // Without a free slot the request fails at once: a flood of made-up URLs must not queue before a genuine one.
        // A later message fetches the certificate.
        let Some(_slot) = self.slots.take(url) else {
            metrics::counter!("ipn_receiver_signing_certificate_fetches_total", "outcome" => "busy").increment(1);
            return Err(Error::Busy);
        };
        let started = Instant::now();
        let fetched = match tokio::time::timeout(self.timeout, self.fetch_and_check(url)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(unavailable(url, format!("no answer within {} ms", self.timeout.as_millis()))),
        };
        let outcome = if fetched.is_ok() { "fetched" } else { "failed" };
        metrics::counter!("ipn_receiver_signing_certificate_fetches_total", "outcome" => outcome).increment(1);
        metrics::histogram!("ipn_receiver_signing_certificate_fetch_seconds").record(started.elapsed().as_secs_f64());
        if let Ok(cert) = &fetched {
            self.note_valid(url, cert);
        }
        fetched
    }

    /// The certificate at `url` if `stored` is it: the chain is valid, and the URL names its hash. Without the hash, another
    /// certificate of Amazon SNS could take its place.
    async fn check_stored(&self, url: &SigningCertUrl, stored: Option<&CertFile>) -> Option<SigningCert> {
        let CertSource::Region(region) = url.source() else { return None };
        let file = stored.filter(|file| file.hash() == url.hash())?;
        let cert = self.check(file, region).await.ok()?;
        self.note_valid(url, &cert);
        Some(cert)
    }

    fn note_valid(&self, url: &SigningCertUrl, cert: &SigningCert) {
        self.slots.known.insert(url.clone(), ());
        if let CertSource::Region(region) = url.source() {
            let not_after_s = cert.validity().1.unix_ms() as f64 / 1000.0;
            metrics::gauge!("ipn_receiver_signing_certificate_not_after_timestamp_seconds", "region" => region.clone())
                .set(not_after_s);
        }
    }

    async fn fetch_and_check(&self, url: &SigningCertUrl) -> Result<SigningCert, Error> {
        let (client, peer) = match url.source() {
            CertSource::Region(_) => (&self.authorities.signing_certs, Some(Peer::CertificateHost)),
            CertSource::Development => (&self.authorities.development, None),
        };
        let pem = self.get(client, url.as_str(), peer).await.map_err(|reason| unavailable(url, reason))?;
        let file = CertFile::from_pem(&pem)?;
        let CertSource::Region(region) = url.source() else { return Ok(file.check_key_alone()?) };
        if file.hash() != url.hash() {
            // The hash matches for every certificate known so far, but AWS does not document it.
            tracing::warn!(
                url = url.as_str(),
                hash = file.hash(),
                "the MD5 of a signing certificate differs from the one in its URL; the certificate is used, as its chain is valid"
            );
            metrics::counter!("ipn_receiver_signing_certificate_hash_mismatches_total").increment(1);
        }
        self.check(&file, region).await
    }

    /// Checks the chain with the known intermediates, then with the issuer that the certificate points at.
    async fn check(&self, file: &CertFile, region: &str) -> Result<SigningCert, Error> {
        let known = self.intermediates.read().clone();
        let check = |intermediates: &[Intermediate]| {
            file.check(region, &self.authorities.anchors, intermediates, self.clock.now())
        };
        let bad = match check(&known) {
            Err(bad @ BadSigningCert::Issuer { .. }) => bad,
            outcome => return Ok(outcome?),
        };
        let mut error = Error::Unusable(bad.clone());
        for url in file.issuer_urls() {
            match self.issuer(&url).await {
                Ok(issuer) => {
                    if let Ok(cert) = check(std::slice::from_ref(&issuer)) {
                        self.keep(issuer);
                        return Ok(cert);
                    }
                }
                Err(reason) => {
                    error = Error::IssuerUnavailable { bad: bad.clone(), url: url.as_str().to_owned(), reason };
                }
            }
        }
        Err(error)
    }

    async fn issuer(&self, url: &IssuerUrl) -> Result<Intermediate, String> {
        metrics::counter!("ipn_receiver_issuer_certificate_fetches_total").increment(1);
        let der = self.get(&self.authorities.issuers, url.as_str(), None).await?;
        Intermediate::from_der(&der).map_err(|error| error.to_string())
    }

    /// Caches an intermediate that completed a chain. Others are not cached: they come over plain HTTP from anyone.
    fn keep(&self, issuer: Intermediate) {
        let mut known = self.intermediates.write();
        if known.len() < INTERMEDIATES_MAX && !known.contains(&issuer) {
            known.push(issuer);
        }
    }

    /// Fetches `url`; if `peer` is given, compares this machine's clock with the answer's `Date`.
    async fn get(&self, client: &reqwest::Client, url: &str, peer: Option<Peer>) -> Result<Vec<u8>, String> {
        let answer = client.get(url).send().await;
        if let Some(peer) = peer {
            self.clock_watch.note(peer, &answer);
        }
        let answer = answer.map_err(error_chain)?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(format!("the host answered {}", answer.status()));
        }
        limited_body(answer, self.bytes_max).await.map_err(|bad| bad.to_string())
    }
}

fn unavailable(url: &SigningCertUrl, reason: String) -> Error {
    Error::Unavailable { url: url.as_str().to_owned(), reason }
}

/// URLs of known certificates; Amazon SNS has a few in each region.
const KNOWN_MAX: u64 = 1024;
/// Cached failures; the order of eviction does not matter.
const FAILURES_MAX: u64 = 1024;
/// Amazon Trust Services has only a few issuing CAs.
const INTERMEDIATES_MAX: usize = 16;
