//! What befalls the cluster and the network before it.

use std::time::{Duration, Instant};

use crate::chaos::Diary;
use crate::proxy::{Direction, Kind, Loss, Proxy};
use crate::random::Random;
use crate::stage::Stage;

const LOST_KINDS: [Kind; 11] = [
    Kind::EndTxn,
    Kind::EndTxn,
    Kind::EndTxn,
    Kind::AddOffsetsToTxn,
    Kind::AddPartitionsToTxn,
    Kind::TxnOffsetCommit,
    Kind::Produce,
    Kind::JoinGroup,
    Kind::SyncGroup,
    Kind::Heartbeat,
    Kind::InitProducerId,
];

/// One thing after another, each healed before the next, so that two of three nodes always stand.
pub(crate) async fn hurt_kafka(stage: &Stage, mut random: Random, until: Instant, diary: &Diary) {
    let cluster = &stage.cluster;
    while Instant::now() < until {
        let node = random.below(cluster.proxies.len());
        let proxy = &cluster.proxies[node];
        let named = format!("{}", node + 1);
        let hold = Duration::from_millis(random.between(2000, 8000));
        match random.below(10) {
            0 => {
                diary.note("kill -9 of a Kafka node", &named);
                cluster.node("kill", node + 1).await;
                tokio::time::sleep(hold).await;
                cluster.node("restart", node + 1).await;
            }
            1 => {
                diary.note("SIGSTOP of a Kafka node", &named);
                cluster.node("pause", node + 1).await;
                tokio::time::sleep(hold).await;
                cluster.node("resume", node + 1).await;
            }
            2 => {
                let delay = Duration::from_millis(random.between(20, 400));
                diary.note("delay before a node", &format!("{named}: {delay:?}"));
                proxy.delay(delay);
                tokio::time::sleep(hold).await;
            }
            3 => {
                diary.note("connections cut", "of all nodes");
                cluster.proxies.iter().for_each(Proxy::cut);
            }
            4 => {
                let direction = if random.one_in(2) { Direction::ToNode } else { Direction::ToClient };
                diary.note("one direction blackholed", &format!("{named}: {direction:?}, {hold:?}"));
                proxy.blackhole(direction);
                tokio::time::sleep(hold).await;
            }
            _ => {
                let kind = *random.pick(&LOST_KINDS);
                let loss = match random.below(3) {
                    0 => Loss::Answer,
                    1 => Loss::AnswerAndConnection,
                    _ => Loss::Late(Duration::from_millis(random.between(200, 3000))),
                };
                lose(stage, kind, loss, diary).await;
            }
        }
        cluster.heal();
        tokio::time::sleep(Duration::from_millis(random.between(500, 3000))).await;
    }
}

/// The next request of a kind loses its answer, or comes late, at whichever node it is.
async fn lose(stage: &Stage, kind: Kind, loss: Loss, diary: &Diary) {
    let proxies = &stage.cluster.proxies;
    proxies.iter().for_each(|proxy| proxy.lose(kind, loss));
    let patience = Instant::now() + Duration::from_secs(8);
    while Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if proxies.iter().any(|proxy| proxy.losses() > 0) {
            diary.note(&format!("{kind:?}: {}", loss.in_words()), "");
            break;
        }
    }
    stage.cluster.heal();
}
