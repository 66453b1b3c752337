//! Every way to connect, and the error text of each that fails.

use std::time::{Duration, Instant};

use ipn_receiver::kafka::connection::Connection;
use ipn_receiver::kafka::topics;

use super::{Proof, environment, secure_kafka, with_properties};
use crate::check::Checked;
use crate::harness::run;

#[test]
fn tls_sasl_and_mutual_tls_connect() {
    run(async {
        let (environment, secure) = (environment().await, secure_kafka());
        for (user, proof) in [
            ("ingest", Proof::Scram),
            ("worker", Proof::Plain),
            ("somebody", Proof::Token),
            ("worker", Proof::Certificate),
        ] {
            let (servers, properties) = secure.client(user, proof);
            let mut kafka = environment.config_with(&servers, "").unwrap().kafka;
            kafka.properties = properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let opened =
                tokio::task::spawn_blocking(move || Connection::open(&kafka, Duration::from_secs(10)).map(drop));
            opened.await.unwrap().unwrap_or_else(|error| panic!("{user}: {error}"));
        }
    });
}

#[test]
fn connection_error_says_cause_and_remedy_soon() {
    run(async {
        let (environment, secure) = (environment().await, secure_kafka());
        topics::create(&secure.kafka(&environment)).await.unwrap();
        let scram = || secure.client("ingest", Proof::Scram);
        let changed = |name: &str, value: &str| {
            let (servers, mut properties) = scram();
            properties.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, old)| value.clone_into(old));
            (servers, properties)
        };
        let without = |names: &[&str]| {
            let (servers, properties) = scram();
            (servers, properties.into_iter().filter(|(name, _)| !names.contains(name)).collect::<Vec<_>>())
        };
        let certificate = secure.client("worker", Proof::Certificate).1;
        let no_certificate =
            certificate.iter().filter(|(name, _)| !name.contains(".certificate.") && !name.contains(".key."));
        let wrong_secret = || {
            let (servers, mut properties) = secure.client("ingest", Proof::Token);
            let secret = properties.iter_mut().find(|(name, _)| *name == "sasl.oauthbearer.client.secret");
            "wrong".clone_into(&mut secret.unwrap().1);
            (servers, properties)
        };
        let no_sasl = vec![("security.protocol", "ssl".to_owned()), ("ssl.ca.location", secure.file("ca.pem"))];
        for (case, (servers, properties), remedy) in [
            ("wrong password", changed("sasl.password", "wrong"), "the brokers refuse these credentials"),
            ("wrong client secret", wrong_secret(), "the token endpoint returned no token"),
            ("wrong mechanism", changed("sasl.mechanism", "SCRAM-SHA-256"), "do not offer this \"sasl.mechanism\""),
            ("unknown CA", without(&["ssl.ca.location"]), "is not signed by a known CA"),
            ("no TLS", (secure.sasl(), vec![]), "if this port uses TLS"),
            ("no SASL", (secure.sasl(), no_sasl), "if this port requires SASL"),
            ("TLS to a plain port", (secure.super_user_port(), scram().1), "this port does not use TLS"),
            (
                "no certificate",
                (secure.mutual_tls(), no_certificate.cloned().collect()),
                "ask for a client certificate that they trust",
            ),
            ("no such file", changed("ssl.ca.location", "/nowhere/ca.pem"), "the file of \"ssl.ca.location\""),
            ("no such host", ("nowhere.invalid:9092".to_owned(), vec![]), "the host name cannot be resolved"),
        ] {
            let config = with_properties(&environment.config_for_another_process(&servers).unwrap(), &properties);
            let began = Instant::now();
            let checked = Checked::of(&config, &["--role", "worker"], &[]);
            let said = checked.said("fail", "kafka");
            assert!(said.len() == 1 && said[0].1.contains(remedy), "{case}: {said:#?}");
            assert!(!said[0].0.contains("secret"), "{case}: {said:#?}");
            println!("{case}: {:?}: {}; {}", began.elapsed(), said[0].0, said[0].1);
            assert!(began.elapsed() < Duration::from_secs(16), "{case}: {:?}", began.elapsed());
        }
    });
}
