//! The first connection to the cluster. If it fails, the error says why and what to do.
//!
//! librdkafka retries without end and reports the cause only in its log. This module reads that log, and stops waiting as
//! soon as it shows an error that a retry cannot fix (credentials, certificates, the wrong kind of listener).

use std::time::{Duration, Instant};

use parking_lot::Mutex;
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
    consumer: BaseConsumer<LastError>,
    /// The topic whose metadata is fetched.
    inbox: String,
}

/// Why no broker was reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct ConnectionError {
    /// librdkafka's last error.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
}

impl Connection {
    /// Connects and, if the settings say so, authenticates. Blocks for `timeout` at most.
    pub fn open(kafka: &Kafka, timeout: Duration) -> Result<Self, ConnectionError> {
        let connection = Self::in_background(kafka)
            .map_err(|error| ConnectionError { what: error.to_string(), remedy: remedy(&error.to_string()) })?;
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let asked = connection.consumer.fetch_metadata(Some(&connection.inbox), left.min(ATTEMPT));
            let Err(error) = asked else { return Ok(connection) };
            let logged = connection.last_error();
            if logged.as_deref().is_some_and(is_permanent) || Instant::now() >= deadline {
                return Err(ConnectionError::new(&error, logged));
            }
        }
    }

    /// A client that connects in the background, for [`Connection::probe`].
    pub fn in_background(kafka: &Kafka) -> Result<Self, KafkaError> {
        let mut client = kafka.client();
        // librdkafka logs a lost connection at level info; it is needed here at any log level of this process.
        client.set_log_level(RDKafkaLogLevel::Info);
        let consumer = client.create_with_context(LastError::default())?;
        Ok(Self { consumer, inbox: kafka.topics().inbox })
    }

    /// Whether a broker answers now. Blocks for `timeout` at most.
    pub fn probe(&self, timeout: Duration) -> Result<(), ConnectionError> {
        let asked = self.consumer.fetch_metadata(Some(&self.inbox), timeout);
        let logged = self.last_error();
        match asked {
            Ok(_) => {
                *self.consumer.context().last.lock() = None;
                Ok(())
            }
            Err(error) => Err(ConnectionError::new(&error, logged)),
        }
    }

    /// The client, for further requests.
    pub fn consumer(&self) -> &BaseConsumer<impl ConsumerContext + 'static> {
        &self.consumer
    }

    /// The client's log waits in its queue until it is polled.
    fn last_error(&self) -> Option<String> {
        for _ in 0..LINES_MAX {
            if self.consumer.poll(Duration::from_millis(1)).is_none() {
                break;
            }
        }
        self.consumer.context().last.lock().clone()
    }
}

impl ConnectionError {
    fn new(error: &KafkaError, logged: Option<String>) -> Self {
        let what = logged.map_or_else(|| error.to_string(), |logged| format!("{error} ({logged})"));
        Self { remedy: remedy(&what), what }
    }
}

/// Why a producer gave up a record. An idempotent producer without an ACL to write gets no producer id and fails for good; its
/// records report only that they were purged.
pub fn cause<C: ProducerContext>(producer: &impl Producer<C>, error: KafkaError) -> KafkaError {
    match producer.client().fatal_error() {
        Some((code, _)) => KafkaError::MessageProduction(code),
        None => error,
    }
}

/// The committed offsets of the consumer's group. A missing ACL on the group is reported in the consumer's queue only. Blocks.
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
        while let Some(polled) = consumer.poll(Duration::ZERO) {
            if let Err(refusal) = polled
                && refusal.rdkafka_error_code().is_some_and(is_refusal)
            {
                return Err(refusal);
            }
        }
        if error.rdkafka_error_code().is_some_and(is_refusal) || Instant::now() > deadline {
            return Err(error);
        }
    }
}

/// Keeps the client's last error: "connection refused" says more than "transport failure".
#[derive(Default)]
struct LastError {
    last: Mutex<Option<String>>,
}

impl LastError {
    fn keep(&self, words: &str) {
        // `[thrd:…]: address/bootstrap: what`
        let words = words.split_once("]: ").map_or(words, |(_, rest)| rest);
        let mut last = self.last.lock();
        // A cause is not overwritten by the errors that follow from it.
        if is_permanent(words) || !last.as_deref().is_some_and(is_permanent) {
            *last = Some(words.to_owned());
        }
    }
}

impl ClientContext for LastError {
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

impl ConsumerContext for LastError {}

/// Whether a retry cannot fix the error.
fn is_permanent(words: &str) -> bool {
    KNOWN_ERRORS.iter().any(|row| row.is_permanent && words.contains(row.text))
}

fn remedy(words: &str) -> &'static str {
    KNOWN_ERRORS.iter().find(|row| words.contains(row.text)).map_or(REMEDY, |row| row.remedy)
}

/// An error text of librdkafka, whether a retry can fix it, and what to do.
struct KnownError {
    text: &'static str,
    is_permanent: bool,
    remedy: &'static str,
}

const fn permanent(text: &'static str, remedy: &'static str) -> KnownError {
    KnownError { text, is_permanent: true, remedy }
}

const fn retriable(text: &'static str, remedy: &'static str) -> KnownError {
    KnownError { text, is_permanent: false, remedy }
}

/// The first row that fits is used. librdkafka adds guesses to some of its texts, so the certain ones come first.
const KNOWN_ERRORS: &[KnownError] = &[
    permanent(
        "Unsupported SASL mechanism",
        "the brokers do not offer this \"sasl.mechanism\" on this port: set one that they offer",
    ),
    permanent(
        "SASL authentication error",
        "the brokers refuse these credentials: check \"sasl.username\", \"sasl.password\" and \"sasl.mechanism\"",
    ),
    permanent(
        "broker certificate could not be verified",
        "the broker's TLS certificate is not signed by a known CA, or is for another host name: set \"ssl.ca.location\" to the \
         CA's file, and use in kafka.bootstrap_servers the host name of the certificate",
    ),
    permanent(
        "connecting to a PLAINTEXT broker listener",
        "this port does not use TLS: use the TLS port, or leave out \"security.protocol\" if the network is trusted",
    ),
    permanent("alert certificate required", CLIENT_CERTIFICATE),
    permanent("alert bad certificate", CLIENT_CERTIFICATE),
    permanent(
        "alert unknown ca",
        "the brokers do not know the CA of \"ssl.certificate.location\": have it signed by the CA that they trust",
    ),
    permanent("connecting to a SSL listener", SPEAK_TLS),
    permanent("broker might require SASL authentication", NAME_A_USER),
    // A broker that is shutting down closes connections, too.
    retriable("Disconnected: SSL connection closed by peer", NAME_A_USER),
    retriable("SSL transport error: Broken pipe", NAME_A_USER),
    retriable("SSL transport error: Connection reset", NAME_A_USER),
    retriable("Disconnected: connection closed by peer", SPEAK_TLS),
    permanent(
        "Failed to acquire SASL OAUTHBEARER token",
        "the token endpoint returned no token: check \"sasl.oauthbearer.token.endpoint.url\", \"sasl.oauthbearer.client.id\" and \
         \"sasl.oauthbearer.client.secret\"",
    ),
    retriable(
        "ssl.ca.location",
        "the file of \"ssl.ca.location\" cannot be used: set it to a PEM file of CA certificates",
    ),
    retriable(
        "ssl.certificate.location",
        "the file of \"ssl.certificate.location\" cannot be used: set it to a PEM file",
    ),
    retriable(
        "ssl.key.location",
        "the file of \"ssl.key.location\" cannot be used: set it to a PEM file, and set \"ssl.key.password\" if it has one",
    ),
    retriable(
        "Failed to resolve",
        "the host name cannot be resolved: check kafka.bootstrap_servers and this machine's DNS",
    ),
    retriable("Connection refused", "nothing listens at this address: check host and port in kafka.bootstrap_servers"),
    retriable(
        "timed out",
        "no broker answers: check kafka.bootstrap_servers, and that firewalls and network policies let this machine reach every \
         broker, not only the first one",
    ),
];

const CLIENT_CERTIFICATE: &str = "the brokers ask for a client certificate that they trust (mutual TLS): set \"ssl.certificate.location\" and \
                                  \"ssl.key.location\"";
const SPEAK_TLS: &str = "the broker closes the connection: if this port uses TLS, set \"security.protocol\" = \"ssl\", or \"sasl_ssl\" with \
                         the SASL user and password";
const NAME_A_USER: &str = "the broker closes the connection after the TLS handshake: if this port requires SASL, set \"security.protocol\" = \"sasl_ssl\", \
                           \"sasl.mechanism\", \"sasl.username\" and \"sasl.password\"";
const REMEDY: &str = "check kafka.bootstrap_servers and kafka.properties";
/// How often the log is read.
const ATTEMPT: Duration = Duration::from_secs(1);
const LINES_MAX: usize = 100;
