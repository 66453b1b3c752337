//! What each user of the cluster must be allowed: one row for each right, with the reason and the command that gives it.
//!
//! The table in `docs/kafka.md`, the lines of `check`, the errors of the topics and the tests on a broker with ACLs all come
//! from here, so that none of them can ask for more than the others.

use std::fmt;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use self::Operation::{Create, Describe, DescribeConfigs, Read, Write};
use self::PrincipalRole::{Ingest, Inspect, Recheck, Redrive, Topics, Worker};
use crate::config::{Kafka, Role};

/// Who uses the cluster: the two halves of `serve`, and the commands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalRole {
    /// `serve --role ingest`.
    Ingest,
    /// `serve --role worker`.
    Worker,
    /// `topics`.
    Topics,
    /// `redrive`.
    Redrive,
    /// `recheck`.
    Recheck,
    /// `inspect`.
    Inspect,
}

/// Kafka's word for what may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Fetch from a topic, or take part in a group; brings Describe along.
    Read,
    /// Append to a topic, or use a transactional id; brings Describe along.
    Write,
    /// See that it is there.
    Describe,
    /// See a topic's settings.
    DescribeConfigs,
    /// Make topics.
    Create,
}

/// What it may be done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// One topic.
    Topic(String),
    /// All topics whose names begin so.
    TopicsFrom(String),
    /// One consumer group.
    Group(String),
    /// All groups whose names begin so.
    GroupsFrom(String),
    /// All transactional ids that begin so.
    TransactionalIdsFrom(String),
}

/// One right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// What may be done.
    pub operation: Operation,
    /// To what.
    pub resource: Resource,
    /// What it is needed for.
    pub why: &'static str,
}

/// The least rights of a user, in the order of the table.
pub fn rights(kafka: &Kafka, user: PrincipalRole) -> Vec<AclEntry> {
    let rows = ROWS.iter().filter(|row| row.users.contains(&user));
    rows.flat_map(|row| {
        row.place.resources(kafka).into_iter().map(|resource| AclEntry {
            operation: row.operation,
            resource,
            why: row.why,
        })
    })
    .collect()
}

impl PrincipalRole {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Ingest, Self::Worker, Self::Topics, Self::Redrive, Self::Recheck, Self::Inspect];

    /// Those of a role.
    pub fn of(role: Role) -> Vec<Self> {
        let halves = [(role.takes(), Self::Ingest), (role.works(), Self::Worker)];
        halves.into_iter().filter_map(|(is_it, user)| is_it.then_some(user)).collect()
    }

    /// The role or the command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Worker => "worker",
            Self::Topics => "topics",
            Self::Redrive => "redrive",
            Self::Recheck => "recheck",
            Self::Inspect => "inspect",
        }
    }
}

impl Operation {
    /// As Kafka's tools write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Describe => "Describe",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::Create => "Create",
        }
    }
}

impl Resource {
    /// The option of `kafka-acls.sh`, the name, and whether the name is only a beginning.
    pub fn parts(&self) -> (&'static str, &str, bool) {
        match self {
            Self::Topic(name) => ("--topic", name, false),
            Self::TopicsFrom(name) => ("--topic", name, true),
            Self::Group(name) => ("--group", name, false),
            Self::GroupsFrom(name) => ("--group", name, true),
            Self::TransactionalIdsFrom(name) => ("--transactional-id", name, true),
        }
    }
}

impl AclEntry {
    fn is_refused_with(&self, code: RDKafkaErrorCode) -> bool {
        match self.resource {
            // Who may write to no topic at all gets no producer id, and that is the cluster's to refuse.
            Resource::Topic(_) if code == RDKafkaErrorCode::ClusterAuthorizationFailed => {
                self.operation == Operation::Write
            }
            Resource::Topic(_) | Resource::TopicsFrom(_) => code == RDKafkaErrorCode::TopicAuthorizationFailed,
            Resource::Group(_) | Resource::GroupsFrom(_) => code == RDKafkaErrorCode::GroupAuthorizationFailed,
            Resource::TransactionalIdsFrom(_) => code == RDKafkaErrorCode::TransactionalIdAuthorizationFailed,
        }
    }

    /// The right of these users by which they would have this one; itself if none brings it along.
    #[must_use]
    pub fn in_the_table_of(self, kafka: &Kafka, users: &[PrincipalRole]) -> Self {
        let brings = |own: &Self| {
            own.resource == self.resource
                && (own.operation == self.operation
                    || self.operation == Operation::Describe
                        && matches!(own.operation, Operation::Read | Operation::Write))
        };
        users.iter().flat_map(|user| rights(kafka, *user)).find(brings).unwrap_or(self)
    }

    /// The command that gives it to whoever `kafka.properties` names.
    pub fn command(&self, kafka: &Kafka) -> String {
        let (option, name, is_prefix) = self.resource.parts();
        let pattern = if is_prefix { " --resource-pattern-type prefixed" } else { "" };
        format!(
            "kafka-acls.sh --bootstrap-server {} --add --allow-principal {} --operation {} {option} {name}{pattern}",
            kafka.bootstrap_servers,
            principal(kafka),
            self.operation.as_str(),
        )
    }

    /// What is missing, and how to give it.
    pub fn missing(&self, kafka: &Kafka) -> String {
        format!("{} has not the right {self} ({}); give it with: {}", principal(kafka), self.why, self.command(kafka))
    }
}

/// Whether Kafka refused for want of a right.
pub fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{
        ClusterAuthorizationFailed, GroupAuthorizationFailed, TopicAuthorizationFailed,
        TransactionalIdAuthorizationFailed,
    };
    matches!(
        code,
        ClusterAuthorizationFailed
            | GroupAuthorizationFailed
            | TopicAuthorizationFailed
            | TransactionalIdAuthorizationFailed
    )
}

/// An error of Kafka's; one for want of a right says who names it.
pub fn told(error: &KafkaError) -> String {
    match error.rdkafka_error_code().filter(|code| is_refusal(*code)) {
        Some(_) => format!("{error}; `ipn-receiver check --config FILE` names the right that is missing"),
        None => error.to_string(),
    }
}

/// What Kafka refused `user` for want of a right: those that its answer can mean, of topics only `topic`, and the commands that
/// give them. Nothing where it is another error.
pub fn lacking(kafka: &Kafka, user: PrincipalRole, topic: &str, code: RDKafkaErrorCode) -> Option<String> {
    let is_meant = |right: &AclEntry| {
        right.is_refused_with(code) && !matches!(&right.resource, Resource::Topic(name) if name != topic)
    };
    let suspects: Vec<AclEntry> = rights(kafka, user).into_iter().filter(is_meant).collect();
    if suspects.is_empty() {
        return None;
    }
    let told: Vec<String> =
        suspects.iter().map(|right| format!("\n  {right}, since {}: {}", right.why, right.command(kafka))).collect();
    let one_of = if suspects.len() == 1 { "this right" } else { "one of these rights" };
    Some(format!("{code}; {} has not {one_of}:{}", principal(kafka), told.concat()))
}

/// Who the brokers take us for, as far as the settings tell.
fn principal(kafka: &Kafka) -> String {
    let name = kafka.properties.get("sasl.username").map_or("PRINCIPAL", String::as_str);
    format!("PrincipalRole:{name}")
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "topic {name}"),
            Self::TopicsFrom(name) => write!(f, "topics {name}*"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::GroupsFrom(name) => write!(f, "groups {name}*"),
            Self::TransactionalIdsFrom(name) => write!(f, "transactional ids {name}*"),
        }
    }
}

impl fmt::Display for AclEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.operation.as_str(), self.resource)
    }
}

/// A row of the table.
struct Row {
    operation: Operation,
    place: Place,
    users: &'static [PrincipalRole],
    why: &'static str,
}

/// Which resource, before the settings give its name.
#[derive(Clone, Copy)]
enum Place {
    Inbox,
    State,
    Events,
    DeadLetters,
    EachTopic,
    NewTopics,
    WorkerGroup,
    InspectGroup,
    ReaderGroups,
    RedriveGroups,
    WorkerIds,
    RedriveIds,
}

impl Place {
    fn resources(self, kafka: &Kafka) -> Vec<Resource> {
        let (topics, group) = (kafka.topics(), kafka.group());
        vec![match self {
            Self::Inbox => Resource::Topic(topics.inbox),
            Self::State => Resource::Topic(topics.state),
            Self::Events => Resource::Topic(topics.events),
            Self::DeadLetters => Resource::Topic(topics.dead_letters),
            Self::EachTopic => {
                return [topics.inbox, topics.state, topics.events, topics.dead_letters].map(Resource::Topic).to_vec();
            }
            Self::NewTopics => Resource::TopicsFrom(format!("{}.", kafka.topic_prefix)),
            Self::WorkerGroup => Resource::Group(group),
            Self::InspectGroup => Resource::Group(format!("{group}-inspect")),
            Self::ReaderGroups => Resource::GroupsFrom(format!("{group}-")),
            Self::RedriveGroups => Resource::GroupsFrom(format!("{group}-redrive-")),
            Self::WorkerIds => Resource::TransactionalIdsFrom(format!("{group}-")),
            Self::RedriveIds => Resource::TransactionalIdsFrom(format!("{group}-redrive-")),
        }]
    }
}

const fn row(operation: Operation, place: Place, users: &'static [PrincipalRole], why: &'static str) -> Row {
    Row { operation, place, users, why }
}

const ROWS: &[Row] = &[
    row(Create, Place::NewTopics, &[Topics], "it makes the topics that are missing"),
    row(Write, Place::Inbox, &[Ingest, Redrive, Recheck], "it appends to the inbox"),
    row(Read, Place::Inbox, &[Worker], "it takes notifications from the inbox"),
    row(Describe, Place::Inbox, &[Topics], "the topic is compared with what it must be"),
    row(Read, Place::State, &[Ingest, Worker, Topics, Recheck, Inspect], "the partition count is on record there"),
    row(Write, Place::State, &[Worker, Topics], "what was told, or the partition count, is kept there"),
    row(Describe, Place::Events, &[Ingest, Topics, Recheck], "the topic is compared with what it must be"),
    row(Write, Place::Events, &[Worker], "it publishes events"),
    row(Read, Place::Events, &[Worker, Inspect], "what was told is read back, if the state topic lost it"),
    row(Describe, Place::DeadLetters, &[Ingest, Topics, Recheck], "the topic is compared with what it must be"),
    row(Write, Place::DeadLetters, &[Worker], "it keeps what can never be told"),
    row(Read, Place::DeadLetters, &[Redrive, Inspect], "it reads dead letters"),
    row(
        DescribeConfigs,
        Place::EachTopic,
        &[Ingest, Worker, Topics, Recheck],
        "a topic's settings are compared with what they must be",
    ),
    row(Read, Place::WorkerGroup, &[Worker], "workers share the inbox by this group"),
    row(Describe, Place::ReaderGroups, &[Worker], "what reads without joining a group names one all the same"),
    row(Describe, Place::InspectGroup, &[Inspect], "what reads without joining a group names one all the same"),
    row(Read, Place::RedriveGroups, &[Redrive], "how far a filter has redriven is kept under a group of its own"),
    row(Write, Place::WorkerIds, &[Worker], "events, state and offsets are written in one transaction"),
    row(Write, Place::RedriveIds, &[Redrive], "letters are appended in transactions"),
];
