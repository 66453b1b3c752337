//! What a single connection can ask for.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::floods::unfinished_head;
use crate::harness::{metric, run};
use crate::mock_stage::{MockStage, envelope};

/// Sends a request as these bytes, and gives everything that comes until the server ends the connection.
async fn exchange(stage: &MockStage, bytes: &[u8]) -> String {
    let mut connection = TcpStream::connect(stage.app.ingress_address()).await.unwrap();
    // The server may end it in the middle.
    let _ = connection.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("the server ends the connection");
    String::from_utf8(answer).unwrap().to_ascii_lowercase()
}

#[test]
fn connection_is_upgraded_to_nothing() {
    run(async {
        let stage = MockStage::new("").await;
        let genuine = envelope(&stage.environment);
        let request = |headers: &str| {
            let length = genuine.len();
            format!("POST /ipn HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n{genuine}")
        };
        for (headers, status) in [
            ("connection: upgrade\r\nupgrade: websocket\r\n", "http/1.1 400"),
            ("connection: upgrade\r\nupgrade: h2c\r\n", "http/1.1 200"),
            ("connection: upgrade\r\n", "http/1.1 200"),
        ] {
            let answer = exchange(&stage, request(headers).as_bytes()).await;
            assert!(answer.starts_with(status) && answer.contains("connection: close"), "{headers}: {answer}");
            assert!(!answer.contains("upgrade\r\n"), "{headers}: {answer}");
        }
        stage.stop().await;
    });
}

#[test]
fn large_head_ends_its_connection_and_many_requests_do_not() {
    run(async {
        let stage = MockStage::new("").await;
        exchange(&stage, &unfinished_head()).await;
        let deadline = Instant::now() + Duration::from_secs(30);
        while metric(&stage.app, "ipn_receiver_connections_ended_total").await < 1.0 {
            assert!(Instant::now() < deadline, "it is counted");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Together their heads are larger than one may be.
        let client = reqwest::Client::builder().pool_max_idle_per_host(1).build().unwrap();
        for _ in 0..200 {
            let padded =
                client.post(format!("http://{}/ipn", stage.app.ingress_address())).header("x-pad", "a".repeat(400));
            assert_eq!(padded.body(envelope(&stage.environment)).send().await.unwrap().status(), 200);
        }
        stage.stop().await;
    });
}
