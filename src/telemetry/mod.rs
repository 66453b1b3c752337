//! Logging, metrics and traces of the process.

pub mod log_throttle;
pub mod metrics;
pub mod spans;

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use anstream::{AutoStream, ColorChoice};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::Role;
use crate::telemetry::metrics::{Kind, METRICS};

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Plain text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging to standard error. `RUST_LOG` overrides `level`.
pub fn log(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // As `--color`, NO_COLOR and the terminal have it.
    let is_styled = AutoStream::choice(&std::io::stderr()) != ColorChoice::Never;
    // A second call, in tests, has no effect.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(is_styled).with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// The metrics registry of the process, with HELP and buckets from the table.
pub fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let mut builder = PrometheusBuilder::new();
            for metric in METRICS {
                if let Kind::Histogram(buckets) = metric.kind {
                    let name = Matcher::Full(metric.name.to_owned());
                    builder = builder
                        .set_buckets_for_metric(name, buckets)
                        .expect("a test asserts that each histogram has buckets");
                }
            }
            let handle = builder.install_recorder().expect("no other registry is installed");
            for metric in METRICS {
                match metric.kind {
                    Kind::Counter => ::metrics::describe_counter!(metric.name, metric.help),
                    Kind::Gauge => ::metrics::describe_gauge!(metric.name, metric.help),
                    Kind::Histogram(_) => ::metrics::describe_histogram!(metric.name, metric.help),
                }
            }
            handle
        })
        .clone()
}

/// Initializes the metrics of this role. Counters with known labels start at 0: Prometheus sees no increase from an
/// absent series to 1, so the first dead letter would not raise an alert.
pub fn init_metrics(role: Role) {
    for metric in METRICS.iter().filter(|metric| metric.kind == Kind::Counter && metric.exporter.is_in(role)) {
        match metric.labels {
            [] => ::metrics::counter!(metric.name).increment(0),
            [label] => {
                for value in label.values.known().into_iter().flatten() {
                    ::metrics::counter!(metric.name, label.name => value).increment(0);
                }
            }
            // One series for each combination of several labels would create many that are never used.
            _ => {}
        }
    }
    ::metrics::gauge!("ipn_receiver_development_settings").set(0.0);
    ::metrics::gauge!("ipn_receiver_build_info", "version" => env!("CARGO_PKG_VERSION"), "role" => role.as_str())
        .set(1.0);
    if let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) {
        ::metrics::gauge!("process_start_time_seconds").set(now.as_secs_f64());
    }
}

/// Updates the metrics of the process, at each scrape.
pub fn update_process_metrics() {
    if let Some(bytes) = resident_memory_bytes() {
        ::metrics::gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
}

/// `None` on systems other than Linux.
fn resident_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
