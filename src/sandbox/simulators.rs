//! `sandbox --simulators-only`: the simulators of SNS and the Amazon Pay API, for a receiver in another process.
//!
//! Prints a configuration for that receiver and serves a control API: a request changes an object, and the simulator
//! posts the IPN that SNS would post. Never starts a receiver and never connects to Kafka.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::Error;
use super::environment::{Hint, SandboxEnvironment, permission_from_id};
use super::pay_api::{Environment, Fault, ObjectKind, charge, charge_permission, dispute, refund};
use super::sns::{Draft, SignatureVersion};
use crate::commands::Exit;
use crate::commands::terminal::{note, print};

/// Options of `sandbox --simulators-only`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bootstrap servers for the printed configuration.
    pub bootstrap_servers: String,
    /// The URL at which the receiver accepts IPNs.
    pub post_to: String,
    /// The address of the control API.
    pub control: SocketAddr,
}

struct Simulators {
    environment: SandboxEnvironment,
    post_to: String,
}

/// Runs until SIGINT or SIGTERM.
pub async fn run(options: &Options) -> Result<Exit, Error> {
    let environment = SandboxEnvironment::start(1).await?.reachable_by_address();
    print(environment.config_for_another_process(&options.bootstrap_servers)?)?;
    let listener = TcpListener::bind(options.control)
        .map_err(|io| format!("cannot listen on {} (--control): {io}", options.control))?;
    print_usage(listener.local_addr()?, &options.post_to);
    let state = web::Data::new(Simulators { environment, post_to: options.post_to.clone() });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .route("/subscription", web::post().to(subscribe))
            .route("/fault/{fault}", web::post().to(set_fault))
            .route("/fault", web::delete().to(clear_fault))
            .route("/{kind}/{id}/{state}", web::post().to(change))
            .default_service(web::to(async || HttpResponse::NotFound().json(json!({"error": USAGE}))))
    })
    .workers(1)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    tokio::spawn(server);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        asked = tokio::signal::ctrl_c() => asked?,
        _ = terminate.recv() => {}
    }
    handle.stop(false).await;
    Ok(Exit::Success)
}

fn print_usage(control: SocketAddr, post_to: &str) {
    note("Simulators of Amazon SNS and the Amazon Pay API run on loopback. The configuration above is for them.");
    note("Write it to a file, create the topics and start the receiver in another shell:");
    note("  ipn-receiver topics --config FILE && ipn-receiver serve --config FILE");
    note(format!("Change objects; each change is posted as an IPN to {post_to}:"));
    note(format!("  curl -X POST 'http://{control}/charges/S01-1234567-1234567-C000001/Declined?reason=HardDeclined'"));
    note(format!("  curl -X POST 'http://{control}/chargePermissions/S01-1234567-1234567/Closed?reason=BuyerClosed'"));
    note(format!("  curl -X POST 'http://{control}/subscription'      posts a SubscriptionConfirmation"));
    note("Make the Amazon Pay API fail, by default every read for 60 s:");
    note(format!("  curl -X POST 'http://{control}/fault/status-503?seconds=60&one_in=1'"));
    note(format!("  curl -X DELETE 'http://{control}/fault'           ends the fault"));
    note(format!("  faults: {}", Fault::USAGE));
    note("Stop with Ctrl-C.");
}

const USAGE: &str = "POST /{chargePermissions|charges|refunds|disputes}/{id}/{state}?reason=CODE, POST /subscription, \
                     POST /fault/{fault}?seconds=60&one_in=1 or DELETE /fault";

/// How long reads fail, and how many of them.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FaultOptions {
    seconds: u64,
    one_in: u32,
}

impl Default for FaultOptions {
    fn default() -> Self {
        Self { seconds: 60, one_in: 1 }
    }
}

async fn set_fault(
    simulators: web::Data<Simulators>,
    fault: web::Path<String>,
    how: web::Query<FaultOptions>,
) -> HttpResponse {
    let Some(found) = Fault::parse(&fault) else {
        return HttpResponse::BadRequest()
            .json(json!({"error": format!("unknown fault {fault}; known faults: {}", Fault::USAGE)}));
    };
    simulators.environment.pay_api.set_temporary_fault(found, how.one_in, Duration::from_secs(how.seconds));
    HttpResponse::Ok().json(json!({"fault": *fault, "seconds": how.seconds, "oneIn": how.one_in}))
}

async fn clear_fault(simulators: web::Data<Simulators>) -> HttpResponse {
    simulators.environment.pay_api.set_fault(None);
    HttpResponse::Ok().json(json!({"fault": null}))
}

/// Changes the state of an object and posts the IPN about it. Creates an object that does not exist.
async fn change(
    simulators: web::Data<Simulators>,
    path: web::Path<(String, String, String)>,
    query: web::Query<Vec<(String, String)>>,
) -> HttpResponse {
    let (kind, id, state) = path.into_inner();
    let Some(kind) = ObjectKind::of_path(&kind) else {
        return HttpResponse::BadRequest().json(json!({"error": USAGE}));
    };
    let reasons: Vec<&str> = query.iter().filter(|(name, _)| name == "reason").map(|(_, code)| code.as_str()).collect();
    let environment = &simulators.environment;
    let Some(object) =
        environment.pay_api.get(Environment::Sandbox, kind, &id).or_else(|| new_object(environment, kind, &id))
    else {
        return HttpResponse::BadRequest().json(json!({"error": "invalid id; use S01-1234567-1234567 for a charge permission, and append -C000001 for a charge, -R000001 for a refund or -B000001 for a dispute"}));
    };
    environment.put(kind, object, &state, &reasons);
    let hint = Hint { merchant: &environment.merchants[0], kind, id: &id, notification_type: "STATE_CHANGE" };
    post(&simulators, &environment.envelope(&hint, SignatureVersion::V2)).await
}

async fn subscribe(simulators: web::Data<Simulators>) -> HttpResponse {
    let environment = &simulators.environment;
    let topic = environment.topic_arn(&environment.merchants[0]);
    let draft = Draft::new(&topic, "You have chosen to subscribe", time::OffsetDateTime::now_utc());
    post(&simulators, &environment.sns.subscription_confirmation(&draft, &uuid::Uuid::new_v4().simple().to_string()))
        .await
}

async fn post(simulators: &Simulators, body: &str) -> HttpResponse {
    match simulators.environment.post_to(&simulators.post_to, body).await {
        Ok(answer) => HttpResponse::Ok().json(json!({"receiverAnswered": answer.status, "body": answer.body})),
        Err(error) => HttpResponse::BadGateway().json(json!({"error": error.to_string()})),
    }
}

/// A new object with this id. Creates its charge and charge permission if they do not exist.
fn new_object(environment: &SandboxEnvironment, kind: ObjectKind, id: &str) -> Option<Value> {
    let permission_id = permission_from_id(id);
    let charge_id = format!("{permission_id}-C000001");
    let is_child = id.len() > permission_id.len();
    let parent = |kind, parent_id: &str, object: Value, state| {
        if environment.pay_api.get(Environment::Sandbox, kind, parent_id).is_none() {
            environment.put(kind, object, state, &[]);
        }
    };
    if (kind == ObjectKind::ChargePermission) == is_child || permission_id.split('-').count() != 3 {
        return None;
    }
    if is_child {
        let permission = charge_permission(&permission_id, "Recurring");
        parent(ObjectKind::ChargePermission, &permission_id, permission, "Chargeable");
    }
    if matches!(kind, ObjectKind::Refund | ObjectKind::Dispute) {
        parent(ObjectKind::Charge, &charge_id, charge(&charge_id, &permission_id, "9.99", "USD"), "Captured");
    }
    Some(match kind {
        ObjectKind::ChargePermission => charge_permission(id, "Recurring"),
        ObjectKind::Charge => charge(id, &permission_id, "9.99", "USD"),
        ObjectKind::Refund => refund(id, &charge_id, "9.99", "USD"),
        ObjectKind::Dispute => dispute(id, &charge_id, "9.99", "USD"),
    })
}
