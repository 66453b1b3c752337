//! Settings that work and that an attacker would like: Kafka without TLS, certificates that are not verified, keys that others can
//! read or change.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::report::Line;
use crate::config::{Config, Kafka};

/// A warning for each.
pub(super) fn weaknesses(config: &Config) -> Vec<Line> {
    let merchants = config.merchants.iter().filter_map(|account| account.credentials.as_ref());
    let mut files: Vec<&Path> = merchants.map(|credentials| credentials.files.private_key_file()).collect();
    let of_kafka = ["ssl.key.location", "ssl.keystore.location"];
    files.extend(of_kafka.iter().filter_map(|name| config.kafka.properties.get(*name)).map(Path::new));
    files.sort();
    files.dedup();
    kafka_weaknesses(&config.kafka).into_iter().chain(files.into_iter().filter_map(exposed)).collect()
}

fn kafka_weaknesses(kafka: &Kafka) -> Vec<Line> {
    let property = |name: &str| kafka.properties.get(name).map(|value| value.trim().to_ascii_lowercase());
    let is_off = |name: &str| property(name).is_some_and(|value| ["false", "0", "f", "none"].contains(&value.as_str()));
    let protocol = kafka.security_protocol();
    let mut lines = Vec::new();
    if protocol.ends_with("plaintext") && !is_local(&kafka.bootstrap_servers) {
        let what = match protocol.as_str() {
            "plaintext" => "connections to Kafka are neither encrypted nor authenticated",
            _ => "connections to Kafka are not encrypted: who can listen reads the password and the IPNs",
        };
        lines.push(warning(what, "set kafka.properties.\"security.protocol\" to \"ssl\" or \"sasl_ssl\""));
    }
    if is_off("enable.ssl.certificate.verification") {
        lines.push(warning(
            "the certificates of the brokers are not verified, so anybody can pose as a broker",
            "remove kafka.properties.\"enable.ssl.certificate.verification\"; name your own CA in \"ssl.ca.location\"",
        ));
    }
    if is_off("ssl.endpoint.identification.algorithm") {
        lines.push(warning(
            "the names in the certificates of the brokers are not verified, so whoever has a certificate of the CA can pose as a broker",
            "remove kafka.properties.\"ssl.endpoint.identification.algorithm\"",
        ));
    }
    lines
}

fn warning(what: &str, remedy: &str) -> Line {
    Line::warn("kafka", what, remedy)
}

/// Whether every broker is on this machine.
fn is_local(servers: &str) -> bool {
    let host = |server: &str| server.trim().rsplit_once(':').map_or(server.trim(), |(host, _)| host).to_owned();
    servers.split(',').map(host).all(|host| host == "localhost" || host == "[::1]" || host.starts_with("127."))
}

/// Others than the owner and its group can read the file, or others than the owner can write it. A file that cannot be read is
/// reported elsewhere.
fn exposed(file: &Path) -> Option<Line> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let what = match (mode & 0o004, mode & 0o022) {
        (_, 1..) => "others can change",
        (1.., _) => "everybody on this machine can read",
        _ => return None,
    };
    let (file, remedy) =
        (file.display(), format!("chmod 0400 {0} (0440 for a group that must read it)", file.display()));
    Some(Line::warn("key", format!("{what} the key file {file} (mode {mode:04o})"), remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(servers: &str, properties: &[(&str, &str)]) -> Vec<String> {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let kafka = Kafka { bootstrap_servers: servers.to_owned(), properties, ..Kafka::default() };
        kafka_weaknesses(&kafka).iter().map(|line| line.what().to_owned()).collect()
    }

    #[test]
    fn each_weakness_of_a_connection_is_named() {
        let tls = ("security.protocol", "SASL_SSL");
        assert_eq!(found("kafka:9092", &[tls]), [""; 0]);
        for (properties, beginning) in [
            (&[][..], "connections to Kafka are neither"),
            (&[("security.protocol", "PLAINTEXT")][..], "connections to Kafka are neither"),
            (&[("security.protocol", "sasl_plaintext")][..], "connections to Kafka are not encrypted: who"),
            (&[tls, ("enable.ssl.certificate.verification", "False")][..], "the certificates of the brokers"),
            (&[tls, ("ssl.endpoint.identification.algorithm", "none")][..], "the names in the certificates"),
        ] {
            let lines = found("kafka-1:9092,kafka-2:9092", properties);
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].starts_with(beginning), "{lines:?}");
        }
        for local in ["localhost:9092", "127.0.0.1:19092, [::1]:9092", "localhost"] {
            assert_eq!(found(local, &[]), [""; 0], "{local}");
        }
    }

    #[test]
    fn key_file_for_the_owner_and_its_group_is_not_exposed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, beginning) in [
            (0o400, None),
            (0o440, None),
            (0o600, None),
            (0o444, Some("everybody on this machine can read")),
            (0o644, Some("everybody on this machine can read")),
            (0o460, Some("others can change")),
            (0o602, Some("others can change")),
        ] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let line = exposed(file.path()).map(|line| line.what().to_owned());
            assert_eq!(line.is_some(), beginning.is_some(), "{mode:o}: {line:?}");
            assert!(line.is_none_or(|line| line.starts_with(beginning.unwrap_or_default())), "{mode:o}");
        }
    }
}
