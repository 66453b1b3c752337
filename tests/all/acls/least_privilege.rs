//! With exactly the required ACLs everything works; with one less the error names it and the command that grants it.

use std::process::Command;

use ipn_receiver::kafka::acls::{AclEntry, PrincipalRole, required_acls};
use ipn_receiver::kafka::topics;
use ipn_receiver::sandbox::environment::{Hint, SandboxEnvironment};
use ipn_receiver::sandbox::events::EventReader;
use ipn_receiver::sandbox::pay_api::{ObjectKind, charge};
use ipn_receiver::sandbox::sns::SignatureVersion;
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::create_acls::grant;
use super::{Proof, SecureKafka, environment, secure_kafka};
use crate::check::Checked;
use crate::harness::{events, names, run};
use crate::process::Serve;

const PERMISSION: &str = "C02-0000001-1111111";
const CHARGE: &str = "S02-0000001-2222222-C000001";

/// Grants all ACLs to `{name}-all`, and all but one to each `{name}-less-{n}`.
fn grant_all_and_all_but_one(secure: &SecureKafka, name: &str, wanted: &[AclEntry]) {
    let mut granted: Vec<(String, AclEntry)> = Vec::new();
    for (at, acl) in wanted.iter().enumerate() {
        granted.push((format!("{name}-all"), acl.clone()));
        let others = (0..wanted.len()).filter(|less| *less != at);
        granted.extend(others.map(|less| (format!("{name}-less-{less}"), acl.clone())));
    }
    grant(&secure.super_user_port(), &granted);
}

/// A name to which no other test grants ACLs.
fn unique(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::new_v4().simple())
}

#[test]
fn check_names_each_missing_acl_of_a_role() {
    run(async {
        let (environment, secure) = (environment().await, secure_kafka());
        let kafka = secure.kafka(&environment);
        topics::create(&kafka).await.unwrap();
        for user in [PrincipalRole::Ingest, PrincipalRole::Worker] {
            let (name, wanted) = (unique(user.as_str()), required_acls(&kafka, user));
            grant_all_and_all_but_one(secure, &name, &wanted);
            let check = |who: &str| {
                Checked::of(&secure.config(&environment, who, Proof::Token), &["--role", user.as_str()], &[])
            };
            let all = check(&format!("{name}-all"));
            assert_eq!(all.code, 0, "{:#?}", all.lines);
            assert_eq!(all.said("pass", "acls").len(), wanted.len(), "{:#?}", all.lines);
            for (less, right) in wanted.iter().enumerate() {
                let checked = check(&format!("{name}-less-{less}"));
                let said = checked.said("fail", "acls");
                assert_eq!(checked.code, 1, "without {right}: {:#?}", checked.lines);
                assert_eq!(said.len(), 1, "without {right}: {:#?}", checked.lines);
                assert!(said[0].0.starts_with(&format!("missing ACL: {right};")), "without {right}: {said:?}");
                let (_, command) =
                    right.command(&kafka).split_once("--operation").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
                assert!(
                    said[0].1.starts_with("grant it with: kafka-acls.sh") && said[0].1.ends_with(&command),
                    "{said:?}"
                );
            }
            println!("{}: {} ACLs, each probed and each missing once", user.as_str(), wanted.len());
        }
        environment.stop().await;
    });
}

/// Runs a command as `who`; gives its exit code and its output.
fn command(secure: &SecureKafka, environment: &SandboxEnvironment, who: &str, arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("receiver.toml");
    std::fs::write(&file, secure.config(environment, who, Proof::Token)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
    let output = command.arg(arguments[0]).arg("--config").arg(&file).args(&arguments[1..]).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code().unwrap(), said)
}

async fn put_a_dead_letter(secure: &SecureKafka, environment: &SandboxEnvironment) {
    let kafka = secure.kafka(environment);
    let producer: FutureProducer<DefaultClientContext> = kafka.client().create().unwrap();
    let topic = kafka.topics().dead_letters;
    let dead_letter = FutureRecord::to(&topic).key("k").payload("{}");
    producer.send(dead_letter, std::time::Duration::from_secs(10)).await.unwrap();
}

const IN_CHARGE_SINCE: [&str; 8] = [
    "in-charge-since",
    "--yes",
    "--merchant",
    "A0SANDBOXMERCHANT",
    "--environment",
    "sandbox",
    "--set",
    "2026-01-02T03:04:05Z",
];

/// Reads the topic to its end.
const LISTEN: [&str; 5] =
    ["listen", "--forward-to", "http://127.0.0.1:1", "--resend", "00000000-0000-0000-0000-000000000000"];

#[test]
fn command_names_each_missing_acl() {
    run(async {
        let secure = secure_kafka();
        for (user, arguments) in [
            (PrincipalRole::Topics, vec!["topics"]),
            (PrincipalRole::Redrive, vec!["redrive", "--yes"]),
            (PrincipalRole::Recheck, vec!["recheck", "--yes", "--merchant", "A0SANDBOXMERCHANT", CHARGE]),
            (PrincipalRole::Recheck, IN_CHARGE_SINCE.to_vec()),
            (PrincipalRole::Inspect, vec!["inspect", CHARGE]),
            (PrincipalRole::Listen, LISTEN.to_vec()),
        ] {
            let n_acls = required_acls(&secure.kafka(&environment().await), user).len();
            for less in std::iter::once(None).chain((0..n_acls).map(Some)) {
                // Each on new topics.
                let environment = environment().await;
                let (name, wanted) = (unique(user.as_str()), required_acls(&secure.kafka(&environment), user));
                let left = wanted.iter().enumerate().filter(|(at, _)| Some(*at) != less);
                grant(&secure.super_user_port(), &left.map(|(_, acl)| (name.clone(), acl.clone())).collect::<Vec<_>>());
                if user != PrincipalRole::Topics {
                    topics::create(&secure.kafka(&environment)).await.unwrap();
                    put_a_dead_letter(secure, &environment).await;
                }
                let (code, said) = command(secure, &environment, &name, &arguments);
                let Some(missing) = less.map(|less| &wanted[less]) else {
                    // These two find nothing, so their exit code is 1.
                    let finds_nothing = matches!(user, PrincipalRole::Inspect | PrincipalRole::Listen);
                    assert_eq!(code, i32::from(finds_nothing), "{user:?} with all its ACLs: {said}");
                    assert!(!said.contains("missing ACL"), "{said}");
                    continue;
                };
                assert_eq!(code, 3, "{user:?} without {missing}: {said}");
                let (_, resource, _) = missing.resource.parts();
                let operation = missing.operation.as_str();
                assert!(said.contains("kafka-acls.sh"), "{user:?} without {missing}: {said}");
                assert!(said.contains(&format!("--operation {operation} ")), "{user:?} without {missing}: {said}");
                assert!(said.contains(resource), "{user:?} without {missing}: {said}");
                environment.stop().await;
            }
            println!("{}: {n_acls} ACLs, each missing once", user.as_str());
        }
    });
}

#[test]
fn ipn_becomes_event_with_required_acls_only() {
    run(async {
        let (environment, secure) =
            (SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address(), secure_kafka());
        let kafka = secure.kafka(&environment);
        topics::create(&kafka).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let granted: Vec<(String, AclEntry)> = [PrincipalRole::Ingest, PrincipalRole::Worker]
            .into_iter()
            .flat_map(|user| required_acls(&kafka, user).into_iter().map(move |acl| (user.as_str().to_owned(), acl)))
            .collect();
        grant(&secure.super_user_port(), &granted);
        let serve = |user: PrincipalRole, proof| {
            let file = folder.path().join(user.as_str());
            let ports = "ingress.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\nshutdown.notice_ms = 0\n";
            let config = format!("{ports}{}", secure.config(&environment, user.as_str(), proof));
            std::fs::write(&file, config).unwrap();
            Serve::start_as(user.as_str(), &file)
        };
        let mut reader = EventReader::start(&kafka).unwrap();
        let worker = serve(PrincipalRole::Worker, Proof::Certificate).works().await;
        let ingest = serve(PrincipalRole::Ingest, Proof::Scram);
        let url = format!("http://{}/ipn", ingest.address("ingress"));
        environment.put(ObjectKind::Charge, charge(CHARGE, PERMISSION, "1.00", "EUR"), "Captured", &[]);
        let hint = Hint {
            merchant: &environment.merchants[0],
            kind: ObjectKind::Charge,
            id: CHARGE,
            notification_type: "STATE_CHANGE",
        };
        let answer = environment.post_to(&url, &environment.envelope(&hint, SignatureVersion::V2)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", ingest.said());
        assert_eq!(names(&events(&mut reader, 1).await), ["ChargeCaptured"], "{}", worker.said());
        ingest.stop();
        worker.stop();
        environment.stop().await;
    });
}

#[test]
fn serve_names_missing_acl_at_start() {
    run(async {
        let (environment, secure) = (environment().await, secure_kafka());
        let kafka = secure.kafka(&environment);
        topics::create(&kafka).await.unwrap();
        let name = unique("no-acls");
        let (code, said) = command(secure, &environment, &name, &["serve", "--role", "ingest"]);
        let right = format!("Write on topic {}", kafka.topics().inbox);
        assert!(code == 3 && said.contains(&right) && said.contains("kafka-acls.sh"), "{said}");
        environment.stop().await;
    });
}
