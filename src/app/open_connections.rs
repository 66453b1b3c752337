//! How many connections the memory of this process allows, and the metrics of the open ones.

use std::time::Duration;

use crate::config;
use crate::http::connections::{Connections, Counts};

/// `ingress.connections_max`; 0 takes what fits into the memory limit of the process.
pub(super) fn connections_max(settings: &config::Ingress) -> usize {
    match settings.connections_max {
        0 => fitting(memory_limit(), settings.body_bytes_in_flight_max),
        most => most,
    }
}

/// The connections that fit beside the rest of the process.
fn fitting(memory_limit: Option<usize>, body_bytes: usize) -> usize {
    let left = |limit: usize| limit.saturating_sub(OTHER_BYTES + body_bytes) / CONNECTION_BYTES;
    memory_limit.map_or(MOST, |limit| left(limit).clamp(LEAST, MOST))
}

/// The memory limit of the container, from version 2 or 1 of Linux's control groups.
fn memory_limit() -> Option<usize> {
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    // "max" is no number: no limit.
    files.iter().find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok())
}

/// Sets the metrics of the connections at this interval, forever.
pub(super) async fn watch_connections(connections: Connections, interval: Duration) {
    metrics::gauge!("ipn_receiver_connections_limit").set(connections.max() as f64);
    loop {
        let Counts { open, waiting, ended_at_limit, heads_too_large } = connections.counts();
        metrics::gauge!("ipn_receiver_connections", "state" => "waiting").set(waiting as f64);
        metrics::gauge!("ipn_receiver_connections", "state" => "working").set((open - waiting) as f64);
        let ended = |reason: &'static str, count: usize| {
            metrics::counter!("ipn_receiver_connections_ended_total", "reason" => reason).absolute(count as u64);
        };
        ended("limit", ended_at_limit);
        ended("head-too-large", heads_too_large);
        tokio::time::sleep(interval).await;
    }
}

/// What the process needs without connections and bodies, with room for the buffers of Kafka's client.
const OTHER_BYTES: usize = 128 << 20;
/// The most that a connection takes, measured (docs/operate.md): the buffers of the server, and the first bytes of a body.
const CONNECTION_BYTES: usize = 96 << 10;
const LEAST: usize = 100;
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_into_the_memory_limit() {
        assert_eq!(fitting(None, 16 << 20), MOST);
        assert_eq!(fitting(Some(384 << 20), 16 << 20), 2560);
        assert_eq!(fitting(Some(64 << 20), 16 << 20), LEAST);
        assert_eq!(fitting(Some(usize::MAX), 16 << 20), MOST);
    }
}
