//! A loopback Amazon Pay API: it answers reads of the objects a test has put there, for requests signed as Amazon
//! demands.
//!
//! Promises: every signature is really verified, by code that shares nothing with the receiver's; buyer fields hold
//! `BUYER-DATA-MARKER-…`, so that a leak can be searched for. Never changes an object by itself. It throttles by the
//! figures that Amazon publishes, unless it is told others.

mod faults;
mod gate;
mod objects;
mod quota;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use openssl::error::ErrorStack;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::authority::{self, Authority, LOOPBACK_NAME, LoopbackServer};
pub use faults::Fault;
use faults::{History, Trouble};
use gate::{Gate, Incoming, REGIONS, Refusal, authorization, parse_key};
pub use objects::{charge, charge_permission, dispute, refund, with_state};
pub use quota::Throttling;
use quota::{Meters, Quotas};

/// The Amazon Pay API of one region, on the loopback interface; dropping it stops it.
pub struct PayApi {
    server: LoopbackServer,
    shared: Arc<Shared>,
}

/// Live or sandbox: each has its own objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    /// Real money at the real Amazon.
    Live,
    /// Play money.
    Sandbox,
}

/// A public key that a merchant has registered; one that serves both environments is registered twice.
#[derive(Clone, Debug)]
pub struct RegisteredKey {
    /// The id; with the prefix `LIVE` or `SANDBOX` it stands for the environment too.
    pub public_key_id: String,
    /// The key, `BEGIN PUBLIC KEY`.
    pub public_pem: String,
    /// Whose objects it may read.
    pub environment: Environment,
}

/// The four kinds of objects that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// `chargePermissions`
    ChargePermission,
    /// `charges`
    Charge,
    /// `refunds`
    Refund,
    /// `disputes`
    Dispute,
}

/// One request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// HTTP method.
    pub method: String,
    /// Path, and the query if there was one.
    pub path: String,
    /// What the Authorization header claims, be it true or not.
    pub public_key_id: Option<String>,
    /// The status answered; `None` while, or if, it stays unanswered.
    pub status: Option<u16>,
    /// When it came.
    pub at: Instant,
}

/// Why the sandbox's Amazon Pay API could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a region of Amazon Pay.
    #[error("amazon pay has no region {0}: use na, eu or jp")]
    Region(String),
    /// A key that is no public key.
    #[error("the key registered as {public_key_id} is no public key: give it as BEGIN PUBLIC KEY")]
    Key {
        /// Its id.
        public_key_id: String,
        /// What openssl says.
        source: ErrorStack,
    },
    /// No certificate or listener.
    #[error("the sandbox's amazon pay api cannot start: see the cause")]
    Start(#[from] authority::Error),
}

impl PayApi {
    /// Starts the API of a region (`na`, `eu` or `jp`) that knows these keys and no object yet.
    pub async fn start(authority: &Authority, region: &str, keys: &[RegisteredKey]) -> Result<Self, Error> {
        let known = REGIONS.iter().find(|(name, _)| *name == region);
        let &(region, host) = known.ok_or_else(|| Error::Region(region.to_owned()))?;
        let gate = Gate { region, host, keys: keys.iter().map(parse_key).collect::<Result<Vec<_>, _>>()?.into() };
        let world = SandboxEnvironment { throttling: Some(Quotas::Published), ..SandboxEnvironment::default() };
        let shared = Arc::new(Shared { gate, world: Mutex::new(world) });
        let state = web::Data::from(Arc::clone(&shared));
        let server = authority
            .serve(&[host, LOOPBACK_NAME], move |app| {
                app.app_data(state.clone()).default_service(web::to(handle));
            })
            .await?;
        Ok(Self { server, shared })
    }

    /// Stops it and waits for the end.
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The host name it answers for.
    pub fn host(&self) -> &str {
        self.shared.gate.host
    }

    /// Takes these keys for registered from now on, and no other.
    pub fn register_only(&self, keys: &[RegisteredKey]) -> Result<(), Error> {
        let keys = keys.iter().map(parse_key).collect::<Result<_, _>>()?;
        *self.shared.gate.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Puts an object there, or another version of it; its id is taken from it.
    ///
    /// # Panics
    /// If the object has no id of its kind.
    pub fn put(&self, environment: Environment, kind: ObjectKind, object: Value) {
        let id = object[kind.id_field()].as_str().expect("an object has the id of its kind").to_owned();
        self.shared.world().objects.entry((environment, kind, id)).or_default().add(Instant::now(), object);
    }

    /// The object as the next read will find it.
    pub fn get(&self, environment: Environment, kind: ObjectKind, id: &str) -> Option<Value> {
        self.shared.world().objects.get(&(environment, kind, id.to_owned()))?.newest().cloned()
    }

    /// Every object there is.
    pub fn ids(&self, environment: Environment) -> Vec<(ObjectKind, String)> {
        let world = self.shared.world();
        let here = world.objects.keys().filter(|(there, ..)| *there == environment);
        here.map(|(_, kind, id)| (*kind, id.clone())).collect()
    }

    /// Every version that an object ever had, oldest first.
    pub fn versions(&self, environment: Environment, kind: ObjectKind, id: &str) -> Vec<Value> {
        let world = self.shared.world();
        let history = world.objects.get(&(environment, kind, id.to_owned()));
        history.map_or_else(Vec::new, |history| history.versions().cloned().collect())
    }

    /// Takes an object away and returns it; reads of it are answered 404 again.
    pub fn remove(&self, environment: Environment, kind: ObjectKind, id: &str) -> Option<Value> {
        self.shared.world().objects.remove(&(environment, kind, id.to_owned()))?.newest().cloned()
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.world().requests.clone()
    }

    /// The requests for objects: all but the question for the time of day that a receiver begins with.
    pub fn reads(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.method == "GET").collect()
    }

    /// What goes wrong with every request from now on; `None` ends it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.shared.world().trouble = fault.map(Trouble::always);
    }

    /// What goes wrong with one request in `one_in`, for so long.
    pub fn set_trouble(&self, fault: Fault, one_in: u32, lasting: Duration) {
        let until = Instant::now() + lasting;
        self.shared.world().trouble = Some(Trouble::now_and_then(fault, one_in, Some(until)));
    }

    /// Throttles rightly signed reads by other figures than Amazon's; `None`: not at all.
    pub fn set_throttling(&self, throttling: Option<Throttling>) {
        self.shared.world().throttling = throttling.map(Quotas::Same);
    }

    /// What goes wrong with reads of one object, before any fault of `set_fault`; `None` ends it.
    pub fn set_object_fault(&self, id: &str, fault: Option<Fault>) {
        let troubles = &mut self.shared.world().object_troubles;
        match fault {
            Some(fault) => troubles.insert(id.to_owned(), Trouble::always(fault)),
            None => troubles.remove(id),
        };
    }
}

impl ObjectKind {
    /// The field that holds the object's own id.
    pub fn id_field(self) -> &'static str {
        match self {
            Self::ChargePermission => "chargePermissionId",
            Self::Charge => "chargeId",
            Self::Refund => "refundId",
            Self::Dispute => "disputeId",
        }
    }

    /// By the word in a path.
    pub fn of_path(segment: &str) -> Option<Self> {
        match segment {
            "chargePermissions" => Some(Self::ChargePermission),
            "charges" => Some(Self::Charge),
            "refunds" => Some(Self::Refund),
            "disputes" => Some(Self::Dispute),
            _ => None,
        }
    }
}

struct Shared {
    gate: Gate,
    world: Mutex<SandboxEnvironment>,
}

#[derive(Default)]
struct SandboxEnvironment {
    objects: HashMap<(Environment, ObjectKind, String), History>,
    requests: Vec<Request>,
    trouble: Option<Trouble>,
    object_troubles: HashMap<String, Trouble>,
    throttling: Option<Quotas>,
    meters: Meters,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, SandboxEnvironment> {
        self.world.lock().expect("nothing panics while it holds the world")
    }

    /// The object as it was so long ago.
    fn read(&self, request: &HttpRequest, body: &[u8], lag: Duration) -> Result<Value, Refusal> {
        let signed = Incoming { method: request.method(), uri: request.uri(), headers: request.headers(), body };
        let environment = self.gate.admit(&signed, OffsetDateTime::now_utc())?;
        if request.method() != Method::GET {
            return Err(READS_ALONE);
        }
        let mut segments = request.path().rsplit('/');
        let id = segments.next().unwrap_or_default().to_owned();
        let kind = segments.next().and_then(ObjectKind::of_path);
        let (Some(kind), Some("v2")) = (kind, segments.next()) else {
            return Err(NOT_FOUND);
        };
        let mut world = self.world();
        let key_id = authorization(request.headers()).map_or("", |(key_id, ..)| key_id);
        let now = Instant::now();
        if let Some(quotas) = world.throttling
            && !world.meters.admit(&quotas.of(environment), key_id, kind, now)
        {
            return Err(THROTTLED);
        }
        let history = world.objects.get(&(environment, kind, id)).ok_or(NOT_FOUND)?;
        now.checked_sub(lag).and_then(|then| history.at(then)).cloned().ok_or(NOT_FOUND)
    }

    /// Notes a request and tells its place in the record and what is to go wrong with it.
    fn record(&self, request: &HttpRequest) -> (usize, Option<Fault>) {
        let target = request.uri().path_and_query();
        let claimed = authorization(request.headers());
        let id = request.path().rsplit('/').next().unwrap_or_default();
        let mut world = self.world();
        world.requests.push(Request {
            method: request.method().to_string(),
            path: target.map_or("/", |target| target.as_str()).to_owned(),
            public_key_id: claimed.map(|(key_id, ..)| key_id.to_owned()),
            status: None,
            at: Instant::now(),
        });
        let now = Instant::now();
        let fault = world.object_troubles.get_mut(id).and_then(|trouble| trouble.strikes(now));
        let fault = fault.or_else(|| world.trouble.as_mut()?.strikes(now));
        (world.requests.len() - 1, fault)
    }
}

async fn handle(request: HttpRequest, shared: web::Data<Shared>, body: web::Bytes) -> HttpResponse {
    let (index, fault) = shared.record(&request);
    if let Some(Fault::Delay(delay)) = fault {
        tokio::time::sleep(delay).await;
    }
    let right_answer = |lag| match shared.read(&request, &body, lag) {
        Ok(object) => (200, object.to_string()),
        Err(Refusal(status, code, message)) => (status, error_body(code, message)),
    };
    let mut retry_after = None;
    let (status, body) = match fault {
        Some(Fault::Drop) => return cut_off(),
        Some(Fault::Status(status)) => (status, error_body(reason_code(status), "set by the test")),
        Some(Fault::Throttled { retry_after_s }) => {
            retry_after = retry_after_s;
            (429, error_body(THROTTLED.1, THROTTLED.2))
        }
        Some(Fault::ClockSkew) => (401, error_body("InvalidRequestSignature", "x-amz-pay-date is not near now")),
        Some(Fault::Body(body)) => (200, body),
        Some(Fault::Lag(lag)) => right_answer(lag),
        Some(Fault::WrongObject) => another_objects(right_answer(Duration::ZERO)),
        Some(Fault::Truncated) => {
            let (status, body) = right_answer(Duration::ZERO);
            (status, body.chars().take(body.chars().count() / 2).collect())
        }
        Some(Fault::Delay(_)) | None => right_answer(Duration::ZERO),
    };
    shared.world().requests[index].status = Some(status);
    let mut response = HttpResponse::build(StatusCode::from_u16(status).expect("a test asks for an HTTP status"));
    if let Some(retry_after_s) = retry_after {
        response.insert_header(("retry-after", retry_after_s.to_string()));
    }
    response
        .insert_header(("x-amz-pay-request-id", Uuid::new_v4().to_string()))
        .content_type("application/json")
        .body(body)
}

/// The same answer, with an id of the same form that was not asked for.
fn another_objects((status, body): (u16, String)) -> (u16, String) {
    let mut object: Value = serde_json::from_str(&body).unwrap_or_default();
    for kind in [ObjectKind::Refund, ObjectKind::Dispute, ObjectKind::Charge, ObjectKind::ChargePermission] {
        if let Some(id) = object.get(kind.id_field()).and_then(Value::as_str) {
            object[kind.id_field()] = json!(format!("{id}9"));
            break;
        }
    }
    (status, object.to_string())
}

/// A body that fails before its first byte makes actix close an HTTP/1.1 connection with the head still unsent.
fn cut_off() -> HttpResponse {
    let broken =
        futures_util::stream::once(async { Err::<web::Bytes, _>(std::io::Error::other("cut off by the test")) });
    HttpResponse::Ok().streaming(broken)
}

fn error_body(reason_code: &str, message: &str) -> String {
    json!({"reasonCode": reason_code, "message": message}).to_string()
}

/// Amazon Pay API reference, "Error handling".
fn reason_code(status: u16) -> &'static str {
    match status {
        401 => "UnauthorizedAccess",
        403 => "InvalidAccountStatus",
        404 => "ResourceNotFound",
        429 => "TooManyRequests",
        500 => "InternalServerError",
        502..=504 => "ServiceUnavailable",
        _ => "InvalidRequest",
    }
}

const NOT_FOUND: Refusal = Refusal(404, "ResourceNotFound", "no such object in this environment");
const THROTTLED: Refusal = Refusal(429, "TooManyRequests", "the quota of this operation is used up");
const READS_ALONE: Refusal = Refusal(405, "UnsupportedOperation", "only reads are answered");
