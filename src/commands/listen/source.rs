//! The topic of events: that of a configuration, or one of a broker that the command line names; and where to start in it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;

use crate::commands::broker_flag::check_reachable;
use crate::commands::topic_scan::{Offsets, Topic};
use crate::commands::{Error, explained};
use crate::config::{self, Config, Kafka};
use crate::domain::timestamp::Timestamp;
use crate::kafka::acls::PrincipalRole;
use crate::kafka::topic_reader::{End, ReaderSettings, TopicReader};

/// The options that name the topic.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Source {
    /// The configuration file of the receiver whose events are read. No key file is read, and no Kafka ACL is needed but Read on
    /// the events topic.
    #[arg(long, value_name = "FILE", env = "IPN_RECEIVER_CONFIG")]
    config: Option<PathBuf>,
    /// Read from this broker instead: that of the sandbox, or another one without TLS and SASL.
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// With --kafka: the events topic. Needed only if the broker has several.
    #[arg(long, value_name = "NAME", requires = "kafka")]
    topic: Option<String>,
}

/// The cluster and the name of the topic.
pub(super) struct Opened {
    pub(super) kafka: Kafka,
    pub(super) topic: String,
}

/// Where to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartAt {
    Now,
    Beginning,
    Time(Timestamp),
}

impl Source {
    /// Connects to the cluster and finds the topic. Blocks.
    pub(super) fn open(&self, end: End) -> Result<(Opened, Topic), Error> {
        let opened = match (&self.kafka, &self.config) {
            (Some(servers), _) => Opened::of_broker(servers, self.topic.as_deref())?,
            (None, Some(file)) => {
                // The role `ingest` needs no key.
                let role = (config::ROLE_VARIABLE.to_owned(), "ingest".to_owned());
                let kafka = Config::load(file, std::env::vars().chain([role]))?.kafka;
                Opened { topic: kafka.topics().events, kafka }
            }
            (None, None) => return Err(Error::Usage(NO_SOURCE.to_owned())),
        };
        let settings =
            ReaderSettings { topic: opened.topic.clone(), purpose: PURPOSE, end, properties: READER_PROPERTIES };
        let topic = Topic::open_with(&opened.kafka, PrincipalRole::Listen, settings)?;
        Ok((opened, topic))
    }
}

impl Opened {
    fn of_broker(servers: &str, topic: Option<&str>) -> Result<Self, Error> {
        let kafka = Kafka { bootstrap_servers: servers.to_owned(), ..Kafka::default() };
        check_reachable(&kafka)?;
        let found = topics_of_events(&kafka)?;
        let list = || if found.is_empty() { "none".to_owned() } else { found.join(", ") };
        let name = match (topic, found.as_slice()) {
            (Some(name), _) if found.iter().any(|found| found == name) => name.to_owned(),
            (None, [only]) => only.clone(),
            (Some(name), _) => {
                return Err(format!("--topic {name}: {servers} has no such topic of events; it has: {}", list()).into());
            }
            (None, []) => {
                return Err(format!(
                    "--kafka {servers} has no topic of events (a name that ends with {EVENTS_TOPIC}); is it the broker that `ipn-receiver sandbox` or `serve` uses?"
                )
                .into());
            }
            (None, _) => {
                return Err(Error::Usage(format!(
                    "--kafka {servers} has several topics of events; choose one with --topic: {}",
                    list()
                )));
            }
        };
        Ok(Self { kafka, topic: name })
    }

    /// The error for a topic that cannot be read any more.
    pub(super) fn read_error(&self, error: &KafkaError) -> Error {
        let what = explained(&self.kafka, PrincipalRole::Listen, &self.topic, error);
        format!("cannot read {}: {what}", self.topic).into()
    }
}

impl StartAt {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "now" => Ok(Self::Now),
            "beginning" => Ok(Self::Beginning),
            time => Timestamp::parse_written(time)
                .map(Self::Time)
                .ok_or("write now, beginning, or a UTC time as 2026-01-02T03:04:05Z"),
        }
    }

    /// The first offset of each partition. Blocks.
    pub(super) fn offsets(self, topic: &Topic) -> Result<Offsets, Error> {
        match self {
            Self::Now => Ok(topic.ends.clone()),
            Self::Beginning => Ok(topic.starts.clone()),
            Self::Time(time) => topic.offsets_at(time),
        }
    }
}

impl fmt::Display for StartAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::Beginning => f.write_str("the beginning"),
            Self::Time(time) => time.fmt(f),
        }
    }
}

/// The topics of a broker that are named like topics of events, sorted.
fn topics_of_events(kafka: &Kafka) -> Result<Vec<String>, Error> {
    let settings = ReaderSettings { topic: String::new(), purpose: PURPOSE, end: End::OfLog, properties: &[] };
    let reader = TopicReader::new(kafka, settings)?;
    let metadata = reader.consumer().fetch_metadata(None, ANSWER_TIMEOUT)?;
    let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(EVENTS_TOPIC)).collect();
    names.sort();
    Ok(names)
}

const NO_SOURCE: &str = "name the events to read: --config FILE, or --kafka HOST:PORT for the broker of a sandbox";
const EVENTS_TOPIC: &str = ".events.v1";
/// The end of the consumer's group id, which it never joins.
const PURPOSE: &str = "listen";
/// Events appear at once, and little of them is read ahead.
const READER_PROPERTIES: &[(&str, &str)] = &[("fetch.wait.max.ms", "100"), ("queued.max.messages.kbytes", "16384")];
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
