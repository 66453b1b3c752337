//! Everything at once: nodes die and freeze, connections are cut, answers are lost, workers are killed at the worst
//! moments, Amazon fails. In the end nothing may be lost, doubled or invented.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use ipn_receiver::sandbox::pay_api::Fault;

use crate::hurt_kafka::hurt_kafka;
use crate::hurt_processes::{Processes, hurt_processes};
use crate::random::Random;
use crate::run;
use crate::stage::Stage;

/// What the group waits for a silent member.
pub(crate) const SESSION: Duration = Duration::from_secs(6);
/// In CI; at least this many injections must have been made then.
const SECONDS: u64 = 150;
const INJECTIONS_MIN: usize = 25;

/// What has been done so far, with the seconds since the start.
pub(crate) struct Diary {
    began: Instant,
    injected: RefCell<BTreeMap<String, usize>>,
}

impl Diary {
    pub(crate) fn note(&self, what: &str, detail: &str) {
        println!("{:6.1} s  {what} {detail}", self.began.elapsed().as_secs_f64());
        *self.injected.borrow_mut().entry(what.to_owned()).or_default() += 1;
    }

    fn count(&self) -> usize {
        self.injected.borrow().values().sum()
    }
}

#[test]
fn nothing_is_lost_doubled_or_invented() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let lasting = Duration::from_secs(number("FAULTS_SECONDS").unwrap_or(SECONDS));
    let random_seed = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let seed = number("FAULTS_SEED").unwrap_or_else(random_seed);
    run(chaos(lasting, seed));
}

async fn chaos(lasting: Duration, seed: u64) {
    println!("seed {seed}: to inject the same once more, FAULTS_SEED={seed} FAULTS_SECONDS={}", lasting.as_secs());
    let stage = Stage::new(&format!("chaos-{seed}"), 6, 2, SESSION).await;
    let mut processes = Processes::start(&stage).await;
    stage.shop.open(3);
    let diary = Diary { began: Instant::now(), injected: RefCell::default() };
    let until = diary.began + lasting;
    let random = |lane| Random::new(seed.wrapping_mul(1000).wrapping_add(lane));
    tokio::join!(
        sell(&stage, random(0), until),
        hurt_kafka(&stage, random(1), until, &diary),
        hurt_processes(&stage, random(2), until, &diary, &mut processes),
        hurt_amazon(&stage, random(3), until, &diary),
    );
    println!("{:6.1} s  everything is mended", diary.began.elapsed().as_secs_f64());
    let (observed, findings) = stage.settle(Duration::from_secs(90)).await;
    report(&stage, &diary, &observed);
    assert!(findings.is_empty(), "seed {seed}; logs in {}:\n{findings:#?}", stage.fleet.logs().display());
    let wanted = INJECTIONS_MIN * usize::try_from(lasting.as_secs()).unwrap() / usize::try_from(SECONDS).unwrap();
    assert!(diary.count() >= wanted, "{} injections of {wanted}", diary.count());
    assert!(observed.events.len() > 100, "too little happened to prove anything: {} events", observed.events.len());
}

fn report(stage: &Stage, diary: &Diary, observed: &crate::observe::Observed) {
    let record = stage.shop.sns.record();
    println!(
        "{} injections: {:#?}\n{} events of {} objects, {} dead letters as expected; {} notifications were answered 200, \
         {} deliveries failed and were repeated",
        diary.count(),
        diary.injected.borrow(),
        observed.events.len(),
        observed.histories.len(),
        observed.dead_letters.len(),
        record.accepted.len(),
        record.failed,
    );
}

/// Business goes on all the time.
async fn sell(stage: &Stage, mut random: Random, until: Instant) {
    while Instant::now() < until {
        stage.shop.step(&mut random);
        tokio::time::sleep(Duration::from_millis(random.between(50, 250))).await;
    }
}

async fn hurt_amazon(stage: &Stage, mut random: Random, until: Instant, diary: &Diary) {
    let api = &stage.shop.environment.pay_api;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(random.between(4000, 12_000))).await;
        let (what, fault) = match random.below(6) {
            0 => ("Amazon's API answers 503", Fault::Status(503)),
            1 => ("Amazon's API answers 500", Fault::Status(500)),
            2 => ("Amazon's API answers 429", Fault::Throttled { retry_after_s: Some(1) }),
            3 => ("Amazon's API is slow", Fault::Delay(Duration::from_millis(random.between(500, 3000)))),
            4 => ("Amazon's API cuts answers off", Fault::Drop),
            _ => ("Amazon's API refuses our clock", Fault::ClockSkew),
        };
        diary.note(what, "");
        api.set_fault(Some(fault));
        tokio::time::sleep(Duration::from_millis(random.between(1000, 7000))).await;
        api.set_fault(None);
    }
}
