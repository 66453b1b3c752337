//! The machine-readable contract: one JSON Schema (2020-12) of all events, one of each type, and an AsyncAPI 3 document.
//!
//! All of it is generated from the tables that the code itself uses: the catalogue, the codes of `nextAction`, the published
//! fields of the snapshots. Releases within v1 may add fields, types and values, so no schema is closed: a schema states what
//! a consumer can rely on.
//!
//! Generators of code read these documents too, and are less patient than validators. So the definitions follow three rules,
//! which tests check: every object is a definition of its own with a title that no other has, a `$ref` has no keyword beside
//! it, and a constant has a type.

mod asyncapi;
mod definitions;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

pub use self::asyncapi::asyncapi;
use self::definitions::{data_name, definitions};
use super::catalog::{CATALOG, EventType};
use super::cloudevent::TYPE_PREFIX;

/// What of the contract depends on a receiver's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// `events.type_prefix`
    pub type_prefix: String,
    /// The topic of the events.
    pub topic: String,
}

impl Default for Names {
    fn default() -> Self {
        Self { type_prefix: TYPE_PREFIX.to_owned(), topic: "amazonpay.events.v1".to_owned() }
    }
}

/// The CloudEvents attribute `dataschema`: where [`bundle`] defines `data` of this type.
pub(super) fn data_schema(row: &EventType) -> String {
    format!("{FOLDER}{BUNDLE_FILE}{DEFINITIONS}{}", data_name(row))
}

/// One JSON Schema of all events. Every object that an event contains is in `$defs`.
pub fn bundle(names: &Names) -> Value {
    let events: Vec<Value> = CATALOG.iter().map(|row| reference(row.name)).collect();
    json!({
        "$schema": DIALECT,
        "$id": format!("{FOLDER}{BUNDLE_FILE}"),
        "title": "AnyEvent",
        "description": "An event of a type that this version knows. Later versions may add types; ignore those that you do not know.",
        "oneOf": events,
        "$defs": definitions(names),
    })
}

/// JSON Schema of an event of this type in structured mode. It stands alone: what it refers to is in its own `$defs`.
pub fn schema(row: &EventType, names: &Names) -> Value {
    let mut all = definitions(names);
    let event = all.shift_remove(row.name).expect("every type has a definition");
    let mut wanted = BTreeSet::new();
    let mut open = vec![&event];
    while let Some(value) = open.pop() {
        for name in references(value) {
            if wanted.insert(name) {
                open.push(&all[name]);
            }
        }
    }
    let used: Map<String, Value> = all
        .iter()
        .filter(|(name, _)| wanted.contains(name.as_str()))
        .map(|(name, of)| (name.clone(), of.clone()))
        .collect();
    let mut schema = Map::from_iter([("$schema".to_owned(), DIALECT.into())]);
    schema.insert("$id".to_owned(), format!("{FOLDER}{}", file_name(row)).into());
    schema.extend(event.as_object().cloned().unwrap_or_default());
    schema.insert("$defs".to_owned(), used.into());
    schema.into()
}

/// JSON Schema of an event of this type, as a reference into [`bundle`]: for generators that make classes of files.
pub fn link(row: &EventType) -> Value {
    let target = format!("{BUNDLE_FILE}{DEFINITIONS}{}", row.name);
    json!({"$schema": DIALECT, "$id": format!("{FOLDER}{}", file_name(row)), "$ref": target})
}

/// The name of the file in `schemas/` that has the schema of this type.
pub fn file_name(row: &EventType) -> String {
    format!("{}.schema.json", row.name)
}

/// The names of the definitions that `value` refers to.
fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let named = fields.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix(DEFINITIONS));
            named.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("{DEFINITIONS}{name}")})
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const DEFINITIONS: &str = "#/$defs/";
/// Names the schemas and their version; nothing is fetched from there. `.example` is reserved for documents (RFC 2606).
const FOLDER: &str = "https://ipn-receiver.example/schemas/v1/";
/// The file of [`bundle`] in `schemas/`.
pub const BUNDLE_FILE: &str = "events.schema.json";

#[cfg(test)]
mod tests;
