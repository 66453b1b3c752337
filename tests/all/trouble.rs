//! Kafka in trouble: no 200, readiness off, and on again when it is over.
//!
//! librdkafka's mock broker fails on demand, which a real one does not. Nothing here is about exactly-once.

use std::time::{Duration, Instant};

use ipn_receiver::app::App;
use ipn_receiver::outside::Broker;
use ipn_receiver::sandbox::pay_api::ObjectKind;
use ipn_receiver::sandbox::sns::{Answer, SignatureVersion};
use ipn_receiver::sandbox::world::{Hint, World};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::harness::{run, until};

/// A receiver on a broker that can be told to fail.
struct Stage {
    world: World,
    cluster: MockCluster<'static, DefaultProducerContext>,
    app: App,
    body: String,
}

impl Stage {
    async fn new(settings: &str) -> Self {
        let world = World::start(1).await.unwrap();
        let cluster = MockCluster::new(1).unwrap();
        let config = world.config_with(&cluster.bootstrap_servers(), settings).unwrap();
        let topics = config.kafka.topics();
        for topic in [&topics.inbox, &topics.events, &topics.state, &topics.dead_letters] {
            cluster.create_topic(topic, 3, 1).unwrap();
        }
        let app = App::start(config, world.outside(Broker::Mock).unwrap()).await.unwrap();
        until("ready", || app.is_ready()).await;
        let id = "S02-5454037-1929856-C000001";
        let hint =
            Hint { merchant: &world.merchants[0], kind: ObjectKind::Charge, id, notification_type: "STATE_CHANGE" };
        let body = world.envelope(&hint, SignatureVersion::V2);
        Self { world, cluster, app, body }
    }

    async fn post(&self) -> Answer {
        let asked = Instant::now();
        let answer = self.world.post(&self.app, &self.body).await.unwrap();
        assert!(asked.elapsed() < SNS_GIVES_UP_AFTER, "answered after {:?}", asked.elapsed());
        answer
    }

    async fn expect_refused(&self) {
        let answer = self.post().await;
        assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("20")), "{}", answer.body);
    }

    async fn expect_accepted_again(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.post().await.status != 200 {
            assert!(Instant::now() < deadline, "notifications are taken again");
        }
    }
}

const SNS_GIVES_UP_AFTER: Duration = Duration::from_secs(15);

#[test]
fn without_kafka_the_answer_is_503_in_time_and_readiness_is_off_until_it_is_back() {
    run(async {
        let stage = Stage::new("ingress.deadline_ms = 3000\nkafka.append_timeout_ms = 1500").await;
        assert_eq!(stage.post().await.status, 200);
        stage.cluster.broker_down(-1).unwrap();
        stage.expect_refused().await;
        until("not ready", || !stage.app.is_ready()).await;
        stage.cluster.broker_up(-1).unwrap();
        until("ready again", || stage.app.is_ready()).await;
        stage.expect_accepted_again().await;
        stage.app.stop().await;
    });
}

#[test]
fn a_slow_or_refusing_broker_is_503_within_the_deadline() {
    run(async {
        let stage = Stage::new("ingress.deadline_ms = 1500\nkafka.append_timeout_ms = 1000").await;
        assert_eq!(stage.post().await.status, 200);
        let too_few_replicas = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 100];
        let forbidden = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
        for errors in [too_few_replicas.as_slice(), forbidden.as_slice()] {
            stage.cluster.request_errors(RDKafkaApiKey::Produce, errors);
            stage.expect_refused().await;
            stage.cluster.clear_request_errors(RDKafkaApiKey::Produce);
            stage.expect_accepted_again().await;
        }
        stage.cluster.broker_round_trip_time(1, Duration::from_secs(4)).unwrap();
        stage.expect_refused().await;
        stage.cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
        stage.app.stop().await;
    });
}

#[test]
fn a_body_that_trickles_in_is_503_within_the_deadline() {
    run(async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let stage = Stage::new("ingress.deadline_ms = 1000\nkafka.append_timeout_ms = 500").await;
        let mut connection = tokio::net::TcpStream::connect(stage.app.ingress_address()).await.unwrap();
        connection.write_all(b"POST /ipn HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{").await.unwrap();
        let mut answer = vec![0; 12];
        let read = connection.read_exact(&mut answer);
        tokio::time::timeout(SNS_GIVES_UP_AFTER, read).await.expect("an answer within the deadline").unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 503");
        stage.app.stop().await;
    });
}
