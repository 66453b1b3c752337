//! A TCP proxy of one Kafka node that injects faults. It parses only the frame length, the request's API key and the
//! correlation id of the Kafka protocol.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// The requests that tests need, by their Kafka API keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub(crate) enum RequestKind {
    Produce = 0,
    JoinGroup = 11,
    Heartbeat = 12,
    SyncGroup = 14,
    InitProducerId = 22,
    AddPartitionsToTxn = 24,
    AddOffsetsToTxn = 25,
    EndTxn = 26,
    TxnOffsetCommit = 28,
}

/// A fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestFault {
    /// The node processes the request, and its response is dropped.
    Response,
    /// The same, and the connection is closed, so the client retries at once.
    ResponseAndConnection,
    /// The connection of the client is closed, and the node gets the request after this delay.
    Late(Duration),
}

impl RequestFault {
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Response => "response lost",
            Self::ResponseAndConnection => "response and connection lost",
            Self::Late(_) => "delayed, connection lost",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToNode,
    ToClient,
}

#[derive(Debug, Default)]
struct Faults {
    delay: Option<Duration>,
    blackhole: Option<Direction>,
    request_fault: Option<(RequestKind, RequestFault)>,
    request_faults_done: usize,
}

/// A running proxy. It stops when it is dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    faults: Mutex<Faults>,
    /// Closes every open connection.
    cut: Notify,
    healed: Notify,
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock()
    }
}

impl Proxy {
    /// Listens at `at` and forwards to `node`.
    pub(crate) async fn start(at: SocketAddr, node: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let shared = Arc::new(Shared::default());
        let of_connections = shared.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, node, of_connections.clone()));
            }
        });
        Ok(Self { shared, accepting })
    }

    /// Delays every frame.
    pub(crate) fn delay(&self, delay: Duration) {
        self.shared.faults().delay = Some(delay);
    }

    /// Holds all frames of one direction until `heal`, unless the connection is closed before.
    pub(crate) fn blackhole(&self, direction: Direction) {
        self.shared.faults().blackhole = Some(direction);
    }

    /// Sets the fault of the next request of this kind.
    pub(crate) fn set_request_fault(&self, kind: RequestKind, request_fault: RequestFault) {
        self.shared.faults().request_fault = Some((kind, request_fault));
    }

    /// Closes every connection.
    pub(crate) fn cut(&self) {
        self.shared.cut.notify_waiters();
    }

    /// The number of request faults since the last `heal`.
    pub(crate) fn request_faults(&self) -> usize {
        self.shared.faults().request_faults_done
    }

    /// Clears all faults.
    pub(crate) fn heal(&self) {
        *self.shared.faults() = Faults::default();
        self.shared.healed.notify_waiters();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

/// Forwards both directions of one connection until it is closed.
async fn connect(client: TcpStream, node: SocketAddr, shared: Arc<Shared>) {
    let Ok(upstream) = TcpStream::connect(node).await else { return };
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let (client_reads, client_writes) = client.into_split();
    let (node_reads, node_writes) = upstream.into_split();
    let lost = Arc::new(Mutex::new(HashSet::new()));
    let requests = pass_requests(client_reads, node_writes, shared.clone(), lost.clone());
    let answers = pass_answers(node_reads, client_writes, shared.clone(), lost);
    tokio::select! {
        () = requests => {}
        () = answers => {}
        () = shared.cut.notified() => {}
    }
}

async fn pass_requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: Arc<Shared>,
    lost: Arc<Mutex<HashSet<i32>>>,
) {
    while let Some(frame) = read_frame(&mut from).await {
        hold_back(&shared, Direction::ToNode).await;
        let request_fault = take_request_fault(&shared, &frame);
        match request_fault {
            Some(RequestFault::Late(delay)) => {
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _ = to.write_all(&frame).await;
                    // The node must read the frame before the connection is closed.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                });
                return;
            }
            Some(RequestFault::Response | RequestFault::ResponseAndConnection) => {
                lost.lock().insert(correlation_of_request(&frame));
            }
            None => {}
        }
        if to.write_all(&frame).await.is_err() {
            return;
        }
        if request_fault == Some(RequestFault::ResponseAndConnection) {
            // The node must read the frame before the connection is closed.
            tokio::time::sleep(Duration::from_millis(200)).await;
            return;
        }
    }
}

async fn pass_answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: Arc<Shared>,
    lost: Arc<Mutex<HashSet<i32>>>,
) {
    while let Some(frame) = read_frame(&mut from).await {
        hold_back(&shared, Direction::ToClient).await;
        let correlation = number(&frame, 4);
        if lost.lock().remove(&correlation) {
            continue;
        }
        if to.write_all(&frame).await.is_err() {
            return;
        }
    }
}

fn take_request_fault(shared: &Shared, frame: &[u8]) -> Option<RequestFault> {
    let mut faults = shared.faults();
    let (kind, request_fault) = faults.request_fault?;
    if frame.get(4..6) != Some(&(kind as i16).to_be_bytes()) {
        return None;
    }
    faults.request_fault = None;
    faults.request_faults_done += 1;
    Some(request_fault)
}

async fn hold_back(shared: &Shared, direction: Direction) {
    let delay = shared.faults().delay;
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    loop {
        let healed = shared.healed.notified();
        if shared.faults().blackhole != Some(direction) {
            return;
        }
        healed.await;
    }
}

/// Reads one frame, with the four bytes of its length.
async fn read_frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).await.ok()?;
    let length = usize::try_from(number(&frame, 0)).ok()?;
    frame.resize(4 + length, 0);
    from.read_exact(&mut frame[4..]).await.ok()?;
    Some(frame)
}

/// The correlation id follows the length, the API key and the API version.
fn correlation_of_request(frame: &[u8]) -> i32 {
    number(frame, 8)
}

fn number(frame: &[u8], at: usize) -> i32 {
    let bytes = frame.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    i32::from_be_bytes(bytes)
}
