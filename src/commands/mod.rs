//! The commands of the program: [`serve`] runs the receiver, the others prepare it, check it, or repair what an outage left.
//!
//! Each command is a module with its `Arguments` and a function `run`, which returns an [`Exit`] or an [`Error`]. `cli` parses
//! the arguments and calls `run`. The commands meet a running receiver only in Kafka or over HTTP.
//!
//! `redrive`, `recheck` and `in-charge-since --set` write: they append to the inbox, so the worker handles their records in
//! order with the IPNs and publishes no event twice. All first print what they would append, and ask.

pub mod serve;

pub mod check;
pub mod schema;
pub mod topics;

pub mod in_charge_since;
pub mod inspect;
pub mod listen;
pub mod recheck;
pub mod redrive;

pub mod healthcheck;
pub mod verify;

pub mod shell;

pub mod broker_flag;
mod config_file;
mod confirm;
mod exit;
mod format;
pub mod progress;
pub mod signals;
pub mod terminal;
mod topic_scan;

use rdkafka::error::KafkaError;

pub use self::exit::{Error, Exit, exit_codes_help};
use crate::config::Kafka;
use crate::kafka::acls::{self, PrincipalRole};

/// The text of a Kafka error. If Kafka refused for a missing ACL, the text names the ACL.
fn explained(kafka: &Kafka, role: PrincipalRole, topic: &str, error: &KafkaError) -> String {
    let lacking = error.rdkafka_error_code().and_then(|code| acls::missing_acl(kafka, role, topic, code));
    lacking.unwrap_or_else(|| error.to_string())
}
