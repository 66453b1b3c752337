//! An HTTP endpoint that fails as a test wants: a status, a closed connection, an answer that comes too late.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the endpoint does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    Status(u16),
    /// Closes the connection without an answer.
    Drop,
    /// Answers 200 after this time.
    Slow(Duration),
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
    pub(super) reaction: Reaction,
}

/// The endpoint. It runs until the runtime of the test ends.
pub(super) struct Target {
    pub(super) url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Target {
    /// Reacts to the nth request as `react` says.
    pub(super) async fn start(react: fn(usize) -> Reaction) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), react)
    }

    pub(super) fn at(listener: TcpListener, react: fn(usize) -> Reaction) -> Self {
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let arrived: Arc<Mutex<Vec<Arrived>>> = Arc::default();
        let shared = arrived.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone(), react));
            }
        });
        Self { url, arrived }
    }

    pub(super) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// How many requests were answered 200 in time.
    pub(super) fn n_accepted(&self) -> usize {
        self.arrived.lock().unwrap().iter().filter(|arrived| arrived.reaction == Reaction::Status(200)).count()
    }
}

async fn serve(stream: TcpStream, arrived: Arc<Mutex<Vec<Arrived>>>, react: fn(usize) -> Reaction) {
    let mut stream = BufReader::new(stream);
    while let Some((headers, body)) = request(&mut stream).await {
        let reaction = {
            let mut arrived = arrived.lock().unwrap();
            let reaction = react(arrived.len());
            arrived.push(Arrived { headers, body, reaction });
            reaction
        };
        let status = match reaction {
            Reaction::Status(status) => status,
            Reaction::Drop => return,
            Reaction::Slow(time) => {
                tokio::time::sleep(time).await;
                200
            }
        };
        let answer = format!("HTTP/1.1 {status} Any\r\ncontent-length: 4\r\n\r\nwhy\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request of a connection; none at its end.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<(BTreeMap<String, String>, Value)> {
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) => _ = headers.insert(name.to_lowercase(), value.to_owned()),
            None if line.trim_end().is_empty() => break,
            None => assert!(line.starts_with("POST /hook HTTP/1.1"), "{line}"),
        }
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some((headers, serde_json::from_slice(&body).unwrap()))
}
