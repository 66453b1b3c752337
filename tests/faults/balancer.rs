//! A TCP load balancer like a Kubernetes Service: it sends new connections round-robin to the ready processes and leaves
//! open connections alone. It probes readiness periodically.
//!
//! It also records every request that was not answered because a process closed the connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A running balancer. It stops when it is dropped.
pub(crate) struct Balancer {
    shared: Arc<Shared>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    backends: Mutex<Vec<Backend>>,
    next_backend: AtomicUsize,
    connections: AtomicUsize,
    cut_off: Mutex<Vec<String>>,
}

#[derive(Clone, Copy)]
struct Backend {
    ingress: SocketAddr,
    admin: SocketAddr,
    is_ready: bool,
}

/// The readiness probe interval, as of a kubelet.
pub(crate) const PROBE_INTERVAL: Duration = Duration::from_millis(250);

impl Balancer {
    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        let probing = tokio::spawn(probe(shared.clone()));
        Self { shared, tasks: vec![accepting, probing] }
    }

    /// Adds a process, which gets connections while it is ready.
    pub(crate) fn add(&self, ingress: SocketAddr, admin: SocketAddr) {
        self.shared.backends().push(Backend { ingress, admin, is_ready: false });
    }

    /// Removes a process.
    pub(crate) fn remove(&self, ingress: SocketAddr) {
        self.shared.backends().retain(|backend| backend.ingress != ingress);
    }

    pub(crate) fn is_ready(&self, ingress: SocketAddr) -> bool {
        self.shared.backends().iter().any(|backend| backend.ingress == ingress && backend.is_ready)
    }

    /// Connections that were closed before the answer to a request, or that found no ready process.
    pub(crate) fn cut_off(&self) -> Vec<String> {
        self.shared.cut_off.lock().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Shared {
    fn backends(&self) -> MutexGuard<'_, Vec<Backend>> {
        self.backends.lock()
    }

    fn note(&self, what: String) {
        self.cut_off.lock().push(what);
    }

    fn next(&self) -> Option<SocketAddr> {
        let ready: Vec<SocketAddr> =
            self.backends().iter().filter(|backend| backend.is_ready).map(|backend| backend.ingress).collect();
        let next = self.next_backend.fetch_add(1, Ordering::Relaxed);
        (!ready.is_empty()).then(|| ready[next % ready.len()])
    }
}

async fn probe(shared: Arc<Shared>) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(1)).build().unwrap();
    loop {
        let backends = shared.backends().clone();
        for backend in backends {
            let answer = client.get(format!("http://{}/readyz", backend.admin)).send().await;
            let is_ready = answer.is_ok_and(|answer| answer.status() == 200);
            shared
                .backends()
                .iter_mut()
                .filter(|known| known.ingress == backend.ingress)
                .for_each(|known| known.is_ready = is_ready);
        }
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let Some(backend) = shared.next() else {
            shared.note("no process was ready".to_owned());
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            match TcpStream::connect(backend).await {
                Ok(upstream) => pass(client, upstream, backend, &shared).await,
                Err(error) => shared.note(format!("cannot connect to {backend}: {error}")),
            }
        });
    }
}

/// Forwards both directions of one connection. A request waits for its answer if the client sent last.
async fn pass(client: TcpStream, upstream: TcpStream, backend: SocketAddr, shared: &Shared) {
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let ((mut from_client, mut to_client), (mut from_backend, mut to_backend)) =
        (client.into_split(), upstream.into_split());
    let is_waiting = AtomicBool::new(false);
    let requests = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(n) = from_client.read(&mut buffer).await {
            if n == 0 {
                return;
            }
            is_waiting.store(true, Ordering::Relaxed);
            if let Err(error) = to_backend.write_all(&buffer[..n]).await {
                shared.note(format!("{backend} accepted no request: {error}"));
                return;
            }
        }
    };
    let answers = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match from_backend.read(&mut buffer).await {
                Ok(n) if n > 0 => {
                    is_waiting.store(false, Ordering::Relaxed);
                    if to_client.write_all(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
                end => {
                    if is_waiting.load(Ordering::Relaxed) {
                        shared.note(format!("{backend} closed a connection before the answer: {end:?}"));
                    }
                    return;
                }
            }
        }
    };
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}
