//! From "it was that, it is this" to what a merchant's services are told.

mod catalog;
mod cloudevent;
mod derive;
mod event;

pub use catalog::{CATALOG, EventType, Told, event_type, updated_type};
pub use cloudevent::{CONTENT_TYPE, Naming, encode};
pub use derive::{Derivation, Reading, derive, needs_confirming_read};
pub use event::{Event, Evidence, NAMESPACE};
