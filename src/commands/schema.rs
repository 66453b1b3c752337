//! `schema`: prints the contract of the events.

use super::terminal::print;
use super::{Error, Exit};
use crate::domain::events::{self, EventType};

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
        Some(name) => events::schema(EventType::named(name).map_err(Error::Usage)?),
    };
    print(format!("{document:#}\n"))?;
    Ok(Exit::Success)
}
