//! Everything that is asked of Amazon: signing certificates, subscriptions, the Amazon Pay API, and the time.
//!
//! Nothing here knows Kafka.

pub mod clients;
pub mod clock_skew;
pub mod pay_api;
pub mod signing_certs;
pub mod subscriptions;
