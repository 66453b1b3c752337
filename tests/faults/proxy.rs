//! A TCP proxy before one Kafka node that understands just enough of the protocol to hurt it: the frame's length, the
//! request's kind and the number by which its answer is known.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// The kinds of requests that matter here, by Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub(crate) enum Kind {
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

/// What becomes of the next request of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The node acts on it and its answer never comes.
    Answer,
    /// The same, and the connection ends, so the client sends it again at once.
    AnswerAndConnection,
    /// The client loses the connection, and the node gets the request this much later.
    Late(Duration),
}

impl Loss {
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Answer => "answer lost",
            Self::AnswerAndConnection => "answer and connection lost",
            Self::Late(_) => "comes late, connection lost",
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
    hole: Option<Direction>,
    loss: Option<(Kind, Loss)>,
    losses_done: usize,
}

/// Stands before one node until it is dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    faults: Mutex<Faults>,
    /// Ends every connection there is.
    cut: Notify,
    healed: Notify,
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Listens at `at` and passes everything on to `node`.
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

    /// Everything comes this much later.
    pub(crate) fn delay(&self, delay: Duration) {
        self.shared.faults().delay = Some(delay);
    }

    /// Nothing gets through in one direction; what was sent comes when it is healed, unless the connection ended.
    pub(crate) fn blackhole(&self, direction: Direction) {
        self.shared.faults().hole = Some(direction);
    }

    /// The next request of this kind meets this fate.
    pub(crate) fn lose(&self, kind: Kind, loss: Loss) {
        self.shared.faults().loss = Some((kind, loss));
    }

    /// Ends every connection.
    pub(crate) fn cut(&self) {
        self.shared.cut.notify_waiters();
    }

    /// How many requests met their fate since this was last healed.
    pub(crate) fn losses(&self) -> usize {
        self.shared.faults().losses_done
    }

    /// Nothing is wrong any more.
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

/// Both directions of one connection, until either side ends it or it is cut.
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
        let loss = take_loss(&shared, &frame);
        match loss {
            Some(Loss::Late(delay)) => {
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _ = to.write_all(&frame).await;
                    // Long enough for the node to read it before it sees the end.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                });
                return;
            }
            Some(Loss::Answer | Loss::AnswerAndConnection) => {
                lost.lock().unwrap_or_else(PoisonError::into_inner).insert(correlation_of_request(&frame));
            }
            None => {}
        }
        if to.write_all(&frame).await.is_err() {
            return;
        }
        if loss == Some(Loss::AnswerAndConnection) {
            // The node has it before the connection ends.
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
        if lost.lock().unwrap_or_else(PoisonError::into_inner).remove(&correlation) {
            continue;
        }
        if to.write_all(&frame).await.is_err() {
            return;
        }
    }
}

fn take_loss(shared: &Shared, frame: &[u8]) -> Option<Loss> {
    let mut faults = shared.faults();
    let (kind, loss) = faults.loss?;
    if frame.get(4..6) != Some(&(kind as i16).to_be_bytes()) {
        return None;
    }
    faults.loss = None;
    faults.losses_done += 1;
    Some(loss)
}

async fn hold_back(shared: &Shared, direction: Direction) {
    let delay = shared.faults().delay;
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    loop {
        let healed = shared.healed.notified();
        if shared.faults().hole != Some(direction) {
            return;
        }
        healed.await;
    }
}

/// One message with the four bytes of its length before it.
async fn read_frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).await.ok()?;
    let length = usize::try_from(number(&frame, 0)).ok()?;
    frame.resize(4 + length, 0);
    from.read_exact(&mut frame[4..]).await.ok()?;
    Some(frame)
}

/// Length, kind, version, and then the number that the answer bears, too.
fn correlation_of_request(frame: &[u8]) -> i32 {
    number(frame, 8)
}

fn number(frame: &[u8], at: usize) -> i32 {
    let bytes = frame.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    i32::from_be_bytes(bytes)
}
