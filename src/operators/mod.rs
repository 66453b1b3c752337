//! What operators do beside a running receiver: [`redrive`] dead letters, [`recheck`] objects, [`inspect`] one of them.
//!
//! They meet the receiver in Kafka only. What acts appends to the inbox, so the worker's rules hold for it as they do for a
//! notification: nothing that was told is told again. What acts says first what it would do, and asks.

pub mod redrive;

pub mod recheck;

pub mod inspect;

mod consent;
mod scan;

/// Why a command could not do its work, and what would help.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
