//! Workers of two releases in one group, as during a rollout.
//!
//! Only one release exists. The failpoint `next-version` makes this program act as the next one: it reads both versions of
//! state records and writes the next version, which a worker without the failpoint cannot read.

use std::time::Duration;

use crate::fleet::EVENT_PUBLISHED;
use crate::random::Random;
use crate::run;
use crate::stage::Stage;

const SESSION: Duration = Duration::from_secs(3);
const REJECTED: &str = "version 2 is newer than 1";

#[test]
fn two_releases_in_a_group_lose_and_duplicate_nothing() {
    run(async {
        let stage = Stage::new("rollout", 4, 1, SESSION).await;
        let _ingests = stage.ingests().await;
        let mut random = Random::new(9);
        stage.merchants.open(3);
        let old = stage.worker("").await;
        change_objects(&stage, &mut random, Duration::from_secs(4)).await;
        // A worker of the next release takes over partitions and writes its own records there.
        let first = stage.worker("next-version=return").await;
        change_objects_until(&stage, &mut random, || first.has_logged(EVENT_PUBLISHED)).await;
        // After a rollback the old worker gets partitions with records that it cannot read.
        first.shut_down().await;
        change_objects_until(&stage, &mut random, || old.has_logged(REJECTED)).await;
        println!("the worker of the old release rejects records that it cannot read");
        let new = [stage.worker("next-version=return").await, stage.fleet.worker("next-version=return")];
        change_objects(&stage, &mut random, Duration::from_secs(2)).await;
        old.shut_down().await;
        change_objects_until(&stage, &mut random, || new.iter().any(|worker| worker.has_logged(EVENT_PUBLISHED))).await;
        let (observed, findings) = stage.settle(Duration::from_mins(1)).await;
        println!("{} events during a rollout, a rollback and another rollout", observed.events.len());
        assert_eq!(findings, [""; 0], "logs in {}", stage.fleet.logs().display());
        let of = |version: u32| observed.state.iter().filter(|record| record.json()["version"] == version).count();
        assert!(of(1) > 0 && of(2) > 0, "both releases wrote records: {} and {}", of(1), of(2));
        assert!(new.iter().all(|worker| !worker.has_logged(REJECTED)));
    });
}

async fn change_objects(stage: &Stage, random: &mut Random, duration: Duration) {
    let until = std::time::Instant::now() + duration;
    change_objects_until(stage, random, || std::time::Instant::now() > until).await;
}

async fn change_objects_until(stage: &Stage, random: &mut Random, mut holds: impl FnMut() -> bool) {
    crate::failpoints::change_objects_until(stage, "the rollout continues", random, &mut holds).await;
}
