//! What HTTP servers and HTTP clients of this program share.

pub mod client;
pub mod problem;
