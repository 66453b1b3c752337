//! ipn-receiver: Amazon Pay's IPNs, proven genuine, re-read, and published exactly once as normalized events.
//!
//! ```text
//!  SNS ──POST──► ingress ─► verify ─► parse ─► inbox ══ Kafka: amazonpay.ipn.inbox.v1 ══╗
//!                  200 only after the broker has the record (acks=all)                  ║
//!    ┌── worker: work queue, one entry per object, paced by the API quota ◄════════════╝
//!    ├─► pay_api: signed GET (charge permission, charge, refund, dispute)
//!    ├─► derive(known state, fetched object, causes) ─► events          pure
//!    └─► outbox: ONE Kafka transaction = events + new known state + dead letters + inbox offsets
//!           ══► amazonpay.events.v1   ══► amazonpay.state.v1 (compacted)   ══► amazonpay.ipn.dlq.v1
//! ```
//!
//! Three things hold the design together. An IPN is a hint and nothing more: every fact comes from a signed read.
//! A read's outcome is compared with the state that was last told, so a hint that brings no news tells nothing.
//! Events and that state are written in one transaction, so they cannot part.
//!
//! Modules stand in the order of the flow. [`domain`] is pure; everything else is a shell around it and talks
//! downstream only. [`app`] alone knows all parts.

pub mod app;
pub mod cli;

pub mod amazon;
pub mod commands;
pub mod ingress;
pub mod kafka;
pub mod worker;

pub mod clock;
pub mod config;
pub mod failpoints;
pub mod http;
pub mod telemetry;

pub mod sandbox;

pub mod domain;
