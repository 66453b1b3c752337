//! Rolling restarts under load: processes are replaced one after another, behind a balancer that follows readiness.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::balancer::{Balancer, PROBE_INTERVAL};
use crate::fleet::{Process, until};
use crate::random::Random;
use crate::run;
use crate::stage::{Stage, free_port};

const SESSION: Duration = Duration::from_secs(6);
const PER_SECOND: u32 = 200;
const ROLLS: usize = 5;
/// SNS also delays further deliveries to an endpoint that is too slow.
const IN_FLIGHT_MAX: usize = 100;
/// The load that even a busy machine must reach.
const REQUESTS_MIN: usize = 300;
/// Longer than the balancer needs to see that a process is not ready, as in a cluster.
const NOTICE: Duration = Duration::from_millis(1500);

#[test]
fn rollouts_of_role_all_lose_no_request_and_no_event() {
    run(roll("all"));
}

#[test]
fn rollouts_of_role_ingest_lose_no_request_and_no_event() {
    run(roll("ingest"));
}

async fn roll(role: &str) {
    assert!(NOTICE > 4 * PROBE_INTERVAL);
    let stage = Stage::new(&format!("drain-{role}"), 4, 1, SESSION).await;
    let balancer = Balancer::start(stage.ingest_ports[0]).await;
    let _worker = match role {
        "ingest" => {
            let worker = stage.fleet.worker_with("", &settings(&stage));
            worker.is_up().await;
            Some(worker)
        }
        _ => None,
    };
    stage.merchants.open(10);
    let mut process = start(&stage, &balancer, role).await;
    let began = Instant::now();
    let is_over = std::cell::Cell::new(false);
    let rollouts = async {
        for _ in 0..ROLLS {
            let successor = start(&stage, &balancer, role).await;
            let (old, address) = std::mem::replace(&mut process, successor);
            old.shut_down().await;
            balancer.remove(address);
        }
        is_over.set(true);
    };
    tokio::join!(rollouts, load(&stage, || is_over.get()));
    let lasted = began.elapsed().as_secs_f64();
    let (observed, findings) = stage.settle(Duration::from_mins(1)).await;
    let record = stage.merchants.sns.record();
    println!(
        "{role}: {ROLLS} rollouts in {lasted:.1} s; {} requests, {:.0}/s, over {} connections; {} answered 200, {} \
         failed; {} events of {} objects",
        record.attempts,
        record.attempts as f64 / lasted,
        balancer.connections(),
        record.accepted.len(),
        record.failed + record.refused.len(),
        observed.events.len(),
        observed.histories.len(),
    );
    assert_eq!(balancer.cut_off(), [""; 0], "no connection was cut off");
    // SNS retries after a 503, which a slow Kafka on a busy machine causes. No other failure is allowed.
    let unexpected: Vec<_> = record.failures.iter().filter(|failure| !failure.starts_with("503")).collect();
    assert_eq!(unexpected, [""; 0], "each request was answered");
    assert!(record.failed * 100 < record.attempts, "{} of {}: {:?}", record.failed, record.attempts, record.failures);
    let lost: BTreeSet<_> = record.accepted.difference(&observed.inbox).collect();
    assert!(lost.is_empty(), "answered 200 and not in the inbox: {lost:?}");
    assert_eq!(findings, [""; 0], "logs in {}", stage.fleet.logs().display());
    assert!(record.attempts >= REQUESTS_MIN, "{} requests are too few", record.attempts);
}

async fn start(stage: &Stage, balancer: &Balancer, role: &str) -> (Process, SocketAddr) {
    let process = stage.fleet.start_role(role, free_port(), &settings(stage));
    process.is_up().await;
    let address = SocketAddr::from(([127, 0, 0, 1], process.port));
    balancer.add(address, process.admin_address());
    until(&format!("{} is ready", process.name), || balancer.is_ready(address)).await;
    (process, address)
}

fn settings(stage: &Stage) -> [(&'static str, String); 3] {
    [
        ("IPN_RECEIVER__SHUTDOWN__NOTICE_MS", NOTICE.as_millis().to_string()),
        // Kafka has no faults in this test, so no proxy is needed.
        ("IPN_RECEIVER__KAFKA__BOOTSTRAP_SERVERS", stage.cluster.direct()),
        // The simulated Amazon Pay API shares the cores.
        ("IPN_RECEIVER__QUOTA__SANDBOX", "{ burst = 10.0, per_second = 10.0 }".to_owned()),
    ]
}

/// Posts messages at the rate until the rollouts are over. One in 40 is about a changed object, the others repeat an IPN.
async fn load(stage: &Stage, is_over: impl Fn() -> bool) {
    let mut random = Random::new(11);
    let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    // A busy machine gets fewer messages, not a burst later.
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut n = 0_usize;
    while !is_over() {
        tick.tick().await;
        if stage.merchants.sns.record().in_flight > IN_FLIGHT_MAX {
            continue;
        }
        n += 1;
        if n.is_multiple_of(40) {
            stage.merchants.step(&mut random);
        } else {
            stage.merchants.post_ipn_for_any(&mut random);
        }
    }
}
