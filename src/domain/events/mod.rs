//! From a change of an object to the events that a merchant's services consume.

mod derive;

mod cloudevent;
mod event;

mod published_event;

mod next_action;
mod schema;

mod catalog;
mod evidence;

pub use catalog::{CATALOG, EventType, Trigger, event_type, updated_type};
pub use cloudevent::{Encoded, Mode, Wire, decode};
pub use derive::{Derivation, Permission, Reading, derive, needs_confirming_read};
pub use event::{Event, NAMESPACE};
pub use evidence::Evidence;
pub use next_action::{ActionCode, NextAction, PermissionType, Situation, next_action};
pub use published_event::{History, PublishedEvent};
pub use schema::{asyncapi, schema};
