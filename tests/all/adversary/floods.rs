//! Everything that a stranger can send at once who has one genuine message and 3,000 connections, against a process of its own.
//! Meanwhile Amazon's IPNs are accepted and their events come in time, the memory stays below the limit of the chart, and little is
//! stored. `scripts/adversary` runs the same for longer and with more connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipn_receiver::config::Config;
use ipn_receiver::sandbox::environment::{Hint, SandboxEnvironment};
use ipn_receiver::sandbox::events::EventReader;
use ipn_receiver::sandbox::pay_api::{ObjectKind, charge, charge_permission};
use ipn_receiver::sandbox::sns::{Draft, SignatureVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::memory_limit::MemoryLimit;
use crate::harness::{committed_records, kafka, run};
use crate::process::{Serve, config_file};

/// The memory limit of an ingest pod: `ingest.resources` in the chart's values.
const POD_BYTES: u64 = 384 << 20;
/// What `ingress.connections_max = 0` gives under that limit.
const CONNECTIONS_MAX: usize = 2560;
/// The sentence of docs/security.md.
const EVENT_DELAY_MAX: Duration = Duration::from_secs(5);
const STORED_BYTES_MAX: usize = 10 << 20;
const PERMISSION: &str = "C02-0000001-1111111";

/// What each connection of a flood does.
#[derive(Clone)]
enum Flood {
    /// It sends this and falls silent.
    Silent(Arc<[u8]>),
    /// It posts these bodies, one after the other, and again.
    Posts(Arc<[String]>),
}

struct Attack {
    name: &'static str,
    connections: usize,
    flood: Flood,
}

pub(super) fn unfinished_head() -> Vec<u8> {
    let mut head = b"POST /ipn HTTP/1.1\r\nhost: x\r\nx-pad: ".to_vec();
    head.resize(120_000, b'a');
    head
}

fn unfinished_body() -> Vec<u8> {
    let mut request = b"POST /ipn HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n".to_vec();
    request.resize(300_000, b' ');
    request
}

/// From an environment variable of `scripts/adversary`.
fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect(variable))
}

fn attacks(environment: &SandboxEnvironment) -> Vec<Attack> {
    let (posting, silent) = (number("ADVERSARY_CONNECTIONS", 100), 3000);
    let genuine = message(environment, PERMISSION, ObjectKind::ChargePermission);
    let padded = |n: usize| genuine.replacen('{', &format!("{{\"pad{n}\":\"{}\",", "p".repeat(400_000)), 1);
    let (url, topic) = (environment.sns.signing_cert_url(), environment.topic_arn(&environment.merchants[0]));
    let hash = url.rsplit('-').next().unwrap().trim_end_matches(".pem");
    let made_up = (0..2000).map(|n| genuine.replace(hash, &format!("{n:032x}"))).collect();
    let three_hours_ago = time::OffsetDateTime::now_utc() - time::Duration::hours(3);
    let old = |n: usize| environment.sns.notification(&Draft::new(&topic, &format!("{{\"n\":{n}}}"), three_hours_ago));
    let posts =
        |name, connections, bodies: Vec<String>| Attack { name, connections, flood: Flood::Posts(bodies.into()) };
    let falls_silent = |name, bytes: Vec<u8>| Attack { name, connections: silent, flood: Flood::Silent(bytes.into()) };
    vec![
        posts("copies of one message", posting, vec![genuine.clone()]),
        posts("copies with 400 KB of padding", posting.div_ceil(20), (0..4).map(padded).collect()),
        posts("500 messages of three hours ago", posting, (0..500).map(old).collect()),
        posts("made-up certificates", posting, made_up),
        posts("forgeries", posting, vec![genuine.replace("STATE_CHANGE", "STATE_CHANGF")]),
        falls_silent("idle connections", Vec::new()),
        falls_silent("heads without end", unfinished_head()),
        falls_silent("bodies without end", unfinished_body()),
    ]
}

fn message(environment: &SandboxEnvironment, id: &str, kind: ObjectKind) -> String {
    let hint = Hint { merchant: &environment.merchants[0], kind, id, notification_type: "STATE_CHANGE" };
    environment.envelope(&hint, SignatureVersion::V2)
}

/// One connection after the other, as the receiver ends them.
async fn flood(address: String, flood: Flood) {
    loop {
        let Ok(mut connection) = TcpStream::connect(&address).await else { continue };
        match &flood {
            Flood::Silent(bytes) => {
                let _ = connection.write_all(bytes).await;
                let _ = connection.read_to_end(&mut Vec::new()).await;
                // A stranger has no more than these connections, and opens them again at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Flood::Posts(bodies) => while post_each(&mut connection, bodies).await.is_ok() {},
        }
    }
}

async fn post_each(connection: &mut TcpStream, bodies: &[String]) -> std::io::Result<()> {
    for body in bodies {
        let head = format!("POST /ipn HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(body.as_bytes()).await?;
        // An answer is one small packet.
        if connection.read(&mut [0; 4096]).await? == 0 {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
    }
    Ok(())
}

/// Amazon's side: charges change one after the other, and their IPNs are repeated until they are answered 200.
struct Genuine<'a> {
    environment: &'a SandboxEnvironment,
    url: String,
    reader: EventReader,
    n_charges: usize,
}

impl Genuine<'_> {
    /// The slowest answer and the slowest event until then.
    async fn run(&mut self, until: Instant) -> (Duration, Duration) {
        let (mut slowest_answer, mut slowest_event) = (Duration::ZERO, Duration::ZERO);
        while Instant::now() < until {
            self.n_charges += 1;
            let id = format!("S02-0000001-2222222-C{:06}", self.n_charges);
            self.environment.put(ObjectKind::Charge, charge(&id, PERMISSION, "1.00", "EUR"), "Authorized", &[]);
            let (body, began) = (message(self.environment, &id, ObjectKind::Charge), Instant::now());
            while !self.post(&body).await {
                assert!(began.elapsed() < Duration::from_secs(30), "a genuine message was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            slowest_answer = slowest_answer.max(began.elapsed());
            while self.reader.next(Duration::from_secs(30)).await.expect("its event")["subject"] != id {}
            slowest_event = slowest_event.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        (slowest_answer, slowest_event)
    }

    async fn post(&self, body: &str) -> bool {
        // A new connection each time: they are what the flood competes for.
        let request = reqwest::Client::new().post(&self.url).body(body.to_owned()).timeout(Duration::from_secs(15));
        request.send().await.is_ok_and(|answer| answer.status() == 200)
    }
}

#[test]
fn no_flood_delays_an_event_or_fills_memory_or_kafka() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "ingress.connections_max = {CONNECTIONS_MAX}\nquota.sandbox = {{ burst = 50, per_second = 50 }}\n\
             worker.confirm_reads_after_ms = [3600000]"
        );
        let file = config_file(&folder, &environment, &kafka(), &settings);
        let limit = MemoryLimit::new(POD_BYTES);
        let serve = Serve::start_with(&file, &[("RUST_LOG", "info")]);
        match &limit {
            Some(limit) => limit.hold(serve.process_id()),
            None => {
                println!("no control group can be made here: the peak of memory is compared with the limit instead");
            }
        }
        let serve = serve.works().await;
        let config = Config::load(&file, []).unwrap().kafka;
        let stored = || committed_records(&config, &config.topics().inbox).iter().map(|r| r.value.len()).sum::<usize>();
        let (address, url) = (serve.address("ingress"), format!("http://{}/ipn", serve.address("ingress")));
        let permission = charge_permission(PERMISSION, "Recurring");
        environment.put(ObjectKind::ChargePermission, permission, "Chargeable", &[]);
        let reader = EventReader::start(&config).unwrap();
        let mut genuine = Genuine { environment: &environment, url, reader, n_charges: 0 };
        let seconds = Duration::from_secs(number("ADVERSARY_SECONDS", 2) as u64);
        genuine.run(Instant::now() + Duration::from_millis(100)).await;
        // Without an attack an event takes a small part of the limit. Where it takes longer, other programs use the machine.
        let (_, calm) = genuine.run(Instant::now() + seconds).await;
        let event_delay_max = EVENT_DELAY_MAX.max(20 * calm);
        println!("without an attack the slowest event comes after {calm:.2?}; {event_delay_max:.2?} are allowed");
        println!("attack | connections | slowest answer | slowest event | peak memory | stored | fetches");
        for Attack { name, connections, flood: what } in attacks(&environment) {
            let (before, fetched) = (stored(), environment.sns.certificate_fetches_of_any_name());
            let flood: Vec<JoinHandle<()>> =
                (0..connections).map(|_| tokio::spawn(flood(address.clone(), what.clone()))).collect();
            let (answer, event) = genuine.run(Instant::now() + seconds).await;
            flood.iter().for_each(JoinHandle::abort);
            let (peak, stored) = (serve.memory_peak_bytes(), stored() - before);
            let fetches = environment.sns.certificate_fetches_of_any_name() - fetched;
            println!(
                "{name} | {connections} | {answer:.2?} | {event:.2?} | {} MiB | {} KiB | {fetches}",
                peak >> 20,
                stored >> 10
            );
            assert!(event < event_delay_max, "{name}: an event came after {event:?}");
            assert!(peak < POD_BYTES * 9 / 10, "{name}: {peak} bytes of memory");
            assert!(stored < STORED_BYTES_MAX, "{name}: {stored} bytes stored");
        }
        serve.stop();
    });
}
