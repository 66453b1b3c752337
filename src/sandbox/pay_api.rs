//! A simulated Amazon Pay API on loopback. It answers correctly signed reads of the objects that a test put there.
//!
//! It verifies every signature with code that it does not share with the receiver. Buyer fields hold
//! `BUYER-DATA-MARKER-…`, so that tests can search for leaks. It throttles with the quota that Amazon publishes, unless
//! a test sets another one. It never changes an object by itself.

mod authenticator;
mod faults;
mod object_kind;
mod objects;
mod quota;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use openssl::error::ErrorStack;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::authority::{self, Authority, LOOPBACK_NAME, LoopbackServer};
use authenticator::{Authenticator, Incoming, REGIONS, Rejection, authorization, parse_key};
pub use faults::Fault;
use faults::{ActiveFault, History};
pub use object_kind::ObjectKind;
pub use objects::{charge, charge_permission, dispute, refund, with_state};
pub use quota::Throttling;
use quota::{Meters, Quotas};

/// The simulated Amazon Pay API of one region. It stops when it is dropped.
pub struct PayApi {
    server: LoopbackServer,
    shared: Arc<Shared>,
}

/// An environment of Amazon Pay; each has its own objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    /// The environment with real payments.
    Live,
    /// The environment for tests.
    Sandbox,
}

/// A public key that a merchant has registered. A key for both environments is registered twice.
#[derive(Clone, Debug)]
pub struct RegisteredKey {
    /// The public key id; a prefix `LIVE` or `SANDBOX` binds it to the environment.
    pub public_key_id: String,
    /// The key in PEM, `BEGIN PUBLIC KEY`.
    pub public_pem: String,
    /// The environment whose objects the key can read.
    pub environment: Environment,
}

/// One received request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The key id in the Authorization header, verified or not.
    pub public_key_id: Option<String>,
    /// The status of the answer; `None` until it is answered.
    pub status: Option<u16>,
    /// When it was received.
    pub at: Instant,
}

/// Why the simulated Amazon Pay API could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a region of Amazon Pay.
    #[error("amazon pay has no region {0}: use na, eu or jp")]
    Region(String),
    /// A key that is not a public key.
    #[error("the key registered as {public_key_id} is not a public key: use PEM with BEGIN PUBLIC KEY")]
    Key {
        /// The public key id.
        public_key_id: String,
        /// The error of OpenSSL.
        source: ErrorStack,
    },
    /// The certificate or the listener could not be created.
    #[error("the simulated Amazon Pay API cannot start")]
    Start(#[from] authority::Error),
}

impl PayApi {
    /// Starts the API of a region (`na`, `eu` or `jp`) with these keys and without objects.
    pub async fn start(authority: &Authority, region: &str, keys: &[RegisteredKey]) -> Result<Self, Error> {
        let known = REGIONS.iter().find(|(name, _)| *name == region);
        let &(region, host) = known.ok_or_else(|| Error::Region(region.to_owned()))?;
        let authenticator =
            Authenticator { region, host, keys: keys.iter().map(parse_key).collect::<Result<Vec<_>, _>>()?.into() };
        let contents = Contents { throttling: Some(Quotas::Published), ..Contents::default() };
        let shared = Arc::new(Shared { authenticator, contents: Mutex::new(contents) });
        let state = web::Data::from(Arc::clone(&shared));
        let server = authority
            .serve(&[host, LOOPBACK_NAME], move |app| {
                app.app_data(state.clone()).default_service(web::to(handle));
            })
            .await?;
        Ok(Self { server, shared })
    }

    /// Stops the server and waits until it has stopped.
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    /// The listening address.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The host name of the region.
    pub fn host(&self) -> &str {
        self.shared.authenticator.host
    }

    /// Replaces all registered keys.
    pub fn register_only(&self, keys: &[RegisteredKey]) -> Result<(), Error> {
        let keys = keys.iter().map(parse_key).collect::<Result<_, _>>()?;
        *self.shared.authenticator.keys.write() = keys;
        Ok(())
    }

    /// Adds an object, or a new version of it, under the id that it holds.
    ///
    /// # Panics
    /// If the object has no id of its kind.
    pub fn put(&self, environment: Environment, kind: ObjectKind, object: Value) {
        let id = object[kind.id_field()].as_str().expect("the object has the id field of its kind").to_owned();
        self.shared.contents().objects.entry((environment, kind, id)).or_default().add(Instant::now(), object);
    }

    /// The newest version of an object.
    pub fn get(&self, environment: Environment, kind: ObjectKind, id: &str) -> Option<Value> {
        self.shared.contents().objects.get(&(environment, kind, id.to_owned()))?.newest().cloned()
    }

    /// The kind and id of every object.
    pub fn ids(&self, environment: Environment) -> Vec<(ObjectKind, String)> {
        let contents = self.shared.contents();
        let here = contents.objects.keys().filter(|(there, ..)| *there == environment);
        here.map(|(_, kind, id)| (*kind, id.clone())).collect()
    }

    /// All versions of an object, oldest first.
    pub fn versions(&self, environment: Environment, kind: ObjectKind, id: &str) -> Vec<Value> {
        let contents = self.shared.contents();
        let history = contents.objects.get(&(environment, kind, id.to_owned()));
        history.map_or_else(Vec::new, |history| history.versions().cloned().collect())
    }

    /// Removes an object and returns it; reads of it are answered 404.
    pub fn remove(&self, environment: Environment, kind: ObjectKind, id: &str) -> Option<Value> {
        self.shared.contents().objects.remove(&(environment, kind, id.to_owned()))?.newest().cloned()
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.contents().requests.clone()
    }

    /// The GET requests. Leaves out the request by which a receiver measures its clock skew at start.
    pub fn reads(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.method == "GET").collect()
    }

    /// Sets a fault for every request; `None` clears it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.shared.contents().fault = fault.map(ActiveFault::always);
    }

    /// Sets a fault for one request in `one_in`, until `lasting` has passed.
    pub fn set_temporary_fault(&self, fault: Fault, one_in: u32, lasting: Duration) {
        let until = Instant::now() + lasting;
        self.shared.contents().fault = Some(ActiveFault::now_and_then(fault, one_in, Some(until)));
    }

    /// Replaces the quota for correctly signed reads; `None` turns throttling off.
    pub fn set_throttling(&self, throttling: Option<Throttling>) {
        self.shared.contents().throttling = throttling.map(Quotas::Same);
    }

    /// Sets a fault for reads of one object, which takes precedence over `set_fault`; `None` clears it.
    pub fn set_object_fault(&self, id: &str, fault: Option<Fault>) {
        let faults = &mut self.shared.contents().object_faults;
        match fault {
            Some(fault) => faults.insert(id.to_owned(), ActiveFault::always(fault)),
            None => faults.remove(id),
        };
    }
}

struct Shared {
    authenticator: Authenticator,
    contents: Mutex<Contents>,
}

#[derive(Default)]
struct Contents {
    objects: HashMap<(Environment, ObjectKind, String), History>,
    requests: Vec<Request>,
    fault: Option<ActiveFault>,
    object_faults: HashMap<String, ActiveFault>,
    throttling: Option<Quotas>,
    meters: Meters,
}

impl Shared {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock()
    }

    /// The object as it was `lag` ago.
    fn read(&self, request: &HttpRequest, body: &[u8], lag: Duration) -> Result<Value, Rejection> {
        let signed = Incoming { method: request.method(), uri: request.uri(), headers: request.headers(), body };
        let environment = self.authenticator.verify(&signed, OffsetDateTime::now_utc())?;
        if request.method() != Method::GET {
            return Err(READS_ONLY);
        }
        let mut segments = request.path().rsplit('/');
        let id = segments.next().unwrap_or_default().to_owned();
        let kind = segments.next().and_then(ObjectKind::of_path);
        let (Some(kind), Some("v2")) = (kind, segments.next()) else {
            return Err(NOT_FOUND);
        };
        let mut contents = self.contents();
        let key_id = authorization(request.headers()).map_or("", |claimed| claimed.key_id);
        let now = Instant::now();
        if let Some(quotas) = contents.throttling
            && !contents.meters.admit(&quotas.of(environment), key_id, kind, now)
        {
            return Err(THROTTLED);
        }
        let history = contents.objects.get(&(environment, kind, id)).ok_or(NOT_FOUND)?;
        now.checked_sub(lag).and_then(|then| history.at(then)).cloned().ok_or(NOT_FOUND)
    }

    /// Records a request. Returns its index and the fault that applies to it.
    fn record(&self, request: &HttpRequest) -> (usize, Option<Fault>) {
        let target = request.uri().path_and_query();
        let claimed = authorization(request.headers());
        let id = request.path().rsplit('/').next().unwrap_or_default();
        let mut contents = self.contents();
        contents.requests.push(Request {
            method: request.method().to_string(),
            path: target.map_or("/", |target| target.as_str()).to_owned(),
            public_key_id: claimed.map(|claimed| claimed.key_id.to_owned()),
            status: None,
            at: Instant::now(),
        });
        let now = Instant::now();
        let fault = contents.object_faults.get_mut(id).and_then(|fault| fault.applies(now));
        let fault = fault.or_else(|| contents.fault.as_mut()?.applies(now));
        (contents.requests.len() - 1, fault)
    }
}

async fn handle(request: HttpRequest, shared: web::Data<Shared>, body: web::Bytes) -> HttpResponse {
    let (index, fault) = shared.record(&request);
    if let Some(Fault::Delay(delay)) = fault {
        tokio::time::sleep(delay).await;
    }
    let correct_answer = |lag| match shared.read(&request, &body, lag) {
        Ok(object) => (200, object.to_string()),
        Err(Rejection(status, code, message)) => (status, error_body(code, message)),
    };
    let mut retry_after = None;
    let (status, body) = match fault {
        Some(Fault::Drop) => return dropped_connection(),
        Some(Fault::Status(status)) => (status, error_body(reason_code(status), "fault set by the test")),
        Some(Fault::Throttled { retry_after_s }) => {
            retry_after = retry_after_s;
            (429, error_body(THROTTLED.1, THROTTLED.2))
        }
        Some(Fault::ClockSkew) => (401, error_body("InvalidRequestSignature", "x-amz-pay-date is not near now")),
        Some(Fault::Body(body)) => (200, body),
        Some(Fault::Lag(lag)) => correct_answer(lag),
        Some(Fault::WrongObject) => with_other_id(correct_answer(Duration::ZERO)),
        Some(Fault::Truncated) => {
            let (status, body) = correct_answer(Duration::ZERO);
            (status, body.chars().take(body.chars().count() / 2).collect())
        }
        Some(Fault::Delay(_)) | None => correct_answer(Duration::ZERO),
    };
    shared.contents().requests[index].status = Some(status);
    let mut response = HttpResponse::build(StatusCode::from_u16(status).expect("the fault has a valid HTTP status"));
    if let Some(retry_after_s) = retry_after {
        response.insert_header(("retry-after", retry_after_s.to_string()));
    }
    response
        .insert_header(("x-amz-pay-request-id", Uuid::new_v4().to_string()))
        .content_type("application/json")
        .body(body)
}

/// The answer with the id of another object.
fn with_other_id((status, body): (u16, String)) -> (u16, String) {
    let mut object: Value = serde_json::from_str(&body).unwrap_or_default();
    for kind in [ObjectKind::Refund, ObjectKind::Dispute, ObjectKind::Charge, ObjectKind::ChargePermission] {
        if let Some(id) = object.get(kind.id_field()).and_then(Value::as_str) {
            object[kind.id_field()] = json!(format!("{id}9"));
            break;
        }
    }
    (status, object.to_string())
}

/// Actix closes an HTTP/1.1 connection without an answer when the body fails before its first byte.
fn dropped_connection() -> HttpResponse {
    let broken = futures_util::stream::once(async {
        Err::<web::Bytes, _>(std::io::Error::other("connection dropped by the test"))
    });
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

const NOT_FOUND: Rejection = Rejection(404, "ResourceNotFound", "no such object in this environment");
const THROTTLED: Rejection = Rejection(429, "TooManyRequests", "the quota of this operation is used up");
const READS_ONLY: Rejection = Rejection(405, "UnsupportedOperation", "only GET is supported");
