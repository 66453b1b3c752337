//! Measures the cost of accepting an IPN: CPU compared with the RSA verification alone, and latency compared with the
//! acknowledgement of the broker alone.
//!
//! This process is the receiver, reduced to its accept path (see `receiver`). The poster, which makes the load, and
//! the mock broker are separate processes. Rounds of all kinds alternate in one run, so that their ratios are meaningful on
//! a busy machine. The benchmark asserts no times.
//!
//! ```text
//! cargo bench --bench accept                                          librdkafka's mock broker
//! KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:19092 cargo bench --bench accept  a real one (scripts/kafka up)
//! ```
//! `BENCH_BLOCKS` (4) is how often the rounds take turns, `BENCH_SECONDS` (3) how long a CPU round is,
//! `BENCH_LATENCY_SECONDS` (5) a latency round, `BENCH_CONNECTIONS` (64), `BENCH_PER_SECOND` (400).

mod cpu;
mod load;
mod receiver;
mod report;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ipn_receiver::sandbox::environment::SandboxEnvironment;
use ipn_receiver::telemetry::{self, LogFormat};

use load::{Job, Load, Outcome};
use receiver::{Broker, Receiver, Signed};

/// Why the benchmark failed.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// The duration and the load.
pub(crate) struct Options {
    pub(crate) blocks: usize,
    pub(crate) cpu_seconds: f64,
    pub(crate) latency_seconds: f64,
    pub(crate) connections: usize,
    pub(crate) per_second: f64,
}

/// The resources that one round used.
#[derive(Default)]
pub(crate) struct Round {
    /// The number of operations.
    pub(crate) n_done: u64,
    /// The duration.
    pub(crate) seconds: f64,
    /// CPU time of the measured: the receiver's process, or the thread that verified.
    pub(crate) cpu: Duration,
    /// CPU time of the receiver's threads by name.
    pub(crate) threads: BTreeMap<String, Duration>,
    /// Busy cores, without the busiest measured thread.
    pub(crate) cores_busy_beside: f64,
    /// Cores that the hypervisor gave to other machines.
    pub(crate) cores_stolen: f64,
    /// CPU time of the poster.
    pub(crate) poster: Duration,
    /// CPU time of the mock broker.
    pub(crate) mock: Option<Duration>,
}

/// Latencies at a fixed rate.
#[derive(Default)]
pub(crate) struct Latencies {
    /// From post to 200, by round.
    pub(crate) posts_us: Vec<Vec<u32>>,
    /// From handing a record to the producer to its acknowledgement, by round.
    pub(crate) acks_us: Vec<Vec<u32>>,
    /// The rounds of the posts.
    pub(crate) rounds: Vec<Round>,
}

/// All results.
#[derive(Default)]
pub(crate) struct Results {
    /// Verification with ring alone.
    pub(crate) verify: Vec<Round>,
    /// HTTP without the accept path.
    pub(crate) bare: Vec<Round>,
    /// The accept path, by linger.
    pub(crate) accept: [Vec<Round>; LINGERS_MS.len()],
    /// Latencies, by linger.
    pub(crate) latencies: [Latencies; LINGERS_MS.len()],
}

/// The compared settings.
pub(crate) const LINGERS_MS: [u64; 2] = [0, 1];
const N_BODIES: usize = 512;
const N_MERCHANTS: usize = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [load::ROLE] => load::main(),
        [receiver::MOCK_ROLE, topic, partitions] => receiver::mock_main(topic, partitions),
        // `cargo test --all-targets` also runs benchmarks, without this argument; do nothing then.
        ref others if !others.contains(&"--bench") => {
            println!("a benchmark; run it with: cargo bench --bench accept");
            Ok(())
        }
        _ => bench(),
    };
    outcome.map_or_else(
        |error| {
            eprintln!("accept: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn bench() -> Result<(), Error> {
    let options = Options::from_environment()?;
    let load_before = cpu::load_averages();
    // As in `serve`: TLS provider, log (silent here), metrics, runtime.
    rustls::crypto::ring::default_provider().install_default().expect("no other provider was installed before");
    telemetry::log(LogFormat::Text, "warn");
    let metrics = telemetry::metrics();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;

    let environment = runtime.block_on(SandboxEnvironment::start_fast(N_MERCHANTS))?;
    let kafka_at = |servers: &str| Ok(environment.config_with(servers, &receiver::settings(0))?.kafka);
    let (broker, kafka) = Broker::start(kafka_at)?;
    runtime.block_on(broker.create_topics(&kafka))?;
    let signed = runtime.block_on(Signed::by(&environment, N_BODIES))?;
    let receivers = runtime.block_on(async {
        LINGERS_MS
            .iter()
            .map(|linger_ms| Receiver::start(&environment, broker.servers(), *linger_ms))
            .collect::<Result<Vec<_>, _>>()
    })?;
    let load = Load::start(&signed.bodies)?;
    let mut bench = Bench { options, signed: Rc::new(signed), receivers, load, broker, paced_own_load: 0.0 };
    report::opening(&bench.options, &bench.broker, &bench.signed, &kafka, &load_before);

    let mut results = Results::default();
    bench.warm_up()?;
    for block in 0..bench.options.blocks {
        eprintln!("block {} of {}", block + 1, bench.options.blocks);
        bench.cpu_block(block, &mut results)?;
        bench.latency_block(block, &mut results)?;
        // The registry keeps every sample until it is rendered.
        metrics.run_upkeep();
    }
    report::results(&bench.options, &results, &load_before);

    runtime.block_on(async {
        for receiver in &bench.receivers {
            receiver.stop().await;
        }
        bench.broker.delete_topics(&kafka).await
    })?;
    let Bench { broker, .. } = bench;
    runtime.block_on(environment.stop());
    runtime.shutdown_timeout(Duration::from_secs(1));
    // The broker stops last, so that no running producer logs errors.
    drop(broker);
    Ok(())
}

struct Bench {
    options: Options,
    signed: Rc<Signed>,
    receivers: Vec<Receiver>,
    load: Load,
    broker: Broker,
    /// The posts per second to its own server that keep the other core as busy as in an accept round.
    paced_own_load: f64,
}

impl Bench {
    /// Warms up certificate, producers and caches, and measures the rate of the poster's own load.
    fn warm_up(&mut self) -> Result<(), Error> {
        const SECONDS: f64 = 1.0;
        let to_itself = Job { address: None, ..self.job(0, ACCEPT_PATH, SECONDS) };
        let outcome = self.load.run(&to_itself)?;
        let cpu_seconds_per_post = outcome.cpu_seconds / outcome.n_posts as f64;
        for which in 0..self.receivers.len() {
            self.round(which, ACCEPT_PATH, SECONDS)?;
        }
        let (round, _) = self.round(0, ACCEPT_PATH, SECONDS)?;
        // One thread uses at most one core.
        self.paced_own_load = round.cores_busy_beside.min(0.95) / cpu_seconds_per_post;
        Ok(())
    }

    /// Runs one round of each kind; each block starts with another kind.
    fn cpu_block(&mut self, block: usize, results: &mut Results) -> Result<(), Error> {
        let seconds = self.options.cpu_seconds;
        for turn in 0..4 {
            match (block + turn) % 4 {
                0 => results.verify.push(self.verify_round(seconds)?),
                1 => results.accept[0].push(self.round(0, ACCEPT_PATH, seconds)?.0),
                2 => results.bare.push(self.round(0, receiver::BARE_PATH, seconds)?.0),
                _ => results.accept[1].push(self.round(1, ACCEPT_PATH, seconds)?.0),
            }
        }
        Ok(())
    }

    fn latency_block(&mut self, block: usize, results: &mut Results) -> Result<(), Error> {
        let seconds = self.options.latency_seconds;
        for turn in 0..4 {
            let turn = (block + turn) % 4;
            let which = turn / 2;
            let latencies = &mut results.latencies[which];
            if turn.is_multiple_of(2) {
                let job = Job { per_second: Some(self.options.per_second), ..self.job(which, ACCEPT_PATH, seconds) };
                let (round, outcome) = self.watch(&job)?;
                latencies.posts_us.push(outcome.latencies_us);
                latencies.rounds.push(round);
            } else {
                latencies.acks_us.push(self.acknowledgements(which, seconds)?);
            }
        }
        Ok(())
    }

    fn job(&self, which: usize, path: &str, seconds: f64) -> Job {
        Job {
            address: Some(self.receivers[which].address),
            path: path.to_owned(),
            connections: self.options.connections,
            seconds,
            per_second: None,
        }
    }

    fn round(&mut self, which: usize, path: &str, seconds: f64) -> Result<(Round, Outcome), Error> {
        let job = self.job(which, path, seconds);
        self.watch(&job)
    }

    /// Runs a job and measures its cost.
    fn watch(&mut self, job: &Job) -> Result<(Round, Outcome), Error> {
        let before = Reading::now(&self.broker);
        let outcome = self.load.run(job)?;
        let round = Reading::now(&self.broker).since(&before);
        let poster = Duration::from_secs_f64(outcome.cpu_seconds);
        Ok((Round { n_done: outcome.n_posts, poster, ..round }, outcome))
    }

    /// Verifies with ring while the poster keeps the other core as busy as in an accept round: two virtual cores can share
    /// one physical core.
    fn verify_round(&mut self, seconds: f64) -> Result<Round, Error> {
        const SETTLE: Duration = Duration::from_millis(100);
        let own_load = Job {
            address: None,
            per_second: Some(self.paced_own_load),
            ..self.job(0, ACCEPT_PATH, seconds + 2.0 * SETTLE.as_secs_f64())
        };
        let (load, broker, signed) = (&mut self.load, &self.broker, &*self.signed);
        std::thread::scope(|scope| {
            let posting = scope.spawn(move || load.run(&own_load));
            std::thread::sleep(SETTLE);
            let before = Reading::now(broker);
            let (n_done, cpu) = signed.verify_for(Duration::from_secs_f64(seconds))?;
            let round = Reading::now(broker).since(&before);
            let outcome = posting.join().expect("the poster's thread does not panic")?;
            let poster = Duration::from_secs_f64(outcome.cpu_seconds);
            Ok(Round { n_done, cpu, poster, ..round })
        })
    }

    /// Measures the acknowledgement latency of a plain producer with the same bytes, rate and number of tasks.
    fn acknowledgements(&self, which: usize, seconds: f64) -> Result<Vec<u32>, Error> {
        let receiver = &self.receivers[which];
        let producer = receiver.plain_producer()?;
        let topic = receiver.kafka.topics().inbox;
        let (lanes, per_second) = (self.options.connections, self.options.per_second);
        let rounds = |from: usize, seconds: f64| {
            load::in_one_thread((0..lanes).map(|lane| {
                let (producer, topic, signed) = (producer.clone(), topic.clone(), self.signed.clone());
                async move {
                    let mut next = from + lane * signed.bodies.len() / lanes;
                    let start = tokio::time::Instant::now();
                    load::at_a_rate((lane, lanes), per_second, (start, seconds), async || {
                        next = (next + 1) % signed.bodies.len();
                        receiver::append(&producer, &topic, &signed.keys[next], &signed.bodies[next]).await
                    })
                    .await
                }
            }))
        };
        // The first records of an idempotent producer wait for its producer id.
        rounds(0, 1.0)?;
        Ok(rounds(1, seconds)?.concat())
    }
}

/// The CPU clocks at one moment.
struct Reading {
    at: Instant,
    process: Duration,
    threads: BTreeMap<String, Duration>,
    machine: cpu::Machine,
    mock: Option<Duration>,
}

impl Reading {
    fn now(broker: &Broker) -> Self {
        Self {
            at: Instant::now(),
            process: cpu::of_process(std::process::id()),
            threads: cpu::of_threads(),
            machine: cpu::of_machine(),
            mock: broker.cpu(),
        }
    }

    fn since(self, before: &Self) -> Round {
        let seconds = (self.at - before.at).as_secs_f64();
        let threads: BTreeMap<String, Duration> = self
            .threads
            .into_iter()
            .map(|(name, time)| {
                let time = time.saturating_sub(before.threads.get(&name).copied().unwrap_or_default());
                (name, time)
            })
            .collect();
        let busiest = threads.values().max().copied().unwrap_or_default();
        let busy = self.machine.busy.saturating_sub(before.machine.busy);
        Round {
            seconds,
            cpu: self.process.saturating_sub(before.process),
            cores_busy_beside: busy.saturating_sub(busiest).as_secs_f64() / seconds,
            cores_stolen: self.machine.stolen.saturating_sub(before.machine.stolen).as_secs_f64() / seconds,
            threads,
            mock: self.mock.zip(before.mock).map(|(after, before)| after.saturating_sub(before)),
            ..Round::default()
        }
    }
}

impl Options {
    fn from_environment() -> Result<Self, Error> {
        fn number<T: std::str::FromStr>(name: &str, default: T) -> Result<T, Error> {
            match std::env::var(name) {
                Ok(text) => text.parse().map_err(|_| format!("{name}={text} is not a number").into()),
                Err(_) => Ok(default),
            }
        }
        Ok(Self {
            blocks: number("BENCH_BLOCKS", 4)?,
            cpu_seconds: number("BENCH_SECONDS", 3.0)?,
            latency_seconds: number("BENCH_LATENCY_SECONDS", 5.0)?,
            connections: number("BENCH_CONNECTIONS", 64)?,
            per_second: number("BENCH_PER_SECOND", 400.0)?,
        })
    }
}

const ACCEPT_PATH: &str = "/ipn";
