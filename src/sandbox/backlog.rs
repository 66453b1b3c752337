//! An outage of Amazon's API and the drain after it, at the quota that Amazon publishes for live, to watch.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Error;
use super::environment::{Hint, SandboxEnvironment};
use super::events::EventReader;
use super::output::{Actor, Output};
use super::pay_api::{Fault, ObjectKind, Throttling, charge, charge_permission};
use super::sns::SignatureVersion;
use crate::app::App;

/// The receiver's part of it, by default.
const READS_PER_SECOND: f64 = 4.0 * 0.8;
const IPNS_EACH: usize = 4;
/// So many failures in a row open the breaker, by default.
const READS_UNTIL_HELD_BACK: usize = 5;
/// Probes of the breaker, the first token, and the second looks that follow.
const START_PATIENCE: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(200);

/// The simulator throttles as Amazon does in live, although the merchant is a sandbox one, and the receiver knows.
pub(super) fn prepare(environment: &mut SandboxEnvironment) {
    environment.pay_api.set_throttling(Some(Throttling::LIVE));
    environment.quota_settings = "quota.sandbox = { burst = 20, per_second = 4 }\n";
}

/// Tells it; whether every object was told once, at the pace that the quota allows, and without a 429.
pub(super) async fn tell(
    environment: &SandboxEnvironment,
    app: &App,
    mut reader: EventReader,
    output: &Output,
    n_objects: usize,
) -> Result<bool, Error> {
    let objects = objects(environment, n_objects);
    let n_ipns = objects.len() * IPNS_EACH;
    output.chapter(1, &format!("Amazon Pay's API is down, and {n_ipns} IPNs about {} objects come", objects.len()));
    environment.pay_api.set_fault(Some(Fault::Status(503)));
    output.happened(Actor::Amazon, "every read is answered 503 from now on");
    post(environment, app, output, &objects).await?;
    while environment.pay_api.reads().len() < READS_UNTIL_HELD_BACK && !app.has_failed() {
        tokio::time::sleep(TICK).await;
    }

    output.chapter(2, "The API is back, and the backlog is drained within our part of Amazon's quota");
    let probes = environment.pay_api.reads().len();
    output.happened(
        Actor::Fetched,
        &format!("{probes} reads were tried while it was down; the breaker held the others back"),
    );
    environment.pay_api.set_fault(None);
    output.happened(
        Actor::Amazon,
        "reads are answered again: 20 at once, then 4 a second for each operation; 3.2 of them are ours",
    );
    let began = Instant::now();
    let told = drain(&mut reader, output, &objects, began).await;

    let took_s = began.elapsed().as_secs_f64();
    let reads = environment.pay_api.reads().split_off(probes);
    let throttled = reads.iter().filter(|read| read.status == Some(429)).count();
    let mut problems = told.problems;
    if throttled > 0 {
        problems.push(format!("{throttled} reads were answered 429 although we know the quota"));
    }
    output.happened(
        Actor::Fetched,
        &format!(
            "{} reads in {took_s:.0} s: {:.2} an object, {throttled} answered 429",
            reads.len(),
            reads.len() as f64 / objects.len() as f64
        ),
    );
    output.drained(n_ipns, told.objects.len(), &problems);
    Ok(problems.is_empty())
}

/// Three charges for each permission, so that two operations are drained beside each other.
fn objects(environment: &SandboxEnvironment, n_objects: usize) -> Vec<(ObjectKind, String)> {
    let objects = (0..n_objects.max(4)).map(|n| {
        let permission = format!("C02-{:07}-0000001", n / 4);
        if n.is_multiple_of(4) {
            environment.put(
                ObjectKind::ChargePermission,
                charge_permission(&permission, "Recurring"),
                "Chargeable",
                &[],
            );
            return (ObjectKind::ChargePermission, permission);
        }
        let id = format!("S02-{:07}-0000001-C{n:06}", n / 4);
        let (state, reasons): (_, &[&str]) =
            if n % 4 == 1 { ("Declined", &["SoftDeclined"]) } else { ("Captured", &[]) };
        environment.put(ObjectKind::Charge, charge(&id, &permission, "9.99", "EUR"), state, reasons);
        (ObjectKind::Charge, id)
    });
    objects.collect()
}

async fn post(
    environment: &SandboxEnvironment,
    app: &App,
    output: &Output,
    objects: &[(ObjectKind, String)],
) -> Result<(), Error> {
    let progress = output.progress("posted", objects.len() * IPNS_EACH);
    for round in 0..IPNS_EACH {
        for (at, (kind, id)) in objects.iter().enumerate() {
            let hint = Hint { merchant: &environment.merchants[0], kind: *kind, id, notification_type: "STATE_CHANGE" };
            let answer = environment.post(app, &environment.envelope(&hint, SignatureVersion::V2)).await?;
            if answer.status != 200 {
                return Err(format!("an IPN was answered {}: {}", answer.status, answer.body).into());
            }
            progress.at(round * objects.len() + at + 1, None);
        }
    }
    progress.end();
    output.happened(
        Actor::Posted,
        &format!("all {} IPNs were answered 200: they are in Kafka", objects.len() * IPNS_EACH),
    );
    Ok(())
}

#[derive(Default)]
struct Told {
    objects: HashSet<String>,
    problems: Vec<String>,
}

async fn drain(reader: &mut EventReader, output: &Output, objects: &[(ObjectKind, String)], began: Instant) -> Told {
    let n_charges = objects.iter().filter(|(kind, _)| *kind == ObjectKind::Charge).count();
    let expected = Duration::from_secs_f64(n_charges as f64 / READS_PER_SECOND);
    let deadline = began + expected * 2 + START_PATIENCE;
    let progress = output.progress("told", objects.len());
    let mut told = Told::default();
    while told.objects.len() < objects.len() && Instant::now() < deadline {
        while let Some(event) = reader.next(TICK).await {
            let id = event["subject"].as_str().unwrap_or_default().to_owned();
            if !told.objects.insert(id.clone()) {
                told.problems.push(format!("{id} was told twice"));
            }
            progress.at(told.objects.len(), Some(left(objects, &told.objects)));
        }
        progress.at(told.objects.len(), Some(left(objects, &told.objects)));
    }
    progress.end();
    if told.objects.len() < objects.len() {
        told.problems.push(format!("{} objects were not told in time", objects.len() - told.objects.len()));
    }
    told
}

/// Operations are drained beside each other, so the one with the most left decides.
fn left(objects: &[(ObjectKind, String)], told: &HashSet<String>) -> Duration {
    let of = |wanted: ObjectKind| objects.iter().filter(|(kind, id)| *kind == wanted && !told.contains(id)).count();
    let most = of(ObjectKind::Charge).max(of(ObjectKind::ChargePermission));
    Duration::from_secs_f64(most as f64 / READS_PER_SECOND)
}
