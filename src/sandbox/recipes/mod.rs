//! Every event that the catalogue allows, and how Amazon Pay comes to cause it.
//!
//! A [`Variant`] is an event type with a reason and a type of charge permission. Its [`recipe`] lists what happens at Amazon
//! Pay, step by step; the last step publishes the event. `trigger` runs a recipe against the simulators and the whole
//! receiver, `sample` plays it through the derivation alone. Nothing here does I/O or reads a clock.

mod change;
mod ids;
mod object_template;
mod play;
mod simulation_codes;
mod steps;

pub use self::change::{Change, Override};
pub use self::ids::Ids;
pub use self::object_template::ObjectTemplate;
use self::object_template::amazon_time;
pub use self::play::{Played, play};
pub use self::simulation_codes::{SIMULATION_CODES, SimulationCode};
pub use self::steps::{Inputs, Noticed, Recipe, Step, recipe};
use crate::domain::events::{CATALOG, EventType, Notice, Trigger};

/// One kind of event that can be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The type of the event.
    pub event: &'static EventType,
    /// Amazon's reason code, for the types that have reasons.
    pub reason: Option<&'static str>,
    /// The type of the charge permission.
    pub permission_type: &'static str,
}

/// Amazon's types of charge permissions. The first one is the default of `trigger` and `sample`.
pub const PERMISSION_TYPES: [&str; 3] = ["Recurring", "PaymentMethodOnFile", "OneTime"];

/// Every event type with every reason that Amazon documents for it and every type of charge permission.
///
/// `PermissionLimitNear` is not published for a OneTime permission, so that it has no such variant.
pub fn variants() -> Vec<Variant> {
    CATALOG.iter().flat_map(variants_of).collect()
}

/// The variants of one event type.
pub fn variants_of(event: &'static EventType) -> Vec<Variant> {
    let reasons: Vec<Option<&'static str>> = match event.reasons {
        [] => vec![None],
        codes => codes.iter().copied().map(Some).collect(),
    };
    let of_reason =
        |reason| permission_types(event).iter().map(move |permission_type| Variant { event, reason, permission_type });
    reasons.into_iter().flat_map(of_reason).collect()
}

/// The types of the charge permissions that can have this event.
pub fn permission_types(event: &EventType) -> &'static [&'static str] {
    match event.trigger {
        Trigger::Notice(Notice::LimitNear) => &PERMISSION_TYPES[..2],
        _ => &PERMISSION_TYPES,
    }
}

impl Variant {
    /// The variant with these names, in any case. Without a reason or a permission type, the first one of the event type.
    /// The error lists the valid names.
    pub fn find(event: &str, reason: Option<&str>, permission_type: Option<&str>) -> Result<Self, String> {
        let event = EventType::named(event)?;
        let reason = match reason {
            None => event.reasons.first().copied(),
            Some(code) => Some(same(event.reasons, code).ok_or_else(|| unknown_reason(event, code))?),
        };
        let types = permission_types(event);
        let permission_type = match permission_type {
            None => types[0],
            Some(name) => same(types, name).ok_or_else(|| {
                format!(
                    "{} has no --permission-type {name}; its permission types are: {}",
                    event.name,
                    types.join(", ")
                )
            })?,
        };
        Ok(Self { event, reason, permission_type })
    }

    /// `ChargeDeclined.HardDeclined.Recurring`
    pub fn name(&self) -> String {
        let parts = [Some(self.event.name), self.reason, Some(self.permission_type)];
        parts.into_iter().flatten().collect::<Vec<_>>().join(".")
    }
}

fn same(names: &[&'static str], wanted: &str) -> Option<&'static str> {
    names.iter().copied().find(|name| name.eq_ignore_ascii_case(wanted))
}

fn unknown_reason(event: &EventType, code: &str) -> String {
    match event.reasons {
        [] => format!("{} has no reasons; leave out --reason", event.name),
        codes => format!("{} has no --reason {code}; its reasons are: {}", event.name, codes.join(", ")),
    }
}

#[cfg(test)]
mod tests;
