//! Prints the results.

use std::collections::BTreeMap;
use std::time::Duration;

use ipn_receiver::config::Kafka;

use super::receiver::{Broker, Signed};
use super::{LINGERS_MS, Options, Results, Round, cpu};

/// Prints what is measured, and where.
pub(crate) fn opening(options: &Options, broker: &Broker, signed: &Signed, kafka: &Kafka, load_before: &str) {
    let sizes: Vec<usize> = signed.bodies.iter().map(String::len).collect();
    let broker = match broker {
        Broker::Mock { .. } => "librdkafka's mock, one node, in a process of its own; not durable".to_owned(),
        Broker::Real(servers) => format!("the one at {servers}; a local one shares the cores of this machine"),
    };
    println!("What accepting an IPN costs");
    println!("  machine     {} cores, {}; load averages before: {load_before}", cpu::cores(), cpu::model());
    println!(
        "  broker      {broker}; acks=all, {} partitions, {} replicas",
        kafka.partitions, kafka.replication_factor
    );
    println!("  measured    this process: ingress::routes on actix with 1 worker, no worker, no admin port");
    println!(
        "  IPNs        {} presigned envelopes of {} to {} bytes, SignatureVersion 2, RSA-2048, distinct ids",
        signed.bodies.len(),
        sizes.iter().min().unwrap_or(&0),
        sizes.iter().max().unwrap_or(&0),
    );
    println!(
        "  poster      another process on the same machine, {} keep-alive connections, no pipelining",
        options.connections
    );
    println!(
        "  rounds      {} of each kind in turn; CPU {} s each, latency {} s each at {} posts a second",
        options.blocks, options.cpu_seconds, options.latency_seconds, options.per_second
    );
    println!(
        "  CPU clocks  /proc/PID/stat (ticks of {} ms) for the process, schedstat (ns) for threads\n",
        cpu::TICK_MS
    );
}

/// Prints the results.
pub(crate) fn results(options: &Options, results: &Results, load_before: &str) {
    cpu_table(results);
    where_it_goes("Where the receiver's CPU goes at full load, µs per IPN by thread", &results.accept, |rounds| {
        rounds
    });
    latency_table(options, results);
    where_it_goes(&format!("Where it goes at {} a second", options.per_second), &results.latencies, |latencies| {
        &latencies.rounds
    });
    println!("Load averages before: {load_before}; after: {}", cpu::load_averages());
}

fn cpu_table(results: &Results) {
    println!("CPU at full load (medians of the rounds, minimum and maximum in brackets)");
    println!(
        "  {:<24}{:>22}{:>11}{:>22}{:>20}{:>14}{:>10}{:>10}{:>9}",
        "", "µs per operation", "a second", "× ring", "× HTTP alone", "other cores", "poster", "mock", "stolen"
    );
    cpu_row("ring, RSA-2048 verify", &results.verify, results);
    cpu_row("HTTP alone, 200", &results.bare, results);
    for (linger_ms, rounds) in LINGERS_MS.iter().zip(&results.accept) {
        cpu_row(&format!("accept, linger {linger_ms} ms"), rounds, results);
    }
    println!("  other cores: busy cores without the measured thread; poster and mock: their CPU, µs per operation\n");
}

fn cpu_row(name: &str, rounds: &[Round], results: &Results) {
    let ratios = |to: &[Round]| Spread::of(rounds.iter().zip(to).map(|(round, to)| round.cpu_us() / to.cpu_us()));
    let mock = rounds.first().and_then(|round| round.mock).map_or_else(
        || "-".to_owned(),
        |_| format!("{:.1}", Spread::of(rounds.iter().map(|round| round.us(round.mock.unwrap_or_default()))).median),
    );
    println!(
        "  {name:<24}{:>22}{:>11.0}{:>22}{:>20}{:>14.2}{:>10.1}{mock:>10}{:>9.2}",
        Spread::of(rounds.iter().map(Round::cpu_us)).to_text(1),
        Spread::of(rounds.iter().map(|round| round.n_done as f64 / round.seconds)).median,
        ratios(&results.verify).to_text(2),
        ratios(&results.bare).to_text(2),
        Spread::of(rounds.iter().map(|round| round.cores_busy_beside)).median,
        Spread::of(rounds.iter().map(|round| round.us(round.poster))).median,
        Spread::of(rounds.iter().map(|round| round.cores_stolen)).median,
    );
}

fn latency_table(options: &Options, results: &Results) {
    println!(
        "Latency at {} a second, milliseconds (in brackets: minimum and maximum of the rounds)",
        options.per_second
    );
    println!("  {:<36}{:>8}{:>22}{:>9}{:>24}{:>9}", "", "n", "p50", "p90", "p99", "most");
    for (linger_ms, latencies) in LINGERS_MS.iter().zip(&results.latencies) {
        latency_row(&format!("post → 200, linger {linger_ms} ms"), &latencies.posts_us);
        latency_row(&format!("append → acknowledged, linger {linger_ms} ms"), &latencies.acks_us);
    }
    println!();
}

fn latency_row(name: &str, rounds: &[Vec<u32>]) {
    let all = rounds.concat();
    let with_rounds = |share: f64| {
        let of_rounds = Spread::of(rounds.iter().map(|round| percentile_ms(round, share)));
        format!("{:.2} [{:.2}–{:.2}]", percentile_ms(&all, share), of_rounds.least, of_rounds.most)
    };
    println!(
        "  {name:<36}{:>8}{:>22}{:>9.2}{:>24}{:>9.2}",
        all.len(),
        with_rounds(0.5),
        percentile_ms(&all, 0.9),
        with_rounds(0.99),
        percentile_ms(&all, 1.0)
    );
}

/// The percentile of the latencies.
fn percentile_ms(latencies_us: &[u32], share: f64) -> f64 {
    let mut sorted = latencies_us.to_vec();
    sorted.sort_unstable();
    let rank = ((sorted.len() as f64 * share).ceil() as usize).max(1);
    sorted.get(rank - 1).map_or(f64::NAN, |us| f64::from(*us) / 1000.0)
}

fn where_it_goes<T>(title: &str, by_linger: &[T], rounds: fn(&T) -> &[Round]) {
    println!("{title}");
    for (linger_ms, kind) in LINGERS_MS.iter().zip(by_linger) {
        let rounds = rounds(kind);
        let n_done: u64 = rounds.iter().map(|round| round.n_done).sum();
        let us = |time: Duration| time.as_secs_f64() * 1e6 / n_done.max(1) as f64;
        let mut threads: BTreeMap<&str, Duration> = BTreeMap::new();
        for (name, time) in rounds.iter().flat_map(|round| &round.threads) {
            *threads.entry(name).or_default() += *time;
        }
        let mut parts: Vec<(f64, &str)> = threads.into_iter().map(|(name, time)| (us(time), name)).collect();
        parts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (large, small): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(us, _)| *us >= 0.2);
        let all = us(rounds.iter().map(|round| round.cpu).sum());
        print!("  linger {linger_ms} ms   {all:.1} =");
        for (us, name) in large {
            print!(" {us:.1} {name},");
        }
        println!(" {:.1} others", small.iter().map(|(us, _)| us).sum::<f64>());
    }
    println!();
}

impl Round {
    fn us(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.n_done.max(1) as f64
    }

    fn cpu_us(&self) -> f64 {
        self.us(self.cpu)
    }
}

/// Minimum, median and maximum.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let at = |rank: usize| sorted.get(rank).copied().unwrap_or(f64::NAN);
        Self {
            least: at(0),
            median: f64::midpoint(at(n.saturating_sub(1) / 2), at(n / 2)),
            most: at(n.saturating_sub(1)),
        }
    }

    fn to_text(&self, decimals: usize) -> String {
        format!("{:.decimals$} [{:.decimals$}–{:.decimals$}]", self.median, self.least, self.most)
    }
}
