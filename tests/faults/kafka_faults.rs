//! Faults of the Kafka nodes and of the network to them.

use std::time::{Duration, Instant};

use crate::chaos::InjectionLog;
use crate::proxy::{Direction, Proxy, RequestFault, RequestKind};
use crate::random::Random;
use crate::stage::Stage;

const REQUEST_KINDS: [RequestKind; 11] = [
    RequestKind::EndTxn,
    RequestKind::EndTxn,
    RequestKind::EndTxn,
    RequestKind::AddOffsetsToTxn,
    RequestKind::AddPartitionsToTxn,
    RequestKind::TxnOffsetCommit,
    RequestKind::Produce,
    RequestKind::JoinGroup,
    RequestKind::SyncGroup,
    RequestKind::Heartbeat,
    RequestKind::InitProducerId,
];

/// Injects one fault after another. Each ends before the next, so that two of three nodes always run.
pub(crate) async fn inject_kafka_faults(stage: &Stage, mut random: Random, until: Instant, injections: &InjectionLog) {
    let cluster = &stage.cluster;
    while Instant::now() < until {
        let node = random.below(cluster.proxies.len());
        let proxy = &cluster.proxies[node];
        let named = format!("{}", node + 1);
        let hold = Duration::from_millis(random.between(2000, 8000));
        match random.below(10) {
            0 => {
                injections.note("kill -9 of Kafka node", &named);
                cluster.node("kill", node + 1).await;
                tokio::time::sleep(hold).await;
                cluster.node("restart", node + 1).await;
            }
            1 => {
                injections.note("SIGSTOP of Kafka node", &named);
                cluster.node("pause", node + 1).await;
                tokio::time::sleep(hold).await;
                cluster.node("resume", node + 1).await;
            }
            2 => {
                let delay = Duration::from_millis(random.between(20, 400));
                injections.note("delay of Kafka node", &format!("{named}: {delay:?}"));
                proxy.delay(delay);
                tokio::time::sleep(hold).await;
            }
            3 => {
                injections.note("connections closed", "of all nodes");
                cluster.proxies.iter().for_each(Proxy::cut);
            }
            4 => {
                let direction = if random.one_in(2) { Direction::ToNode } else { Direction::ToClient };
                injections.note("one direction blackholed", &format!("{named}: {direction:?}, {hold:?}"));
                proxy.blackhole(direction);
                tokio::time::sleep(hold).await;
            }
            _ => {
                let kind = *random.pick(&REQUEST_KINDS);
                let request_fault = match random.below(3) {
                    0 => RequestFault::Response,
                    1 => RequestFault::ResponseAndConnection,
                    _ => RequestFault::Late(Duration::from_millis(random.between(200, 3000))),
                };
                inject_request_fault(stage, kind, request_fault, injections).await;
            }
        }
        cluster.heal();
        tokio::time::sleep(Duration::from_millis(random.between(500, 3000))).await;
    }
}

/// Applies a fault to the next request of a kind, at any node.
async fn inject_request_fault(
    stage: &Stage,
    kind: RequestKind,
    request_fault: RequestFault,
    injections: &InjectionLog,
) {
    let proxies = &stage.cluster.proxies;
    proxies.iter().for_each(|proxy| proxy.set_request_fault(kind, request_fault));
    let timeout = Instant::now() + Duration::from_secs(8);
    while Instant::now() < timeout {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if proxies.iter().any(|proxy| proxy.request_faults() > 0) {
            injections.note(&format!("{kind:?}: {}", request_fault.description()), "");
            break;
        }
    }
    stage.cluster.heal();
}
