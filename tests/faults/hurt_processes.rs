//! What befalls the receiver's own processes.

use std::time::{Duration, Instant};

use crate::chaos::{Diary, SESSION};
use crate::fleet::Process;
use crate::random::Random;
use crate::stage::Stage;

/// Those that run now.
pub(crate) struct Processes {
    workers: Vec<Process>,
    ingests: Vec<Process>,
}

const WORKERS_MAX: usize = 5;
const DEADLY_POINTS: [&str; 6] =
    ["after-produce", "after-send-offsets", "after-commit", "before-barrier", "during-restore", "during-revoke"];
const FREEZING_POINTS: [&str; 4] = ["before-transaction", "after-produce", "after-send-offsets", "before-barrier"];

impl Processes {
    pub(crate) async fn start(stage: &Stage) -> Self {
        let ingests = stage.ingests().await;
        Self { workers: vec![stage.worker("").await, stage.fleet.worker(""), stage.fleet.worker("")], ingests }
    }

    /// Leaves out those that have ended and thaws those that froze late; there are two at least after that.
    fn refill(&mut self, stage: &Stage) {
        self.workers.iter().for_each(Process::thaw);
        self.workers.retain_mut(|worker| !worker.has_ended());
        while self.workers.len() < 2 {
            self.workers.push(stage.fleet.worker(""));
        }
    }
}

/// One thing after another.
pub(crate) async fn hurt_processes(
    stage: &Stage,
    mut random: Random,
    until: Instant,
    diary: &Diary,
    processes: &mut Processes,
) {
    while Instant::now() < until {
        hurt_one(stage, &mut random, diary, processes).await;
        processes.refill(stage);
        tokio::time::sleep(Duration::from_millis(random.between(500, 4000))).await;
    }
}

async fn hurt_one(stage: &Stage, random: &mut Random, diary: &Diary, processes: &mut Processes) {
    let workers = &mut processes.workers;
    let (count, at) = (workers.len(), random.below(workers.len()));
    match random.below(10) {
        0 | 1 => {
            let worker = workers.remove(at);
            diary.note("kill -9 of a worker", &worker.name);
            worker.kill();
            tokio::time::sleep(Duration::from_millis(random.between(0, 4000))).await;
            workers.push(stage.fleet.worker(""));
        }
        2 => {
            let lasting = SESSION + Duration::from_millis(random.between(1000, 5000));
            freeze(&workers[at], "SIGSTOP of a worker past its session", lasting, diary).await;
        }
        3 => {
            let lasting = Duration::from_millis(random.between(500, 4000));
            freeze(&workers[at], "SIGSTOP of a worker within its session", lasting, diary).await;
        }
        4 if count < WORKERS_MAX => {
            diary.note("a worker joins", &format!("{count} others"));
            workers.push(stage.fleet.worker(""));
        }
        4 | 5 if count > 2 => {
            let worker = workers.remove(at);
            diary.note("a worker leaves (SIGTERM)", &worker.name);
            worker.leave().await;
        }
        6 => {
            diary.note("rolling restart of the workers", &format!("{count} of them"));
            for _ in 0..count {
                workers.push(stage.fleet.worker(""));
                workers.remove(0).leave().await;
            }
        }
        7 => restart_ingest(stage, random, diary, &mut processes.ingests).await,
        8 if count < WORKERS_MAX => {
            let (point, passes) = (*random.pick(&FREEZING_POINTS), random.between(0, 8));
            let worker = stage.fleet.worker(&format!("{point}={passes}*off->1*return(stop)"));
            freezes_itself(&worker, point, SESSION + Duration::from_millis(random.between(0, 5000)), diary).await;
            workers.push(worker);
        }
        9 if count < WORKERS_MAX => {
            let (point, passes) = (*random.pick(&DEADLY_POINTS), random.between(0, 8));
            let mut worker = stage.fleet.worker(&format!("{point}={passes}*off->return(kill)"));
            dies_itself(stage, &mut worker, point, diary, workers).await;
            workers.push(worker);
        }
        _ => {}
    }
}

async fn freeze(worker: &Process, what: &str, lasting: Duration, diary: &Diary) {
    diary.note(what, &format!("{} for {lasting:?}", worker.name));
    worker.freeze();
    tokio::time::sleep(lasting).await;
    worker.thaw();
}

/// Waits for a worker to freeze at a point, within reason, and thaws it so much later.
async fn freezes_itself(worker: &Process, point: &str, lasting: Duration, diary: &Diary) {
    if happens(Duration::from_secs(15), || worker.is_frozen()).await {
        diary.note(&format!("SIGSTOP of a worker {point}"), &format!("{} for {lasting:?}", worker.name));
        tokio::time::sleep(lasting).await;
    }
    worker.thaw();
}

/// Waits for a worker to die at a point, and lets another join if it takes long: some points are passed only then.
async fn dies_itself(stage: &Stage, worker: &mut Process, point: &str, diary: &Diary, others: &mut Vec<Process>) {
    let mut has_died = happens(Duration::from_secs(12), || worker.has_ended()).await;
    if !has_died && others.len() < WORKERS_MAX {
        others.push(stage.fleet.worker(""));
        has_died = happens(Duration::from_secs(8), || worker.has_ended()).await;
    }
    if has_died {
        diary.note(&format!("kill -9 of a worker {point}"), &worker.name);
    }
}

async fn restart_ingest(stage: &Stage, random: &mut Random, diary: &Diary, ingests: &mut Vec<Process>) {
    let ingest = ingests.remove(0);
    let port = ingest.port;
    if random.one_in(2) {
        diary.note("kill -9 of an ingest", &ingest.name);
        ingest.kill();
    } else {
        diary.note("restart of an ingest (SIGTERM)", &ingest.name);
        ingest.leave().await;
    }
    ingests.push(stage.fleet.ingest(port));
}

async fn happens(patience: Duration, mut fact: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if fact() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
