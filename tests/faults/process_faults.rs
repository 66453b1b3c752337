//! Faults of the receiver's own processes.

use std::time::{Duration, Instant};

use crate::chaos::{InjectionLog, SESSION};
use crate::fleet::Process;
use crate::random::Random;
use crate::stage::Stage;

/// The running processes.
pub(crate) struct Processes {
    workers: Vec<Process>,
    ingests: Vec<Process>,
}

const WORKERS_MAX: usize = 5;
pub(crate) const KILL_FAILPOINTS: [&str; 6] =
    ["after-produce", "after-send-offsets", "after-commit", "before-barrier", "during-restore", "during-revoke"];
/// By seconds, an hour and years, both ways.
const CLOCK_JUMPS_S: [i64; 6] = [-20 * 365 * 86_400, -3600, -30, 30, 3600, 20 * 365 * 86_400];
const FREEZE_FAILPOINTS: [&str; 4] = ["before-transaction", "after-produce", "after-send-offsets", "before-barrier"];

impl Processes {
    pub(crate) async fn start(stage: &Stage) -> Self {
        let ingests = stage.ingests().await;
        Self { workers: vec![stage.worker("").await, stage.fleet.worker(""), stage.fleet.worker("")], ingests }
    }

    /// Replaces the workers, whose successors repair all state that was damaged, and redrives the IPNs of merchants that were
    /// removed.
    pub(crate) async fn recover(&mut self, stage: &Stage) {
        roll(stage, &mut self.workers).await;
        if !stage.fleet.removed_merchants().is_empty() {
            stage.fleet.redrive_for_removed_merchants();
        }
    }

    /// Removes workers that have ended, thaws frozen ones, and starts new ones up to two.
    fn refill(&mut self, stage: &Stage) {
        self.workers.iter().for_each(Process::thaw);
        self.workers.retain_mut(|worker| !worker.has_ended());
        while self.workers.len() < 2 {
            self.workers.push(stage.fleet.worker(""));
        }
    }
}

/// Injects one fault after another.
pub(crate) async fn inject_process_faults(
    stage: &Stage,
    mut random: Random,
    until: Instant,
    injections: &InjectionLog,
    processes: &mut Processes,
) {
    while Instant::now() < until {
        inject_one(stage, &mut random, injections, processes).await;
        processes.refill(stage);
        tokio::time::sleep(Duration::from_millis(random.between(500, 4000))).await;
    }
}

async fn inject_one(stage: &Stage, random: &mut Random, injections: &InjectionLog, processes: &mut Processes) {
    let workers = &mut processes.workers;
    let (count, at) = (workers.len(), random.below(workers.len()));
    match random.below(12) {
        0 | 1 => {
            let worker = workers.remove(at);
            injections.note("kill -9 of worker", &worker.name);
            worker.kill();
            tokio::time::sleep(Duration::from_millis(random.between(0, 4000))).await;
            workers.push(stage.fleet.worker(""));
        }
        2 => {
            let duration = SESSION + Duration::from_millis(random.between(1000, 5000));
            freeze(&workers[at], "SIGSTOP of worker past its session", duration, injections).await;
        }
        3 => {
            let duration = Duration::from_millis(random.between(500, 4000));
            freeze(&workers[at], "SIGSTOP of worker within its session", duration, injections).await;
        }
        4 if count < WORKERS_MAX => {
            injections.note("worker joins", &format!("{count} others"));
            workers.push(stage.fleet.worker(""));
        }
        4 | 5 if count > 2 => {
            let worker = workers.remove(at);
            injections.note("worker shuts down (SIGTERM)", &worker.name);
            worker.shut_down().await;
        }
        6 => {
            injections.note("rolling restart of the workers", &format!("{count} of them"));
            roll(stage, workers).await;
        }
        7 => restart_ingest(stage, random, injections, &mut processes.ingests).await,
        8 if count < WORKERS_MAX => {
            let (point, passes) = (*random.pick(&FREEZE_FAILPOINTS), random.between(0, 8));
            let worker = stage.fleet.worker(&format!("{point}={passes}*off->1*return(stop)"));
            wait_for_freeze(&worker, point, SESSION + Duration::from_millis(random.between(0, 5000)), injections).await;
            workers.push(worker);
        }
        9 if count < WORKERS_MAX => {
            let (point, passes) = (*random.pick(&KILL_FAILPOINTS), random.between(0, 8));
            let mut worker = stage.fleet.worker(&format!("{point}={passes}*off->return(kill)"));
            wait_for_kill(stage, &mut worker, point, injections, workers).await;
            workers.push(worker);
        }
        10 => {
            let (worker, ahead_s) = (&workers[at], *random.pick(&CLOCK_JUMPS_S));
            let duration = Duration::from_millis(random.between(1000, 6000));
            injections.note("clock of worker jumps", &format!("{} by {ahead_s} s for {duration:?}", worker.name));
            worker.set_clock(ahead_s * 1000);
            tokio::time::sleep(duration).await;
            worker.set_clock(0);
        }
        11 => remove_merchant_for_a_while(stage, random, injections, workers).await,
        _ => {}
    }
}

/// Replaces each worker by a new one.
async fn roll(stage: &Stage, workers: &mut Vec<Process>) {
    for _ in 0..workers.len() {
        workers.push(stage.fleet.worker(""));
        workers.remove(0).shut_down().await;
    }
}

async fn remove_merchant_for_a_while(
    stage: &Stage,
    random: &mut Random,
    injections: &InjectionLog,
    workers: &mut Vec<Process>,
) {
    let merchant = random.pick(&stage.merchants.environment.merchants);
    injections.note("merchant removed", merchant);
    stage.fleet.remove_merchant(merchant);
    roll(stage, workers).await;
    tokio::time::sleep(Duration::from_millis(random.between(1000, 5000))).await;
    injections.note("merchant added back", merchant);
    stage.fleet.add_merchant_back();
    roll(stage, workers).await;
}

async fn freeze(worker: &Process, what: &str, duration: Duration, injections: &InjectionLog) {
    injections.note(what, &format!("{} for {duration:?}", worker.name));
    worker.freeze();
    tokio::time::sleep(duration).await;
    worker.thaw();
}

/// Waits up to 15 s until a worker freezes at a failpoint, and thaws it after `duration`.
async fn wait_for_freeze(worker: &Process, point: &str, duration: Duration, injections: &InjectionLog) {
    if comes_true(Duration::from_secs(15), || worker.is_frozen()).await {
        injections.note(&format!("SIGSTOP of worker {point}"), &format!("{} for {duration:?}", worker.name));
        tokio::time::sleep(duration).await;
    }
    worker.thaw();
}

/// Waits until a failpoint kills a worker. After 12 s another worker joins, because some failpoints need a rebalance.
async fn wait_for_kill(
    stage: &Stage,
    worker: &mut Process,
    point: &str,
    injections: &InjectionLog,
    others: &mut Vec<Process>,
) {
    let mut has_died = comes_true(Duration::from_secs(12), || worker.has_ended()).await;
    if !has_died && others.len() < WORKERS_MAX {
        others.push(stage.fleet.worker(""));
        has_died = comes_true(Duration::from_secs(8), || worker.has_ended()).await;
    }
    if has_died {
        injections.note(&format!("kill -9 of worker {point}"), &worker.name);
    }
}

async fn restart_ingest(stage: &Stage, random: &mut Random, injections: &InjectionLog, ingests: &mut Vec<Process>) {
    let ingest = ingests.remove(0);
    let port = ingest.port;
    if random.one_in(2) {
        injections.note("kill -9 of ingest", &ingest.name);
        ingest.kill();
    } else {
        injections.note("restart of ingest (SIGTERM)", &ingest.name);
        ingest.shut_down().await;
    }
    ingests.push(stage.fleet.ingest(port));
}

async fn comes_true(timeout: Duration, mut fact: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + timeout;
    while Instant::now() < until {
        if fact() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
