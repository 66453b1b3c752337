//! The `verify` command: judges messages that were saved, by the checks that `serve` makes, and says which one fails.
//!
//! Nothing is sent but the requests for certificates, from the same pinned hosts; with a certificate at hand not even those.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::amazon::clock_skew::ClockWatch;
use crate::amazon::signing_certs::{self, CertAuthorities, SigningCerts};
use crate::clock::Clock;
use crate::config::Sns;
use crate::domain::sns::{
    self, BadSigningCert, CertFile, CertSource, Envelope, Intermediate, Policy, SigningCert, SigningCertUrl,
    TopicPolicy, TopicRule, verify,
};
use crate::domain::timestamp::Timestamp;

/// What is to be judged, and how.
#[derive(Debug)]
pub struct Options {
    /// Files with one message each; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// When.
    pub at: At,
    /// The signing certificate, if it is not to be fetched.
    pub cert: Option<PathBuf>,
    /// Which topics count; any where it is `None`.
    pub policy: Option<Policy>,
    /// For people or for machines.
    pub format: Format,
}

/// The moment for which a message is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The present one.
    Now,
    /// Each message's own `Timestamp`.
    Message,
    /// This one.
    Moment(Timestamp),
}

/// How the verdicts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line or two a message.
    Text,
    /// A JSON object a line.
    Json,
}

/// What is said of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Genuine,
    NotGenuine,
    /// Something that is not the message's fault kept it from being judged.
    Undecided,
}

/// One message's judgement.
struct Report {
    file: PathBuf,
    verdict: Verdict,
    /// Which check failed, and why.
    failed: Option<(&'static str, String)>,
    envelope: Option<Envelope>,
    judged_at: Option<Timestamp>,
    /// The certificate's time, and what the verdict would be within it.
    certificate: Option<((Timestamp, Timestamp), bool)>,
}

/// Where certificates come from.
enum Source {
    File(Box<CertFile>, CertAuthorities),
    Fetched(SigningCerts),
}

impl At {
    /// Reads `message`, `2026-01-02T03:04:05Z` or the same with milliseconds.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "message" {
            return Ok(Self::Message);
        }
        Timestamp::parse_written(text)
            .map(Self::Moment)
            .ok_or_else(|| "write 2026-01-02T03:04:05Z, or message for its own Timestamp".to_owned())
    }
}

/// Judges all files. 0 = all are genuine, 1 = some are not, 2 = some could not be judged.
pub async fn run(options: &Options, authorities: CertAuthorities, out: &mut impl Write) -> std::io::Result<ExitCode> {
    let source = match &options.cert {
        None => {
            let clock = Clock::system();
            let watch = ClockWatch::new(clock, std::time::Duration::from_mins(1));
            Source::Fetched(SigningCerts::new(authorities, &Sns::default(), clock, watch))
        }
        Some(file) => {
            let of_file = |what: String| std::io::Error::other(format!("{}: {what}", file.display()));
            let pem = std::fs::read(file).map_err(|io| of_file(io.to_string()))?;
            let file = CertFile::from_pem(&pem).map_err(|bad| of_file(bad.to_string()))?;
            Source::File(Box::new(file), authorities)
        }
    };
    let (mut n_refused, mut n_undecided) = (0, 0);
    for file in &options.files {
        let report = judge(file, options, &source).await;
        match report.verdict {
            Verdict::Genuine => {}
            Verdict::NotGenuine => n_refused += 1,
            Verdict::Undecided => n_undecided += 1,
        }
        match options.format {
            Format::Text => report.tell(out)?,
            Format::Json => writeln!(out, "{}", report.json())?,
        }
    }
    Ok(match (n_undecided, n_refused) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(1),
        (_, _) => ExitCode::from(2),
    })
}

async fn judge(file: &Path, options: &Options, source: &Source) -> Report {
    let mut report = Report {
        file: file.to_owned(),
        verdict: Verdict::NotGenuine,
        failed: None,
        envelope: None,
        judged_at: None,
        certificate: None,
    };
    let (verdict, failed) = match steps(&mut report, options, source).await {
        Ok(()) => (Verdict::Genuine, None),
        Err((verdict, check, why)) => (verdict, Some((check, why))),
    };
    Report { verdict, failed, ..report }
}

type Failed = (Verdict, &'static str, String);

/// The checks in the order of `serve`; what is learned on the way goes into `report`.
async fn steps(report: &mut Report, options: &Options, source: &Source) -> Result<(), Failed> {
    use Verdict::{NotGenuine, Undecided};
    let body = read(&report.file).map_err(|io| (Undecided, "file", format!("cannot be read: {io}")))?;
    let envelope = Envelope::parse(body).map_err(|error| (NotGenuine, "envelope", error.to_string()))?;
    let policy = terms(options, &envelope);
    let at = match options.at {
        At::Now => Clock::system().now(),
        At::Message => envelope.timestamp,
        At::Moment(moment) => moment,
    };
    report.judged_at = Some(at);
    let url = SigningCertUrl::parse(&envelope.signing_cert_url, &policy);
    report.envelope = Some(envelope.clone());
    let url = url.map_err(|refused| (NotGenuine, "certificate-url", refused.to_string()))?;
    let cert = certificate(source, &url, at).await?;
    let (begin, end) = cert.validity();
    let within = verify(envelope.clone(), &cert, &policy, at.max(begin).min(end)).is_ok();
    report.certificate = Some(((begin, end), within));
    verify(envelope, &cert, &policy, at).map(|_| ()).map_err(|error| {
        let check = match &error {
            sns::Error::Certificate(_) => "validity",
            sns::Error::Signature | sns::Error::SignatureEncoding => "signature",
            sns::Error::SignatureVersion(_) | sns::Error::SignatureVersionTooLow(_) => "signature-version",
            sns::Error::TopicNotAllowed(_) => "topic",
            sns::Error::TooOld { .. } | sns::Error::TooNew { .. } => "timestamp",
        };
        (NotGenuine, check, error.to_string())
    })
}

/// Whatever age a saved message has; without a configuration, its own topic.
fn terms(options: &Options, envelope: &Envelope) -> Policy {
    let own = || Policy::of(TopicPolicy::new(vec![TopicRule::Arn(envelope.topic_arn.clone())]));
    let policy = options.policy.clone().unwrap_or_else(own);
    Policy { age_max: None, ahead_max: std::time::Duration::MAX, ..policy }
}

async fn certificate(source: &Source, url: &SigningCertUrl, at: Timestamp) -> Result<SigningCert, Failed> {
    let bad = |bad: BadSigningCert| (Verdict::NotGenuine, "certificate", bad.to_string());
    match (source, url.source()) {
        (Source::File(file, _), CertSource::Development) => file.check_key_alone().map_err(bad),
        (Source::File(file, authorities), CertSource::Region(region)) => {
            file.check(region, &authorities.anchors, &Intermediate::bundled(), at).map_err(bad)
        }
        (Source::Fetched(certs), _) => match certs.get(url).await {
            Ok(cert) => Ok(SigningCert::clone(&cert)),
            Err(signing_certs::Error::Unusable(unusable)) => Err(bad(unusable)),
            Err(error) => {
                Err((Verdict::Undecided, "certificate", format!("{error}; with the file at hand: --cert FILE")))
            }
        },
    }
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return std::fs::read(file);
    }
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    Ok(body)
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Genuine => "genuine",
            Self::NotGenuine => "not genuine",
            Self::Undecided => "undecided",
        }
    }
}

impl Report {
    fn tell(&self, out: &mut impl Write) -> std::io::Result<()> {
        let file = self.file.display();
        write!(out, "{file}: {}", self.verdict.as_str())?;
        if let Some((check, why)) = &self.failed {
            write!(out, " ({check}): {why}")?;
        }
        writeln!(out)?;
        if let Some(envelope) = &self.envelope {
            writeln!(
                out,
                "    {} {} of {}, sent {}, SignatureVersion {}",
                envelope.message_type.as_str(),
                envelope.message_id,
                envelope.topic_arn.as_str(),
                envelope.timestamp,
                envelope.signature_version.escape_debug(),
            )?;
        }
        if let (Some(at), Some(((begin, end), within))) = (self.judged_at, self.certificate) {
            writeln!(out, "    judged at {at}; its certificate is valid from {begin} to {end}")?;
            if within && self.verdict != Verdict::Genuine {
                writeln!(out, "    within that time it is genuine: --at message judges it at its own")?;
            }
        }
        Ok(())
    }

    fn json(&self) -> serde_json::Value {
        let envelope = self.envelope.as_ref();
        json!({
            "file": self.file,
            "verdict": self.verdict.as_str(),
            "failedCheck": self.failed.as_ref().map(|(check, _)| check),
            "reason": self.failed.as_ref().map(|(_, why)| why),
            "type": envelope.map(|envelope| envelope.message_type.as_str()),
            "messageId": envelope.map(|envelope| &envelope.message_id),
            "topicArn": envelope.map(|envelope| envelope.topic_arn.as_str()),
            "timestamp": envelope.map(|envelope| envelope.timestamp),
            "signatureVersion": envelope.map(|envelope| &envelope.signature_version),
            "judgedAt": self.judged_at,
            "certificateValidFrom": self.certificate.map(|((begin, _), _)| begin),
            "certificateValidUntil": self.certificate.map(|((_, end), _)| end),
            "genuineWithinCertificateTime": self.certificate.map(|(_, within)| within),
        })
    }
}
