//! Workers of two releases side by side, as a rollout has them.
//!
//! There is one release so far. So the later one is this program with the next version number on its state records
//! (failpoint `next-version`): it reads both versions and writes the later one, which the other does not read.

use std::time::Duration;

use crate::random::Random;
use crate::run;
use crate::stage::Stage;

const SESSION: Duration = Duration::from_secs(3);
const PUBLISHED: &str = "\"published";
const REFUSED: &str = "version 2 is newer than 1";

#[test]
fn workers_of_two_releases_side_by_side_lose_and_double_nothing() {
    run(async {
        let stage = Stage::new("rollout", 4, 1, SESSION).await;
        let _ingests = stage.ingests().await;
        let mut random = Random::new(9);
        stage.shop.open(3);
        let old = stage.worker("").await;
        sell(&stage, &mut random, Duration::from_secs(4)).await;
        // The first of the later release gets partitions of the other, and writes its own records there.
        let first = stage.worker("next-version=return").await;
        sell_until(&stage, &mut random, || first.has_said(PUBLISHED)).await;
        // When it goes, partitions come back to one that cannot read what it wrote: a rollout that was undone.
        first.leave().await;
        sell_until(&stage, &mut random, || old.has_said(REFUSED)).await;
        println!("a worker of the release before refuses what it cannot read");
        let new = [stage.worker("next-version=return").await, stage.fleet.worker("next-version=return")];
        sell(&stage, &mut random, Duration::from_secs(2)).await;
        old.leave().await;
        sell_until(&stage, &mut random, || new.iter().any(|worker| worker.has_said(PUBLISHED))).await;
        let (observed, findings) = stage.settle(Duration::from_mins(1)).await;
        println!("{} events through a rollout, one that was undone, and another", observed.events.len());
        assert_eq!(findings, [""; 0], "logs in {}", stage.fleet.logs().display());
        let of = |version: u32| observed.state.iter().filter(|record| record.json()["version"] == version).count();
        assert!(of(1) > 0 && of(2) > 0, "both wrote: {} and {} records", of(1), of(2));
        assert!(new.iter().all(|worker| !worker.has_said(REFUSED)));
    });
}

async fn sell(stage: &Stage, random: &mut Random, lasting: Duration) {
    let until = std::time::Instant::now() + lasting;
    sell_until(stage, random, || std::time::Instant::now() > until).await;
}

async fn sell_until(stage: &Stage, random: &mut Random, mut holds: impl FnMut() -> bool) {
    crate::points::sell_until(stage, "the rollout goes on", random, &mut holds).await;
}
