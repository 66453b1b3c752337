//! A sandbox environment with a receiver on a real Kafka, and helpers for tests.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix_web::{HttpServer, web};
use ipn_receiver::app::App;
use ipn_receiver::config::{Config, Kafka};
use ipn_receiver::kafka::Broker;
use ipn_receiver::kafka::topics;
use ipn_receiver::sandbox::environment::{Hint, SandboxEnvironment};
use ipn_receiver::sandbox::events::EventReader;
use ipn_receiver::sandbox::pay_api::ObjectKind;
use ipn_receiver::sandbox::sns::{Answer, SignatureVersion};
use ipn_receiver::{app, telemetry};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::contract::check_event;
use crate::interface::check_answer;

/// Bootstrap servers of the real Kafka. Panics if it cannot be reached.
pub(crate) fn kafka() -> String {
    let servers = std::env::var("KAFKA_BOOTSTRAP_SERVERS").unwrap_or_else(|_| "127.0.0.1:19092".to_owned());
    let client: BaseConsumer = rdkafka::ClientConfig::new().set("bootstrap.servers", &servers).create().unwrap();
    let found = client.fetch_metadata(None, Duration::from_secs(10));
    assert!(
        found.is_ok(),
        "no Kafka at {servers}. Start one with `scripts/kafka up` (stop it with `scripts/kafka down`), run all checks with \
         `scripts/check`, or name a cluster in KAFKA_BOOTSTRAP_SERVERS"
    );
    servers
}

/// Runs a test on a runtime like that of the program.
pub(crate) fn run(test: impl Future<Output = ()>) {
    telemetry::log(telemetry::LogFormat::Text, "off");
    app::use_ring_for_tls();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

/// The simulated Amazon, a real Kafka with topics for this test, and the settings of the receiver.
pub(crate) struct Stage {
    pub(crate) environment: SandboxEnvironment,
    pub(crate) servers: String,
    settings: String,
}

impl Stage {
    /// A stage for this many merchants, with more settings as TOML.
    pub(crate) async fn new(n_merchants: usize, settings: &str) -> Self {
        let stage = Self {
            environment: SandboxEnvironment::start_fast(n_merchants).await.unwrap(),
            servers: kafka(),
            settings: settings.to_owned(),
        };
        topics::create(&stage.config().kafka).await.unwrap();
        stage
    }

    pub(crate) fn config(&self) -> Config {
        self.config_at(&self.servers)
    }

    pub(crate) fn config_at(&self, servers: &str) -> Config {
        let settings = format!("kafka.session_timeout_ms = 6000\n{}", self.settings);
        self.environment.config_with(servers, &settings).unwrap()
    }

    pub(crate) fn kafka(&self) -> Kafka {
        self.config().kafka
    }

    /// Starts a receiver and waits until it owns its partitions.
    pub(crate) async fn receiver(&self) -> App {
        let app = App::start(self.config(), self.environment.clients().unwrap(), Broker::Real).await.unwrap();
        until("the receiver is ready", || app.is_ready() && app.is_working()).await;
        app
    }

    pub(crate) fn reader(&self) -> EventReader {
        EventReader::start(&self.kafka()).unwrap()
    }

    /// Posts an IPN of the first merchant about a change of state.
    pub(crate) async fn post_ipn(&self, app: &App, kind: ObjectKind, id: &str) -> Answer {
        self.post(app, &self.envelope(kind, id)).await
    }

    /// Posts a body. The answer must be one that `openapi.yaml` describes.
    pub(crate) async fn post(&self, app: &App, body: &str) -> Answer {
        post(&self.environment, app, body).await
    }

    pub(crate) fn envelope(&self, kind: ObjectKind, id: &str) -> String {
        let hint = Hint { merchant: &self.environment.merchants[0], kind, id, notification_type: "STATE_CHANGE" };
        self.environment.envelope(&hint, SignatureVersion::V2)
    }
}

/// Posts a body as SNS does. The answer must be one that `openapi.yaml` describes.
pub(crate) async fn post(environment: &SandboxEnvironment, app: &App, body: &str) -> Answer {
    post_to(environment, &format!("http://{}/ipn", app.ingress_address()), body).await
}

/// Posts a body to a receiver in another process.
pub(crate) async fn post_to(environment: &SandboxEnvironment, url: &str, body: &str) -> Answer {
    let answer = environment.post_to(url, body).await.unwrap();
    check_answer("POST", "/ipn", &answer);
    answer
}

/// An HTTP server on loopback. It runs until the runtime of the test ends.
pub(crate) fn http_server(routes: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = HttpServer::new(move || actix_web::App::new().configure(routes.clone())).workers(1).disable_signals();
    tokio::spawn(server.listen(listener).unwrap().run());
    address
}

/// Changes settings of a topic and keeps the others.
pub(crate) async fn alter_topic(kafka: &Kafka, topic: &str, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    let options = AdminOptions::new();
    let described =
        admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options).await.unwrap().remove(0).unwrap();
    let own = described.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
    let mut all: BTreeMap<&str, &str> =
        own.map(|entry| (entry.name.as_str(), entry.value.as_deref().unwrap_or_default())).collect();
    all.extend(settings.iter().copied());
    // AlterConfigs resets every setting that it does not name.
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic));
    let change = all.into_iter().fold(change, |change, (name, value)| change.set(name, value));
    admin.alter_configs([&change], &options).await.unwrap()[0].as_ref().unwrap();
}

/// Waits up to 60 s until a condition holds.
pub(crate) async fn until(fact: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "waited 60 s for: {fact}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The next `n` events. Panics if they are not published.
pub(crate) async fn events(reader: &mut EventReader, n: usize) -> Vec<Value> {
    let mut events = Vec::new();
    while events.len() < n {
        let event = reader.next(Duration::from_secs(40)).await;
        let event = event.unwrap_or_else(|| panic!("{} of {n} events came: {:?}", events.len(), names(&events)));
        check_event(&event);
        events.push(event);
    }
    events
}

/// The sum of a metric over all labels; 0 if it does not exist.
pub(crate) async fn metric(app: &App, name: &str) -> f64 {
    let text = admin_page(app, "/metrics").await;
    let values = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// A page of the admin port.
pub(crate) async fn admin_page(app: &App, path: &str) -> String {
    let answer = reqwest::get(format!("http://{}{path}", app.admin_address())).await.unwrap();
    let answer = Answer::read(answer).await.unwrap();
    check_answer("GET", path, &answer);
    answer.body
}

/// Asserts that no event is published for two seconds.
pub(crate) async fn silence(reader: &mut EventReader) {
    let event = reader.next(Duration::from_secs(2)).await;
    assert_eq!(event, None, "no event expected");
}

/// The names of events, without prefix and version.
pub(crate) fn names(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["type"].as_str().unwrap().rsplit('.').nth(1).unwrap().to_owned()).collect()
}

/// The number of inbox records above the committed offsets of the group.
pub(crate) fn inbox_records_left(kafka: &Kafka) -> i64 {
    let consumer = BaseConsumer::from_config(kafka.client().set("group.id", kafka.group())).unwrap();
    let topic = kafka.topics().inbox;
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_range(&topic, 0, kafka.partitions - 1);
    let committed = consumer.committed_offsets(wanted, Duration::from_secs(10)).unwrap();
    let left = committed.elements().into_iter().map(|element| {
        let (start, end) = consumer.fetch_watermarks(&topic, element.partition(), Duration::from_secs(10)).unwrap();
        end - element.offset().to_raw().filter(|offset| *offset >= 0).unwrap_or(start)
    });
    left.sum()
}

/// A record of a topic.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: BTreeMap<String, String>,
}

/// All committed records of a topic, read by an independent consumer.
pub(crate) fn committed_records(kafka: &Kafka, topic: &str) -> Vec<Record> {
    records(kafka, topic, "read_committed")
}

/// All records of a topic, read with this isolation level.
pub(crate) fn records(kafka: &Kafka, topic: &str, isolation: &str) -> Vec<Record> {
    let consumer = BaseConsumer::from_config(
        kafka
            .client()
            .set("group.id", "test-reader")
            .set("isolation.level", isolation)
            .set("enable.partition.eof", "true"),
    )
    .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
    let n_partitions = metadata.topics()[0].partitions().len();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..n_partitions {
        assignment.add_partition_offset(topic, i32::try_from(partition).unwrap(), Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let (mut found, mut n_ended) = (Vec::new(), 0);
    let deadline = Instant::now() + Duration::from_secs(30);
    while n_ended < n_partitions {
        assert!(Instant::now() < deadline, "{topic} could not be read");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => found.push(Record {
                partition: message.partition(),
                key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
                value: message.payload().unwrap_or_default().to_vec(),
                headers: message.headers().map_or_else(BTreeMap::new, |headers| {
                    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
                    headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
                }),
            }),
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => n_ended += 1,
            Some(Err(error)) => panic!("{topic}: {error}"),
            None => {}
        }
    }
    found
}
