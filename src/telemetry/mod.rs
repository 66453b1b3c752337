//! Log lines and metrics of the process.

pub mod log_throttle;
pub mod metrics;
pub mod spans;

use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::Role;
use crate::telemetry::metrics::{Kind, METRICS};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends log lines to standard error. `RUST_LOG` overrides `level`.
pub fn log(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call (in tests) changes nothing.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// The process's one metrics registry, with HELP and buckets from the table.
pub fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let mut builder = PrometheusBuilder::new();
            for metric in METRICS {
                if let Kind::Histogram(buckets) = metric.kind {
                    let name = Matcher::Full(metric.name.to_owned());
                    builder =
                        builder.set_buckets_for_metric(name, buckets).expect("a test sees to it that there are some");
                }
            }
            let handle = builder.install_recorder().expect("this is the first registry");
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

/// What a process of this role shows from its start on. Counters with known labels begin at 0: Prometheus sees no
/// increase from nothing to 1, so the first dead letter would raise no alert.
pub fn begin(role: Role) {
    for metric in METRICS.iter().filter(|metric| metric.kind == Kind::Counter && metric.exporter.is_in(role)) {
        match metric.labels {
            [] => ::metrics::counter!(metric.name).increment(0),
            [label] => {
                for word in label.values.known().into_iter().flatten() {
                    ::metrics::counter!(metric.name, label.name => word).increment(0);
                }
            }
            // One for each merchant, operation and outcome would be more than is ever used.
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

/// What is asked of the system each time the metrics are.
pub fn show_process() {
    if let Some(bytes) = resident_memory_bytes() {
        ::metrics::gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
}

/// None where the system is not Linux.
fn resident_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
