//! The composition root: builds the parts, owns the tasks, and knows in which order to leave.

pub mod admin;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App as Actix, HttpServer, web};
use rdkafka::error::KafkaError;
use tokio::task::JoinHandle;

use self::admin::Readiness;
use crate::amazon::clients::Clients;
use crate::amazon::clock_skew::{ClockWatch, Peer};
use crate::amazon::pay_api::{ApiKeys, PayApi};
use crate::amazon::signing_certs::SigningCerts;
use crate::amazon::subscriptions::Subscriptions;
use crate::config::{self, Config, MerchantAccount, Role};
use crate::domain::ipn::routing::Merchants;
use crate::domain::sns::Policy;
use crate::ingress::{self, Bodies, Ingress};
use crate::kafka::Broker;
use crate::kafka::acls::PrincipalRole;
use crate::kafka::inbox::Inbox;
use crate::kafka::topics;
use crate::telemetry;
use crate::telemetry::log_throttle::LogThrottle;
use crate::telemetry::spans::{self, Spans};
use crate::worker;

/// Why the receiver could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port is taken.
    #[error("cannot listen on {address} ({setting}): {source}")]
    Listen {
        /// Which setting names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// An HTTP client could not be built.
    #[error("HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// Spans cannot go where the settings say.
    #[error(transparent)]
    Spans(#[from] spans::Error),
    /// The topics are not fit.
    #[error(transparent)]
    Topics(#[from] topics::Error),
    /// librdkafka refuses the settings.
    #[error("Kafka client: {0}; check kafka.properties")]
    Kafka(#[from] KafkaError),
}

/// A running receiver, or the half of one that its role names.
pub struct App {
    /// Takes notifications, unless this is a worker alone.
    entry: Option<Entry>,
    /// Reads and publishes, unless this takes notifications alone.
    worker: Option<worker::Handle>,
    admin_address: SocketAddr,
    admin: ServerHandle,
    tasks: Vec<JoinHandle<()>>,
    readiness: web::Data<Readiness>,
    spans: Spans,
    shutdown: config::Shutdown,
}

/// Where notifications come in.
struct Entry {
    address: SocketAddr,
    server: ServerHandle,
    inbox: Arc<Inbox>,
}

/// Makes *ring* the one provider of cryptography for TLS. To be called before the first HTTP client is built; a
/// second call changes nothing.
pub fn use_ring_for_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl App {
    /// Starts what the role names. The ports are open when this returns.
    pub async fn start(mut config: Config, clients: Clients) -> Result<Self, Error> {
        let metrics = telemetry::metrics();
        let spans = Spans::start(&config.telemetry)?;
        let admin_listener = listen("admin.listen", config.admin.listen)?;
        let admin_address = local(&admin_listener);
        let entry_listener =
            config.role.takes().then(|| listen("ingress.listen", config.ingress.listen)).transpose()?;
        let min_in_sync_replicas = match clients.broker {
            Broker::Real => check_topics(&config).await?,
            Broker::Mock => 1,
        };
        telemetry::begin(config.role);
        metrics::gauge!("ipn_receiver_inbox_partitions").set(f64::from(config.kafka.partitions));
        if config.development.is_some() {
            warn_of_development();
        }
        let accounts = std::mem::take(&mut config.merchants);
        let merchants = Arc::new(MerchantAccount::table(&accounts));
        let clock_watch = ClockWatch::new(clients.clock, Duration::from_secs(config.admin.clock_offset_max_s));
        let peers = clock_peers(config.role, &config.policy(&merchants), &accounts, &clients);
        let mut tasks = vec![tokio::spawn(clock_watch.clone().run(peers))];
        let worker = if config.role.works() {
            Some(start_worker(&config, accounts, &merchants, &clients, (&clock_watch, &spans), &mut tasks)?)
        } else {
            None
        };
        let status = worker.as_ref().map(|worker| worker.status.clone());
        let readiness =
            web::Data::new(Readiness::new(config.role, status, clock_watch.clone(), config.development.is_some()));
        let entry = match entry_listener {
            Some(listener) => {
                let inbox = Arc::new(Inbox::new(&config.kafka, min_in_sync_replicas)?);
                let interval = Duration::from_millis(config.admin.probe_interval_ms);
                tasks.push(tokio::spawn(watch_inbox(inbox.clone(), readiness.clone(), interval)));
                let watches = (clock_watch, readiness.is_leaving.clone(), spans.clone());
                Some(start_entry(&config, listener, inbox, merchants, clients, watches, &mut tasks)?)
            }
            None => None,
        };
        let admin = admin_server(admin_listener, readiness.clone(), metrics, &config)?;
        let admin_handle = admin.handle();
        tasks.push(spawn_server("admin", admin));
        let ingress = entry.as_ref().map(|entry| tracing::field::display(entry.address));
        tracing::info!(
            role = config.role.as_str(), ingress, admin = %admin_address, version = env!("CARGO_PKG_VERSION"),
            "ipn-receiver started"
        );
        Ok(Self {
            entry,
            worker,
            admin_address,
            admin: admin_handle,
            tasks,
            readiness,
            spans,
            shutdown: config.shutdown,
        })
    }

    /// Where `POST /ipn` is.
    ///
    /// # Panics
    /// In a worker alone, which has no such port.
    pub fn ingress_address(&self) -> SocketAddr {
        self.entry.as_ref().expect("this role takes notifications").address
    }

    /// Where `/readyz` is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Whether it does what its role is for.
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// Whether the worker owns its partitions.
    pub fn is_working(&self) -> bool {
        self.worker.as_ref().is_some_and(|worker| worker.status.is_working.load(Ordering::Relaxed))
    }

    /// Whether the worker's thread has ended on its own, which it must not, or hangs; or nothing can be appended any more.
    pub fn has_failed(&self) -> bool {
        self.worker.as_ref().is_some_and(worker::Handle::has_failed)
            || self.entry.as_ref().is_some_and(|entry| entry.inbox.has_failed())
    }

    /// Leaves: not ready → no new requests → requests end → reads end, last transaction → group left → flushed.
    pub async fn stop(self) {
        let config::Shutdown { notice_ms, grace_ms } = self.shutdown;
        tracing::info!(
            notice_ms,
            grace_ms,
            "stopping: not ready from now on; requests are taken during the notice, then finished"
        );
        self.readiness.is_leaving.store(true, Ordering::Relaxed);
        // Requests are still taken: load balancers need a moment to see that we are not ready any more.
        tokio::time::sleep(Duration::from_millis(notice_ms)).await;
        let grace = Duration::from_millis(grace_ms);
        if let Some(entry) = &self.entry
            && tokio::time::timeout(grace, entry.server.stop(true)).await.is_err()
        {
            tracing::warn!("requests were cut off at the end of shutdown.grace_ms");
        }
        if let Some(worker) = self.worker {
            let stopped = tokio::task::spawn_blocking(move || worker.stop());
            if tokio::time::timeout(grace, stopped).await.is_err() {
                tracing::error!(
                    "the worker did not stop within shutdown.grace_ms; what it did not commit is taken up by the next one"
                );
            }
        }
        if let Some(Entry { inbox, .. }) = self.entry {
            let flushed = tokio::task::spawn_blocking(move || inbox.flush(Duration::from_secs(10)));
            if let Ok(Err(error)) = flushed.await {
                tracing::warn!(%error, "the inbox producer could not be flushed");
            }
        }
        let spans = self.spans;
        let _ = tokio::task::spawn_blocking(move || spans.finish(SPANS_FLUSH)).await;
        self.admin.stop(true).await;
        for task in self.tasks {
            task.abort();
        }
        tracing::info!("stopped");
    }
}

fn start_worker(
    config: &Config,
    accounts: Vec<MerchantAccount>,
    merchants: &Arc<Merchants>,
    clients: &Clients,
    (clock_watch, spans): (&ClockWatch, &Spans),
    tasks: &mut Vec<JoinHandle<()>>,
) -> Result<worker::Handle, Error> {
    let update_urls = config.events.update_urls.by_account(&accounts);
    let keys = ApiKeys::new(accounts);
    tasks.push(tokio::spawn(keys.clone().keep_fresh(Duration::from_millis(config.pay_api.key_reload_ms))));
    let pay_api = PayApi::new(
        clients.pay_api.clone(),
        config.development.as_ref().and_then(|development| development.pay_api_endpoint.clone()),
        keys,
        &config.pay_api,
        config.events.free_text,
        (clients.clock, clock_watch.clone()),
    );
    let dependencies = worker::Dependencies {
        merchants: merchants.clone(),
        update_urls,
        pay_api,
        clock: clients.clock,
        broker: clients.broker,
        spans: spans.clone(),
    };
    Ok(worker::WorkerContext::new(config, dependencies).start()?)
}

fn start_entry(
    config: &Config,
    listener: TcpListener,
    inbox: Arc<Inbox>,
    merchants: Arc<Merchants>,
    clients: Clients,
    (clock_watch, is_leaving, spans): (ClockWatch, Arc<AtomicBool>, Spans),
    tasks: &mut Vec<JoinHandle<()>>,
) -> Result<Entry, Error> {
    let address = local(&listener);
    ingress::show_silence(&merchants);
    let state = web::Data::new(Ingress {
        inbox: inbox.clone(),
        certs: SigningCerts::new(clients.cert_authorities, &config.sns, clients.clock, clock_watch),
        subscriptions: Subscriptions::new(clients.sns_api, Duration::from_millis(config.sns.confirmation_timeout_ms)),
        policy: config.policy(&merchants),
        merchants,
        clock: clients.clock,
        bodies: Bodies::new(&config.ingress),
        settings: config.ingress.clone(),
        told: LogThrottle::new(ingress::TELL_EVERY),
        spans,
        is_leaving,
    });
    let ingress = ingress_server(listener, state, config)?;
    let server = ingress.handle();
    tasks.push(spawn_server("ingress", ingress));
    Ok(Entry { address, server, inbox })
}

fn listen(setting: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).map_err(|source| Error::Listen { setting, address, source })
}

fn local(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a bound listener has an address")
}

fn ingress_server(listener: TcpListener, entry: web::Data<Ingress>, config: &Config) -> Result<Server, Error> {
    let address = local(&listener);
    let server = HttpServer::new(move || Actix::new().app_data(entry.clone()).configure(ingress::routes))
        // SNS gives up after 15 s; until then a slow sender of headers is not told 408, which it would not repeat.
        .client_request_timeout(Duration::from_secs(15))
        .keep_alive(Duration::from_secs(75))
        .max_connections(connections_per_thread(&config.ingress))
        .shutdown_timeout(config.shutdown.grace_ms.div_ceil(1000))
        .disable_signals();
    let server = if config.ingress.threads > 0 { server.workers(config.ingress.threads) } else { server };
    Ok(server.listen(listener).map_err(|source| Error::Listen { setting: "ingress.listen", address, source })?.run())
}

/// The server limits connections for each of its threads.
fn connections_per_thread(settings: &config::Ingress) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if settings.threads > 0 { settings.threads } else { cores };
    settings.connections_max.div_ceil(threads)
}

fn admin_server(
    listener: TcpListener,
    readiness: web::Data<Readiness>,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
    config: &Config,
) -> Result<Server, Error> {
    let (address, metrics) = (config.admin.listen, web::Data::new(metrics));
    let server = HttpServer::new(move || {
        Actix::new().app_data(readiness.clone()).app_data(metrics.clone()).configure(admin::routes)
    })
    .workers(1)
    .shutdown_timeout(1)
    .disable_signals();
    Ok(server.listen(listener).map_err(|source| Error::Listen { setting: "admin.listen", address, source })?.run())
}

fn spawn_server(name: &'static str, server: Server) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, name, "server failed");
        }
    })
}

/// Who is asked for the time, of those this role talks to: the certificate host of each region, and each Amazon Pay API.
fn clock_peers(
    role: Role,
    policy: &Policy,
    accounts: &[MerchantAccount],
    clients: &Clients,
) -> Vec<(Peer, reqwest::Client, String)> {
    let sns = policy.topics.regions().map(|region| format!("https://sns.{region}.amazonaws.com/"));
    let pay_api = accounts.iter().map(|account| format!("https://{}/", account.region.api_host()));
    let sns: BTreeSet<String> = sns.filter(|_| role.takes()).collect();
    let pay_api: BTreeSet<String> = pay_api.filter(|_| role.works()).collect();
    let sns = sns.into_iter().map(|url| (Peer::CertificateHost, clients.cert_authorities.signing_certs.clone(), url));
    sns.chain(pay_api.into_iter().map(|url| (Peer::PayApi, clients.pay_api.clone(), url))).collect()
}

fn warn_of_development() {
    metrics::gauge!("ipn_receiver_development_settings").set(1.0);
    tracing::error!(
        "DEVELOPMENT SETTINGS ARE IN FORCE: whoever controls the origins, roots, topics and endpoints in [development] \
         can make this receiver believe anything. Never use them where events have effects; remove the table for production"
    );
}

async fn check_topics(config: &Config) -> Result<usize, topics::Error> {
    tracing::info!(bootstrap_servers = config.kafka.bootstrap_servers, "asking Kafka about the topics");
    let found = topics::check(config).await;
    let found = found.map_err(|error| error.to_users(&config.kafka, &PrincipalRole::of(config.role)))?;
    for difference in found.warned() {
        tracing::warn!("topic {difference}");
    }
    if let Some(keeps) = found.inbox_keeps_s {
        metrics::gauge!("ipn_receiver_inbox_retention_seconds").set(keeps);
    }
    Ok(found.min_in_sync_replicas)
}

/// Keeps readiness true to whether Kafka would take a record. Says so when that changes, and once a minute while
/// it would not.
async fn watch_inbox(inbox: Arc<Inbox>, readiness: web::Data<Readiness>, interval: Duration) {
    let mut trouble_since: Option<Instant> = None;
    let mut told_at = Instant::now();
    loop {
        let probed = inbox.clone();
        let timeout = interval.max(Duration::from_secs(1));
        let probe = tokio::task::spawn_blocking(move || probed.probe(timeout)).await;
        let outcome = probe.unwrap_or_else(|_| Err("the probe failed".to_owned()));
        match (&outcome, trouble_since) {
            (Err(what), None) => {
                tracing::error!(what, "not ready: Kafka would not take a record; notifications are answered 503");
                (trouble_since, told_at) = (Some(Instant::now()), Instant::now());
            }
            (Err(what), Some(since)) if told_at.elapsed() > TELL_EVERY => {
                tracing::error!(what, for_s = since.elapsed().as_secs(), "still not ready");
                told_at = Instant::now();
            }
            (Ok(()), Some(since)) => {
                tracing::info!(after_s = since.elapsed().as_secs(), "ready again: Kafka takes records");
                trouble_since = None;
            }
            (Err(_), Some(_)) | (Ok(()), None) => {}
        }
        readiness.note_inbox(outcome);
        tokio::time::sleep(interval).await;
    }
}

const TELL_EVERY: Duration = Duration::from_mins(1);
/// The last of the trace is worth a moment of the time to leave, and no more.
const SPANS_FLUSH: Duration = Duration::from_secs(2);
