//! The backlog scenario: an outage of the Amazon Pay API, then the drain at the quota that Amazon publishes for live.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Error;
use super::environment::{Hint, SandboxEnvironment};
use super::events::EventReader;
use super::output::{Output, Step};
use super::pay_api::{Fault, ObjectKind, Throttling, charge, charge_permission};
use super::sns::SignatureVersion;
use crate::app::App;

/// The receiver's default share of the quota.
const READS_PER_SECOND: f64 = 4.0 * 0.8;
const IPNS_PER_OBJECT: usize = 4;
/// Consecutive failures that open the circuit breaker, by default.
const FAILURES_TO_OPEN_BREAKER: usize = 5;
/// Time for the probes of the breaker, the first quota token and the confirming reads.
const DRAIN_GRACE: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(200);

/// Sets the quota of live at the simulator and in the receiver's configuration, although the merchant is a sandbox one.
pub(super) fn prepare(environment: &mut SandboxEnvironment) {
    environment.pay_api.set_throttling(Some(Throttling::LIVE));
    environment.quota_settings = "quota.sandbox = { burst = 20, per_second = 4 }\n";
}

/// Runs the scenario. Returns whether the receiver published one event for each object in time and without a 429.
pub(super) async fn run(
    environment: &SandboxEnvironment,
    app: &App,
    mut reader: EventReader,
    output: &Output,
    n_objects: usize,
) -> Result<bool, Error> {
    let objects = objects(environment, n_objects);
    let n_ipns = objects.len() * IPNS_PER_OBJECT;
    output.chapter(
        1,
        &format!("The Amazon Pay API is down, and SNS posts {n_ipns} IPNs about {} objects", objects.len()),
    );
    environment.pay_api.set_fault(Some(Fault::Status(503)));
    output.step(Step::Amazon, "answers every read with 503");
    post(environment, app, output, &objects).await?;
    while environment.pay_api.reads().len() < FAILURES_TO_OPEN_BREAKER && !app.has_failed() {
        tokio::time::sleep(TICK).await;
    }

    output.chapter(2, "The Amazon Pay API is up again, and the receiver drains the backlog within its quota");
    let probes = environment.pay_api.reads().len();
    output.step(
        Step::Read,
        &format!("{probes} reads failed during the outage; the circuit breaker held the others back"),
    );
    environment.pay_api.set_fault(None);
    output.step(Step::Amazon, "answers reads again; quota per operation: burst 20, then 4/s; the receiver uses 3.2/s");
    let began = Instant::now();
    let drained = drain(&mut reader, output, &objects, began).await;

    let took_s = began.elapsed().as_secs_f64();
    let reads = environment.pay_api.reads().split_off(probes);
    let throttled = reads.iter().filter(|read| read.status == Some(429)).count();
    let mut problems = drained.problems;
    if throttled > 0 {
        problems.push(format!("{throttled} reads were answered 429 although the receiver knows the quota"));
    }
    output.step(
        Step::Read,
        &format!(
            "{} reads in {took_s:.0} s, {:.2} per object, {throttled} answered 429",
            reads.len(),
            reads.len() as f64 / objects.len() as f64
        ),
    );
    output.drained(n_ipns, drained.published.len(), &problems);
    Ok(problems.is_empty())
}

/// Puts one permission with three charges, again and again: two operations, which the receiver drains in parallel.
fn objects(environment: &SandboxEnvironment, n_objects: usize) -> Vec<(ObjectKind, String)> {
    let objects = (0..n_objects.max(4)).map(|n| {
        let permission = format!("C01-{:07}-0000001", n / 4);
        if n.is_multiple_of(4) {
            environment.put(
                ObjectKind::ChargePermission,
                charge_permission(&permission, "Recurring"),
                "Chargeable",
                &[],
            );
            return (ObjectKind::ChargePermission, permission);
        }
        let id = format!("S01-{:07}-0000001-C{n:06}", n / 4);
        let (state, reasons): (_, &[&str]) =
            if n % 4 == 1 { ("Declined", &["SoftDeclined"]) } else { ("Captured", &[]) };
        environment.put(ObjectKind::Charge, charge(&id, &permission, "9.99", "USD"), state, reasons);
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
    let progress = output.progress("IPNs", objects.len() * IPNS_PER_OBJECT);
    for round in 0..IPNS_PER_OBJECT {
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
    output
        .step(Step::Ipn, &format!("{} IPNs verified, stored in inbox, answered 200", objects.len() * IPNS_PER_OBJECT));
    Ok(())
}

#[derive(Default)]
struct Drained {
    /// Ids of the objects with an event.
    published: HashSet<String>,
    problems: Vec<String>,
}

async fn drain(reader: &mut EventReader, output: &Output, objects: &[(ObjectKind, String)], began: Instant) -> Drained {
    let n_charges = objects.iter().filter(|(kind, _)| *kind == ObjectKind::Charge).count();
    let expected = Duration::from_secs_f64(n_charges as f64 / READS_PER_SECOND);
    let deadline = began + expected * 2 + DRAIN_GRACE;
    let progress = output.progress("events", objects.len());
    let mut drained = Drained::default();
    while drained.published.len() < objects.len() && Instant::now() < deadline {
        while let Some(event) = reader.next(TICK).await {
            let id = event["subject"].as_str().unwrap_or_default().to_owned();
            if !drained.published.insert(id.clone()) {
                drained.problems.push(format!("more than one event was published for {id}"));
            }
            progress.at(drained.published.len(), Some(left(objects, &drained.published)));
        }
        progress.at(drained.published.len(), Some(left(objects, &drained.published)));
    }
    progress.end();
    if drained.published.len() < objects.len() {
        drained
            .problems
            .push(format!("no event was published in time for {} objects", objects.len() - drained.published.len()));
    }
    drained
}

/// The time until all events are published. Operations are drained in parallel, so the longest queue decides.
fn left(objects: &[(ObjectKind, String)], published: &HashSet<String>) -> Duration {
    let of =
        |wanted: ObjectKind| objects.iter().filter(|(kind, id)| *kind == wanted && !published.contains(id)).count();
    let most = of(ObjectKind::Charge).max(of(ObjectKind::ChargePermission));
    Duration::from_secs_f64(most as f64 / READS_PER_SECOND)
}
