//! What protects, one by one: each case passes the checker as the program is, and must fail it when that one thing is
//! broken on purpose.

use std::collections::BTreeSet;
use std::time::Duration;

use ipn_receiver::sandbox::events::EventReader;
use ipn_receiver::sandbox::pay_api::ObjectKind;
use serde_json::Value;

use crate::fleet::{Process, until};
use crate::proxy::{Kind, Loss};
use crate::run;
use crate::stage::Stage;

const SESSION: Duration = Duration::from_secs(3);

struct Case {
    stage: Stage,
    reader: EventReader,
    /// What is broken in every worker, as failpoints.
    broken: &'static str,
    _ingests: Vec<Process>,
}

impl Case {
    async fn new(name: &str, broken: &'static str) -> Self {
        let name = format!("{name}-{}", if broken.is_empty() { "whole" } else { "broken" });
        let stage = Stage::new(&name, 1, 1, SESSION).await;
        let ingests = stage.ingests().await;
        let reader = EventReader::start(&stage.kafka).unwrap();
        Self { stage, reader, broken, _ingests: ingests }
    }

    fn worker(&self, failpoints: &str) -> Process {
        self.stage.fleet.worker(&[failpoints, self.broken].join(";"))
    }

    /// Tells of every permission there is.
    fn tell_of_all(&self) {
        for id in self.stage.shop.histories().into_keys() {
            self.stage.shop.tell_again(ObjectKind::ChargePermission, &id);
        }
    }

    async fn next_event(&mut self) -> Value {
        self.reader.next(Duration::from_mins(1)).await.expect("an event within a minute")
    }

    /// What is found: nothing, or at least this, as soon as it is.
    async fn kinds_of_findings(self, expected: &str) -> BTreeSet<String> {
        let kinds = |findings: &[String]| -> BTreeSet<String> {
            findings.iter().filter_map(|finding| finding.split(':').next()).map(str::to_owned).collect()
        };
        let is_as_expected = |findings: &[String]| match expected {
            "" => findings.is_empty(),
            kind => kinds(findings).contains(kind),
        };
        let (_, findings) = self.stage.settle_until(Duration::from_mins(1), is_as_expected).await;
        println!("{}: {findings:#?}", if self.broken.is_empty() { "as it is" } else { self.broken });
        kinds(&findings)
    }
}

/// Waits until a process has frozen itself at this point.
async fn frozen_at(process: &Process, point: &str) {
    let sign = format!("failpoint {point}:");
    until(&format!("{} froze at {point}", process.name), || process.has_said(&sign) && process.is_frozen()).await;
}

/// A worker that is about to commit is frozen until another has taken over and told the same; then it goes on.
async fn a_zombie_commits(broken: &'static str) -> BTreeSet<String> {
    let mut case = Case::new("zombie", broken).await;
    case.stage.shop.open(1);
    let zombie = case.worker("before-transaction=1*return(stop)");
    zombie.is_up().await;
    case.tell_of_all();
    frozen_at(&zombie, "before-transaction").await;
    let _heir = case.worker("");
    case.next_event().await;
    zombie.thaw();
    until("the zombie tried", || zombie.has_said("in doubt") || zombie.has_said("published")).await;
    case.kinds_of_findings(if broken.is_empty() { "" } else { "doubled" }).await
}

#[test]
fn a_returned_zombie_is_fenced_and_without_fencing_the_checker_sees_it() {
    run(async {
        assert_eq!(a_zombie_commits("").await, BTreeSet::new());
        assert!(a_zombie_commits("fencing=return").await.contains("doubled"));
    });
}

/// The same, but the zombie has rejoined the group before its batch is committed.
async fn a_late_batch(broken: &'static str) -> BTreeSet<String> {
    let mut case = Case::new("late-batch", broken).await;
    case.stage.shop.open(1);
    let zombie = case.worker("batch-in-time=1*return;batch-delayed=return(stop)");
    zombie.is_up().await;
    case.tell_of_all();
    frozen_at(&zombie, "batch-delayed").await;
    let _heir = case.worker("");
    case.next_event().await;
    zombie.thaw();
    until("the late batch was tried", || zombie.has_said("is committed late")).await;
    tokio::time::sleep(SESSION).await;
    case.kinds_of_findings(if broken.is_empty() { "" } else { "doubled" }).await
}

#[test]
fn a_batch_after_a_rejoin_is_fenced_by_the_metadata_of_its_assignment_and_not_by_fresh_metadata() {
    run(async {
        assert_eq!(a_late_batch("").await, BTreeSet::new());
        assert!(a_late_batch("group-metadata=return").await.contains("doubled"));
    });
}

/// A worker is frozen before its first barrier, on an inbox that never held anything, until another is at work.
async fn a_barrier_comes_late(broken: &'static str) -> BTreeSet<String> {
    let mut case = Case::new("barrier", broken).await;
    case.stage.shop.open(1);
    let zombie = case.worker("before-barrier=1*return(stop);after-barrier=1*return(stop)");
    frozen_at(&zombie, "before-barrier").await;
    let heir = case.worker("");
    heir.is_up().await;
    case.tell_of_all();
    case.next_event().await;
    zombie.thaw();
    until("its barrier was tried", || zombie.has_said("in doubt") || zombie.has_said("failpoint after-barrier:")).await;
    case.stage.shop.change_all("NonChargeable");
    case.tell_of_all();
    case.next_event().await;
    zombie.kill();
    case.kinds_of_findings(if broken.is_empty() { "" } else { "unfenced" }).await
}

#[test]
fn a_barrier_on_an_empty_inbox_is_fenced_by_its_offsets_and_without_them_the_checker_sees_it() {
    run(async {
        assert_eq!(a_barrier_comes_late("").await, BTreeSet::new());
        assert!(a_barrier_comes_late("barrier-offset=return").await.contains("unfenced"));
    });
}

/// A worker dies between its records and its commit; another takes up the work.
async fn a_death_before_the_commit(broken: &'static str) -> BTreeSet<String> {
    let case = Case::new("death", broken).await;
    case.stage.shop.open(1);
    // On new topics the first transactions are the barrier and the mark.
    let mut dying = case.worker("after-produce=2*off->return(kill)");
    dying.is_up().await;
    case.tell_of_all();
    until("it died", || dying.has_ended()).await;
    let heir = case.stage.worker("").await;
    until("the heir passed the inbox", || heir.has_said("published") || !case.broken.is_empty()).await;
    tokio::time::sleep(SESSION).await;
    case.kinds_of_findings(if broken.is_empty() { "" } else { "lost" }).await
}

#[test]
fn what_died_before_its_commit_is_told_by_the_next_and_lost_if_offsets_were_committed_outside() {
    run(async {
        assert_eq!(a_death_before_the_commit("").await, BTreeSet::new());
        assert!(a_death_before_the_commit("offsets-in-transaction=return").await.contains("lost"));
    });
}

/// A request to commit is delivered late: its transaction was committed by another, and the next is half written by a
/// worker that dies before it writes the rest.
async fn a_late_commit(broken: &'static str) -> BTreeSet<String> {
    const LATE: Duration = Duration::from_millis(2500);
    let mut case = Case::new("late-commit", broken).await;
    case.stage.shop.open(2);
    let ids: Vec<String> = case.stage.shop.histories().into_keys().collect();
    let worker = case.worker("events-sent=1*off->1*sleep(10000)");
    worker.is_up().await;
    let proxies = &case.stage.cluster.proxies;
    proxies.iter().for_each(|proxy| proxy.lose(Kind::EndTxn, Loss::Late(LATE)));
    case.stage.shop.tell_again(ObjectKind::ChargePermission, &ids[0]);
    until("a request to commit is held", || proxies.iter().any(|proxy| proxy.losses() > 0)).await;
    case.stage.cluster.heal();
    case.stage.shop.tell_again(ObjectKind::ChargePermission, &ids[1]);
    tokio::time::sleep(LATE + Duration::from_secs(2)).await;
    assert_eq!(worker.has_said("may still be under way"), broken.is_empty());
    worker.kill();
    let _heir = case.worker("");
    let _ = (case.next_event().await, case.next_event().await);
    case.kinds_of_findings(if broken.is_empty() { "" } else { "doubled" }).await
}

#[test]
fn a_commit_that_was_sent_twice_ends_no_other_transaction_and_halves_one_if_the_producer_goes_on() {
    run(async {
        assert_eq!(a_late_commit("").await, BTreeSet::new());
        assert!(a_late_commit("commit-in-doubt=return").await.contains("doubled"));
    });
}

/// A worker begins with what another left, and hears of all objects once more.
async fn a_restore(broken: &'static str) -> BTreeSet<String> {
    let mut case = Case::new("restore", broken).await;
    case.stage.shop.open(8);
    let first = case.stage.worker("").await;
    case.tell_of_all();
    for _ in 0..8 {
        case.next_event().await;
    }
    first.leave().await;
    let second = case.worker("");
    second.is_up().await;
    case.tell_of_all();
    tokio::time::sleep(SESSION).await;
    case.kinds_of_findings(if broken.is_empty() { "" } else { "doubled" }).await
}

#[test]
fn a_whole_restore_tells_nothing_again_and_one_cut_short_does() {
    run(async {
        assert_eq!(a_restore("").await, BTreeSet::new());
        assert!(a_restore("restore-to-barrier=return").await.contains("doubled"));
    });
}
