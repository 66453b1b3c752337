//! Everything that the receiver asks of Amazon: signing certificates, subscription confirmations, objects of the Amazon
//! Pay API, and the time.
//!
//! This module never imports `kafka`.

mod clients;
pub mod clock_skew;
pub mod pay_api;
pub mod signing_certs;
pub mod subscriptions;

pub use self::clients::Clients;
