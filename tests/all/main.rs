//! The receiver from outside, in one binary: real sockets, a real Kafka, servers that really sign and verify.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod collector;
mod harness;
mod mock_stage;
mod process;
#[allow(dead_code, reason = "the fault tests use all of it")]
#[path = "../faults/proxy.rs"]
mod proxy;

mod documents;
mod layering;
mod properties;
mod vectors;

mod adversary;
mod clock;
mod contract;
mod floods;
mod hostile_hosts;
mod ingress;
mod interface;
mod kafka_away;
mod kafka_outages;
mod log_causes;
mod terms;

mod acls;
mod breaker;
mod buyer_data;
mod check;
mod data_loss;
mod dead_letters;
mod exactly_once;
mod logs;
mod pending;
mod poison;
mod quota;
mod reads;
mod reconciliation;
mod records;
mod roles;
mod topics;
mod traces;

mod commands;

mod chart;
mod configuration_doc;
mod development;
mod events_doc;
mod fixtures;
mod metrics;
mod openapi_doc;
mod sandbox;
mod serve;
mod terminal;
mod trigger;
mod verify;
