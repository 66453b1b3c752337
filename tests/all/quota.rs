//! A backlog at an Amazon Pay API that really throttles: no 429 while the configured quota is right, few when the shop
//! uses half of it as well, and every object is published in both cases.

use std::time::Instant;

use ipn_receiver::sandbox::pay_api::{Fault, ObjectKind, Throttling, charge, charge_permission};

use crate::harness::{Stage, events, inbox_records_left, run, until};

const OBJECTS: usize = 120;
const PERMISSION: &str = "C02-5454037-1929856";
const IPNS_EACH: usize = 5;

/// Drains a backlog; gives how many reads there were, and how many of them were throttled.
async fn drain(throttling: Throttling) -> (usize, usize) {
    let stage = Stage::new(1, "worker.systemic_retry_ms = 1000\nworker.breaker_probe_ms = 200").await;
    stage.environment.pay_api.set_throttling(Some(throttling));
    let ids: Vec<String> = (0..OBJECTS).map(|n| format!("S02-5454037-{n:07}-C000001")).collect();
    for id in &ids {
        stage.environment.put(ObjectKind::Charge, charge(id, PERMISSION, "9.99", "EUR"), "Captured", &[]);
    }
    let permission = charge_permission(PERMISSION, "Recurring");
    stage.environment.put(ObjectKind::ChargePermission, permission, "Chargeable", &[]);
    let mut reader = stage.reader();
    let app = stage.receiver().await;
    // Nothing can be read until all of it is there, however long the posting takes.
    stage.environment.pay_api.set_fault(Some(Fault::Status(503)));
    for _ in 0..IPNS_EACH {
        for id in &ids {
            assert_eq!(stage.post_ipn(&app, ObjectKind::Charge, id).await.status, 200);
        }
    }
    until("the reads are held back", || stage.environment.pay_api.reads().len() >= 5).await;
    until("the inbox is empty", || inbox_records_left(&stage.kafka()) == 0).await;
    let (before, began) = (stage.environment.pay_api.reads().len(), Instant::now());
    stage.environment.pay_api.set_fault(None);
    events(&mut reader, OBJECTS + 1).await;
    let reads = stage.environment.pay_api.reads().split_off(before);
    let n_throttled = reads.iter().filter(|read| read.status == Some(429)).count();
    println!(
        "{} IPNs on {OBJECTS} charges, {throttling:?}: {} reads, {n_throttled} of them 429, {:?}",
        OBJECTS * IPNS_EACH,
        reads.len(),
        began.elapsed(),
    );
    app.stop().await;
    (reads.len(), n_throttled)
}

#[test]
fn reads_never_exceed_the_quota_and_coalesce() {
    run(async {
        // Ours is a burst of 50 and 50 a second; what goes out evenly may arrive together, so Amazon's is somewhat more,
        // as it is where a fifth is left to the shop.
        let (n_reads, n_throttled) = drain(Throttling { burst: 90, per_second: 63, used_by_shop_per_second: 0 }).await;
        assert_eq!(n_throttled, 0);
        // One each, one of the permission, and some that were under way when the trouble ended.
        assert!(n_reads <= OBJECTS + 1 + 20, "{n_reads}");
    });
}

#[test]
fn shop_using_most_of_the_quota_costs_429s_and_no_event() {
    run(async {
        let (n_reads, n_throttled) = drain(Throttling { burst: 20, per_second: 50, used_by_shop_per_second: 40 }).await;
        assert!(n_throttled > 0, "the quota was really exceeded");
        assert!(n_throttled * 4 < n_reads, "{n_throttled} of {n_reads}");
    });
}
