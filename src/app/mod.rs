//! The composition root: builds the parts of the process, owns their tasks, and shuts them down in order.

pub mod admin;
mod open_connections;
mod servers;
mod warm_up;
mod watch_kafka;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use rdkafka::error::KafkaError;
use tokio::task::JoinHandle;

use self::admin::Readiness;
use self::open_connections::{connections_max, watch_connections};
use self::servers::{admin_server, ingress_server, listen, local_address, spawn_server};
use self::warm_up::warm_up;
use self::watch_kafka::{watch_inbox, watch_worker};
use crate::amazon::Clients;
use crate::amazon::clock_skew::{ClockSource, ClockWatch, Peer};
use crate::amazon::pay_api::{ApiKeys, PayApi};
use crate::amazon::signing_certs::SigningCerts;
use crate::amazon::subscriptions::Subscriptions;
use crate::config::{self, Config, MerchantAccount};
use crate::domain::ipn::routing::Merchants;
use crate::http::connections::Connections;
use crate::ingress::{self, Bodies, Ingress, LastGenuine, StoredLately, TopicLimits};
use crate::kafka::Broker;
use crate::kafka::acls::PrincipalRole;
use crate::kafka::connection::Connection;
use crate::kafka::inbox::Inbox;
use crate::kafka::topics;
use crate::telemetry;
use crate::telemetry::log_throttle::LogThrottle;
use crate::telemetry::spans::{self, Spans};
use crate::worker;

/// Why the receiver could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be opened.
    #[error("cannot listen on {address}: {source}; free the port or change {setting}")]
    Listen {
        /// The setting of the address.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: std::io::Error,
    },
    /// An HTTP client could not be built.
    #[error("cannot build the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// Spans cannot be exported as configured.
    #[error(transparent)]
    Spans(#[from] spans::Error),
    /// The topics do not meet the requirements.
    #[error(transparent)]
    Topics(#[from] topics::Error),
    /// librdkafka refuses the settings.
    #[error("cannot create the Kafka client: {0}; check kafka.properties")]
    Kafka(#[from] KafkaError),
}

/// A running process, with the parts of its role.
pub struct App {
    /// Receives IPNs; `None` in the role `worker`.
    ingress: Option<RunningIngress>,
    /// Reads objects and publishes events; `None` in the role `ingest`.
    worker: Option<worker::Handle>,
    admin_address: SocketAddr,
    admin: ServerHandle,
    tasks: Vec<JoinHandle<()>>,
    readiness: web::Data<Readiness>,
    spans: Spans,
    shutdown: config::Shutdown,
}

struct RunningIngress {
    address: SocketAddr,
    server: ServerHandle,
    connections: Connections,
    inbox: Arc<Inbox>,
}

impl RunningIngress {
    /// Accepts no more connections, and waits until all requests are answered.
    async fn stop(&self) {
        let end_idle = async {
            loop {
                self.connections.end_idle();
                tokio::time::sleep(END_IDLE_EVERY).await;
            }
        };
        tokio::select! {
            () = self.server.stop(true) => {}
            () = end_idle => {}
        }
    }
}

/// Installs *ring* as the cryptography provider for TLS. Call it before building the first HTTP client; a second call has
/// no effect.
pub fn use_ring_for_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl App {
    /// Starts the parts of the configured role. The ports are open when this returns.
    pub async fn start(mut config: Config, clients: Clients, broker: Broker) -> Result<Self, Error> {
        let metrics = telemetry::metrics();
        let spans = Spans::start(&config.telemetry)?;
        let admin_listener = listen("admin.listen", config.admin.listen)?;
        let admin_address = local_address(&admin_listener);
        let ingress_listener =
            config.role.receives_ipns().then(|| listen("ingress.listen", config.ingress.listen)).transpose()?;
        let TopicFacts { min_in_sync_replicas, events_partitions } = match broker {
            Broker::Real => check_topics(&config).await?,
            Broker::Mock => TopicFacts { min_in_sync_replicas: 1, events_partitions: None },
        };
        init_metrics(&config);
        let accounts = std::mem::take(&mut config.merchants);
        let merchants = Arc::new(MerchantAccount::table(&accounts));
        let clock_watch = ClockWatch::new(clients.clock, Duration::from_secs(config.admin.clock_offset_max_s));
        let peers = clock_peers(&config, &merchants, &accounts, &clients);
        let mut tasks = vec![tokio::spawn(clock_watch.clone().run(peers))];
        let shared = Shared { merchants, clients, broker, events_partitions, clock_watch, spans };
        let worker =
            config.role.runs_worker().then(|| start_worker(&config, accounts, &shared, &mut tasks)).transpose()?;
        let readiness = web::Data::new(Readiness::new(
            config.role,
            worker.as_ref().map(|worker| worker.status.clone()),
            shared.clock_watch.clone(),
            config.development.is_some(),
        ));
        let spans = shared.spans.clone();
        let ingress = match ingress_listener {
            Some(listener) => {
                let inbox = Arc::new(Inbox::new(&config.kafka, min_in_sync_replicas)?);
                Some(start_ingress(
                    &config,
                    IngressParts { listener, inbox, readiness: &readiness },
                    shared,
                    &mut tasks,
                )?)
            }
            None => None,
        };
        let admin_server = admin_server(admin_listener, readiness.clone(), metrics)?;
        let admin = admin_server.handle();
        tasks.push(spawn_server("admin", admin_server));
        tracing::info!(
            role = config.role.as_str(),
            ingress = ingress.as_ref().map(|ingress| tracing::field::display(ingress.address)),
            admin = %admin_address,
            version = env!("CARGO_PKG_VERSION"),
            "ipn-receiver started"
        );
        Ok(Self { ingress, worker, admin_address, admin, tasks, readiness, spans, shutdown: config.shutdown })
    }

    /// The address of `POST /ipn`.
    ///
    /// # Panics
    /// In the role `worker`, which does not have this port.
    pub fn ingress_address(&self) -> SocketAddr {
        self.ingress.as_ref().expect("this role receives IPNs").address
    }

    /// The address of `/readyz` and `/metrics`.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Whether `/readyz` answers 200.
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// Whether the worker owns its partitions and has restored their state.
    pub fn is_working(&self) -> bool {
        self.worker.as_ref().is_some_and(|worker| worker.status.is_working.load(Ordering::Relaxed))
    }

    /// Whether the process must end: the worker's thread ended or hangs, or the inbox producer failed for good.
    pub fn has_failed(&self) -> bool {
        self.worker.as_ref().is_some_and(worker::Handle::has_failed)
            || self.ingress.as_ref().is_some_and(|ingress| ingress.inbox.has_failed())
    }

    /// Stops in this order: not ready; no new requests; finish requests; finish reads and the last transaction, and leave
    /// the group; flush the inbox producer and the spans.
    pub async fn stop(self) {
        let config::Shutdown { notice_ms, grace_ms } = self.shutdown;
        tracing::info!(
            notice_ms,
            grace_ms,
            "shutting down: /readyz answers 503; requests are accepted for notice_ms, then running ones get grace_ms to finish"
        );
        self.readiness.is_leaving.store(true, Ordering::Relaxed);
        // Requests are still accepted: load balancers need a moment to notice that this process is not ready.
        tokio::time::sleep(Duration::from_millis(notice_ms)).await;
        let grace = Duration::from_millis(grace_ms);
        if let Some(ingress) = &self.ingress
            && tokio::time::timeout(grace, ingress.stop()).await.is_err()
        {
            tracing::warn!(
                "requests that were not finished within shutdown.grace_ms were aborted; Amazon SNS sends them again"
            );
        }
        if let Some(worker) = self.worker {
            let stopped = tokio::task::spawn_blocking(move || worker.stop());
            if tokio::time::timeout(grace, stopped).await.is_err() {
                tracing::error!(
                    "the worker did not stop within shutdown.grace_ms; the next worker takes over its uncommitted work"
                );
            }
        }
        if let Some(RunningIngress { inbox, .. }) = self.ingress {
            let flushed = tokio::task::spawn_blocking(move || inbox.flush(INBOX_FLUSH_TIMEOUT));
            if let Ok(Err(error)) = flushed.await {
                tracing::warn!(%error, "the inbox producer could not flush its records; Amazon SNS sends every IPN again that was not answered 200");
            }
        }
        let spans = self.spans;
        let _ = tokio::task::spawn_blocking(move || spans.finish(SPANS_FLUSH_TIMEOUT)).await;
        self.admin.stop(true).await;
        for task in self.tasks {
            task.abort();
        }
        tracing::info!("ipn-receiver stopped");
    }
}

/// What the worker and the ingress of one process share.
struct Shared {
    merchants: Arc<Merchants>,
    clients: Clients,
    broker: Broker,
    events_partitions: Option<i32>,
    clock_watch: ClockWatch,
    spans: Spans,
}

/// What the ingress alone needs.
struct IngressParts<'a> {
    listener: TcpListener,
    inbox: Arc<Inbox>,
    readiness: &'a web::Data<Readiness>,
}

fn init_metrics(config: &Config) {
    telemetry::init_metrics(config.role);
    metrics::gauge!("ipn_receiver_inbox_partitions").set(f64::from(config.kafka.partitions));
    if config.development.is_some() {
        warn_of_development();
    }
}

fn start_worker(
    config: &Config,
    accounts: Vec<MerchantAccount>,
    shared: &Shared,
    tasks: &mut Vec<JoinHandle<()>>,
) -> Result<worker::Handle, Error> {
    let Shared { merchants, clients, broker, events_partitions, clock_watch, spans } = shared;
    let update_urls = config.events.update_urls.by_account(&accounts);
    let keys = ApiKeys::new(accounts);
    tasks.push(tokio::spawn(keys.clone().keep_fresh(Duration::from_millis(config.pay_api.key_reload_ms))));
    let pay_api = PayApi::new(
        clients.pay_api.clone(),
        config.development.as_ref().and_then(|development| development.pay_api_endpoint.clone()),
        keys,
        &config.pay_api,
        config.events.free_text,
        clock_watch.clone(),
    );
    let dependencies = worker::Dependencies {
        merchants: merchants.clone(),
        update_urls,
        pay_api,
        clock: clients.clock,
        broker: *broker,
        events_partitions: *events_partitions,
        spans: spans.clone(),
    };
    let connection = Connection::in_background(&config.kafka)?;
    let worker = worker::WorkerContext::new(config, dependencies).start()?;
    let interval = Duration::from_millis(config.admin.probe_interval_ms);
    tasks.push(tokio::spawn(watch_worker(connection, worker.status.clone(), clients.clock, interval)));
    Ok(worker)
}

fn start_ingress(
    config: &Config,
    parts: IngressParts<'_>,
    shared: Shared,
    tasks: &mut Vec<JoinHandle<()>>,
) -> Result<RunningIngress, Error> {
    let IngressParts { listener, inbox, readiness } = parts;
    let Shared { merchants, clients, clock_watch, spans, .. } = shared;
    let address = local_address(&listener);
    let interval = Duration::from_millis(config.admin.probe_interval_ms);
    tasks.push(tokio::spawn(watch_inbox(inbox.clone(), readiness.clone(), interval)));
    let certs = SigningCerts::new(clients.cert_authorities, &config.sns, clients.clock, clock_watch);
    let policy = config.policy(&merchants);
    tasks.push(tokio::spawn(warm_up(config.kafka.clone(), policy.clone(), certs.clone())));
    let ingress = web::Data::new(Ingress {
        inbox: inbox.clone(),
        certs,
        subscriptions: Subscriptions::new(clients.sns_api, Duration::from_millis(config.sns.confirmation_timeout_ms)),
        policy,
        last_genuine: LastGenuine::new(&merchants),
        merchants,
        clock: clients.clock,
        stored_lately: StoredLately::new(config.ingress.messages_remembered_max),
        topic_limits: TopicLimits::new(&config.ingress),
        bodies: Bodies::new(&config.ingress),
        settings: config.ingress.clone(),
        log_throttle: LogThrottle::new(ingress::LOG_EVERY),
        spans,
        is_leaving: readiness.is_leaving.clone(),
    });
    let connections = Connections::new(connections_max(&config.ingress));
    tasks.push(tokio::spawn(watch_connections(connections.clone(), interval)));
    let ingress_server = ingress_server(listener, ingress, &connections, config)?;
    let server = ingress_server.handle();
    tasks.push(spawn_server("ingress", ingress_server));
    Ok(RunningIngress { address, server, connections, inbox })
}

/// The peers whose clocks are compared, of those that this role connects to: the certificate host of each region, and
/// each Amazon Pay API.
fn clock_peers(
    config: &Config,
    merchants: &Merchants,
    accounts: &[MerchantAccount],
    clients: &Clients,
) -> Vec<ClockSource> {
    let policy = config.policy(merchants);
    let sns = policy.topics.regions().map(|region| format!("https://sns.{region}.amazonaws.com/"));
    let pay_api = accounts.iter().map(|account| format!("https://{}/", account.region.api_host()));
    let sns: BTreeSet<String> = sns.filter(|_| config.role.receives_ipns()).collect();
    let pay_api: BTreeSet<String> = pay_api.filter(|_| config.role.runs_worker()).collect();
    let source = |peer: Peer, client: &reqwest::Client, url| ClockSource { peer, client: client.clone(), url };
    let sns = sns.into_iter().map(|url| source(Peer::CertificateHost, &clients.cert_authorities.signing_certs, url));
    sns.chain(pay_api.into_iter().map(|url| source(Peer::PayApi, &clients.pay_api, url))).collect()
}

fn warn_of_development() {
    metrics::gauge!("ipn_receiver_development_settings").set(1.0);
    tracing::error!(
        "DEVELOPMENT SETTINGS ARE ACTIVE: whoever controls the origins, roots, topics and endpoints of [development] \
         can forge IPNs and objects. Remove the table for production"
    );
}

/// What the parts of the process must know of the topics.
struct TopicFacts {
    min_in_sync_replicas: usize,
    events_partitions: Option<i32>,
}

async fn check_topics(config: &Config) -> Result<TopicFacts, topics::Error> {
    tracing::info!(
        bootstrap_servers = config.kafka.bootstrap_servers,
        "connecting to Kafka and comparing the topics with the requirements"
    );
    let found = topics::check(config).await;
    let found = found.map_err(|error| error.to_users(&config.kafka, &PrincipalRole::of(config.role)))?;
    for difference in found.warned() {
        tracing::warn!("topic {difference}");
    }
    if let Some(keeps) = found.inbox_keeps_s {
        metrics::gauge!("ipn_receiver_inbox_retention_seconds").set(keeps);
    }
    let events_partitions = Some(found.events_partitions());
    Ok(TopicFacts { min_in_sync_replicas: found.min_in_sync_replicas, events_partitions })
}

const END_IDLE_EVERY: Duration = Duration::from_millis(50);
const INBOX_FLUSH_TIMEOUT: Duration = Duration::from_secs(10);
/// The last spans may delay shutdown by this much.
const SPANS_FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
