//! The cluster: whether it is reached, how the topics are, and each right.

use std::time::Duration;

use futures_util::future::join_all;

use super::acl_probes::{AclProbe, prove};
use super::report::{Line, Report, waiting_for};
use crate::config::{Config, Kafka};
use crate::kafka::acls::{AclEntry, PrincipalRole, required_acls};
use crate::kafka::connection::Connection;
use crate::kafka::topics::{self, Severity};

pub(super) async fn look(config: &Config, users: &[PrincipalRole], report: &mut Report) {
    let kafka = &config.kafka;
    waiting_for(&format!("connecting to Kafka at {}, {} s at most", kafka.bootstrap_servers, TIMEOUT.as_secs()));
    let asked = kafka.clone();
    let connected = tokio::task::spawn_blocking(move || Connection::open(&asked, TIMEOUT).map(drop)).await;
    match connected.expect("connecting does not panic") {
        Ok(()) => report.tell(&Line::pass("kafka", format!("{} answers", kafka.bootstrap_servers))),
        Err(unconnected) => {
            let what = format!("{} cannot be reached: {}", kafka.bootstrap_servers, unconnected.what);
            report.tell(&Line::fail("kafka", what, unconnected.remedy));
            let remedy = "make Kafka reachable first";
            report.tell(&Line::warn("rights", "topics and rights were not looked at", remedy));
            return;
        }
    }
    look_at_topics(config, report).await;
    look_at_rights(kafka, users, report).await;
}

async fn look_at_topics(config: &Config, report: &mut Report) {
    waiting_for("comparing the topics");
    let found = match topics::look(config).await {
        Ok(found) => found,
        Err(topics::Error::Forbidden { .. }) => {
            let what = "the topics could not be compared with what they must be, since a right is missing";
            report.tell(&Line::warn("topics", what, "give the rights that are named below"));
            return;
        }
        Err(error) => {
            report.tell(&Line::fail("topics", error.to_string(), "see whether the brokers are well, and repeat this"));
            return;
        }
    };
    for topic in &found.missing {
        let remedy = "ipn-receiver topics --config FILE";
        report.tell(&Line::fail("topics", format!("{topic} is missing"), remedy));
    }
    for difference in &found.differences {
        let topics::Difference { severity, topic, setting, is, should_be, why, remedy } = difference;
        let what = format!("{topic}: {setting} is {is}, should be {should_be}: {why}");
        report.tell(&match severity {
            Severity::Refused => Line::fail("topics", what, remedy),
            Severity::Warned => Line::warn("topics", what, remedy),
        });
    }
    if found.missing.is_empty() && found.refused().next().is_none() {
        report.tell(&Line::pass("topics", format!("the four topics of {} fit", config.kafka.topic_prefix)));
    }
}

async fn look_at_rights(kafka: &Kafka, users: &[PrincipalRole], report: &mut Report) {
    let mut wanted: Vec<AclEntry> = Vec::new();
    for right in users.iter().flat_map(|user| required_acls(kafka, *user)) {
        // `serve --role all` is two users, and some rights are both's.
        let is_new = |other: &AclEntry| (other.operation, &other.resource) != (right.operation, &right.resource);
        if wanted.iter().all(is_new) {
            wanted.push(right);
        }
    }
    waiting_for(&format!("proving {} rights", wanted.len()));
    let proofs = join_all(wanted.iter().map(|right| prove(kafka, right))).await;
    for (right, proof) in wanted.iter().zip(proofs) {
        report.tell(&match proof {
            AclProbe::Given => Line::pass("rights", right.to_string()),
            AclProbe::Missing => {
                Line::fail("rights", format!("{right} is missing: {}", right.why), right.command(kafka))
            }
            AclProbe::Unknown(what) => {
                Line::warn("rights", format!("{right} could not be proven: {what}"), right.command(kafka))
            }
        });
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);
