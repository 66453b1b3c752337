//! ipn-receiver receives Amazon Pay's IPNs, verifies that Amazon sent them, reads the current state from the Amazon
//! Pay API, and publishes what changed on Kafka, exactly once, as normalized events.
//!
//! ```text
//!  SNS ──POST──► ingress ─► verify ─► parse ─► inbox ══ Kafka: amazonpay.ipn.inbox.v1 ══╗
//!          [1]  200 only after the broker acknowledged the record (acks=all)  [4]       ║
//!    ┌── [5] worker: work queue, one entry per object, paced by the API quota ◄════════╝
//!    ├─► [6] pay_api: signed GET (charge permission, charge, refund, dispute)
//!    ├─► derive([7] known state, fetched object, causes) ─► events          pure
//!    └─► [8] outbox: ONE Kafka transaction = events + new known state + dead letters + inbox offsets
//!           ══► amazonpay.events.v1   ══► amazonpay.state.v1 (compacted)   ══► amazonpay.ipn.dlq.v1
//! ```
//!
//! Three decisions hold the design together. An IPN is only a hint: every fact comes from a signed read. The result of a
//! read is compared with the last published state, so a hint without a change publishes nothing. One transaction writes
//! events and state, so they always agree.
//!
//! The code in the order of the flow:
//!
//! | step | module | what it does |
//! |---|---|---|
//! | | [`cli`], [`app`] | parse the command line; build the parts, own the tasks, shut down in order |
//! | 1 | [`ingress`] | receives `POST /ipn` and answers with the status that SNS must see |
//! | 2 | [`amazon::signing_certs`], [`domain::sns`] | fetch the signing certificate; verify the message |
//! | 3 | [`amazon::subscriptions`] | confirms subscriptions to allowed topics |
//! | 4 | [`kafka::inbox`] | stores the IPN before the answer 200, and gives it to the worker |
//! | 5 | [`worker`], [`domain::work`] | decide which object to read next, within the quota |
//! | 6 | [`amazon::pay_api`] | reads an object |
//! | 7 | [`kafka::state_store`], [`domain::state`] | hold what was published last of every object |
//! | | [`domain::events`] | derives the events from the known state and the object that was read |
//! | 8 | [`kafka::outbox`] | commits events, state, dead letters and offsets in one transaction |
//!
//! Beside the flow: [`commands`] is what operators run, [`telemetry`] is logs, metrics and spans, [`config`] the
//! settings, [`http`] what servers and clients share, and [`sandbox`] simulates Amazon on loopback.
//!
//! Arrows point down only: app, commands → ingress, worker → kafka, amazon → telemetry, http, config → domain.
//! [`domain`] is pure. `tests/all/layering.rs` checks both, and `docs/architecture.md` has the glossary.
#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic on a closed pipe: use `commands::terminal`

pub mod app;
pub mod cli;

pub mod ingress;

pub mod worker;

pub mod amazon;
pub mod kafka;

pub mod commands;

pub mod clock;
pub mod config;
pub mod failpoints;
pub mod http;
pub mod telemetry;

pub mod sandbox;

pub mod domain;
