//! The poster: a separate process, so that its CPU time is not counted for the receiver.
//!
//! It reads jobs from standard input and writes outcomes to standard output, one JSON object per line. One thread,
//! plain TCP, keep-alive, one request in flight on each connection.

use std::cell::Cell;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::{Error, cpu};

/// A job for the poster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The target; none: a server in the thread of the poster that answers 200 to every request.
    pub(crate) address: Option<SocketAddr>,
    /// The path.
    pub(crate) path: String,
    /// The number of connections.
    pub(crate) connections: usize,
    /// The duration.
    pub(crate) seconds: f64,
    /// Posts per second, independent of the answers; none: each connection posts again after each answer.
    pub(crate) per_second: Option<f64>,
}

/// The result of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The number of answered posts.
    pub(crate) n_posts: u64,
    /// The CPU time of the poster.
    pub(crate) cpu_seconds: f64,
    /// From post to answer; empty for jobs without a rate.
    pub(crate) latencies_us: Vec<u32>,
}

/// The poster's process, as its parent sees it.
pub(crate) struct Load {
    child: Child,
    jobs: ChildStdin,
    outcomes: BufReader<ChildStdout>,
}

impl Load {
    /// Starts the process.
    pub(crate) fn start(bodies: &[String]) -> Result<Self, Error> {
        let mut child =
            Command::new(std::env::current_exe()?).arg(ROLE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut jobs = child.stdin.take().expect("standard input was asked for");
        let outcomes = BufReader::new(child.stdout.take().expect("standard output was asked for"));
        writeln!(jobs, "{}", serde_json::to_string(bodies)?)?;
        Ok(Self { child, jobs, outcomes })
    }

    /// Runs a job. A post that is not answered 200 is an error, because its cost would be meaningless.
    pub(crate) fn run(&mut self, job: &Job) -> Result<Outcome, Error> {
        writeln!(self.jobs, "{}", serde_json::to_string(job)?)?;
        let mut line = String::new();
        self.outcomes.read_line(&mut line)?;
        serde_json::from_str::<Result<Outcome, String>>(&line)?.map_err(Error::from)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The poster itself: the process whose first argument is [`ROLE`].
pub(crate) fn main() -> Result<(), Error> {
    let mut lines = io::stdin().lines();
    let bodies: Vec<String> = serde_json::from_str(&lines.next().ok_or("no bodies to post")??)?;
    for line in lines {
        let job: Job = serde_json::from_str(&line?)?;
        let outcome = post_all(&job, &bodies).map_err(|error| error.to_string());
        println!("{}", serde_json::to_string(&outcome)?);
    }
    Ok(())
}

/// Runs `lanes` concurrently in this thread, like an ingress worker.
pub(crate) fn in_one_thread<T: 'static, F: Future<Output = Result<T, Error>> + 'static>(
    lanes: impl Iterator<Item = F>,
) -> Result<Vec<T>, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let mut running = JoinSet::new();
        for lane in lanes {
            running.spawn_local(lane);
        }
        running.join_all().await.into_iter().collect()
    })
}

/// Runs one of `lanes` that together act `per_second` times per second until `seconds` after `start`. Returns the latency
/// of each act in microseconds.
///
/// A late timer is not counted. Waiting for the previous act of this lane is counted, so a stall affects every act that
/// was due during it.
pub(crate) async fn at_a_rate(
    (lane, lanes): (usize, usize),
    per_second: f64,
    (start, seconds): (Instant, f64),
    mut act: impl AsyncFnMut() -> Result<(), Error>,
) -> Result<Vec<u32>, Error> {
    let mut latencies_us = Vec::new();
    for round in 0u32.. {
        let after = (f64::from(round) * lanes as f64 + lane as f64) / per_second;
        if after >= seconds {
            break;
        }
        let due = start + Duration::from_secs_f64(after);
        let began = if Instant::now() < due {
            tokio::time::sleep_until(due).await;
            Instant::now()
        } else {
            due
        };
        act().await?;
        latencies_us.push(began.elapsed().as_micros() as u32);
    }
    Ok(latencies_us)
}

fn post_all(job: &Job, bodies: &[String]) -> Result<Outcome, Error> {
    let requests: Rc<[Vec<u8>]> = bodies.iter().map(|body| request(&job.path, body)).collect();
    let n_posts = Rc::new(Cell::new(0));
    let (address, mut own_server) = if let Some(address) = job.address {
        (address, None)
    } else {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        (listener.local_addr()?, Some(listener))
    };
    let cpu_before = cpu::of_this_thread();
    let latencies = in_one_thread((0..job.connections).map(|lane| {
        let (job, requests, n_posts) = (job.clone(), requests.clone(), n_posts.clone());
        let own_server = own_server.take();
        async move {
            if let Some(listener) = own_server {
                tokio::task::spawn_local(answer_ok(TcpListener::from_std(listener)?));
            }
            let start = Instant::now();
            let mut connection = Connection::open(address).await?;
            // Each connection starts at another request, so that no two post the same one at the same time.
            let mut next = lane * requests.len() / job.connections;
            let mut post = async || {
                next = (next + 1) % requests.len();
                n_posts.set(n_posts.get() + 1);
                connection.post(&requests[next]).await
            };
            if let Some(per_second) = job.per_second {
                return at_a_rate((lane, job.connections), per_second, (start, job.seconds), post).await;
            }
            while start.elapsed().as_secs_f64() < job.seconds {
                post().await?;
            }
            Ok(Vec::new())
        }
    }))?;
    Ok(Outcome {
        n_posts: n_posts.get(),
        cpu_seconds: cpu::of_this_thread().saturating_sub(cpu_before).as_secs_f64(),
        latencies_us: latencies.concat(),
    })
}

/// The request that SNS makes of a body (Amazon SNS developer guide: HTTP/HTTPS headers).
fn request(path: &str, body: &str) -> Vec<u8> {
    let envelope: Value = serde_json::from_str(body).expect("the sandbox's SNS writes JSON");
    let field = |name: &str| envelope[name].as_str().unwrap_or_default();
    let (_, subscription_arn) = field("UnsubscribeURL").split_once("SubscriptionArn=").unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nx-amz-sns-message-type: {}\r\nx-amz-sns-message-id: {}\r\nx-amz-sns-topic-arn: {}\r\n\
         x-amz-sns-subscription-arn: {subscription_arn}\r\nContent-Length: {}\r\nContent-Type: text/plain; charset=UTF-8\r\n\
         Host: localhost\r\nConnection: Keep-Alive\r\nUser-Agent: Amazon Simple Notification Service Agent\r\n\
         Accept-Encoding: gzip,deflate\r\n\r\n{body}",
        field("Type"),
        field("MessageId"),
        field("TopicArn"),
        body.len(),
    )
    .into_bytes()
}

/// Answers 200 to every request, to load the poster without a receiver.
async fn answer_ok(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::task::spawn_local(async move {
            let mut connection = Connection::new(stream);
            while connection.read().await.is_ok() {
                if connection.stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
                    break;
                }
            }
        });
    }
}

/// One end of an HTTP/1.1 connection with one message in flight, which has a Content-Length.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream))
    }

    fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::with_capacity(8192) }
    }

    async fn post(&mut self, request: &[u8]) -> Result<(), Error> {
        self.stream.write_all(request).await?;
        self.read().await?;
        if self.buffer.starts_with(b"HTTP/1.1 200 ") {
            return Ok(());
        }
        Err(format!("a post was not answered 200: {}", String::from_utf8_lossy(&self.buffer)).into())
    }

    /// Reads one message into the buffer.
    async fn read(&mut self) -> Result<(), Error> {
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the connection was closed".into());
            }
            if message_length(&self.buffer).is_some_and(|length| self.buffer.len() >= length) {
                return Ok(());
            }
        }
    }
}

/// The length of the first message, if its head is complete.
fn message_length(bytes: &[u8]) -> Option<usize> {
    let head_length = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..head_length]).ok()?;
    let body_length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Some(head_length + body_length.unwrap_or(0))
}

/// The first argument of the poster process.
pub(crate) const ROLE: &str = "poster";
