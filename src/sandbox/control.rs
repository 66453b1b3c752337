//! The control port of the sandbox: a request changes an object at the simulated Amazon Pay, and the IPN is posted that SNS
//! would post; or it causes one event and waits for it.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::sync::mpsc::unbounded_channel;

use super::Error;
use super::environment::{Hint, SandboxEnvironment, permission_from_id};
use super::events::EventReader;
use super::output::Output;
use super::pay_api::{Environment, Fault, ObjectKind, charge, charge_permission, dispute, refund};
use super::performer::{Performer, Request};
use super::runner::Runner;
use super::sns::{Draft, SignatureVersion};
use super::story::{self, Story};
use crate::domain::state::NoticeRules;

/// Where the control port of `sandbox` is, and where `trigger` looks for it.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:7070";

/// What the control port controls.
pub(super) struct Control {
    pub(super) environment: Arc<SandboxEnvironment>,
    /// The URL of the receiver.
    pub(super) post_to: String,
    /// None without a receiver in this process.
    pub(super) receiver: Option<Receiver>,
}

/// What is known of the receiver in this process.
pub(super) struct Receiver {
    /// What it publishes.
    pub(super) events: broadcast::Sender<Arc<Value>>,
    pub(super) notices: NoticeRules,
}

/// Reserves the address. Requests wait until [`serve`] is called.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).map_err(|io| match io.kind() {
        std::io::ErrorKind::AddrInUse => format!(
            "the control port {address} is in use, perhaps by another sandbox; stop that one, or name another address with \
             --control, for example --control 127.0.0.1:0 for any free port"
        )
        .into(),
        _ => format!("cannot listen on {address} (--control): {io}").into(),
    })
}

/// Serves until the handle is stopped.
pub(super) fn serve(listener: TcpListener, control: Control) -> Result<ServerHandle, Error> {
    let control = web::Data::new(control);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(control.clone())
            .route("/trigger", web::post().to(trigger))
            .route("/story", web::post().to(play))
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
    Ok(handle)
}

const USAGE: &str = "POST /trigger with {\"event\": …, \"timeoutMs\": …}, POST /story with a file of steps, \
                     POST /{chargePermissions|charges|refunds|disputes}/{id}/{state}?reason=CODE, POST /subscription, \
                     POST /fault/{fault}?seconds=60&one_in=1 or DELETE /fault";

/// Causes one event, and answers when it was published or its time is over.
async fn trigger(control: web::Data<Control>, request: web::Json<Request>) -> HttpResponse {
    let Some(Receiver { events, notices }) = &control.receiver else { return without_receiver() };
    let Control { environment, post_to, .. } = &**control;
    match (Performer { environment, post_to, events, notices: *notices }).perform(&request).await {
        Ok(outcome) => HttpResponse::Ok().json(outcome),
        Err(error) => HttpResponse::BadRequest().json(json!({"error": error})),
    }
}

/// Plays a story. The answer is one JSON object a line, as it goes on; the last one is the result.
async fn play(control: web::Data<Control>, text: String) -> HttpResponse {
    let Some(receiver) = &control.receiver else { return without_receiver() };
    let story = match Story::parse(&text) {
        Ok(story) => story,
        Err(error) => return HttpResponse::BadRequest().json(json!({"error": error})),
    };
    let (sink, lines) = unbounded_channel();
    let events = EventReader::subscribe(&receiver.events);
    actix_web::rt::spawn({
        let control = control.clone();
        async move {
            let (output, timeout) = (Output::lines_to(sink.clone()), story.timeout().unwrap_or_default());
            let runner = Runner::new(&control.environment, &control.post_to, events, &output, timeout);
            if let Err(error) = story::play(&story, runner).await {
                let problems = [error.to_string()];
                drop(sink.send(json!({"type": "result", "eventsExpected": 0, "problems": problems})));
            }
        }
    });
    let lines = futures_util::stream::unfold(lines, |mut lines| async move {
        let line = lines.recv().await?;
        Some((Ok::<_, Infallible>(web::Bytes::from(format!("{line}\n"))), lines))
    });
    HttpResponse::Ok().content_type("application/x-ndjson").streaming(lines)
}

fn without_receiver() -> HttpResponse {
    HttpResponse::BadRequest().json(json!({
        "error": "this sandbox has no receiver whose events it could wait for; start it without --simulators-only"
    }))
}

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
    control: web::Data<Control>,
    fault: web::Path<String>,
    how: web::Query<FaultOptions>,
) -> HttpResponse {
    let Some(found) = Fault::parse(&fault) else {
        return HttpResponse::BadRequest()
            .json(json!({"error": format!("unknown fault {fault}; known faults: {}", Fault::USAGE)}));
    };
    control.environment.pay_api.set_temporary_fault(found, how.one_in, Duration::from_secs(how.seconds));
    HttpResponse::Ok().json(json!({"fault": *fault, "seconds": how.seconds, "oneIn": how.one_in}))
}

async fn clear_fault(control: web::Data<Control>) -> HttpResponse {
    control.environment.pay_api.set_fault(None);
    HttpResponse::Ok().json(json!({"fault": null}))
}

/// Changes the state of an object and posts the IPN about it. Creates an object that does not exist.
async fn change(
    control: web::Data<Control>,
    path: web::Path<(String, String, String)>,
    query: web::Query<Vec<(String, String)>>,
) -> HttpResponse {
    let (kind, id, state) = path.into_inner();
    let Some(kind) = ObjectKind::of_path(&kind) else {
        return HttpResponse::BadRequest().json(json!({"error": USAGE}));
    };
    let reasons: Vec<&str> = query.iter().filter(|(name, _)| name == "reason").map(|(_, code)| code.as_str()).collect();
    let environment = &control.environment;
    let Some(object) =
        environment.pay_api.get(Environment::Sandbox, kind, &id).or_else(|| new_object(environment, kind, &id))
    else {
        return HttpResponse::BadRequest().json(json!({"error": "invalid id; use S01-1234567-1234567 for a charge permission, and append -C000001 for a charge, -R000001 for a refund or -B000001 for a dispute"}));
    };
    environment.put(kind, object, &state, &reasons);
    let hint = Hint { merchant: &environment.merchants[0], kind, id: &id, notification_type: "STATE_CHANGE" };
    post(&control, &environment.envelope(&hint, SignatureVersion::V2)).await
}

async fn subscribe(control: web::Data<Control>) -> HttpResponse {
    let environment = &control.environment;
    let topic = environment.topic_arn(&environment.merchants[0]);
    let draft = Draft::new(&topic, "You have chosen to subscribe", time::OffsetDateTime::now_utc());
    post(&control, &environment.sns.subscription_confirmation(&draft, &uuid::Uuid::new_v4().simple().to_string())).await
}

async fn post(control: &Control, body: &str) -> HttpResponse {
    match control.environment.post_to(&control.post_to, body).await {
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
