//! Reads over real sockets: every way to fail has its meaning, and the worker gets over each of them without losing or
//! doubling an event.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use ipn_receiver::amazon::clock_skew::ClockWatch;
use ipn_receiver::amazon::pay_api::{ApiKeys, Disposition, PayApi};
use ipn_receiver::clock::Clock;
use ipn_receiver::config;
use ipn_receiver::domain::pay::{Account, Environment, FreeText, MerchantId, ObjectId, ObjectKind, ObjectRef};
use ipn_receiver::sandbox::authority::Authority;
use ipn_receiver::sandbox::environment::SandboxEnvironment;
use ipn_receiver::sandbox::pay_api::{self, Fault, charge};

use crate::harness::{Stage, events, http_server, run, silence, until};

const CHARGE: &str = "S02-5454037-1929856-C000001";
const PERMISSION: &str = "S02-5454037-1929856";

fn the_charge(environment: &SandboxEnvironment) -> ObjectRef {
    let merchant_id = MerchantId::parse(&environment.merchants[0]).unwrap();
    let account = Account { merchant_id, environment: Environment::Sandbox };
    ObjectRef { account, kind: ObjectKind::Charge, id: ObjectId::parse(CHARGE).unwrap() }
}

/// The receiver's own reader of the API, with the merchant's keys.
fn reader(environment: &SandboxEnvironment, client: reqwest::Client, endpoint: Option<String>) -> PayApi {
    let config = environment.config_with("127.0.0.1:1", "").unwrap();
    let settings = config::PayApi { timeout_ms: 500, answer_bytes_max: 10_000, ..config.pay_api };
    let clock = Clock::system();
    let watch = ClockWatch::new(clock, Duration::from_mins(1));
    PayApi::new(client, endpoint, ApiKeys::new(config.merchants), &settings, FreeText::Dropped, watch)
}

fn said(disposition: &Disposition) -> String {
    format!("{}: {disposition:?}", disposition.as_str())
}

#[test]
fn each_failed_read_has_its_disposition_and_text() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap();
        environment.put(pay_api::ObjectKind::Charge, charge(CHARGE, PERMISSION, "9.99", "EUR"), "Captured", &[]);
        let host = environment.pay_api.host().to_owned();
        let own = |address: SocketAddr| environment.authority.client(&[(&host, address)]).unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(); // and gone again
        let deaf = TcpListener::bind("127.0.0.1:0").unwrap(); // connects and says nothing
        let stranger = Authority::new().unwrap();

        let good = reader(&environment, own(environment.pay_api.address()), None);
        for (client, says) in [
            (own(closed), ["network:", "Connection refused"]),
            (own(deaf.local_addr().unwrap()), ["network:", "no answer within 500 ms"]),
            (
                stranger.client(&[(&host, environment.pay_api.address())]).unwrap(),
                ["network:", "invalid peer certificate"],
            ),
            (reqwest::Client::builder().build().unwrap(), ["network:", "error"]), // no such name, or no way there
        ] {
            let text = said(&reader(&environment, client, None).read(&the_charge(&environment)).await);
            assert!(says.iter().all(|part| text.contains(part)), "{text} does not contain {says:?}");
            println!("{text}");
        }
        for (fault, says) in [
            (Fault::Drop, "network:"),
            (Fault::Delay(Duration::from_secs(3)), "network: Systemic(Timeout, \"no answer within 500 ms"),
            (
                Fault::Status(500),
                "amazon: Systemic(Amazon, \"Amazon Pay answered 500 Internal Server Error (InternalServerError), x-amz-pay-request-id ",
            ),
            (Fault::Status(404), "not_found"),
            (
                Fault::ClockSkew,
                "credentials: Systemic(Credentials, \"Amazon Pay answered 401 Unauthorized (InvalidRequestSignature)",
            ),
            (Fault::Throttled { retry_after_s: Some(7) }, "throttled: Throttled { retry_after: Some(7s) }"),
            (Fault::Throttled { retry_after_s: None }, "throttled: Throttled { retry_after: None }"),
            (Fault::WrongObject, "object_error: ObjectError(\"Amazon Pay answered 200 OK, x-amz-pay-request-id "),
            (Fault::Truncated, "object_error:"),
            (Fault::Body("<html>".into()), "object_error:"),
            (Fault::Body("x".repeat(10_001)), "object_error: ObjectError(\"the answer is longer than 10000 bytes\")"),
            (Fault::Lag(Duration::from_hours(1)), "not_found"),
        ] {
            environment.pay_api.set_fault(Some(fault.clone()));
            let text = said(&good.read(&the_charge(&environment)).await);
            assert!(text.starts_with(says), "{fault:?}: {text}");
            println!("{text}");
        }
        environment.pay_api.set_fault(None);
        let Disposition::Fetched(fetched) = good.read(&the_charge(&environment)).await else { panic!("it is there") };
        assert_eq!(fetched.request_id.map(|id| id.len()), Some(36), "a UUID, as the simulator gives");
    });
}

#[test]
fn reads_reuse_connections_without_compression() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        let address = http_server(move |app| {
            let noted = noted.clone();
            app.default_service(web::to(move |request: HttpRequest| {
                noted.lock().unwrap().push((request.peer_addr(), request.headers().contains_key("accept-encoding")));
                async { HttpResponse::NotFound().finish() }
            }));
        });
        let client = environment.clients().unwrap().pay_api;
        let reader = reader(&environment, client, Some(format!("http://{address}")));
        for _ in 0..30 {
            assert_eq!(reader.read(&the_charge(&environment)).await.as_str(), "not_found");
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 30);
        assert!(seen.iter().all(|(_, asks_for_compression)| !asks_for_compression), "{seen:?}");
        // A connection may be a moment late in coming back, and then another is opened.
        let connections: std::collections::BTreeSet<_> = seen.iter().map(|(peer, _)| peer).collect();
        assert!(connections.len() <= 15, "{} connections for 30 reads", connections.len());
    });
}

#[test]
fn each_change_is_published_once_after_every_api_fault() {
    run(async {
        let settings = "worker.breaker_probe_ms = 100\nworker.systemic_retry_ms = 100\nworker.confirm_reads_after_ms = [300]\n\
                        worker.unknown_object_retries_ms = [60000]\nworker.settle_slack_ms = 0\npay_api.timeout_ms = 1000";
        let stage = Stage::new(1, settings).await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        let faults = [
            Fault::Status(503),
            Fault::Status(429),
            Fault::Throttled { retry_after_s: Some(1) },
            Fault::ClockSkew,
            Fault::Delay(Duration::from_millis(1500)),
            Fault::WrongObject,
            Fault::Truncated,
            Fault::Body("<html>".into()),
            Fault::Drop,
            Fault::Lag(Duration::from_millis(400)),
        ];
        for (n, fault) in faults.into_iter().enumerate() {
            let id = format!("S02-5454037-1929856-C{n:06}");
            let body = charge(&id, PERMISSION, "9.99", "EUR");
            stage.environment.put(pay_api::ObjectKind::Charge, body.clone(), "Authorized", &[]);
            stage.post_ipn(&app, pay_api::ObjectKind::Charge, &id).await;
            assert_eq!(events(&mut reader, 1).await[0]["data"]["state"], "Authorized");

            stage.environment.pay_api.set_fault(Some(fault.clone()));
            let before = stage.environment.pay_api.reads().len();
            stage.environment.put(pay_api::ObjectKind::Charge, body, "Captured", &[]);
            assert_eq!(stage.post_ipn(&app, pay_api::ObjectKind::Charge, &id).await.status, 200, "{fault:?}");
            until("it was read in vain", || stage.environment.pay_api.reads().len() > before).await;
            stage.environment.pay_api.set_fault(None);
            // An object-level error backs off for some seconds, unless a new IPN about the object comes.
            stage.post_ipn(&app, pay_api::ObjectKind::Charge, &id).await;
            let published = events(&mut reader, 1).await;
            assert_eq!(
                (published[0]["data"]["state"].as_str(), published[0]["subject"].as_str()),
                (Some("Captured"), Some(&*id)),
                "{fault:?}"
            );
        }
        silence(&mut reader).await;
        app.stop().await;
    });
}
