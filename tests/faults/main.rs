//! The receiver under faults, on three real Kafka nodes, judged by a checker, and the checker judged in turn.
//!
//! `scripts/chaos` runs it for as long as one likes; `FAULTS_SECONDS` and `FAULTS_SEED` choose here.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod balancer;
mod checker;
mod cluster;
mod fleet;
mod observe;
mod proxy;
mod random;
mod shop;
mod stage;

mod chaos;
mod drain;
mod hurt_kafka;
mod hurt_processes;
mod points;
mod recovery;
mod rollout;
mod self_test;

use std::future::Future;

/// Runs a test on a runtime of its own.
fn run(test: impl Future<Output = ()>) {
    ipn_receiver::telemetry::log(ipn_receiver::telemetry::LogFormat::Text, "off");
    ipn_receiver::app::use_ring_for_tls();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}
