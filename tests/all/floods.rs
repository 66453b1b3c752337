//! Floods of untrusted requests: they take limited memory, block no genuine message, and are answered 4xx only if the sender
//! is at fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ipn_receiver::sandbox::sns::CertificateAnswer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{metric, run, until};
use crate::mock_stage::{MockStage, envelope};

/// The resident memory of this process on Linux, in bytes.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Posts bodies from many connections at once. Returns the number of answers by status.
async fn post_all(
    stage: &MockStage,
    bodies: Vec<String>,
    n_connections: usize,
) -> std::collections::BTreeMap<u16, usize> {
    let (client, url) = (reqwest::Client::new(), format!("http://{}/ipn", stage.app.ingress_address()));
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..n_connections)
        .map(|_| {
            let (client, url, bodies, next) = (client.clone(), url.clone(), bodies.clone(), next.clone());
            tokio::spawn(async move {
                let mut statuses = Vec::new();
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    statuses.push(client.post(&url).body(body.clone()).send().await.unwrap().status().as_u16());
                }
                statuses
            })
        })
        .collect();
    let mut counts = std::collections::BTreeMap::new();
    for task in tasks {
        for status in task.await.unwrap() {
            *counts.entry(status).or_default() += 1;
        }
    }
    counts
}

#[test]
fn many_made_up_certificate_urls_block_no_genuine_ipn() {
    const N: usize = 10_000;
    run(async {
        let stage = MockStage::new("sns.certificate_fetches_max = 8").await;
        let genuine = envelope(&stage.environment);
        let own_url = stage.environment.sns.signing_cert_url();
        let hash = own_url.rsplit('-').next().unwrap().trim_end_matches(".pem");
        let made_up = |n: usize| genuine.replace(hash, &format!("{n:032x}"));
        // The certificate is cached now, so the flood does not affect genuine messages.
        assert_eq!(stage.post().await.status, 200);
        let before = resident_bytes();
        let flood = post_all(&stage, (0..N).map(made_up).collect(), 256);
        let genuine_ones = async {
            let mut slowest = Duration::ZERO;
            for _ in 0..50 {
                let asked = Instant::now();
                assert_eq!(stage.post().await.status, 200);
                slowest = slowest.max(asked.elapsed());
            }
            slowest
        };
        let (statuses, slowest) = tokio::join!(flood, genuine_ones);
        let grown = resident_bytes().saturating_sub(before);
        let fetches = stage.environment.sns.certificate_fetches_of_any_name();
        println!("{statuses:?}; {fetches} fetches; slowest genuine {slowest:?}; {} KiB more", grown / 1024);
        assert_eq!(
            statuses.into_iter().collect::<Vec<_>>(),
            [(503, N)],
            "the certificates cannot be fetched, so the sender may not be at fault"
        );
        let busy = metric(&stage.app, "ipn_receiver_signing_certificate_fetches_total").await;
        assert!(busy >= N as f64 / 2.0 && fetches < N, "{busy} counted, {fetches} fetched");
        assert!(grown < 128 * 1024 * 1024, "{grown} bytes");
        stage.stop().await;
    });
}

#[test]
fn new_certificate_is_fetched_soon_after_a_flood_on_a_hung_host() {
    run(async {
        let stage = MockStage::new("sns.certificate_fetches_max = 4\nsns.certificate_timeout_ms = 500").await;
        let genuine = envelope(&stage.environment);
        let hash =
            stage.environment.sns.signing_cert_url().rsplit('-').next().unwrap().trim_end_matches(".pem").to_owned();
        stage.environment.sns.serve_certificate_at_any_path();
        stage.environment.sns.set_certificate_answer(CertificateAnswer::Hang);
        let flood = (0..500).map(|n| genuine.replace(&hash, &format!("{n:032x}"))).collect();
        let statuses = post_all(&stage, flood, 64).await;
        assert_eq!(statuses.keys().collect::<Vec<_>>(), [&503]);
        stage.environment.sns.set_certificate_answer(CertificateAnswer::Good);
        stage.expect_accepted_again().await;
        stage.stop().await;
    });
}

#[test]
fn many_foreign_certificate_urls_are_403_without_a_fetch() {
    const N: usize = 10_000;
    run(async {
        let stage = MockStage::new("").await;
        let genuine = envelope(&stage.environment);
        let host = stage.environment.sns.host().to_owned();
        let foreign = (0..N).map(|n| genuine.replace(&host, &format!("sns.s3-{n}.amazonaws.com"))).collect();
        let statuses = post_all(&stage, foreign, 256).await;
        assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [(403, N)]);
        assert_eq!(stage.environment.sns.certificate_fetches_of_any_name(), 0);
        stage.stop().await;
    });
}

#[test]
fn many_region_names_are_503_without_a_fetch() {
    const N: usize = 10_000;
    run(async {
        let stage = MockStage::new("").await;
        let genuine = envelope(&stage.environment);
        let host = stage.environment.sns.host().to_owned();
        let word = |n: usize| -> String { format!("{n:05}").bytes().map(|b| char::from(b - b'0' + b'a')).collect() };
        let region = |n: usize| format!("sns.eu-{}-1.amazonaws.com", word(n));
        let before = resident_bytes();
        let foreign = (0..N).map(|n| genuine.replace(&host, &region(n))).collect();
        let statuses = post_all(&stage, foreign, 256).await;
        let grown = resident_bytes().saturating_sub(before);
        println!("{N} region names: {} KiB more", grown / 1024);
        assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [(503, N)]);
        assert_eq!(stage.environment.sns.certificate_fetches_of_any_name(), 0);
        assert!(grown < 128 * 1024 * 1024, "{grown} bytes");
        assert_eq!(stage.post().await.status, 200);
        stage.stop().await;
    });
}

/// Opens a connection and sends the head of a POST and the beginning of its body.
async fn slow_post(stage: &MockStage, announced: usize, sent: usize) -> TcpStream {
    let mut connection = TcpStream::connect(stage.app.ingress_address()).await.unwrap();
    let head = format!("POST /ipn HTTP/1.1\r\nhost: x\r\ncontent-length: {announced}\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&vec![b' '; sent]).await.unwrap();
    connection
}

async fn status(connection: &mut TcpStream) -> String {
    let mut answer = vec![0; 12];
    let read = connection.read_exact(&mut answer);
    tokio::time::timeout(Duration::from_secs(15), read).await.expect("an answer before SNS gives up").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn slow_bodies_are_503_and_block_no_genuine_ipn() {
    run(async {
        let stage = MockStage::new("ingress.body_timeout_ms = 3000").await;
        assert_eq!(stage.post().await.status, 200);
        let before = resident_bytes();
        let mut slow = Vec::new();
        for _ in 0..1000 {
            slow.push(slow_post(&stage, 524_288, 1).await);
        }
        let grown = resident_bytes().saturating_sub(before);
        println!("1000 slow bodies that announce 512 KiB each: {} KiB more", grown / 1024);
        assert!(grown < 200 * 1024 * 1024, "{grown} bytes: an announced body takes no memory yet");
        for _ in 0..20 {
            assert_eq!(stage.post().await.status, 200);
        }
        for connection in &mut slow {
            assert_eq!(status(connection).await, "HTTP/1.1 503");
        }
        stage.stop().await;
    });
}

#[test]
fn large_bodies_share_limited_memory_and_ipns_need_none() {
    run(async {
        let stage = MockStage::new("ingress.body_bytes_in_flight_max = 524288\ningress.body_timeout_ms = 9000").await;
        let mut large = Vec::new();
        for _ in 0..4 {
            large.push(slow_post(&stage, 524_288, 500_000).await);
        }
        // One body has the memory and waits for its rest; the others are rejected at once.
        let answers = large.iter_mut().map(|large| tokio::time::timeout(Duration::from_secs(5), status(large)));
        let answers = futures_util::future::join_all(answers).await;
        let rejected = answers.iter().filter(|answer| answer.as_ref().is_ok_and(|status| status == "HTTP/1.1 503"));
        assert!(rejected.count() >= 3, "{answers:?}");
        assert_eq!(stage.post().await.status, 200);
        drop(large);
        // The memory is released.
        let large = " ".repeat(500_000);
        let deadline = Instant::now() + Duration::from_secs(10);
        while stage.post_body(&large).await.status != 400 {
            assert!(Instant::now() < deadline, "the memory was not released");
        }
        stage.stop().await;
    });
}

#[test]
fn deep_and_endless_json_is_4xx_and_cheap() {
    run(async {
        let stage = MockStage::new("").await;
        let nested = |n: usize| format!("{{\"x\":{}{}}}", "[".repeat(n), "]".repeat(n));
        let inner = |n: usize| {
            let topic = stage.environment.topic_arn(&stage.environment.merchants[0]);
            let message = format!("{}{}", "[".repeat(n), "]".repeat(n));
            let draft = ipn_receiver::sandbox::sns::Draft::new(&topic, &message, time::OffsetDateTime::now_utc());
            stage.environment.sns.notification(&draft)
        };
        for (name, body, expected) in [
            ("1 MiB of nested arrays", nested(524_288), 413),
            ("500 KB of nested arrays", nested(250_000), 400),
            ("an array that never closes", "[".repeat(500_000), 400),
            ("a genuine message of nested arrays", inner(120_000), 200),
        ] {
            let asked = Instant::now();
            let answer = stage.post_body(&body).await;
            println!("{name}: {} after {:?}", answer.status, asked.elapsed());
            assert_eq!(answer.status, expected, "{name}: {}", answer.body);
        }
        let mut endless = TcpStream::connect(stage.app.ingress_address()).await.unwrap();
        endless.write_all(b"POST /ipn HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
        while endless.write_all(chunk.as_bytes()).await.is_ok() {
            let answered = tokio::time::timeout(Duration::from_millis(1), endless.readable()).await;
            if answered.is_ok() {
                break;
            }
        }
        assert_eq!(status(&mut endless).await, "HTTP/1.1 413");
        until("the receiver is still ready", || stage.app.is_ready()).await;
        stage.stop().await;
    });
}
