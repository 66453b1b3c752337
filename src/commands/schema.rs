//! `schema`: prints the contract of the events.

use super::terminal::print;
use super::{Error, Exit};
use crate::domain::events::{self, CATALOG};

/// The arguments of `schema`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The event type, for example ChargeDeclined. Without it, all types are printed as one AsyncAPI 3 document.
    #[arg(value_name = "TYPE")]
    event_type: Option<String>,
}

/// Prints the JSON Schema of one event type, or the AsyncAPI document of all.
pub fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let document = match arguments.event_type.as_deref() {
        None => events::asyncapi(),
        Some(name) => {
            let short = name.trim_end_matches(".v1").rsplit('.').next().unwrap_or_default();
            let row = CATALOG.iter().find(|row| row.name.eq_ignore_ascii_case(short));
            events::schema(row.ok_or_else(|| unknown(name))?)
        }
    };
    print(format!("{document:#}\n"))?;
    Ok(Exit::Success)
}

fn unknown(name: &str) -> Error {
    let names: Vec<&str> = CATALOG.iter().map(|row| row.name).collect();
    Error::Usage(format!("there is no event type {name}; the event types are: {}", names.join(", ")))
}
