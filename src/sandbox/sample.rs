//! `sample`: prints an event as a consumer gets it, or writes one of each kind.
//!
//! The same code derives and encodes real events. Ids and times are constants, so equal programs print equal samples.

use std::path::PathBuf;

use serde_json::Value;
use uuid::Uuid;

use super::recipes::{Ids, Inputs, Variant, play, recipe, variants};
use crate::commands::terminal::print;
use crate::commands::{Error, Exit};
use crate::config::Events;
use crate::domain::events::{Event, Wire};
use crate::domain::pay::{Account, Environment, MerchantId};

/// The arguments of `sample`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The event type, for example ChargeDeclined.
    #[arg(value_name = "EVENT", required_unless_present = "all")]
    event: Option<String>,
    /// Amazon's reason code. Without it, the first one of the event type; `trigger --list` prints all.
    #[arg(long, value_name = "CODE", conflicts_with = "all")]
    reason: Option<String>,
    /// Recurring, PaymentMethodOnFile or OneTime. Without it, Recurring.
    #[arg(long, value_name = "TYPE", conflicts_with = "all")]
    permission_type: Option<String>,
    /// One event of each type, reason and permission type, in lines.
    #[arg(long, conflicts_with = "event")]
    all: bool,
    /// With --all: write a file for each event into this directory.
    #[arg(long, value_name = "DIR", requires = "all")]
    out: Option<PathBuf>,
}

/// Prints or writes the samples.
pub fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let Arguments { event, reason, permission_type, out, .. } = arguments;
    match (event, out) {
        (Some(event), _) => {
            let variant = Variant::find(event, reason.as_deref(), permission_type.as_deref()).map_err(Error::Usage)?;
            print(text(&sample(variant)))?;
        }
        (None, None) => variants().into_iter().try_for_each(|variant| print(format!("{}\n", sample(variant))))?,
        (None, Some(folder)) => {
            std::fs::create_dir_all(folder)
                .map_err(|io| format!("cannot create {} (--out): {io}", folder.display()))?;
            for (name, text) in files() {
                let file = folder.join(name);
                std::fs::write(&file, text).map_err(|io| format!("cannot write {} (--out): {io}", file.display()))?;
            }
        }
    }
    Ok(Exit::Success)
}

/// Name and text of the file of each variant.
pub fn files() -> impl Iterator<Item = (String, String)> {
    variants().into_iter().map(|variant| (format!("{}.json", variant.name()), text(&sample(variant))))
}

/// The events of all variants.
pub fn all() -> Vec<Value> {
    variants().into_iter().map(sample).collect()
}

/// The event of this variant as a consumer gets it by default.
pub fn sample(variant: Variant) -> Value {
    let Events { type_prefix, mode, .. } = Events::default();
    let (event, sequence) = event(variant);
    serde_json::from_slice(&Wire { type_prefix, mode }.encode(&event, sequence).value).expect("an event is JSON")
}

/// The event of this variant, and its sequence number.
///
/// It is one of the live environment, so that consumers that check the environment act on it. Each variant has objects of its
/// own, so that a consumer can be fed with all.
pub fn event(variant: Variant) -> (Event, u64) {
    let merchant_id = MerchantId::parse(MERCHANT).expect("letters and digits");
    let account = Account { merchant_id, environment: Environment::Live };
    let number = Uuid::new_v5(&Uuid::NAMESPACE_OID, variant.name().as_bytes()).as_u128() as u64;
    let ids = Ids::new(account.environment, variant.permission_type, number);
    let inputs = Inputs { ids: &ids, overrides: &[], at_s: AT_S, notices: Events::default().notices() };
    let recipe = recipe(variant, &inputs).expect("there are no overrides to refuse");
    let last = play(&recipe, &account).pop().and_then(|mut played| played.pop());
    last.expect("the last step of a recipe publishes its event")
}

fn text(event: &Value) -> String {
    format!("{event:#}\n")
}

const MERCHANT: &str = "A1O8CIV1A24A6X";
/// 2026-01-02T03:04:05Z
const AT_S: i64 = 1_767_323_045;
