//! How soon the work goes on when a worker dies or hangs.

use std::time::{Duration, Instant};

use ipn_receiver::sandbox::events::EventReader;
use ipn_receiver::sandbox::pay_api::ObjectKind;

use crate::fleet::{Process, until};
use crate::random::Random;
use crate::run;
use crate::stage::Stage;

const SESSION: Duration = Duration::from_secs(6);

#[test]
fn a_worker_that_hangs_in_kafka_holds_its_group_back_for_a_while_and_its_process_leaves() {
    // The group goes on after twice this and 15 s; the process leaves after twice that.
    let quick = [("IPN_RECEIVER__KAFKA__TRANSACTION_TIMEOUT_MS", "2000".to_owned())];
    run(async {
        let stage = Stage::new("hang", 1, 1, SESSION).await;
        let _ingests = stage.ingests().await;
        stage.shop.open(1);
        // On new topics the first transactions are the barrier and the mark; the third waits for ten minutes.
        let mut hanging = stage.fleet.worker_with("after-produce=2*off->1*sleep(600000)", &quick);
        hanging.is_up().await;
        for id in stage.shop.histories().into_keys() {
            stage.shop.tell_again(ObjectKind::ChargePermission, &id);
        }
        let heir = stage.fleet.worker_with("", &quick);
        until("the heir told it", || heir.has_said("PermissionChargeable published")).await;
        assert!(!hanging.has_ended(), "the group goes on before the process leaves");
        until("the process left", || hanging.has_ended()).await;
        assert!(hanging.has_said("the worker hangs in a request to Kafka"));
        let (_, findings) = stage.settle(Duration::from_secs(30)).await;
        assert_eq!(findings, [""; 0]);
    });
}

/// `RECOVERY_KILLS=30 cargo test --features failpoints --test faults -- --ignored --nocapture`
#[test]
#[ignore = "a measurement of some minutes, run by hand"]
fn from_a_kill_to_the_next_event() {
    let kills = std::env::var("RECOVERY_KILLS").map_or(20, |number| number.parse().unwrap());
    run(async {
        let stage = Stage::new("recovery", 1, 1, SESSION).await;
        let _ingests = stage.ingests().await;
        stage.shop.open(20);
        let mut reader = EventReader::start(&stage.kafka).unwrap();
        let mut workers = vec![stage.worker("").await, stage.worker("").await];
        let mut took = Vec::new();
        for n in 0..kills {
            let mut random = Random::new(n);
            next_event(&stage, &mut reader, &mut random).await;
            // All events are of one merchant, so of one worker: the one that published last.
            workers.sort_by_key(Process::said_at);
            let owner = workers.pop().unwrap();
            let began = Instant::now();
            owner.kill();
            while reader.next(Duration::from_millis(300)).await.is_some() {}
            next_event(&stage, &mut reader, &mut random).await;
            took.push(began.elapsed());
            workers.push(stage.worker("").await);
        }
        took.sort();
        let at = |part: f64| took[((took.len() - 1) as f64 * part).round() as usize].as_secs_f64();
        println!(
            "{} kills, session time-out {SESSION:?}: next event after {:.1} s (median), {:.1} s (p99); {:.2} and {:.2} of the time-out",
            took.len(),
            at(0.5),
            at(0.99),
            at(0.5) / SESSION.as_secs_f64(),
            at(0.99) / SESSION.as_secs_f64(),
        );
    });
}

/// Business goes on until an event comes.
async fn next_event(stage: &Stage, reader: &mut EventReader, random: &mut Random) {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        assert!(Instant::now() < deadline, "no event for two minutes");
        stage.shop.step(random);
        if reader.next(Duration::from_millis(100)).await.is_some() {
            return;
        }
    }
}
