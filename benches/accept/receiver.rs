//! The measured accept path behind its HTTP server, with a simulated SNS and a broker.
//!
//! The accept path is that of the product (`ingress::routes` on an `Ingress`, as `app` builds it). No worker, admin port
//! or readiness probe runs.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use ipn_receiver::amazon::clock_skew::ClockWatch;
use ipn_receiver::amazon::signing_certs::SigningCerts;
use ipn_receiver::amazon::subscriptions::Subscriptions;
use ipn_receiver::config::{Config, Kafka, MerchantAccount};
use ipn_receiver::domain::sns::{Envelope, string_to_sign};
use ipn_receiver::ingress::{self, Bodies, Ingress, LastGenuine, StoredLately, TopicLimits};
use ipn_receiver::kafka::inbox::Inbox;
use ipn_receiver::kafka::topics;
use ipn_receiver::sandbox::environment::{Hint, SandboxEnvironment};
use ipn_receiver::sandbox::pay_api::ObjectKind;
use ipn_receiver::sandbox::sns::SignatureVersion;
use ipn_receiver::telemetry::log_throttle::LogThrottle;
use openssl::x509::X509;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{FutureProducer, FutureRecord};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::{Error, cpu};

/// A broker in another process: a real one, or a mock that this run starts.
pub(crate) enum Broker {
    /// The mock broker of librdkafka.
    Mock {
        /// Its process; it ends when its standard input is closed.
        child: Child,
        /// The address.
        servers: String,
    },
    /// The bootstrap servers of a real Kafka.
    Real(String),
}

/// The accept path with one `kafka.append_linger_ms`.
pub(crate) struct Receiver {
    /// The setting.
    pub(crate) linger_ms: u64,
    /// The address.
    pub(crate) address: SocketAddr,
    /// The settings of its inbox.
    pub(crate) kafka: Kafka,
    handle: ServerHandle,
}

/// Signed messages and the key to verify them.
pub(crate) struct Signed {
    /// HTTP bodies.
    pub(crate) bodies: Vec<String>,
    /// The record keys: the merchant ids.
    pub(crate) keys: Vec<String>,
    /// The string-to-sign and the signature of each.
    pub(crate) proofs: Vec<(String, Vec<u8>)>,
    /// The RSA public key, DER (PKCS#1).
    pub(crate) key: Vec<u8>,
}

impl Broker {
    /// The broker named by `KAFKA_BOOTSTRAP_SERVERS`, or a mock.
    pub(crate) fn start(topic: impl Fn(&str) -> Result<Kafka, Error>) -> Result<(Self, Kafka), Error> {
        if let Ok(servers) = std::env::var("KAFKA_BOOTSTRAP_SERVERS") {
            let kafka = topic(&servers)?;
            return Ok((Self::Real(servers), kafka));
        }
        // A configuration needs both; the topic names do not depend on the servers.
        let planned = topic("127.0.0.1:9")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args([MOCK_ROLE, &planned.topics().inbox, &planned.partitions.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut servers = String::new();
        std::io::BufReader::new(child.stdout.take().expect("standard output was asked for")).read_line(&mut servers)?;
        let servers = servers.trim().to_owned();
        let kafka = topic(&servers)?;
        Ok((Self::Mock { child, servers }, kafka))
    }

    /// The bootstrap servers.
    pub(crate) fn servers(&self) -> &str {
        match self {
            Self::Mock { servers, .. } | Self::Real(servers) => servers,
        }
    }

    /// CPU time of the mock's process.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        match self {
            Self::Mock { child, .. } => Some(cpu::of_process(child.id())),
            Self::Real(_) => None,
        }
    }

    /// Creates missing topics.
    pub(crate) async fn create_topics(&self, kafka: &Kafka) -> Result<(), Error> {
        if let Self::Real(_) = self {
            topics::create(kafka).await?;
        }
        Ok(())
    }

    /// Deletes the topics of a real broker.
    pub(crate) async fn delete_topics(&self, kafka: &Kafka) -> Result<(), Error> {
        if let Self::Real(_) = self {
            let admin: AdminClient<DefaultClientContext> = kafka.client().create()?;
            let topics = kafka.topics();
            let names = [&topics.inbox, &topics.events, &topics.state, &topics.dead_letters].map(String::as_str);
            admin.delete_topics(&names, &AdminOptions::new()).await?;
        }
        Ok(())
    }
}

/// The main function of the mock process, whose first argument is [`MOCK_ROLE`].
pub(crate) fn mock_main(topic: &str, partitions: &str) -> Result<(), Error> {
    let cluster = MockCluster::new(1)?;
    cluster.create_topic(topic, partitions.parse()?, 1)?;
    println!("{}", cluster.bootstrap_servers());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

impl Receiver {
    /// Starts the accept path with one ingress thread.
    pub(crate) fn start(environment: &SandboxEnvironment, servers: &str, linger_ms: u64) -> Result<Self, Error> {
        let config = environment.config_with(servers, &settings(linger_ms))?;
        let entry = web::Data::new(entry(&config, environment)?);
        let listener = std::net::TcpListener::bind(config.ingress.listen)?;
        let address = listener.local_addr()?;
        let server = HttpServer::new(move || {
            let bare = web::resource(BARE_PATH).route(web::post().to(answer_at_once));
            App::new().app_data(entry.clone()).service(bare).configure(ingress::routes)
        })
        // As in `app`.
        .client_request_timeout(Duration::from_secs(15))
        .keep_alive(Duration::from_secs(75))
        .disable_signals()
        .workers(config.ingress.threads)
        .listen(listener)?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { linger_ms, address, kafka: config.kafka, handle })
    }

    /// A plain producer with the settings of the inbox, to measure the acknowledgement latency.
    pub(crate) fn plain_producer(&self) -> Result<FutureProducer, Error> {
        let mut client = self.kafka.client();
        client
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("max.in.flight.requests.per.connection", "1")
            .set("linger.ms", self.linger_ms.to_string())
            .set("compression.type", "lz4")
            .set("partitioner", "murmur2_random");
        Ok(client.create()?)
    }

    /// Stops the server and drops open connections.
    pub(crate) async fn stop(&self) {
        self.handle.stop(false).await;
    }
}

/// Appends a body and waits for the acknowledgement.
pub(crate) async fn append(producer: &FutureProducer, topic: &str, key: &str, body: &str) -> Result<(), Error> {
    let record = FutureRecord::to(topic).key(key).payload(body);
    let delivery = producer.send_result(record).map_err(|(error, _)| error)?;
    delivery.await?.map_err(|(error, _)| error)?;
    Ok(())
}

/// Settings in addition to those of the sandbox.
pub(crate) fn settings(linger_ms: u64) -> String {
    // The same messages are posted again and again, and each counts.
    format!(
        "kafka.append_linger_ms = {linger_ms}\ningress.threads = 1\ningress.messages_remembered_max = 0\ningress.topic_messages_per_s_max = 1000000"
    )
}

fn entry(config: &Config, environment: &SandboxEnvironment) -> Result<Ingress, Error> {
    let clients = environment.clients()?;
    let merchants = Arc::new(MerchantAccount::table(&config.merchants));
    Ok(Ingress {
        inbox: Arc::new(Inbox::new(&config.kafka, 1)?),
        certs: SigningCerts::new(
            clients.cert_authorities,
            &config.sns,
            clients.clock,
            ClockWatch::new(clients.clock, Duration::from_secs(config.admin.clock_offset_max_s)),
        ),
        subscriptions: Subscriptions::new(clients.sns_api, Duration::from_millis(config.sns.confirmation_timeout_ms)),
        policy: config.policy(&merchants),
        last_genuine: LastGenuine::new(&merchants),
        merchants,
        clock: clients.clock,
        stored_lately: StoredLately::new(config.ingress.messages_remembered_max),
        topic_limits: TopicLimits::new(&config.ingress),
        bodies: Bodies::new(&config.ingress),
        settings: config.ingress.clone(),
        log_throttle: LogThrottle::new(ingress::LOG_EVERY),
        spans: ipn_receiver::telemetry::spans::Spans::default(),
        is_leaving: Arc::default(),
    })
}

/// Reads the body and answers 200 without further work.
async fn answer_at_once(request: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    let announced = request.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
    let mut body: Vec<u8> = Vec::with_capacity(announced.unwrap_or(4096));
    while let Some(Ok(chunk)) = payload.next().await {
        body.extend_from_slice(&chunk);
    }
    std::hint::black_box(&body);
    HttpResponse::Ok().finish()
}

impl Signed {
    /// Signs `n` distinct notifications for all merchants of the environment.
    pub(crate) async fn by(environment: &SandboxEnvironment, n: usize) -> Result<Self, Error> {
        let bodies: Vec<String> = (0..n).map(|n| body(environment, n)).collect();
        let clients = environment.clients()?;
        let pem = clients
            .cert_authorities
            .signing_certs
            .get(environment.sns.signing_cert_url())
            .send()
            .await?
            .bytes()
            .await?;
        let key = X509::from_pem(&pem)?.public_key()?.rsa()?.public_key_to_der_pkcs1()?;
        let mut proofs = Vec::with_capacity(n);
        for body in &bodies {
            let envelope = Envelope::parse(body.as_bytes())?;
            proofs.push((string_to_sign(&envelope), STANDARD.decode(&envelope.signature)?));
        }
        let keys = (0..n).map(|n| merchant(environment, n).to_owned()).collect();
        Ok(Self { bodies, keys, proofs, key })
    }

    /// Verifies in a loop. Returns the number of verifications and the CPU time of this thread.
    pub(crate) fn verify_for(&self, duration: Duration) -> Result<(u64, Duration), Error> {
        let (started, cpu_before, mut n_verified) = (Instant::now(), cpu::of_this_thread(), 0);
        while started.elapsed() < duration {
            for (string_to_sign, signature) in &self.proofs {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key)
                    .verify(string_to_sign.as_bytes(), signature)
                    .map_err(|_| "the sandbox's SNS signed something that does not verify")?;
            }
            n_verified += self.proofs.len() as u64;
        }
        Ok((n_verified, cpu::of_this_thread().saturating_sub(cpu_before)))
    }
}

fn body(environment: &SandboxEnvironment, n: usize) -> String {
    let permission = format!("S02-{:07}-{:07}", n / 10_000_000 + 1_234_567, n % 10_000_000);
    let (kind, id) = match n % 3 {
        0 => (ObjectKind::ChargePermission, permission),
        1 => (ObjectKind::Charge, format!("{permission}-C{:06}", n % 1_000_000)),
        _ => (ObjectKind::Refund, format!("{permission}-R{:06}", n % 1_000_000)),
    };
    let hint = Hint { merchant: merchant(environment, n), kind, id: &id, notification_type: "STATE_CHANGE" };
    environment.envelope(&hint, SignatureVersion::V2)
}

fn merchant(environment: &SandboxEnvironment, n: usize) -> &str {
    &environment.merchants[n % environment.merchants.len()]
}

/// The path without the accept path.
pub(crate) const BARE_PATH: &str = "/bare";
/// The first argument of the mock process.
pub(crate) const MOCK_ROLE: &str = "mock-broker";
