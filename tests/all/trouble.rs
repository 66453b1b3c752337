//! Kafka in trouble: no 200, readiness off, and on again when it is over.

use std::time::{Duration, Instant};

use ipn_receiver::app::{App, Broker};
use ipn_receiver::sandbox::pay_api::ObjectKind;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::harness::{run, until};
use ipn_receiver::sandbox::sns::SignatureVersion;
use ipn_receiver::sandbox::world::{Hint, World};

const CHARGE: &str = "S02-5454037-1929856-C000001";

/// librdkafka's mock broker fails on demand, which a real one does not.
#[test]
fn without_kafka_the_answer_is_503_in_time_and_readiness_is_off_until_it_is_back() {
    run(async {
        let world = World::start(1).await.unwrap();
        let cluster = MockCluster::new(1).unwrap();
        let settings = "ingress.deadline_ms = 3000\nkafka.append_timeout_ms = 1500";
        let config = world.config_with(&cluster.bootstrap_servers(), settings).unwrap();
        let topics = config.kafka.topics();
        for topic in [&topics.inbox, &topics.events, &topics.state, &topics.dead_letters] {
            cluster.create_topic(topic, 3, 1).unwrap();
        }
        let app = App::start(config, world.outside(Broker::Mock).unwrap()).await.unwrap();
        until("ready", || app.is_ready()).await;
        let hint = Hint {
            merchant: &world.merchants[0],
            kind: ObjectKind::Charge,
            id: CHARGE,
            notification_type: "STATE_CHANGE",
        };
        let body = world.envelope(&hint, SignatureVersion::V2);
        assert_eq!(world.post(&app, &body).await.unwrap().status, 200);

        cluster.broker_down(-1).unwrap();
        let asked = Instant::now();
        let answer = world.post(&app, &body).await.unwrap();
        assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("20")));
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "SNS waits for 15 s, we answered after {:?}",
            asked.elapsed()
        );
        until("not ready", || !app.is_ready()).await;

        cluster.broker_up(-1).unwrap();
        until("ready again", || app.is_ready()).await;
        accepted_again(&world, &app, &body).await;
        app.stop().await;
    });
}

async fn accepted_again(world: &World, app: &App, body: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.post(app, body).await.unwrap().status != 200 {
        assert!(Instant::now() < deadline, "notifications are taken again");
    }
}

#[test]
fn a_slow_or_refusing_broker_is_503_within_the_deadline() {
    run(async {
        let world = World::start(1).await.unwrap();
        let cluster = MockCluster::new(1).unwrap();
        let config = world
            .config_with(&cluster.bootstrap_servers(), "ingress.deadline_ms = 1500\nkafka.append_timeout_ms = 1000")
            .unwrap();
        cluster.create_topic(&config.kafka.topics().inbox, 3, 1).unwrap();
        let app = App::start(config, world.outside(Broker::Mock).unwrap()).await.unwrap();
        let hint = Hint {
            merchant: &world.merchants[0],
            kind: ObjectKind::Charge,
            id: CHARGE,
            notification_type: "STATE_CHANGE",
        };
        let body = world.envelope(&hint, SignatureVersion::V2);
        assert_eq!(world.post(&app, &body).await.unwrap().status, 200);
        let too_few_replicas = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 100];
        let forbidden = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
        for errors in [too_few_replicas.as_slice(), forbidden.as_slice()] {
            cluster.request_errors(RDKafkaApiKey::Produce, errors);
            let answer = world.post(&app, &body).await.unwrap();
            assert!(
                answer.status == 503 && answer.body.contains("inbox-unavailable"),
                "{} {}",
                answer.status,
                answer.body
            );
            cluster.clear_request_errors(RDKafkaApiKey::Produce);
            accepted_again(&world, &app, &body).await;
        }
        cluster.broker_round_trip_time(1, Duration::from_secs(4)).unwrap();
        let asked = Instant::now();
        assert_eq!(world.post(&app, &body).await.unwrap().status, 503);
        assert!(asked.elapsed() < Duration::from_secs(3), "answered after {:?}", asked.elapsed());
        cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
        app.stop().await;
    });
}

#[test]
fn a_body_that_trickles_in_is_503_within_the_deadline() {
    run(async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let world = World::start(1).await.unwrap();
        let cluster = MockCluster::new(1).unwrap();
        let config = world
            .config_with(&cluster.bootstrap_servers(), "ingress.deadline_ms = 1000\nkafka.append_timeout_ms = 500")
            .unwrap();
        let app = App::start(config, world.outside(Broker::Mock).unwrap()).await.unwrap();
        let mut connection = tokio::net::TcpStream::connect(app.ingress_address()).await.unwrap();
        connection.write_all(b"POST /ipn HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{").await.unwrap();
        let mut answer = vec![0; 12];
        let read = connection.read_exact(&mut answer);
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("an answer within the deadline").unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 503");
        app.stop().await;
    });
}
