//! The HTTP servers of the public port and of the admin port.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::NormalizePath;
use actix_web::{App as Actix, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;

use super::Error;
use super::admin::{self, Readiness};
use crate::config::{self, Config};
use crate::ingress::{self, Ingress};

pub(super) fn listen(setting: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).map_err(|source| Error::Listen { setting, address, source })
}

pub(super) fn local_address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a bound listener has an address")
}

pub(super) fn ingress_server(
    listener: TcpListener,
    ingress: web::Data<Ingress>,
    config: &Config,
) -> Result<Server, Error> {
    let address = local_address(&listener);
    let app = move || Actix::new().app_data(ingress.clone()).wrap(NormalizePath::trim()).configure(ingress::routes);
    let server = HttpServer::new(app)
        // SNS gives up after 15 s. A sender with slow headers gets no 408 before that, since SNS would not repeat it.
        .client_request_timeout(Duration::from_secs(15))
        .keep_alive(Duration::from_secs(75))
        .max_connections(connections_per_thread(&config.ingress))
        .shutdown_timeout(config.shutdown.grace_ms.div_ceil(1000))
        .disable_signals();
    let server = if config.ingress.threads > 0 { server.workers(config.ingress.threads) } else { server };
    Ok(server.listen(listener).map_err(|source| Error::Listen { setting: "ingress.listen", address, source })?.run())
}

/// Actix limits the connections of each thread.
fn connections_per_thread(settings: &config::Ingress) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if settings.threads > 0 { settings.threads } else { cores };
    settings.connections_max.div_ceil(threads)
}

pub(super) fn admin_server(
    listener: TcpListener,
    readiness: web::Data<Readiness>,
    metrics: PrometheusHandle,
) -> Result<Server, Error> {
    let (address, metrics) = (local_address(&listener), web::Data::new(metrics));
    let server = HttpServer::new(move || {
        Actix::new().app_data(readiness.clone()).app_data(metrics.clone()).configure(admin::routes)
    })
    .workers(1)
    .shutdown_timeout(1)
    .disable_signals();
    Ok(server.listen(listener).map_err(|source| Error::Listen { setting: "admin.listen", address, source })?.run())
}

pub(super) fn spawn_server(name: &'static str, server: Server) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, server = name, "HTTP server failed; it answers no more requests until the process is restarted");
        }
    })
}
