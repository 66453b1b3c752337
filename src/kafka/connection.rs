//! The first connection to the cluster: made, or told in plain words why not and what to do.
//!
//! librdkafka tries again for ever and says what is wrong in its log only. Here that log is kept, and trouble that waiting
//! cannot mend (credentials, certificates, the wrong kind of listener) ends the wait at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer, ProducerContext};

use crate::config::Kafka;
use crate::kafka::acls::is_refusal;

/// A client that has reached a broker.
pub struct Connection {
    consumer: BaseConsumer<Complaints>,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct Unconnected {
    /// librdkafka's last complaint.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
}

impl Connection {
    /// Connects and, where the settings say so, authenticates. Blocks, no longer than `timeout`.
    pub fn open(kafka: &Kafka, timeout: Duration) -> Result<Self, Unconnected> {
        let mut client = kafka.client();
        // Whatever this program logs, the reasons are wanted here; a lost connection is only worth an `info` to librdkafka.
        client.set_log_level(RDKafkaLogLevel::Info);
        let consumer: BaseConsumer<Complaints> = client
            .create_with_context(Complaints::default())
            .map_err(|error| Unconnected { what: error.to_string(), remedy: remedy(&error.to_string()) })?;
        let connection = Self { consumer };
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let asked = connection.consumer.fetch_metadata(Some(&kafka.topics().inbox), left.min(ATTEMPT));
            let Err(error) = asked else { return Ok(connection) };
            let complaint = connection.complaint();
            if complaint.as_deref().is_some_and(is_lasting) || Instant::now() >= deadline {
                let what = complaint.map_or_else(|| error.to_string(), |complaint| format!("{error} ({complaint})"));
                return Err(Unconnected { remedy: remedy(&what), what });
            }
        }
    }

    /// The client, for further questions.
    pub fn consumer(&self) -> &BaseConsumer<impl ConsumerContext + 'static> {
        &self.consumer
    }

    /// The client's log stands in its queue until it is polled.
    fn complaint(&self) -> Option<String> {
        for _ in 0..LINES_MAX {
            if self.consumer.poll(Duration::from_millis(1)).is_none() {
                break;
            }
        }
        self.consumer.context().last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Why a producer gave a record up. An idempotent one that may write to no topic at all gets no id, is of no more use, and says
/// of its records only that they were purged.
pub fn cause<C: ProducerContext>(producer: &impl Producer<C>, error: KafkaError) -> KafkaError {
    match producer.client().fatal_error() {
        Some((code, _)) => KafkaError::MessageProduction(code),
        None => error,
    }
}

/// Where the consumer's group stands. A coordinator that may not be asked for is told in the consumer's queue alone. Blocks.
pub fn committed_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    wanted: &TopicPartitionList,
    timeout: Duration,
) -> Result<TopicPartitionList, KafkaError> {
    let deadline = Instant::now() + timeout;
    loop {
        let error = match consumer.committed_offsets(wanted.clone(), ATTEMPT) {
            Ok(committed) => return Ok(committed),
            Err(error) => error,
        };
        while let Some(told) = consumer.poll(Duration::ZERO) {
            if let Err(told) = told
                && told.rdkafka_error_code().is_some_and(is_refusal)
            {
                return Err(told);
            }
        }
        if error.rdkafka_error_code().is_some_and(is_refusal) || Instant::now() > deadline {
            return Err(error);
        }
    }
}

/// Keeps the client's last complaint: "connection refused" tells more than "transport failure".
#[derive(Default)]
struct Complaints {
    last: Mutex<Option<String>>,
}

impl Complaints {
    fn keep(&self, words: &str) {
        // `[thrd:…]: address/bootstrap: what`
        let words = words.split_once("]: ").map_or(words, |(_, rest)| rest);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // What tells the reason is not overwritten by what follows from it.
        if is_lasting(words) || !last.as_deref().is_some_and(is_lasting) {
            *last = Some(words.to_owned());
        }
    }
}

impl ClientContext for Complaints {
    fn log(&self, level: RDKafkaLogLevel, _: &str, message: &str) {
        if level as i32 <= RDKafkaLogLevel::Info as i32 {
            self.keep(message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.keep(reason);
        }
    }
}

impl ConsumerContext for Complaints {}

/// Whether waiting cannot help.
fn is_lasting(words: &str) -> bool {
    WORDS.iter().any(|row| row.is_lasting && words.contains(row.said))
}

fn remedy(words: &str) -> &'static str {
    WORDS.iter().find(|row| words.contains(row.said)).map_or(REMEDY, |row| row.remedy)
}

/// What librdkafka says, whether it stays so, and what it means.
struct Words {
    said: &'static str,
    is_lasting: bool,
    remedy: &'static str,
}

const fn lasting(said: &'static str, remedy: &'static str) -> Words {
    Words { said, is_lasting: true, remedy }
}

const fn passing(said: &'static str, remedy: &'static str) -> Words {
    Words { said, is_lasting: false, remedy }
}

/// The first that fits is told. librdkafka adds guesses of its own to some, so the surer ones come first.
const WORDS: &[Words] = &[
    lasting(
        "Unsupported SASL mechanism",
        "the brokers do not offer this \"sasl.mechanism\" on this port: set one that they name",
    ),
    lasting(
        "SASL authentication error",
        "the brokers refuse these credentials: check \"sasl.username\", \"sasl.password\" and \"sasl.mechanism\"",
    ),
    lasting(
        "broker certificate could not be verified",
        "the broker's TLS certificate does not lead to a root known here, or is for another host name: name the CA's file in \
         \"ssl.ca.location\", and in kafka.bootstrap_servers the host that the certificate is for",
    ),
    lasting(
        "connecting to a PLAINTEXT broker listener",
        "this port speaks no TLS: name the TLS port, or leave \"security.protocol\" out where the network is trusted",
    ),
    lasting("alert certificate required", CLIENT_CERTIFICATE),
    lasting("alert bad certificate", CLIENT_CERTIFICATE),
    lasting(
        "alert unknown ca",
        "the brokers do not know the CA of \"ssl.certificate.location\": have it signed by the CA that they trust",
    ),
    lasting("connecting to a SSL listener", SPEAK_TLS),
    lasting("broker might require SASL authentication", NAME_A_USER),
    // A broker that is just going down hangs up, too.
    passing("Disconnected: SSL connection closed by peer", NAME_A_USER),
    passing("SSL transport error: Broken pipe", NAME_A_USER),
    passing("SSL transport error: Connection reset", NAME_A_USER),
    passing("Disconnected: connection closed by peer", SPEAK_TLS),
    lasting(
        "Failed to acquire SASL OAUTHBEARER token",
        "the token end point gave no token: check \"sasl.oauthbearer.token.endpoint.url\", \"sasl.oauthbearer.client.id\" and \
         \"sasl.oauthbearer.client.secret\"",
    ),
    passing("ssl.ca.location", "the file of \"ssl.ca.location\" cannot be used: name a PEM file of CA certificates"),
    passing("ssl.certificate.location", "the file of \"ssl.certificate.location\" cannot be used: name a PEM file"),
    passing(
        "ssl.key.location",
        "the file of \"ssl.key.location\" cannot be used: name a PEM file, and \"ssl.key.password\" if it has one",
    ),
    passing(
        "Failed to resolve",
        "the host name is not known here: check kafka.bootstrap_servers and this machine's DNS",
    ),
    passing("Connection refused", "nothing listens there: check host and port in kafka.bootstrap_servers"),
    passing(
        "timed out",
        "nobody answers: check kafka.bootstrap_servers, and that firewalls and network policies let this machine reach every \
         broker, not the first one alone",
    ),
];

const CLIENT_CERTIFICATE: &str = "the brokers ask for a client certificate that they trust (mutual TLS): set \"ssl.certificate.location\" and \
                                  \"ssl.key.location\"";
const SPEAK_TLS: &str = "the broker hangs up: if this port speaks TLS, set \"security.protocol\" = \"ssl\", or \"sasl_ssl\" with a \
                         user and password";
const NAME_A_USER: &str = "the broker hangs up after TLS: if this port asks for a user, set \"security.protocol\" = \"sasl_ssl\", \
                           \"sasl.mechanism\", \"sasl.username\" and \"sasl.password\"";
const REMEDY: &str = "check kafka.bootstrap_servers and kafka.properties";
/// The log is looked at so often.
const ATTEMPT: Duration = Duration::from_secs(1);
const LINES_MAX: usize = 100;
