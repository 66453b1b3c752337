//! Connections that send nothing, endless heads, and bodies that never end, against a process of its own: its memory stays below the
//! limit of the chart, and genuine IPNs are accepted all the while.

use std::time::{Duration, Instant};

use ipn_receiver::sandbox::environment::SandboxEnvironment;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{kafka, metric, run};
use crate::mock_stage::{MockStage, envelope};
use crate::process::{Serve, config_file};

/// The memory limit of an ingest pod: `ingest.resources` in the chart's values.
const POD_BYTES: u64 = 384 << 20;
/// What `ingress.connections_max = 0` gives under that limit.
const CONNECTIONS_MAX: usize = 2048;
const FLOODS: usize = 2800;

/// What each connection of a flood sends before it falls silent.
type Flood = fn() -> Vec<u8>;

fn nothing() -> Vec<u8> {
    Vec::new()
}

fn unfinished_head() -> Vec<u8> {
    let mut head = b"POST /ipn HTTP/1.1\r\nhost: x\r\nx-pad: ".to_vec();
    head.resize(120_000, b'a');
    head
}

fn unfinished_body() -> Vec<u8> {
    let mut request = b"POST /ipn HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n".to_vec();
    request.resize(300_000, b' ');
    request
}

/// One connection: it writes as much as the server takes, and stays open until the server ends it.
async fn flood(address: String, bytes: Vec<u8>) {
    let Ok(mut connection) = TcpStream::connect(address).await else { return };
    let _ = connection.write_all(&bytes).await;
    let _ = connection.read_to_end(&mut Vec::new()).await;
}

/// Waits for the slowest of these genuine posts.
async fn genuine(environment: &SandboxEnvironment, url: &str, count: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..count {
        let (message, began) = (envelope(environment), Instant::now());
        // As SNS: a connection that was ended, or a 503, is tried again.
        loop {
            let client = reqwest::Client::new();
            let sent = client.post(url).body(message.clone()).timeout(Duration::from_secs(15)).send().await;
            if sent.as_ref().is_ok_and(|answer| answer.status() == 200) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(15), "a genuine message was not accepted: {sent:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        slowest = slowest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    slowest
}

#[test]
fn floods_of_connections_keep_no_genuine_ipn_out_and_stay_below_the_memory_limit() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
        let folder = tempfile::tempdir().unwrap();
        let settings = format!("ingress.connections_max = {CONNECTIONS_MAX}");
        let config = config_file(&folder, &environment, &kafka(), &settings);
        let serve = Serve::start(&config);
        let (address, url) = (serve.address("ingress"), format!("http://{}/ipn", serve.address("ingress")));
        genuine(&environment, &url, 1).await;
        let floods: [(&str, Flood); 3] =
            [("idle", nothing), ("endless heads", unfinished_head), ("endless bodies", unfinished_body)];
        for (name, bytes) in floods {
            let flood: Vec<_> = (0..FLOODS).map(|_| tokio::spawn(flood(address.clone(), bytes()))).collect();
            let slowest = genuine(&environment, &url, 50).await;
            let (peak, ended) = (
                serve.memory_peak_bytes(),
                serve.count("ipn_receiver_connections_ended_total{reason=\"limit\"}").await,
            );
            println!("{name}: slowest genuine {slowest:?}; peak {} MiB; {ended} ended", peak >> 20);
            assert!(slowest < Duration::from_secs(5), "{name}: {slowest:?}");
            assert!(peak < POD_BYTES * 9 / 10, "{name}: {peak} bytes");
            flood.iter().for_each(tokio::task::JoinHandle::abort);
        }
        serve.stop();
    });
}

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
