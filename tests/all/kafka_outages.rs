//! Kafka is unreachable, slow or refuses: the ingress answers 503 and reports not ready, until Kafka recovers.
//!
//! The tests use librdkafka's mock broker, because it fails on demand. They say nothing about exactly-once.

use std::time::Duration;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::harness::{run, until};
use crate::mock_stage::{MockStage, SNS_GIVES_UP_AFTER};

#[test]
fn unreachable_kafka_gives_503_and_not_ready_until_it_returns() {
    run(async {
        let stage = MockStage::new("ingress.deadline_ms = 3000\nkafka.append_timeout_ms = 1500").await;
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
fn slow_or_refusing_broker_gives_503_within_the_deadline() {
    run(async {
        let stage = MockStage::new("ingress.deadline_ms = 1500\nkafka.append_timeout_ms = 1000").await;
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
fn slow_body_gives_503_within_the_deadline() {
    run(async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let stage = MockStage::new("ingress.deadline_ms = 1000\nkafka.append_timeout_ms = 500").await;
        let mut connection = tokio::net::TcpStream::connect(stage.app.ingress_address()).await.unwrap();
        connection.write_all(b"POST /ipn HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{").await.unwrap();
        let mut answer = vec![0; 12];
        let read = connection.read_exact(&mut answer);
        tokio::time::timeout(SNS_GIVES_UP_AFTER, read).await.expect("an answer within the deadline").unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 503");
        stage.app.stop().await;
    });
}
