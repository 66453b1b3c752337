//! A wrong clock of the receiver: it is reported at once, answered 503 and never 4xx, and loses nothing.

use std::time::{Duration, Instant};

use ipn_receiver::amazon::Clients;
use ipn_receiver::app::App;
use ipn_receiver::clock::Clock;
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::kafka::Broker;
use ipn_receiver::sandbox::authority::Validity;
use ipn_receiver::sandbox::pay_api::ObjectKind;
use serde_json::Value;
use time::OffsetDateTime;

use crate::harness::{Stage, admin_page, committed_records, run};
use crate::mock_stage::MockStage;

const CHARGE: &str = "S02-5454037-1929856-C000001";

#[test]
fn clock_off_by_years_is_503_and_never_4xx() {
    run(async {
        let stage = Stage::new(1, "").await;
        let body = stage.envelope(ObjectKind::Charge, CHARGE);
        for (year, ms) in [(1996, 820_454_400_000), (2096, 3_976_214_400_000)] {
            let clock = Clock::starting_at(Timestamp::from_unix_ms(ms));
            let clients = Clients { clock, ..stage.environment.clients().unwrap() };
            let app = App::start(stage.config(), clients, Broker::Real).await.unwrap();
            let answer = stage.post(&app, &body).await;
            assert!(
                answer.status == 503 && answer.body.contains("certificate-unusable"),
                "{year}: {} {}",
                answer.status,
                answer.body
            );
            let check = readyz(&app, "clock").await;
            let detail = check["detail"].as_str().unwrap();
            assert!(check["ok"] == false && detail.contains("this machine's clock shows"), "{check}");
            app.stop().await;
        }
        assert!(committed_records(&stage.kafka(), &stage.kafka().topics().inbox).is_empty());
        let app = stage.receiver().await;
        assert_eq!(readyz(&app, "clock").await["detail"], "agrees with Amazon's clock");
        app.stop().await;
    });
}

/// One check of `/readyz`, after the first comparison.
async fn readyz(app: &App, name: &str) -> Value {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let page: Value = serde_json::from_str(&admin_page(app, "/readyz").await).unwrap();
        let check = page["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone();
        if !check["detail"].as_str().unwrap().contains("not compared") {
            return check;
        }
        assert!(std::time::Instant::now() < deadline, "{check}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[test]
fn clock_outside_tls_validity_is_reported_as_clock_skew() {
    run(async {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        for validity in [Validity::in_days(now, -400, -370), Validity::in_days(now, 370, 400)] {
            let environment = ipn_receiver::sandbox::environment::SandboxEnvironment::start_fast(1).await.unwrap();
            let host = environment.pay_api.host().to_owned();
            let server = environment.authority.serve_with_validity(&[&host], validity).await.unwrap();
            let client = environment.authority.client(&[(&host, server.address())]).unwrap();
            let stage = MockStage::in_environment(environment, "", |_, clients| clients.pay_api = client).await;
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                let check = readyz(&stage.app, "clock").await;
                if check["ok"] == false {
                    let detail = check["detail"].as_str().unwrap();
                    assert!(detail.contains("TLS certificate is expired or not valid yet"), "{detail}");
                    break;
                }
                assert!(Instant::now() < deadline, "{check}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(stage.app.is_ready() && stage.post().await.status == 200);
            stage.stop().await;
        }
    });
}
