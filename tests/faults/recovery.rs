//! Recovery after a worker is killed or hangs.

use std::time::{Duration, Instant};

use ipn_receiver::sandbox::events::EventReader;
use ipn_receiver::sandbox::pay_api::ObjectKind;

use crate::fleet::{Process, until};
use crate::random::Random;
use crate::run;
use crate::stage::Stage;

const SESSION: Duration = Duration::from_secs(6);

#[test]
fn worker_hanging_in_kafka_is_replaced_and_exits() {
    // The group continues after twice this time plus 15 s; the process exits after twice that.
    let quick = [("IPN_RECEIVER__KAFKA__TRANSACTION_TIMEOUT_MS", "2000".to_owned())];
    run(async {
        let stage = Stage::new("hang", 1, 1, SESSION).await;
        let _ingests = stage.ingests().await;
        stage.merchants.open(1);
        // The transaction of the first event waits for ten minutes.
        let mut hanging = stage.fleet.worker_with("events-sent=1*sleep(600000)", &quick);
        hanging.is_up().await;
        for id in stage.merchants.histories().into_keys() {
            stage.merchants.post_ipn(ObjectKind::ChargePermission, &id);
        }
        let successor = stage.fleet.worker_with("", &quick);
        until("the successor published the event", || successor.has_logged("PermissionChargeable published")).await;
        assert!(!hanging.has_ended(), "the group continues before the process exits");
        until("the hanging process exited", || hanging.has_ended()).await;
        assert!(hanging.has_logged("the worker hangs in a request to Kafka"));
        let (_, findings) = stage.settle(Duration::from_secs(30)).await;
        assert_eq!(findings, [""; 0]);
    });
}

/// `RECOVERY_KILLS=30 cargo test --features failpoints --test faults -- --ignored --nocapture`
#[test]
#[ignore = "a measurement of several minutes, started by hand"]
fn measure_time_from_kill_to_next_event() {
    let kills = std::env::var("RECOVERY_KILLS").map_or(20, |number| number.parse().unwrap());
    run(async {
        let stage = Stage::new("recovery", 1, 1, SESSION).await;
        let _ingests = stage.ingests().await;
        stage.merchants.open(20);
        let mut reader = EventReader::start(&stage.kafka).unwrap();
        let mut workers = vec![stage.worker("").await, stage.worker("").await];
        let mut took = Vec::new();
        for n in 0..kills {
            let mut random = Random::new(n);
            next_event(&stage, &mut reader, &mut random).await;
            // All events are of one merchant, so one worker publishes them: the one that published last.
            workers.sort_by_key(Process::last_published_at);
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
            "{} kills, session time-out {SESSION:?}: next event after {:.1} s (median), {:.1} s (p99); {:.2} and {:.2} times the time-out",
            took.len(),
            at(0.5),
            at(0.99),
            at(0.5) / SESSION.as_secs_f64(),
            at(0.99) / SESSION.as_secs_f64(),
        );
    });
}

/// Changes objects until an event is published.
async fn next_event(stage: &Stage, reader: &mut EventReader, random: &mut Random) {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        assert!(Instant::now() < deadline, "no event for two minutes");
        stage.merchants.step(random);
        if reader.next(Duration::from_millis(100)).await.is_some() {
            return;
        }
    }
}
