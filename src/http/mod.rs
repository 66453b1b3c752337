//! Shared by the HTTP servers and clients of this program.

pub mod client;
pub mod connections;
pub mod problem;
pub mod rate;
