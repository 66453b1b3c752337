//! Made-up names of signing certificates.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ipn_receiver::app::App;
use ipn_receiver::kafka::Broker;
use ipn_receiver::sandbox::pay_api::ObjectKind;
use ipn_receiver::sandbox::sns::CertificateAnswer;

use super::CHARGE;
use crate::harness::{Stage, run};

/// A new process, a slow certificate host, and 60 connections that name certificates nobody has.
#[test]
fn made_up_certificates_keep_no_known_one_out() {
    run(async {
        let stage = stage_with_stored_message().await;
        let sns = &stage.environment.sns;
        sns.set_certificate_answer(CertificateAnswer::Late(Duration::from_secs(2)));
        let app = new_process(&stage).await;
        let url = sns.signing_cert_url();
        let hash = url.rsplit('-').next().unwrap().trim_end_matches(".pem");
        let fetches_before = sns.certificate_fetches_of_any_name();
        let began = Instant::now();
        let flood = async |connection: u32| {
            for n in 0.. {
                let made_up = format!("{:032x}", u64::from(connection) << 32 | n);
                let message = stage.envelope(ObjectKind::Charge, CHARGE).replace(hash, &made_up);
                assert_eq!(stage.post(&app, &message).await.status, 503);
                if began.elapsed() > FLOOD {
                    break;
                }
            }
        };
        let genuine = async {
            while stage.post(&app, &stage.envelope(ObjectKind::Charge, CHARGE)).await.status != 200 {
                assert!(began.elapsed() < FLOOD, "no genuine message was accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            began.elapsed()
        };
        let (accepted_after, _) = tokio::join!(genuine, join_all((0..60).map(flood)));
        let fetches = sns.certificate_fetches_of_any_name() - fetches_before;
        println!("the first genuine message after {accepted_after:?}; {fetches} fetches in {:?}", began.elapsed());
        // Twenty at once, two a second, and the genuine one.
        let most = 25 + 2 * began.elapsed().as_secs() as usize;
        assert!(fetches <= most, "{fetches} fetches, {most} at most");
        app.stop().await;
    });
}

/// The inbox holds the certificate: a new process needs nothing from Amazon to take IPNs of a known topic.
#[test]
fn new_process_takes_ipns_while_the_certificate_host_is_down() {
    run(async {
        let stage = stage_with_stored_message().await;
        let sns = &stage.environment.sns;
        sns.set_certificate_answer(CertificateAnswer::Status(503));
        let fetches_before = sns.certificate_fetches_of_any_name();
        let app = new_process(&stage).await;
        let message = stage.envelope(ObjectKind::Charge, CHARGE);
        let began = Instant::now();
        while stage.post(&app, &message).await.status != 200 {
            assert!(began.elapsed() < FLOOD, "no genuine message was accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let forged = message.replace("STATE_CHANGE", "STATE_CHANGF");
        assert_eq!(stage.post(&app, &forged).await.status, 403);
        // A message that comes before the inbox is read asks the host.
        assert!(sns.certificate_fetches_of_any_name() <= fetches_before + 1);
        app.stop().await;
    });
}

/// A process has stored one message, and has ended.
async fn stage_with_stored_message() -> Stage {
    let stage = Stage::new(1, "").await;
    let app = stage.receiver().await;
    assert_eq!(stage.post(&app, &stage.envelope(ObjectKind::Charge, CHARGE)).await.status, 200);
    app.stop().await;
    stage
}

async fn new_process(stage: &Stage) -> App {
    App::start(stage.config(), stage.environment.clients().unwrap(), Broker::Real).await.unwrap()
}

const FLOOD: Duration = Duration::from_secs(10);
