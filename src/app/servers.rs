//! The HTTP servers of the public port and of the admin port.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_service::{Service, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::{AppConfig, Extensions, Server, ServiceRequest, ServiceResponse};
use actix_web::middleware::NormalizePath;
use actix_web::{App as Actix, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::Error;
use super::admin::{self, Readiness};
use crate::config::{self, Config};
use crate::http::connections::{Connection, Connections, LimitedStream};
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
    connections: &Connections,
    config: &Config,
) -> Result<Server, Error> {
    let address = local_address(&listener);
    let listen = |source| Error::Listen { setting: "ingress.listen", address, source };
    let threads = threads(&config.ingress);
    let connections = connections.clone();
    let server = Server::build()
        .workers(threads)
        // Connections that have to end take a moment; until then they count here.
        .max_concurrent_connections((2 * connections.max()).div_ceil(threads))
        .shutdown_timeout(config.shutdown.grace_ms.div_ceil(1000))
        .disable_signals();
    let service = move || {
        let app = Actix::new().app_data(ingress.clone()).wrap(NormalizePath::trim()).wrap_fn(mark_heads);
        let http = HttpService::build()
            // SNS gives up after 15 s. A sender with slow headers gets no 408 before that, since SNS would not repeat it.
            .client_request_timeout(Duration::from_secs(15))
            // Longer than load balancers keep idle connections. At the limit idle ones end first.
            .keep_alive(Duration::from_secs(75))
            .local_addr(address)
            .on_connect_ext(|io: &LimitedStream, extensions: &mut Extensions| {
                extensions.insert(io.connection().clone());
            })
            .finish(map_config(app.configure(ingress::routes), |()| AppConfig::default()));
        let connections = connections.clone();
        let accept = move |io: TcpStream| {
            let peer = io.peer_addr().ok();
            std::future::ready(Ok::<_, DispatchError>((connections.accept(io), Protocol::Http1, peer)))
        };
        fn_service(accept).and_then(http)
    };
    Ok(server.listen("ingress", listener, service).map_err(listen)?.run())
}

/// Marks on the connection where the head of a request ends and where the next one begins.
fn mark_heads<S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>, B>(
    request: ServiceRequest,
    app: &S,
) -> impl Future<Output = Result<ServiceResponse<B>, actix_web::Error>> + use<S, B> {
    let connection = request.conn_data::<Arc<Connection>>().cloned();
    connection.iter().for_each(|connection| connection.head_is_complete());
    let answer = app.call(request);
    async move {
        let answer = answer.await;
        connection.iter().for_each(|connection| connection.awaits_next_head());
        answer
    }
}

fn threads(settings: &config::Ingress) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if settings.threads > 0 { settings.threads } else { cores }
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
