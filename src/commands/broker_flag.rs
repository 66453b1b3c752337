//! The option `--kafka`, which names a broker without a configuration file.

use std::time::Duration;

use super::Error;
use crate::config::Kafka;
use crate::kafka::connection::Connection;

/// Checks that the broker that `--kafka` named answers. Blocks.
pub fn check_reachable(kafka: &Kafka) -> Result<(), Error> {
    let connected = Connection::open(kafka, TIMEOUT).map_err(|error| {
        format!(
            "no Kafka broker answers at --kafka {}: {}; check host and port, and use a port without TLS and SASL",
            kafka.bootstrap_servers, error.what
        )
    });
    connected.map(drop).map_err(Error::Failed)
}

/// A broker that needs longer to answer is not next to this machine.
const TIMEOUT: Duration = Duration::from_secs(5);
