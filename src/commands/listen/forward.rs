//! Sends events to an HTTP endpoint, in the order that [`Queue`] gives, and writes a line on standard error for each answer.
//! While the endpoint cannot be reached, two lines: one when that begins and one when it is back.

use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use reqwest::{StatusCode, Url};

use super::http_binding::{EventRequest, ForwardMode};
use super::queue::{Limits, Outcome, Queue, Waiting};
use crate::commands::Error;
use crate::commands::format::{about, counted};
use crate::commands::terminal::{DIM, GREEN, RED, Text, YELLOW, note};
use crate::domain::events::name_of_type;
use crate::domain::timestamp::Timestamp;
use crate::http::client;
use crate::kafka::event_stream::EventRecord;

/// Where to send events, and how.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) mode: ForwardMode,
    pub(super) timeout: Duration,
}

/// Events on their way to the target.
pub(super) struct Forwarder {
    target: Target,
    client: reqwest::Client,
    queue: Queue<Arc<Parcel>>,
    in_flight: FuturesUnordered<BoxFuture<'static, Sent>>,
    n_delivered: usize,
}

/// What the queue keeps of an event.
#[derive(Debug)]
struct Parcel {
    /// Type and id, for people.
    name: String,
    published_at: Timestamp,
    request: EventRequest,
}

/// A request that has ended.
struct Sent {
    permission: String,
    waiting: Waiting<Arc<Parcel>>,
    outcome: Outcome,
    /// The answer, or why there is none.
    what: String,
    took: Duration,
}

impl Forwarder {
    pub(super) fn new(target: Target) -> Result<Self, Error> {
        let host = target.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let is_local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let client = reqwest::Client::builder();
        // A proxy has no route to this machine's loopback.
        let client = if is_local { client.no_proxy() } else { client };
        let client = client
            // An endpoint that answers with a redirection is named wrongly.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(target.timeout)
            .connect_timeout(target.timeout.min(CONNECT_TIMEOUT))
            .build()?;
        let (queue, in_flight) = (Queue::new(LIMITS), FuturesUnordered::new());
        Ok(Self { target, client, queue, in_flight, n_delivered: 0 })
    }

    /// Whether another event may be added.
    pub(super) fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Whether every event was delivered.
    pub(super) fn is_done(&self) -> bool {
        self.queue.len() == 0
    }

    /// Adds an event behind those of its charge permission.
    pub(super) fn add(&mut self, record: &EventRecord) {
        let text = |name: &str| record.event[name].as_str().unwrap_or("-");
        let request = self.target.mode.request(&record.event);
        // The body and its parsed form were in memory; what is kept is the body.
        let bytes = request.body.len() + PARCEL_BYTES;
        let name = format!("{} {}", name_of_type(text("type")), text("id"));
        let parcel = Arc::new(Parcel { name, published_at: record.published_at, request });
        self.queue.push(text("partitionkey"), parcel, bytes, Instant::now());
    }

    /// Sends what is due, and waits until a request has ended. Waits for ever if there is nothing to send. Nothing is lost if
    /// the future is dropped.
    pub(super) async fn progress(&mut self) {
        loop {
            while let Some((permission, waiting)) = self.queue.start(Instant::now()) {
                let (client, url) = (self.client.clone(), self.target.url.clone());
                let timeout = self.target.timeout;
                self.in_flight.push(Box::pin(send(client, url, timeout, permission, waiting)));
            }
            let due = async {
                match self.queue.next_at() {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => pending().await,
                }
            };
            let next_sent = async {
                match self.in_flight.next().await {
                    Some(sent) => sent,
                    None => pending().await,
                }
            };
            tokio::select! {
                sent = next_sent => return self.finish(sent),
                () = due => {}
            }
        }
    }

    /// Waits for the requests in flight, for a short time. Returns whether everything was delivered, after saying so.
    pub(super) async fn end(mut self) -> bool {
        let deadline = tokio::time::Instant::now() + END_TIMEOUT;
        while self.queue.n_in_flight() > 0 {
            match tokio::time::timeout_at(deadline, self.in_flight.next()).await {
                Ok(Some(sent)) => self.finish(sent),
                Ok(None) | Err(_) => break,
            }
        }
        let delivered = counted(self.n_delivered, "event");
        if self.is_done() {
            note(format!("{delivered} forwarded to {}", self.target.url));
            return true;
        }
        let oldest = self.queue.events().map(|parcel| parcel.published_at).min();
        note(format!(
            "{delivered} forwarded to {}; {} not. To forward them later, start with --from {}",
            self.target.url,
            counted(self.queue.len(), "event"),
            oldest.map_or_else(String::new, |time| time.to_string())
        ));
        for parcel in self.queue.events().take(NAMED_MAX) {
            note(format!("  not forwarded: {}", parcel.name));
        }
        false
    }

    fn finish(&mut self, sent: Sent) {
        let Sent { permission, waiting, outcome, what, took } = sent;
        let next = self.queue.finish(&permission, outcome, Instant::now());
        let url = &self.target.url;
        if let Some(outage) = next.back_after {
            note(Text::default().styled(GREEN, &format!("{url} answers again, after {}", about(outage))));
        }
        if next.is_outage {
            let text = format!("{url} cannot be reached: {what}; events wait, and are forwarded when it answers");
            note(Text::default().styled(YELLOW, &text));
        }
        let (style, pause) = match outcome {
            Outcome::Unreachable => return,
            Outcome::Delivered => {
                self.n_delivered += 1;
                (GREEN, String::new())
            }
            Outcome::Failed => {
                let pause = next.again_after.unwrap_or_default().as_secs_f64();
                (RED, format!("; attempt {}, again in {pause:.1} s", waiting.attempts))
            }
        };
        let what = Text::from("  -> ").styled(style, &what);
        note(
            what.plain(&format!("  {}  ", waiting.event.name)).styled(DIM, &format!("{} ms{pause}", took.as_millis())),
        );
    }
}

async fn send(
    client: reqwest::Client,
    url: Url,
    timeout: Duration,
    permission: String,
    waiting: Waiting<Arc<Parcel>>,
) -> Sent {
    let began = Instant::now();
    let EventRequest { headers, body } = &waiting.event.request;
    let request = headers.iter().fold(client.post(url), |request, (name, value)| request.header(name, value));
    let (outcome, what) = match request.body(body.clone()).send().await {
        Ok(answer) => understood(answer).await,
        Err(error) if error.is_connect() => (Outcome::Unreachable, cause_of(&client::error_chain(error))),
        Err(error) if error.is_timeout() => (Outcome::Failed, format!("no answer within {} s", timeout.as_secs())),
        Err(error) => (Outcome::Failed, client::error_chain(error)),
    };
    Sent { permission, waiting, outcome, what, took: began.elapsed() }
}

/// Without the layers that every failed connection has.
fn cause_of(chain: &str) -> String {
    chain.rsplit("(Connect): ").next().unwrap_or(chain).to_owned()
}

/// Only 2xx is success.
async fn understood(answer: reqwest::Response) -> (Outcome, String) {
    let status = answer.status();
    let location = answer.headers().get(reqwest::header::LOCATION).and_then(|to| to.to_str().ok().map(str::to_owned));
    let body = client::limited_body(answer, BODY_BYTES_MAX).await.unwrap_or_default();
    if status.is_success() {
        return (Outcome::Delivered, status.as_u16().to_string());
    }
    let said: String = String::from_utf8_lossy(&body).trim().chars().take(BODY_CHARS_SHOWN).collect();
    let hint = match (status, location) {
        (StatusCode::NOT_FOUND, _) => " (is the path of --forward-to right?)".to_owned(),
        (_, Some(to)) if status.is_redirection() => format!(" (redirects to {to}; name that in --forward-to)"),
        _ => String::new(),
    };
    let said = if said.is_empty() { said } else { format!(": {said}") };
    (Outcome::Failed, format!("{}{hint}{said}", status.as_u16()))
}

const LIMITS: Limits = Limits { events_max: 1000, bytes_max: 16 << 20, requests_at_once: 16 };
/// What the queue holds of an event besides its body.
const PARCEL_BYTES: usize = 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the requests in flight have at the end.
const END_TIMEOUT: Duration = Duration::from_secs(5);
const BODY_BYTES_MAX: usize = 65_536;
const BODY_CHARS_SHOWN: usize = 200;
/// How many events that were not forwarded are named.
const NAMED_MAX: usize = 10;
