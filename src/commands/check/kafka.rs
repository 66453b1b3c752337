//! The checks `kafka`, `topics` and `acls`: the connection, the four topics, and each ACL that the role needs.

use std::time::Duration;

use futures_util::future::join_all;

use super::acl_probes::{AclProbe, probe};
use super::report::{Line, Report, waiting_for};
use crate::config::{Config, Kafka};
use crate::kafka::acls::{AclEntry, PrincipalRole, required_acls};
use crate::kafka::connection::Connection;
use crate::kafka::topics::{self, Severity};

pub(super) async fn check(config: &Config, roles: &[PrincipalRole], report: &mut Report) {
    let kafka = &config.kafka;
    let servers = &kafka.bootstrap_servers;
    waiting_for(&format!("connecting to Kafka at {servers}, up to {} s", TIMEOUT.as_secs()));
    let settings = kafka.clone();
    let connected = tokio::task::spawn_blocking(move || Connection::open(&settings, TIMEOUT).map(drop)).await;
    match connected.expect("connecting does not panic") {
        Ok(()) => report.add(&Line::pass("kafka", format!("connected to {servers}"))),
        Err(unconnected) => {
            let what = format!("{servers} cannot be reached: {}", unconnected.what);
            report.add(&Line::fail("kafka", what, unconnected.remedy));
            let remedy = "make Kafka reachable, and run this check again";
            report.add(&Line::warn("acls", "topics and ACLs were not checked", remedy));
            return;
        }
    }
    check_topics(config, report).await;
    check_acls(kafka, roles, report).await;
}

async fn check_topics(config: &Config, report: &mut Report) {
    waiting_for("comparing the topics");
    let found = match topics::look(config).await {
        Ok(found) => found,
        Err(topics::Error::Forbidden { .. }) => {
            let what = "the topics could not be checked: an ACL is missing";
            report.add(&Line::warn(
                "topics",
                what,
                "grant the ACLs that the lines below name, and run this check again",
            ));
            return;
        }
        Err(error) => {
            let remedy = "check the health of the brokers, and run this check again";
            report.add(&Line::fail("topics", error.to_string(), remedy));
            return;
        }
    };
    for topic in &found.missing {
        let remedy = "create it with: ipn-receiver topics --config FILE";
        report.add(&Line::fail("topics", format!("{topic} is missing"), remedy));
    }
    for difference in &found.differences {
        let topics::Difference { severity, topic, setting, is, should_be, why, remedy } = difference;
        let what = format!("{topic}: {setting} is {is}, should be {should_be}: {why}");
        report.add(&match severity {
            Severity::Refused => Line::fail("topics", what, remedy),
            Severity::Warned => Line::warn("topics", what, remedy),
        });
    }
    if found.missing.is_empty() && found.refused().next().is_none() {
        let what = format!("the four topics {}.* have the settings that serve needs", config.kafka.topic_prefix);
        report.add(&Line::pass("topics", what));
    }
}

async fn check_acls(kafka: &Kafka, roles: &[PrincipalRole], report: &mut Report) {
    let mut wanted: Vec<AclEntry> = Vec::new();
    for acl in roles.iter().flat_map(|role| required_acls(kafka, *role)) {
        // `serve --role all` has two roles, which share some ACLs.
        let is_new = |other: &AclEntry| (other.operation, &other.resource) != (acl.operation, &acl.resource);
        if wanted.iter().all(is_new) {
            wanted.push(acl);
        }
    }
    waiting_for(&format!("probing {} ACLs", wanted.len()));
    let probes = join_all(wanted.iter().map(|acl| probe(kafka, acl))).await;
    for (acl, probe) in wanted.iter().zip(probes) {
        report.add(&match probe {
            AclProbe::Granted => Line::pass("acls", acl.to_string()),
            AclProbe::Missing => {
                let remedy = format!("grant it with: {}", acl.command(kafka));
                Line::fail("acls", format!("missing ACL: {acl}; needed because {}", acl.why), remedy)
            }
            AclProbe::Unknown(reason) => {
                let remedy = format!("if it is missing, grant it with: {}", acl.command(kafka));
                Line::warn("acls", format!("{acl} could not be checked: {reason}"), remedy)
            }
        });
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);
