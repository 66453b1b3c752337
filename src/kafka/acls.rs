//! The ACLs that each role and command needs: one row for each, with the reason and the command that grants it.
//!
//! The table in `docs/kafka.md`, the lines of `check`, the errors of the topics and the tests on a broker with ACLs all use
//! this table, so none of them can require more than the others.

use std::fmt;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use self::Operation::{Create, Describe, DescribeConfigs, Read, Write};
use self::PrincipalRole::{Ingest, Inspect, Listen, Recheck, Redrive, Topics, Worker};
use crate::config::{Kafka, Role};

/// Who uses the cluster: the two roles of `serve`, and the other commands.
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
    /// `listen`.
    Listen,
}

/// An operation of Kafka's ACLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Fetch from a topic, or join a group. Implies Describe.
    Read,
    /// Append to a topic, or use a transactional id. Implies Describe.
    Write,
    /// Fetch metadata or offsets.
    Describe,
    /// Read the settings of a topic.
    DescribeConfigs,
    /// Create topics.
    Create,
}

/// The resource of an ACL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// One topic.
    Topic(String),
    /// All topics with this prefix.
    TopicsFrom(String),
    /// One consumer group.
    Group(String),
    /// All consumer groups with this prefix.
    GroupsFrom(String),
    /// All transactional ids with this prefix.
    TransactionalIdsFrom(String),
}

/// One ACL that allows an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// The operation.
    pub operation: Operation,
    /// The resource.
    pub resource: Resource,
    /// Why it is needed.
    pub why: &'static str,
}

/// The ACLs that a role needs, and no more, in the order of the table.
pub fn required_acls(kafka: &Kafka, role: PrincipalRole) -> Vec<AclEntry> {
    let rows = ROWS.iter().filter(|row| row.roles.contains(&role));
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
    /// All roles and commands.
    pub const ALL: [Self; 7] =
        [Self::Ingest, Self::Worker, Self::Topics, Self::Redrive, Self::Recheck, Self::Inspect, Self::Listen];

    /// Those that `serve` has in this role.
    pub fn of(role: Role) -> Vec<Self> {
        let both = [(role.receives_ipns(), Self::Ingest), (role.runs_worker(), Self::Worker)];
        both.into_iter().filter_map(|(is_it, role)| is_it.then_some(role)).collect()
    }

    /// The name of the role or command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Worker => "worker",
            Self::Topics => "topics",
            Self::Redrive => "redrive",
            Self::Recheck => "recheck",
            Self::Inspect => "inspect",
            Self::Listen => "listen",
        }
    }
}

impl Operation {
    /// The name that Kafka's tools use.
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
    /// The option of `kafka-acls.sh`, the name, and whether the name is a prefix.
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
            // A principal that may write to no topic gets no producer id, which is an error of the cluster.
            Resource::Topic(_) if code == RDKafkaErrorCode::ClusterAuthorizationFailed => {
                self.operation == Operation::Write
            }
            Resource::Topic(_) | Resource::TopicsFrom(_) => code == RDKafkaErrorCode::TopicAuthorizationFailed,
            Resource::Group(_) | Resource::GroupsFrom(_) => code == RDKafkaErrorCode::GroupAuthorizationFailed,
            Resource::TransactionalIdsFrom(_) => code == RDKafkaErrorCode::TransactionalIdAuthorizationFailed,
        }
    }

    /// The ACL in the table of these roles that includes this one; itself if there is none.
    #[must_use]
    pub fn in_the_table_of(self, kafka: &Kafka, roles: &[PrincipalRole]) -> Self {
        let includes = |own: &Self| {
            own.resource == self.resource
                && (own.operation == self.operation
                    || self.operation == Operation::Describe
                        && matches!(own.operation, Operation::Read | Operation::Write))
        };
        roles.iter().flat_map(|role| required_acls(kafka, *role)).find(includes).unwrap_or(self)
    }

    /// The command that grants it to the principal of `kafka.properties`.
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

    /// The error text for this ACL when it is missing.
    pub fn missing(&self, kafka: &Kafka) -> String {
        format!("missing ACL: {self}; grant it with: {}", self.command(kafka))
    }
}

/// Whether this error of Kafka means a missing ACL.
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

/// The text of an error of Kafka. For a missing ACL it names the command that finds out which one.
pub fn describe_error(error: &KafkaError) -> String {
    match error.rdkafka_error_code().filter(|code| is_refusal(*code)) {
        Some(_) => format!("{error}; an ACL is missing, find out which with: ipn-receiver check --config FILE"),
        None => error.to_string(),
    }
}

/// The ACLs of `role` that may be missing after this error of Kafka, of topics only those of `topic`, with the commands that
/// grant them. None if the error does not mean a missing ACL.
pub fn missing_acl(kafka: &Kafka, role: PrincipalRole, topic: &str, code: RDKafkaErrorCode) -> Option<String> {
    let may_be_missing =
        |acl: &AclEntry| acl.is_refused_with(code) && !matches!(&acl.resource, Resource::Topic(name) if name != topic);
    let suspects: Vec<AclEntry> = required_acls(kafka, role).into_iter().filter(may_be_missing).collect();
    match suspects.as_slice() {
        [] => None,
        [only] => Some(format!("{code}; {}", only.missing(kafka))),
        several => {
            let line = |acl: &AclEntry| format!("\n  {acl}; grant it with: {}", acl.command(kafka));
            let lines: String = several.iter().map(line).collect();
            Some(format!("{code}; one of these ACLs is missing:{lines}"))
        }
    }
}

/// The principal that the brokers see, as far as the settings show it.
fn principal(kafka: &Kafka) -> String {
    let name = kafka.properties.get("sasl.username").map_or("PRINCIPAL", String::as_str);
    format!("User:{name}")
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
    roles: &'static [PrincipalRole],
    why: &'static str,
}

/// A resource, before the settings give its name.
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

const fn row(operation: Operation, place: Place, roles: &'static [PrincipalRole], why: &'static str) -> Row {
    Row { operation, place, roles, why }
}

const READER_GROUP: &str = "its readers look up the coordinator of this group id; they join no group";
const ROWS: &[Row] = &[
    row(Create, Place::NewTopics, &[Topics], "it creates missing topics"),
    row(Write, Place::Inbox, &[Ingest, Redrive, Recheck], "it appends records to the inbox"),
    row(Read, Place::Inbox, &[Ingest, Worker], "it reads IPNs, the ingest to learn which certificates are in use"),
    row(Describe, Place::Inbox, &[Topics], "it compares the topic with its requirements"),
    row(
        Read,
        Place::State,
        &[Ingest, Worker, Topics, Recheck, Inspect],
        "it reads known state or the recorded partition count",
    ),
    row(Write, Place::State, &[Worker, Topics], "it writes known state or the partition count"),
    row(Describe, Place::Events, &[Ingest, Topics, Recheck], "it compares the topic with its requirements"),
    row(Write, Place::Events, &[Worker], "it publishes events"),
    row(Read, Place::Events, &[Worker, Inspect, Listen], "it reads published events, the worker to rebuild lost state"),
    row(Describe, Place::DeadLetters, &[Ingest, Topics, Recheck], "it compares the topic with its requirements"),
    row(Write, Place::DeadLetters, &[Worker], "it writes dead letters"),
    row(Read, Place::DeadLetters, &[Redrive, Inspect], "it reads dead letters"),
    row(
        DescribeConfigs,
        Place::EachTopic,
        &[Ingest, Worker, Topics, Recheck],
        "it compares the topic's settings with the required ones",
    ),
    row(Read, Place::WorkerGroup, &[Worker], "workers share the inbox as this consumer group"),
    row(Describe, Place::ReaderGroups, &[Worker], READER_GROUP),
    row(Describe, Place::InspectGroup, &[Inspect], READER_GROUP),
    row(Read, Place::RedriveGroups, &[Redrive], "it commits the progress of each filter under a group of its own"),
    row(Write, Place::WorkerIds, &[Worker], "it writes events, state and offsets in one transaction"),
    row(Write, Place::RedriveIds, &[Redrive], "it appends dead letters to the inbox in transactions"),
];
