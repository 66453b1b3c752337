//! `schema`: prints the contract of the events.

use std::path::PathBuf;

use serde_json::Value;

use super::terminal::print;
use super::{Error, Exit};
use crate::config::Config;
use crate::domain::events::{self, EventType, Names};

/// The arguments of `schema`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The event type, for example ChargeDeclined. Without it, all types are printed as one AsyncAPI 3 document.
    #[arg(value_name = "TYPE")]
    event_type: Option<String>,
    /// Print one JSON Schema of all types, for generators of code.
    #[arg(long, conflicts_with = "event_type")]
    bundle: bool,
    /// The configuration file (TOML) whose names to use: `events.type_prefix` and `kafka.topic_prefix`. Without it, the names
    /// are those of the default configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Prints the JSON Schema of one event type, or of all, or the AsyncAPI document of all with these examples.
pub fn run(arguments: &Arguments, examples: impl FnOnce() -> Vec<Value>) -> Result<Exit, Error> {
    let names = match &arguments.config {
        None => Names::default(),
        Some(file) => {
            let Config { events, kafka, .. } = Config::load(file, std::env::vars())?;
            Names { topic: kafka.topics().events, type_prefix: events.type_prefix }
        }
    };
    let document = match arguments.event_type.as_deref() {
        None if arguments.bundle => events::bundle(&names),
        None => events::asyncapi(&names, &examples()),
        Some(name) => events::schema(EventType::named(name).map_err(Error::Usage)?, &names),
    };
    print(format!("{document:#}\n"))?;
    Ok(Exit::Success)
}
