//! Self-tests of the checker: each case passes with the receiver as it is, and must fail when a failpoint breaks the one
//! protection that the case needs.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use ipn_receiver::sandbox::events::EventReader;
use ipn_receiver::sandbox::pay_api::ObjectKind;
use serde_json::Value;

use crate::fleet::{EVENT_PUBLISHED, Process, until};
use crate::proxy::{RequestFault, RequestKind};
use crate::run;
use crate::stage::Stage;

const SESSION: Duration = Duration::from_secs(3);

struct Case {
    stage: Stage,
    reader: EventReader,
    /// The failpoints that break every worker; empty: none.
    broken: &'static str,
    _ingests: Vec<Process>,
}

impl Case {
    async fn new(name: &str, broken: &'static str) -> Self {
        let name = format!("{name}-{}", if broken.is_empty() { "intact" } else { "broken" });
        let stage = Stage::new(&name, 1, 1, SESSION).await;
        let ingests = stage.ingests().await;
        let reader = EventReader::start(&stage.kafka).unwrap();
        Self { stage, reader, broken, _ingests: ingests }
    }

    fn worker(&self, failpoints: &str) -> Process {
        self.stage.fleet.worker(&[failpoints, self.broken].join(";"))
    }

    /// Posts an IPN for every charge permission.
    fn post_ipns_for_all(&self) {
        for id in self.stage.merchants.histories().into_keys() {
            self.stage.merchants.post_ipn(ObjectKind::ChargePermission, &id);
        }
    }

    async fn next_event(&mut self) -> Value {
        self.reader.next(Duration::from_mins(1)).await.expect("an event within a minute")
    }

    /// Waits until the checker finds the expected kind of violation (empty: none). Returns the kinds.
    async fn kinds_of_findings(self, expected: &str) -> BTreeSet<String> {
        let kinds = |findings: &[String]| -> BTreeSet<String> {
            findings.iter().filter_map(|finding| finding.split(':').next()).map(str::to_owned).collect()
        };
        let is_as_expected = |findings: &[String]| match expected {
            "" => findings.is_empty(),
            kind => kinds(findings).contains(kind),
        };
        let (_, findings) = self.stage.settle_until(Duration::from_mins(1), is_as_expected).await;
        println!("{}: {findings:#?}", if self.broken.is_empty() { "intact" } else { self.broken });
        kinds(&findings)
    }
}

/// Whether a broken run leads to this kind of finding. On a busy machine a late request may time out before it does harm, so
/// there are three runs at most.
async fn is_found<R: Future<Output = BTreeSet<String>>>(kind: &str, broken_run: impl Fn() -> R) -> bool {
    for _ in 0..3 {
        if broken_run().await.contains(kind) {
            return true;
        }
    }
    false
}

/// Waits until a process has frozen itself at a failpoint.
async fn frozen_at(process: &Process, point: &str) {
    let sign = format!("failpoint {point}:");
    until(&format!("{} froze at {point}", process.name), || process.has_logged(&sign) && process.is_frozen()).await;
}

/// A worker is frozen before its commit until another has taken over and published the same; then it continues.
async fn a_zombie_commits(broken: &'static str) -> BTreeSet<String> {
    let mut case = Case::new("zombie", broken).await;
    case.stage.merchants.open(1);
    let zombie = case.worker("before-event-transaction=1*return(stop)");
    zombie.is_up().await;
    case.post_ipns_for_all();
    frozen_at(&zombie, "before-event-transaction").await;
    let _successor = case.worker("");
    case.next_event().await;
    zombie.thaw();
    until("the zombie tried to commit", || zombie.has_logged("in doubt") || zombie.has_logged(EVENT_PUBLISHED)).await;
    case.kinds_of_findings(if broken.is_empty() { "" } else { "duplicate" }).await
}

#[test]
fn resumed_zombie_is_fenced() {
    run(async {
        assert_eq!(a_zombie_commits("").await, BTreeSet::new());
        assert!(is_found("duplicate", || a_zombie_commits("fencing=return")).await);
    });
}

/// Like `a_zombie_commits`, but the zombie has rejoined the group before it commits its batch.
async fn a_late_batch(broken: &'static str) -> BTreeSet<String> {
    let mut case = Case::new("late-batch", broken).await;
    case.stage.merchants.open(1);
    let zombie = case.worker("batch-in-time=1*return;batch-delayed=return(stop)");
    zombie.is_up().await;
    case.post_ipns_for_all();
    frozen_at(&zombie, "batch-delayed").await;
    let _successor = case.worker("");
    case.next_event().await;
    zombie.thaw();
    until("the late batch was tried", || zombie.has_logged("is committed late")).await;
    tokio::time::sleep(SESSION).await;
    case.kinds_of_findings(if broken.is_empty() { "" } else { "duplicate" }).await
}

#[test]
fn late_batch_is_fenced_by_metadata_of_its_assignment() {
    run(async {
        assert_eq!(a_late_batch("").await, BTreeSet::new());
        assert!(is_found("duplicate", || a_late_batch("group-metadata=return")).await);
    });
}

/// A worker is frozen before its first barrier, on an empty inbox, until another has published.
async fn a_barrier_comes_late(broken: &'static str) -> BTreeSet<String> {
    let mut case = Case::new("barrier", broken).await;
    case.stage.merchants.open(1);
    let zombie = case.worker("before-barrier=1*return(stop);after-barrier=1*return(stop)");
    frozen_at(&zombie, "before-barrier").await;
    let successor = case.worker("");
    successor.is_up().await;
    case.post_ipns_for_all();
    case.next_event().await;
    zombie.thaw();
    until("the zombie tried its barrier", || {
        zombie.has_logged("in doubt") || zombie.has_logged("failpoint after-barrier:")
    })
    .await;
    case.stage.merchants.change_all("NonChargeable");
    case.post_ipns_for_all();
    case.next_event().await;
    zombie.kill();
    case.kinds_of_findings(if broken.is_empty() { "" } else { "unfenced" }).await
}

#[test]
fn barrier_on_an_empty_inbox_is_fenced_by_its_offsets() {
    run(async {
        assert_eq!(a_barrier_comes_late("").await, BTreeSet::new());
        assert!(is_found("unfenced", || a_barrier_comes_late("barrier-offset=return")).await);
    });
}

/// A worker is killed between its records and its commit; another takes over.
async fn a_death_before_the_commit(broken: &'static str) -> BTreeSet<String> {
    let case = Case::new("death", broken).await;
    case.stage.merchants.open(1);
    let mut dying = case.worker("events-sent=return(kill)");
    dying.is_up().await;
    case.post_ipns_for_all();
    until("the worker was killed", || dying.has_ended()).await;
    let successor = case.stage.worker("").await;
    until("the successor published", || successor.has_logged(EVENT_PUBLISHED) || !case.broken.is_empty()).await;
    tokio::time::sleep(SESSION).await;
    case.kinds_of_findings(if broken.is_empty() { "" } else { "lost" }).await
}

#[test]
fn work_killed_before_its_commit_is_published_by_another() {
    run(async {
        assert_eq!(a_death_before_the_commit("").await, BTreeSet::new());
        assert!(is_found("lost", || a_death_before_the_commit("offsets-in-transaction=return")).await);
    });
}

/// An EndTxn request arrives late: its transaction was already committed by a retry, and the worker is killed in the
/// middle of the next transaction.
async fn a_late_commit(broken: &'static str) -> BTreeSet<String> {
    const LATE: Duration = Duration::from_millis(2500);
    let mut case = Case::new("late-commit", broken).await;
    case.stage.merchants.open(3);
    let ids: Vec<String> = case.stage.merchants.histories().into_keys().collect();
    let worker = case.worker("events-sent=2*off->1*sleep(10000)");
    // On new topics the first transactions carry no event; the first event shows that they are over.
    case.stage.merchants.post_ipn(ObjectKind::ChargePermission, &ids[2]);
    case.next_event().await;
    let proxies = &case.stage.cluster.proxies;
    proxies.iter().for_each(|proxy| proxy.set_request_fault(RequestKind::EndTxn, RequestFault::Late(LATE)));
    case.stage.merchants.post_ipn(ObjectKind::ChargePermission, &ids[0]);
    until("an EndTxn request is delayed", || proxies.iter().any(|proxy| proxy.request_faults() > 0)).await;
    case.stage.cluster.heal();
    case.stage.merchants.post_ipn(ObjectKind::ChargePermission, &ids[1]);
    tokio::time::sleep(LATE + Duration::from_secs(2)).await;
    assert_eq!(worker.has_logged("may still be in flight"), broken.is_empty());
    worker.kill();
    let _successor = case.worker("");
    let _ = (case.next_event().await, case.next_event().await);
    case.kinds_of_findings(if broken.is_empty() { "" } else { "duplicate" }).await
}

#[test]
fn late_commit_request_ends_no_other_transaction() {
    run(async {
        assert_eq!(a_late_commit("").await, BTreeSet::new());
        assert!(is_found("duplicate", || a_late_commit("commit-in-doubt=return")).await);
    });
}

/// A worker restores the state of another and gets an IPN for every object again.
async fn a_restore(broken: &'static str) -> BTreeSet<String> {
    let mut case = Case::new("restore", broken).await;
    case.stage.merchants.open(8);
    let first = case.stage.worker("").await;
    case.post_ipns_for_all();
    for _ in 0..8 {
        case.next_event().await;
    }
    first.shut_down().await;
    let second = case.worker("");
    second.is_up().await;
    case.post_ipns_for_all();
    tokio::time::sleep(SESSION).await;
    case.kinds_of_findings(if broken.is_empty() { "" } else { "duplicate" }).await
}

#[test]
fn complete_restore_publishes_nothing_again() {
    run(async {
        assert_eq!(a_restore("").await, BTreeSet::new());
        assert!(is_found("duplicate", || a_restore("restore-to-barrier=return")).await);
    });
}
