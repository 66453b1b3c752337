//! What operators do beside a running receiver: [`redrive`] dead letters, [`recheck`] objects, [`inspect`] one of them.
//!
//! They meet the receiver in Kafka only. What acts appends to the inbox, so the worker's rules hold for it as they do for a
//! notification: nothing that was told is told again. What acts says first what it would do, and asks.

pub mod check;
pub mod healthcheck;
pub mod inspect;
pub mod recheck;
pub mod redrive;
pub mod verify;

mod confirm;
pub mod progress;
mod topic_scan;

use rdkafka::error::KafkaError;

use crate::config::Kafka;
use crate::kafka::acls::{self, PrincipalRole};

/// Why a command could not do its work, and what would help.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// An error of Kafka's; for want of a right, which one it may be.
fn explained(kafka: &Kafka, user: PrincipalRole, topic: &str, error: &KafkaError) -> String {
    let lacking = error.rdkafka_error_code().and_then(|code| acls::missing_acl(kafka, user, topic, code));
    lacking.unwrap_or_else(|| error.to_string())
}

/// `1 record`, `2 records`.
fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A time as people count it: `40 s`, `3 h 28 min`.
fn about(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs_f64().ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0..=1) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_and_numbers_are_said_as_people_say_them() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "record")), ["0 records", "1 record", "2 records"]);
        for (seconds, said) in [(0.2, "1 s"), (119.0, "119 s"), (125.0, "2 min"), (12_500.0, "3 h 28 min")] {
            assert_eq!(about(Duration::from_secs_f64(seconds)), said);
        }
    }
}
