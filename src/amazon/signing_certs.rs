//! Step 2. Signing certificates: fetched once from their pinned URL, checked up to the root, kept.
//!
//! A URL names its certificate by a hash of its content, so a fetched one never has to be fetched again: it is kept
//! through any trouble, and its time is asked at each use. What failed is remembered for a moment, fetches are
//! limited in number, and those for one URL at a time are one. Nothing but a pinned URL is ever asked, besides the
//! issuer's where the certificate names one of Amazon Trust Services, and no redirect is followed.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use moka::future::Cache;
use tokio::sync::Semaphore;

use crate::amazon::clock_skew::{ClockWatch, Peer};
use crate::clock::Clock;
use crate::config::Sns;
use crate::domain::sns::{
    BadSigningCert, CertFile, CertSource, Intermediate, IssuerUrl, SigningCert, SigningCertUrl, TrustAnchors,
};
use crate::http::client::{limited_body, told};

/// How certificates are reached, and what they must lead to.
#[derive(Clone, Debug)]
pub struct CertAuthorities {
    /// Fetches signing certificates; must not follow redirects.
    pub signing_certs: reqwest::Client,
    /// Fetches issuers' certificates, which are published by plain HTTP; must not follow redirects.
    pub issuers: reqwest::Client,
    /// The same for origins of a development setting.
    pub development: reqwest::Client,
    /// The roots.
    pub anchors: TrustAnchors,
}

/// The cache and what fills it.
#[derive(Clone)]
pub struct SigningCerts {
    cache: Cache<SigningCertUrl, Arc<SigningCert>>,
    failures: Cache<SigningCertUrl, Error>,
    runtime: tokio::runtime::Handle,
    fetcher: Arc<Fetcher>,
}

struct Fetcher {
    authorities: CertAuthorities,
    /// Those that are bundled, and those that once completed a path.
    intermediates: RwLock<Vec<Intermediate>>,
    slots: Semaphore,
    clock: Clock,
    clock_watch: ClockWatch,
    bytes_max: usize,
    timeout: Duration,
}

/// Why there is no certificate now. Never the poster's fault: the URL was good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// Its issuer is not known here and could not be asked for.
    #[error("{bad}; the issuer's certificate at {url} cannot be fetched: {what}")]
    IssuerUnavailable {
        /// What is known of the issuer.
        bad: BadSigningCert,
        /// Where it should be.
        url: String,
        /// What happened.
        what: String,
    },
    /// Too many others are being fetched.
    #[error("too many signing certificates are being fetched at once (sns.certificate_fetches_max)")]
    Busy,
}

impl SigningCerts {
    /// An empty cache. Must be made inside the runtime that fetches are to run on.
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
                slots: Semaphore::new(settings.certificate_fetches_max),
                clock,
                clock_watch,
                bytes_max: settings.certificate_bytes_max,
                timeout: Duration::from_millis(settings.certificate_timeout_ms),
            }),
        }
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
            // On a runtime that outlives the request: others may be waiting for the same fetch.
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

impl Fetcher {
    async fn fetch(&self, url: &SigningCertUrl) -> Result<SigningCert, Error> {
        // Who finds no slot does not wait: a flood of made-up URLs must not queue before a genuine one, and any later
        // message may be the one that fetches it.
        let Ok(_slot) = self.slots.try_acquire() else {
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
        if let (Ok(cert), CertSource::Region(region)) = (&fetched, url.source()) {
            let not_after_s = cert.validity().1.unix_ms() as f64 / 1000.0;
            metrics::gauge!("ipn_receiver_signing_certificate_not_after_timestamp_seconds", "region" => region.clone())
                .set(not_after_s);
        }
        fetched
    }

    async fn fetch_and_check(&self, url: &SigningCertUrl) -> Result<SigningCert, Error> {
        let (client, peer) = match url.source() {
            CertSource::Region(_) => (&self.authorities.signing_certs, Some(Peer::CertificateHost)),
            CertSource::Development => (&self.authorities.development, None),
        };
        let pem = self.get(client, url.as_str(), peer).await.map_err(|what| unavailable(url, what))?;
        let file = CertFile::from_pem(&pem)?;
        let CertSource::Region(region) = url.source() else { return Ok(file.check_key_alone()?) };
        if file.hash() != url.hash() {
            // True of every certificate known so far, and documented nowhere.
            tracing::warn!(
                url = url.as_str(),
                hash = file.hash(),
                "a signing certificate's hash is not the one in its URL"
            );
            metrics::counter!("ipn_receiver_signing_certificate_hash_mismatches_total").increment(1);
        }
        self.check(&file, region).await
    }

    /// With the intermediates that are known, and failing that with the one the certificate points at.
    async fn check(&self, file: &CertFile, region: &str) -> Result<SigningCert, Error> {
        let known = self.intermediates.read().unwrap_or_else(PoisonError::into_inner).clone();
        let check = |intermediates: &[Intermediate]| {
            file.check(region, &self.authorities.anchors, intermediates, self.clock.now())
        };
        let bad = match check(&known) {
            Err(bad @ BadSigningCert::Issuer { .. }) => bad,
            outcome => return Ok(outcome?),
        };
        let mut trouble = Error::Unusable(bad.clone());
        for url in file.issuer_urls() {
            match self.issuer(&url).await {
                Ok(issuer) => {
                    if let Ok(cert) = check(std::slice::from_ref(&issuer)) {
                        self.keep(issuer);
                        return Ok(cert);
                    }
                }
                Err(what) => {
                    trouble = Error::IssuerUnavailable { bad: bad.clone(), url: url.as_str().to_owned(), what };
                }
            }
        }
        Err(trouble)
    }

    async fn issuer(&self, url: &IssuerUrl) -> Result<Intermediate, String> {
        metrics::counter!("ipn_receiver_issuer_certificate_fetches_total").increment(1);
        let der = self.get(&self.authorities.issuers, url.as_str(), None).await?;
        Intermediate::from_der(&der).map_err(|error| error.to_string())
    }

    /// Keeps one that has completed a path: others could be anybody's, as they come by plain HTTP.
    fn keep(&self, issuer: Intermediate) {
        let mut known = self.intermediates.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < INTERMEDIATES_MAX && !known.contains(&issuer) {
            known.push(issuer);
        }
    }

    /// `peer` is whose clock the answer tells, if it is one that counts.
    async fn get(&self, client: &reqwest::Client, url: &str, peer: Option<Peer>) -> Result<Vec<u8>, String> {
        let answer = client.get(url).send().await;
        if let Some(peer) = peer {
            self.clock_watch.note(peer, &answer);
        }
        let answer = answer.map_err(told)?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(format!("the host answered {}", answer.status()));
        }
        limited_body(answer, self.bytes_max).await.map_err(|bad| bad.to_string())
    }
}

fn unavailable(url: &SigningCertUrl, what: String) -> Error {
    Error::Unavailable { url: url.as_str().to_owned(), what }
}

/// Failures remembered at once; which are forgotten first does not matter.
const FAILURES_MAX: u64 = 1024;
/// Amazon Trust Services has a handful.
const INTERMEDIATES_MAX: usize = 16;
