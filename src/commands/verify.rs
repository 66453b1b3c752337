//! `verify`: verifies saved SNS messages with the same checks as `serve`, and prints which check fails.
//!
//! It requests only signing certificates, from the same pinned hosts as `serve`; with `--cert` it requests nothing.

mod report;

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::report::{CertificateTime, Failure, Report, Verdict};
use super::terminal::Stdout;
use super::{Error, Exit};
use crate::amazon::clock_skew::ClockWatch;
use crate::amazon::signing_certs::{self, CertAuthorities, SigningCerts};
use crate::clock::Clock;
use crate::config::{Config, MerchantAccount, Sns};
use crate::domain::sns::{
    self, BadSigningCert, CertFile, CertSource, Envelope, Intermediate, Policy, RefusedCertUrl, SigningCert,
    SigningCertUrl, TopicPolicy, TopicRule,
};
use crate::domain::timestamp::Timestamp;

/// The arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Files with one message each, as SNS posted it; "-" is standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    files: Vec<PathBuf>,
    /// The time for which to verify: 2026-01-02T03:04:05Z, or "message" for the Timestamp of each message. The default
    /// is now.
    #[arg(long, value_name = "TIME", value_parser = At::parse)]
    at: Option<At>,
    /// Use this signing certificate (PEM) instead of the one at the message's SigningCertURL. Then the command fetches nothing.
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Check the message's topic against this configuration (TOML). Without it, every topic is accepted.
    #[arg(long, value_name = "FILE", env = "IPN_RECEIVER_CONFIG")]
    config: Option<PathBuf>,
    /// Print one JSON object per message and line.
    #[arg(long)]
    json: bool,
}

/// Which messages to verify, and how.
#[derive(Debug)]
pub struct Options {
    /// Files with one message each; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The time for which the messages are verified.
    pub at: At,
    /// The file of the signing certificate, if it is not to be fetched.
    pub cert: Option<PathBuf>,
    /// The allowed topics; `None` allows every topic.
    pub policy: Option<Policy>,
    /// The format of the output.
    pub format: Format,
}

/// The time for which a message is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The current time.
    Now,
    /// Each message's own `Timestamp`.
    Message,
    /// A fixed time.
    Moment(Timestamp),
}

/// The format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A few text lines per message.
    Text,
    /// One JSON object per message and line.
    Json,
}

/// Where signing certificates come from.
enum Source {
    File(Box<CertFile>, CertAuthorities),
    Fetched(SigningCerts),
}

/// Verifies the messages that the arguments name.
pub async fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let config = arguments.config.as_ref().map(|file| Config::load(file, std::env::vars())).transpose()?;
    let development = config.as_ref().and_then(|config| config.development.as_ref());
    let authorities = CertAuthorities::internet(CONNECT_TIMEOUT, development)?;
    let options = Options {
        files: arguments.files.clone(),
        at: arguments.at.unwrap_or(At::Now),
        cert: arguments.cert.clone(),
        policy: config.as_ref().map(|config| config.policy(&MerchantAccount::table(&config.merchants))),
        format: if arguments.json { Format::Json } else { Format::Text },
    };
    verify_files(&options, authorities, &mut Stdout).await
}

/// Verifies every file and writes a report for each. Returns [`Exit::No`] if a message is not genuine (`serve` answers 4xx);
/// it is a failure if a message is undecided (`serve` answers 503).
pub async fn verify_files(
    options: &Options,
    authorities: CertAuthorities,
    out: &mut impl Write,
) -> Result<Exit, Error> {
    let source = Source::open(options.cert.as_deref(), authorities)?;
    let (mut n_not_genuine, mut n_undecided) = (0, 0);
    for file in &options.files {
        let report = verify_file(file, options, &source).await;
        match report.verdict() {
            Verdict::Genuine => {}
            Verdict::NotGenuine => n_not_genuine += 1,
            Verdict::Undecided => n_undecided += 1,
        }
        match options.format {
            Format::Text => report.write_text(out)?,
            Format::Json => writeln!(out, "{}", report.json())?,
        }
    }
    Ok(match (n_undecided, n_not_genuine) {
        (0, 0) => Exit::Success,
        (0, _) => Exit::No,
        (_, _) => Exit::Failed,
    })
}

async fn verify_file(file: &Path, options: &Options, source: &Source) -> Report {
    let mut report = Report::new(file);
    let outcome = run_checks(&mut report, options, source).await;
    report.failure = outcome.err();
    report
}

/// Runs the checks in the order of `serve`, and notes in `report` what it learns.
async fn run_checks(report: &mut Report, options: &Options, source: &Source) -> Result<(), Failure> {
    let body = read(&report.file).map_err(|io| Failure::undecided("file", format!("the file cannot be read: {io}")))?;
    let envelope = Envelope::parse(&body).map_err(|error| Failure::not_genuine("envelope", &error))?;
    let policy = policy(options, &envelope);
    let at = match options.at {
        At::Now => Clock::system().now(),
        At::Message => envelope.timestamp,
        At::Moment(moment) => moment,
    };
    report.verified_at = Some(at);
    let url = SigningCertUrl::parse(&envelope.signing_cert_url, &policy);
    report.envelope = Some(envelope.clone());
    let url = url.map_err(|refused| refused_url(&refused))?;
    let cert = source.certificate(&url, at).await?;
    let (valid_from, valid_until) = cert.validity();
    let is_genuine_within = sns::verify(envelope.clone(), &cert, &policy, at.max(valid_from).min(valid_until)).is_ok();
    report.certificate = Some(CertificateTime { valid_from, valid_until, is_genuine_within });
    sns::verify(envelope, &cert, &policy, at).map(|_| ()).map_err(|error| failed_verification(&error))
}

/// The message may be genuine if the URL can be one of SNS: `serve` answers 503.
fn refused_url(refused: &RefusedCertUrl) -> Failure {
    match refused {
        RefusedCertUrl::Region(_) | RefusedCertUrl::Partition(_) => {
            Failure::undecided("certificate-url", refused.to_string())
        }
        RefusedCertUrl::Scheme | RefusedCertUrl::Host | RefusedCertUrl::Path => {
            Failure::not_genuine("certificate-url", refused)
        }
    }
}

/// Only a signature that fails under a valid certificate proves that a message is not genuine. What another setting,
/// time or version could accept is undecided.
fn failed_verification(error: &sns::Error) -> Failure {
    match error {
        sns::Error::Signature | sns::Error::SignatureEncoding => Failure::not_genuine(failed_check(error), error),
        sns::Error::Certificate(_)
        | sns::Error::SignatureVersion(_)
        | sns::Error::SignatureVersionTooLow(_)
        | sns::Error::TopicNotAllowed(_)
        | sns::Error::TopicRegionNotAllowed(_)
        | sns::Error::TooOld { .. }
        | sns::Error::TooNew { .. } => Failure::undecided(failed_check(error), error.to_string()),
    }
}

fn failed_check(error: &sns::Error) -> &'static str {
    match error {
        sns::Error::Certificate(_) => "validity",
        sns::Error::Signature | sns::Error::SignatureEncoding => "signature",
        sns::Error::SignatureVersion(_) | sns::Error::SignatureVersionTooLow(_) => "signature-version",
        sns::Error::TopicNotAllowed(_) | sns::Error::TopicRegionNotAllowed(_) => "topic",
        sns::Error::TooOld { .. } | sns::Error::TooNew { .. } => "timestamp",
    }
}

/// The policy of the configuration, or one that allows the message's own topic. A saved message may have any age.
fn policy(options: &Options, envelope: &Envelope) -> Policy {
    let own = || Policy::of(TopicPolicy::new(vec![TopicRule::Arn(envelope.topic_arn.clone())]));
    let policy = options.policy.clone().unwrap_or_else(own);
    Policy { age_max: None, ahead_max: Duration::MAX, ..policy }
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return std::fs::read(file);
    }
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    Ok(body)
}

impl At {
    /// Reads `message`, `2026-01-02T03:04:05Z` or the same with milliseconds.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "message" {
            return Ok(Self::Message);
        }
        Timestamp::parse_written(text)
            .map(Self::Moment)
            .ok_or_else(|| "write 2026-01-02T03:04:05Z, or the word message for each message's Timestamp".to_owned())
    }
}

impl Source {
    fn open(file: Option<&Path>, authorities: CertAuthorities) -> Result<Self, Error> {
        let Some(file) = file else {
            let clock = Clock::system();
            let watch = ClockWatch::new(clock, CLOCK_OFFSET_MAX);
            return Ok(Self::Fetched(SigningCerts::new(authorities, &Sns::default(), clock, watch)));
        };
        let unusable = |what: String| format!("--cert {}: {what}", file.display());
        let pem = std::fs::read(file).map_err(|io| unusable(format!("the file cannot be read: {io}")))?;
        let cert = CertFile::from_pem(&pem).map_err(|bad| unusable(bad.to_string()))?;
        Ok(Self::File(Box::new(cert), authorities))
    }

    async fn certificate(&self, url: &SigningCertUrl, at: Timestamp) -> Result<SigningCert, Failure> {
        // As `serve`: the clock, the table of names or a change at Amazon is likelier than a forger.
        let bad = |bad: BadSigningCert| Failure::undecided("certificate", bad.to_string());
        match (self, url.source()) {
            (Self::File(file, _), CertSource::Development) => file.check_key_alone().map_err(bad),
            (Self::File(file, authorities), CertSource::Region(region)) => {
                file.check(region, &authorities.anchors, &Intermediate::bundled(), at).map_err(bad)
            }
            (Self::Fetched(certs), _) => match certs.get(url).await {
                Ok(cert) => Ok(SigningCert::clone(&cert)),
                Err(signing_certs::Error::Unusable(unusable)) => Err(bad(unusable)),
                Err(error) => {
                    let what = format!("{error}; if you have the certificate as a file, add --cert FILE");
                    Err(Failure::undecided("certificate", what))
                }
            },
        }
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CLOCK_OFFSET_MAX: Duration = Duration::from_mins(1);
