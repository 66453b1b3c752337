//! From a change of an object to the events that a merchant's services consume.

mod derive;
mod notices;

mod cloudevent;
mod event;

mod published_event;

mod next_action;
mod schema;

mod awaited;
mod catalog;
mod evidence;

pub use awaited::retry_awaited;
pub use catalog::{CATALOG, EventType, Notice, Trigger, event_type, notice_type, updated_type};
pub use cloudevent::{Encoded, Mode, TYPE_PREFIX, Wire, decode, name_of_type};
pub use derive::{Attributes, ConfirmingReads, Derivation, Permission, Reading, confirming_reads, derive};
pub use event::{Event, NAMESPACE};
pub use evidence::Evidence;
pub use next_action::{ActionCode, NextAction, PermissionSeen, PermissionType, Situation, next_action};
pub use published_event::{History, PublishedEvent};
pub use schema::{BUNDLE_FILE, Names, asyncapi, bundle, file_name, link, schema};
