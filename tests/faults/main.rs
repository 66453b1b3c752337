//! Fault tests of the receiver on a real Kafka cluster of three nodes. A checker verifies the guarantees after each run,
//! and self-tests break the receiver on purpose to show that the checker fails then.
//!
//! `scripts/chaos` runs the chaos test with a chosen duration and seed (`FAULTS_SECONDS`, `FAULTS_SEED`).
#![allow(clippy::unwrap_used, reason = "a test fails at the first error")]

mod balancer;
mod checker;
mod cluster;
mod fleet;
mod foreign_records;
mod merchant_simulator;
mod observations;
mod proxy;
mod random;
mod stage;

mod amazon_faults;
mod chaos;
mod clocks;
mod drain;
mod failpoints;
mod kafka_faults;
mod process_faults;
mod recovery;
mod rollout;
mod self_test;

use std::future::Future;

/// Runs a test on its own runtime.
fn run(test: impl Future<Output = ()>) {
    ipn_receiver::telemetry::log(ipn_receiver::telemetry::LogFormat::Text, "off");
    ipn_receiver::app::use_ring_for_tls();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}
