//! Clocks of running workers that jump, both ways.

use std::time::Duration;

use ipn_receiver::sandbox::events::EventReader;
use ipn_receiver::sandbox::pay_api::ObjectKind;

use crate::run;
use crate::stage::Stage;

const SESSION: Duration = Duration::from_secs(6);
const HOUR_MS: i64 = 3_600_000;
const YEAR_MS: i64 = 365 * 24 * HOUR_MS;
/// The sandbox's Amazon Pay API refuses a signature whose time is further away.
const AMAZON_ALLOWS_MS: i64 = 5 * 60_000;

/// After each jump an object changes and its IPN must lead to an event; then the worker is replaced by one whose clock is
/// right.
#[test]
fn clock_jumps_of_a_running_worker_hide_no_ipn() {
    run(async {
        let stage = Stage::new("clocks", 1, 1, SESSION).await;
        let _ingests = stage.ingests().await;
        stage.merchants.open(1);
        let mut reader = EventReader::start(&stage.kafka).unwrap();
        let id = stage.merchants.histories().into_keys().next().unwrap();
        let mut worker = stage.worker("").await;
        stage.merchants.post_ipn(ObjectKind::ChargePermission, &id);
        reader.next(Duration::from_mins(1)).await.expect("the first event");
        let (states, mut published) = (["NonChargeable", "Chargeable"], String::new());
        for (n, ahead_ms) in [30_000, -30_000, HOUR_MS, -HOUR_MS, 20 * YEAR_MS, -20 * YEAR_MS].into_iter().enumerate() {
            worker.set_clock(ahead_ms);
            // Amazon's times have whole seconds.
            tokio::time::sleep(Duration::from_millis(1100)).await;
            stage.merchants.change_all(states[n % 2]);
            stage.merchants.post_ipn(ObjectKind::ChargePermission, &id);
            if ahead_ms.abs() > AMAZON_ALLOWS_MS {
                // Amazon Pay refuses the signed reads until the clock is set right.
                tokio::time::sleep(Duration::from_secs(1)).await;
                worker.set_clock(0);
            }
            while let Some(event) = reader.next(Duration::from_mins(1)).await {
                published = event["data"]["state"].as_str().unwrap_or_default().to_owned();
                if published == states[n % 2] {
                    break;
                }
            }
            assert_eq!(published, states[n % 2], "after the clock was {ahead_ms} ms ahead");
            if n % 2 == 1 {
                worker.shut_down().await;
                worker = stage.worker("").await;
            }
        }
        let (_, findings) = stage.settle(Duration::from_secs(30)).await;
        assert_eq!(findings, [""; 0]);
    });
}
