//! Health, readiness and metrics, on the admin port, which must never be public.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::{HttpResponse, Resource, Route, web};
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use serde_json::json;

use crate::amazon::clock_skew::ClockWatch;
use crate::config::Role;
use crate::http::problem::{method_not_allowed, not_found};
use crate::telemetry;
use crate::worker::{KafkaOutage, Status};

/// Whether the process is ready, and the state of its parts.
pub struct Readiness {
    /// The result of the last probe; `None` before the first.
    inbox: Mutex<Option<Result<(), String>>>,
    /// Set when the process is shutting down.
    pub is_leaving: Arc<AtomicBool>,
    role: Role,
    /// The worker, if this role has one. In the role `all` it does not affect readiness: the process can still receive
    /// IPNs.
    worker: Option<Arc<Status>>,
    /// A wrong clock does not affect readiness: SNS repeats the rejected IPNs, and another pod may have the same clock.
    clock_watch: ClockWatch,
    /// Whether the configuration has a `[development]` table.
    in_development: bool,
}

impl Readiness {
    /// Not ready before the first probe of the inbox or, in the role `worker`, before the worker owns its partitions.
    pub fn new(role: Role, worker: Option<Arc<Status>>, clock_watch: ClockWatch, in_development: bool) -> Self {
        Self { role, inbox: Mutex::default(), is_leaving: Arc::default(), worker, clock_watch, in_development }
    }

    /// Sets the result of the last probe of the inbox.
    pub fn set_inbox(&self, probe: Result<(), String>) {
        metrics::gauge!("ipn_receiver_inbox_writable").set(f64::from(u8::from(probe.is_ok())));
        *self.inbox.lock() = Some(probe);
    }

    /// Whether `/readyz` answers 200.
    pub fn is_ready(&self) -> bool {
        is_ready(&self.checks())
    }

    fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        checks.extend(self.role.receives_ipns().then(|| self.inbox_check()));
        let is_leaving = self.is_leaving.load(Ordering::Relaxed);
        let detail = if is_leaving { "shutting down" } else { "running" };
        checks.push(Check { decides: true, name: "lifecycle", ok: !is_leaving, detail: detail.to_owned() });
        if let Some(worker) = &self.worker {
            checks.extend(self.worker_checks(worker));
        }
        let clock = self.clock_watch.verdict();
        checks.push(Check {
            decides: false,
            name: "clock",
            ok: clock.is_ok(),
            detail: match clock {
                Ok(detail) => detail.to_owned(),
                Err(error) => format!("{error}; genuine IPNs may be answered 503"),
            },
        });
        checks.extend(self.in_development.then(|| {
            Check {
                decides: false,
                name: "development",
                ok: false,
                detail:
                    "a [development] table is in force: messages that Amazon did not sign may be accepted as genuine"
                        .to_owned(),
            }
        }));
        checks
    }

    fn inbox_check(&self) -> Check {
        let (ok, detail) = match &*self.inbox.lock() {
            None => (false, "not probed yet".to_owned()),
            Some(Ok(())) => (true, "Kafka accepts records".to_owned()),
            Some(Err(error)) => (false, error.clone()),
        };
        Check { decides: true, name: "inbox", ok, detail }
    }

    fn worker_checks(&self, worker: &Status) -> [Check; 2] {
        let is_working = worker.is_working.load(Ordering::Relaxed);
        let held_back = worker.held_back();
        let problem = match worker.outage() {
            Some(KafkaOutage { since, error }) => {
                Some(format!("cannot reach Kafka since {since}: {error}; no events are published until Kafka is back"))
            }
            None => worker
                .starts_over()
                .map(|error| {
                    format!("starts over again and again, so events are late or missing; the last error: {error}")
                })
                .or_else(|| (!is_working).then(|| "waits for its partitions or restores their state".to_owned())),
        };
        let affects = if self.role.receives_ipns() { "; does not affect readiness" } else { "" };
        let worker = Check {
            decides: !self.role.receives_ipns(),
            name: "worker",
            ok: problem.is_none(),
            detail: problem.map_or("owns its partitions".to_owned(), |problem| problem + affects),
        };
        let pay_api = Check {
            decides: false,
            name: "pay_api",
            ok: held_back.is_empty(),
            detail: if held_back.is_empty() {
                "no reads are held back".to_owned()
            } else {
                format!("reads are held back; their work waits, nothing is lost: {}", held_back.join(", "))
            },
        };
        [worker, pay_api]
    }
}

struct Check {
    /// Whether the check affects readiness; other checks are only shown.
    decides: bool,
    name: &'static str,
    ok: bool,
    detail: String,
}

fn is_ready(checks: &[Check]) -> bool {
    checks.iter().filter(|check| check.decides).all(|check| check.ok)
}

/// The routes of the admin port.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(page("/healthz", web::get().to(healthz)))
        .service(page("/readyz", web::get().to(readyz)))
        .service(page("/metrics", web::get().to(render_metrics)))
        .default_service(web::to(not_found));
}

fn page(path: &str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(web::to(async || method_not_allowed("GET")))
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

async fn readyz(readiness: web::Data<Readiness>) -> HttpResponse {
    let checks = readiness.checks();
    let ready = is_ready(&checks);
    let checks: Vec<_> =
        checks.iter().map(|check| json!({"name": check.name, "ok": check.ok, "detail": check.detail})).collect();
    let mut answer = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.json(json!({"ready": ready, "checks": checks}))
}

async fn render_metrics(handle: web::Data<PrometheusHandle>, readiness: web::Data<Readiness>) -> HttpResponse {
    telemetry::update_process_metrics();
    if let Some(worker) = &readiness.worker {
        worker.show();
    }
    handle.run_upkeep();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(handle.render())
}
