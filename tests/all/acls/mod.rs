//! Kafka with TLS, SASL, mutual TLS and ACLs: the ACLs that each role and command needs, all of them and with one missing.

mod connections;
mod create_acls;
mod least_privilege;
mod table;
mod token_endpoint;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ipn_receiver::config::Kafka;
use ipn_receiver::sandbox::environment::SandboxEnvironment;

/// A Kafka node with ACLs. It keeps running for the next test run.
struct SecureKafka {
    port: u16,
    /// The folder of `ca.pem` and the clients' certificates.
    tls: PathBuf,
}

/// How a client authenticates.
#[derive(Clone, Copy)]
enum Proof {
    Scram,
    Plain,
    Token,
    Certificate,
}

fn script(port: u16, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka");
    let output = Command::new(script).args(arguments).env("KAFKA_PORT", port.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/kafka {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn secure_kafka() -> &'static SecureKafka {
    static STARTED: OnceLock<SecureKafka> = OnceLock::new();
    STARTED.get_or_init(|| {
        let port = std::env::var("SECURE_KAFKA_PORT").map_or(14_292, |port| port.parse().unwrap());
        script(port, &["up", "secure"]);
        let tls = PathBuf::from(script(port, &["cert", "ingest", "worker"]));
        SecureKafka { port, tls }
    })
}

impl SecureKafka {
    /// The port where every client is a super user.
    fn super_user_port(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn sasl(&self) -> String {
        format!("127.0.0.1:{}", self.port + 3)
    }

    fn mutual_tls(&self) -> String {
        format!("127.0.0.1:{}", self.port + 4)
    }

    fn file(&self, name: &str) -> String {
        self.tls.join(name).display().to_string()
    }

    /// Address and properties with which `user` connects.
    fn client(&self, user: &str, proof: Proof) -> (String, Vec<(&'static str, String)>) {
        let ca = ("ssl.ca.location", self.file("ca.pem"));
        let sasl = |mechanism: &str| {
            vec![ca.clone(), ("security.protocol", "sasl_ssl".to_owned()), ("sasl.mechanism", mechanism.to_owned())]
        };
        let password = [("sasl.username", user.to_owned()), ("sasl.password", format!("{user}-secret"))];
        match proof {
            Proof::Scram => (self.sasl(), [sasl("SCRAM-SHA-512"), password.to_vec()].concat()),
            Proof::Plain => (self.sasl(), [sasl("PLAIN"), password.to_vec()].concat()),
            Proof::Token => {
                let token = [
                    ("sasl.oauthbearer.method", "oidc".to_owned()),
                    ("sasl.oauthbearer.client.id", user.to_owned()),
                    ("sasl.oauthbearer.client.secret", format!("{user}-secret")),
                    ("sasl.oauthbearer.token.endpoint.url", token_endpoint::url().to_owned()),
                ];
                (self.sasl(), [sasl("OAUTHBEARER"), token.to_vec()].concat())
            }
            Proof::Certificate => {
                let certificate = vec![
                    ca,
                    ("security.protocol", "ssl".to_owned()),
                    ("ssl.certificate.location", self.file(&format!("{user}.pem"))),
                    ("ssl.key.location", self.file(&format!("{user}.key"))),
                ];
                (self.mutual_tls(), certificate)
            }
        }
    }

    /// A configuration with which `user` connects.
    fn config(&self, environment: &SandboxEnvironment, user: &str, proof: Proof) -> String {
        let (servers, properties) = self.client(user, proof);
        with_properties(&environment.config_for_another_process(&servers).unwrap(), &properties)
    }

    /// The settings of a super user, to prepare the topics.
    fn kafka(&self, environment: &SandboxEnvironment) -> Kafka {
        environment.config_with(&self.super_user_port(), "").unwrap().kafka
    }
}

fn with_properties(config: &str, properties: &[(&str, String)]) -> String {
    let lines: Vec<String> = properties.iter().map(|(name, value)| format!("\"{name}\" = \"{value}\"\n")).collect();
    config.replace("[development]", &format!("[kafka.properties]\n{}\n[development]", lines.concat()))
}

/// The simulated Amazon, reachable by address.
async fn environment() -> SandboxEnvironment {
    let mut environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
    "topic_regions = []".clone_into(&mut environment.merchant_settings);
    environment
}
