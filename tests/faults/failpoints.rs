//! Each failpoint that kills a worker, and each request fault, once, while objects change.

use std::time::{Duration, Instant};

use crate::fleet::Process;
use crate::process_faults::KILL_FAILPOINTS;
use crate::proxy::{RequestFault, RequestKind};
use crate::random::Random;
use crate::run;
use crate::stage::Stage;

const SESSION: Duration = Duration::from_secs(3);

/// Changes objects until a condition holds.
pub(crate) async fn change_objects_until(
    stage: &Stage,
    what: &str,
    random: &mut Random,
    mut holds: impl FnMut() -> bool,
) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "waited a minute for: {what}");
        stage.merchants.step(random);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn kill_at_any_failpoint_loses_and_duplicates_nothing() {
    run(async {
        let stage = Stage::new("points", 4, 1, SESSION).await;
        let _ingests = stage.ingests().await;
        let mut random = Random::new(7);
        stage.merchants.open(2);
        let _steady = stage.worker("").await;
        for point in KILL_FAILPOINTS {
            // The first transaction of a worker is its barrier; the kill must hit one with events.
            let passes = if point.starts_with("after-") { "1*off->" } else { "" };
            let mut dying = stage.fleet.worker(&format!("{point}={passes}return(kill)"));
            let mut joining: Option<Process> = None;
            let began = Instant::now();
            change_objects_until(&stage, &format!("a worker is killed {point}"), &mut random, || {
                // Partitions are revoked when another worker joins.
                if point == "during-revoke" && joining.is_none() && dying.has_logged("state restored from Kafka") {
                    joining = Some(stage.fleet.worker(""));
                }
                dying.has_ended()
            })
            .await;
            assert!(dying.has_logged(&format!("failpoint {point}:")), "{point}: the worker ended for another reason");
            println!("killed {point} after {:.1} s", began.elapsed().as_secs_f64());
        }
        let (observed, findings) = stage.settle(Duration::from_mins(1)).await;
        println!("{} events", observed.events.len());
        assert_eq!(findings, [""; 0], "logs in {}", stage.fleet.logs().display());
    });
}

/// The requests of a worker's transaction and group membership. It commits offsets by TxnOffsetCommit, not OffsetCommit.
const KINDS: [RequestKind; 6] = [
    RequestKind::EndTxn,
    RequestKind::AddOffsetsToTxn,
    RequestKind::AddPartitionsToTxn,
    RequestKind::TxnOffsetCommit,
    RequestKind::Produce,
    RequestKind::JoinGroup,
];

#[test]
fn lost_or_late_requests_lose_and_duplicate_nothing() {
    run(async {
        let stage = Stage::new("answers", 4, 1, SESSION).await;
        let _ingests = stage.ingests().await;
        let mut random = Random::new(8);
        stage.merchants.open(2);
        let _steady = stage.worker("").await;
        let proxies = &stage.cluster.proxies;
        for kind in KINDS {
            for request_fault in [
                RequestFault::ResponseAndConnection,
                RequestFault::Late(Duration::from_secs(1)),
                RequestFault::Response,
            ] {
                proxies.iter().for_each(|proxy| proxy.set_request_fault(kind, request_fault));
                // A joining worker makes all others rejoin.
                let _joining = (kind == RequestKind::JoinGroup).then(|| stage.fleet.worker(""));
                let what = format!("{kind:?}: {}", request_fault.description());
                change_objects_until(&stage, &what, &mut random, || {
                    proxies.iter().any(|proxy| proxy.request_faults() > 0)
                })
                .await;
                println!("{what}");
                stage.cluster.heal();
            }
        }
        let (observed, findings) = stage.settle(Duration::from_mins(1)).await;
        println!("{} events", observed.events.len());
        assert_eq!(findings, [""; 0], "logs in {}", stage.fleet.logs().display());
    });
}
