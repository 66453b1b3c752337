//! The chaos test injects all faults at once: Kafka nodes are killed and frozen, connections are cut, responses are lost,
//! workers are killed at failpoints, and the Amazon Pay API fails. Afterwards no event may be lost, duplicated or invented.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use crate::amazon_faults::{inject_amazon_faults, inject_object_faults};
use crate::foreign_records::inject_foreign_records;
use crate::kafka_faults::inject_kafka_faults;
use crate::process_faults::{Processes, inject_process_faults};
use crate::random::Random;
use crate::run;
use crate::stage::Stage;

/// The session time-out of the consumer group.
pub(crate) const SESSION: Duration = Duration::from_secs(6);
/// The duration in CI, and the injections that it must reach.
const SECONDS: u64 = 75;
const INJECTIONS_MIN: usize = 15;

/// Prints and counts the injected faults.
pub(crate) struct InjectionLog {
    began: Instant,
    injected: RefCell<BTreeMap<String, usize>>,
}

impl InjectionLog {
    pub(crate) fn note(&self, what: &str, detail: &str) {
        println!("{:6.1} s  {what} {detail}", self.began.elapsed().as_secs_f64());
        *self.injected.borrow_mut().entry(what.to_owned()).or_default() += 1;
    }

    fn count(&self) -> usize {
        self.injected.borrow().values().sum()
    }
}

#[test]
fn chaos_loses_duplicates_and_invents_no_event() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let duration = Duration::from_secs(number("FAULTS_SECONDS").unwrap_or(SECONDS));
    let random_seed = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let seed = number("FAULTS_SEED").unwrap_or_else(random_seed);
    run(chaos(duration, seed));
}

async fn chaos(duration: Duration, seed: u64) {
    println!("seed {seed}; to repeat this run: FAULTS_SEED={seed} FAULTS_SECONDS={}", duration.as_secs());
    let stage = Stage::new(&format!("chaos-{seed}"), 6, 2, SESSION).await;
    let mut processes = Processes::start(&stage).await;
    stage.merchants.open(3);
    let injections = InjectionLog { began: Instant::now(), injected: RefCell::default() };
    let until = injections.began + duration;
    let random = |lane| Random::new(seed.wrapping_mul(1000).wrapping_add(lane));
    tokio::join!(
        change_objects(&stage, random(0), until),
        inject_kafka_faults(&stage, random(1), until, &injections),
        inject_process_faults(&stage, random(2), until, &injections, &mut processes),
        inject_amazon_faults(&stage, random(3), until, &injections),
        inject_object_faults(&stage, random(4), until, &injections),
        inject_foreign_records(&stage, random(5), until, &injections),
    );
    println!("{:6.1} s  all faults have ended", injections.began.elapsed().as_secs_f64());
    processes.recover(&stage).await;
    let (observed, findings) = stage.settle(Duration::from_secs(90)).await;
    report(&stage, &injections, &observed);
    assert!(findings.is_empty(), "seed {seed}; logs in {}:\n{findings:#?}", stage.fleet.logs().display());
    let wanted = INJECTIONS_MIN * usize::try_from(duration.as_secs()).unwrap() / usize::try_from(SECONDS).unwrap();
    assert!(injections.count() >= wanted, "{} injections, expected at least {wanted}", injections.count());
    assert!(observed.events.len() > 100, "{} events are too few for a meaningful check", observed.events.len());
}

fn report(stage: &Stage, injections: &InjectionLog, observed: &crate::observations::Observed) {
    let record = stage.merchants.sns.record();
    println!(
        "{} injections: {:#?}\n{} events of {} objects, {} expected dead letters; {} messages were answered 200, \
         {} deliveries failed and were retried",
        injections.count(),
        injections.injected.borrow(),
        observed.events.len(),
        observed.histories.len(),
        observed.dead_letters.len(),
        record.accepted.len(),
        record.failed,
    );
}

/// Changes objects until the test ends.
async fn change_objects(stage: &Stage, mut random: Random, until: Instant) {
    while Instant::now() < until {
        stage.merchants.step(&mut random);
        tokio::time::sleep(Duration::from_millis(random.between(50, 250))).await;
    }
}
