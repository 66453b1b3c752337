//! Each named moment and each kind of lost answer once, in turn, while business goes on.

use std::time::{Duration, Instant};

use crate::fleet::Process;
use crate::hurt_processes::DEADLY_POINTS;
use crate::proxy::{Kind, Loss};
use crate::random::Random;
use crate::run;
use crate::stage::Stage;

const SESSION: Duration = Duration::from_secs(3);

/// Sells until something is so.
pub(crate) async fn sell_until(stage: &Stage, what: &str, random: &mut Random, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "waited a minute for: {what}");
        stage.shop.step(random);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_worker_that_is_killed_at_any_named_point_loses_and_doubles_nothing() {
    run(async {
        let stage = Stage::new("points", 4, 1, SESSION).await;
        let _ingests = stage.ingests().await;
        let mut random = Random::new(7);
        stage.shop.open(2);
        let _steady = stage.worker("").await;
        for point in DEADLY_POINTS {
            // The first transaction of a worker is its barrier; it is to die in one that tells something.
            let passes = if point.starts_with("after-") { "1*off->" } else { "" };
            let mut dying = stage.fleet.worker(&format!("{point}={passes}return(kill)"));
            let mut newcomer: Option<Process> = None;
            let began = Instant::now();
            sell_until(&stage, &format!("a worker dies {point}"), &mut random, || {
                // Partitions are taken away when another worker comes.
                if point == "during-revoke" && newcomer.is_none() && dying.has_said("inbox open") {
                    newcomer = Some(stage.fleet.worker(""));
                }
                dying.has_ended()
            })
            .await;
            assert!(dying.has_said(&format!("failpoint {point}:")), "{point}: it died of something else");
            println!("killed {point} after {:.1} s", began.elapsed().as_secs_f64());
        }
        let (observed, findings) = stage.settle(Duration::from_mins(1)).await;
        println!("{} events", observed.events.len());
        assert_eq!(findings, [""; 0], "logs in {}", stage.fleet.logs().display());
    });
}

/// What a worker's transaction and membership are made of. It sends no OffsetCommit: its offsets go by TxnOffsetCommit.
const KINDS: [Kind; 6] = [
    Kind::EndTxn,
    Kind::AddOffsetsToTxn,
    Kind::AddPartitionsToTxn,
    Kind::TxnOffsetCommit,
    Kind::Produce,
    Kind::JoinGroup,
];

#[test]
fn whichever_answer_is_lost_or_request_comes_late_nothing_is_lost_or_doubled() {
    run(async {
        let stage = Stage::new("answers", 4, 1, SESSION).await;
        let _ingests = stage.ingests().await;
        let mut random = Random::new(8);
        stage.shop.open(2);
        let _steady = stage.worker("").await;
        let proxies = &stage.cluster.proxies;
        for kind in KINDS {
            for loss in [Loss::AnswerAndConnection, Loss::Late(Duration::from_secs(1)), Loss::Answer] {
                proxies.iter().for_each(|proxy| proxy.lose(kind, loss));
                // Whoever joins makes all others join again.
                let _newcomer = (kind == Kind::JoinGroup).then(|| stage.fleet.worker(""));
                let what = format!("{kind:?}: {}", loss.in_words());
                sell_until(&stage, &what, &mut random, || proxies.iter().any(|proxy| proxy.losses() > 0)).await;
                println!("{what}");
                stage.cluster.heal();
            }
        }
        let (observed, findings) = stage.settle(Duration::from_mins(1)).await;
        println!("{} events", observed.events.len());
        assert_eq!(findings, [""; 0], "logs in {}", stage.fleet.logs().display());
    });
}
