//! Health, readiness and metrics, on a port of their own that is never public.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use actix_web::{HttpResponse, Resource, Route, web};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::amazon::clock_skew::ClockWatch;
use crate::config::Role;
use crate::http::problem::{method_not_allowed, not_found};
use crate::telemetry;
use crate::worker::Status;

/// What is known about whether a notification could be taken now.
pub struct Readiness {
    inbox: Mutex<Option<String>>,
    inbox_was_probed: AtomicBool,
    /// Set when the process is about to leave.
    pub is_leaving: Arc<AtomicBool>,
    role: Role,
    /// The worker, if this role has one. Beside an ingress it never makes the process unready: notifications are to be
    /// taken all the same.
    worker: Option<Arc<Status>>,
    /// Nor does a wrong clock: what it keeps out now is repeated, and another pod would have the same one.
    clock_watch: ClockWatch,
    /// A `[development]` table is there.
    in_development: bool,
}

impl Readiness {
    /// Not ready until the inbox was probed, or, in a worker alone, until it owns its partitions.
    pub fn new(role: Role, worker: Option<Arc<Status>>, clock_watch: ClockWatch, in_development: bool) -> Self {
        Self {
            role,
            inbox: Mutex::default(),
            inbox_was_probed: AtomicBool::new(false),
            is_leaving: Arc::default(),
            worker,
            clock_watch,
            in_development,
        }
    }

    /// Notes what the last probe of the inbox said.
    pub fn note_inbox(&self, probe: Result<(), String>) {
        metrics::gauge!("ipn_receiver_inbox_writable").set(f64::from(u8::from(probe.is_ok())));
        *self.inbox.lock().unwrap_or_else(PoisonError::into_inner) = probe.err();
        self.inbox_was_probed.store(true, Ordering::Relaxed);
    }

    /// Whether requests should be sent here.
    pub fn is_ready(&self) -> bool {
        is_ready(&self.checks())
    }

    fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        checks.extend(self.role.takes().then(|| self.inbox_check()));
        let is_leaving = self.is_leaving.load(Ordering::Relaxed);
        let detail = if is_leaving { "about to stop" } else { "running" };
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
                Err(trouble) => format!("{trouble}; genuine IPNs may be answered 503"),
            },
        });
        checks.extend(
            self.in_development.then(|| Check {
                decides: false,
                name: "development",
                ok: false,
                detail: "a [development] table is in force: what is taken for genuine is not only what Amazon signed"
                    .to_owned(),
            }),
        );
        checks
    }

    fn inbox_check(&self) -> Check {
        let trouble = match &*self.inbox.lock().unwrap_or_else(PoisonError::into_inner) {
            _ if !self.inbox_was_probed.load(Ordering::Relaxed) => Some("not asked yet".to_owned()),
            trouble => trouble.clone(),
        };
        Check {
            decides: true,
            name: "inbox",
            ok: trouble.is_none(),
            detail: trouble.unwrap_or_else(|| "Kafka takes records".to_owned()),
        }
    }

    fn worker_checks(&self, worker: &Status) -> [Check; 2] {
        let is_working = worker.is_working.load(Ordering::Relaxed);
        let held_back = worker.held_back();
        let waits = if self.role.takes() {
            "waits for its partitions or rebuilds state; does not affect readiness"
        } else {
            "waits for its partitions or rebuilds state"
        };
        let worker = Check {
            decides: !self.role.takes(),
            name: "worker",
            ok: is_working,
            detail: (if is_working { "owns its partitions" } else { waits }).to_owned(),
        };
        let pay_api = Check {
            decides: false,
            name: "pay_api",
            ok: held_back.is_empty(),
            detail: if held_back.is_empty() {
                "no merchant's reads are held back".to_owned()
            } else {
                format!("reads are held back, their work waits, nothing is lost: {}", held_back.join(", "))
            },
        };
        [worker, pay_api]
    }
}

struct Check {
    /// Whether it counts for readiness; the others are only told.
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
    telemetry::show_process();
    if let Some(worker) = &readiness.worker {
        worker.show();
    }
    handle.run_upkeep();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(handle.render())
}
