//! The report of `verify` about one message, as text or JSON.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::commands::format::printable;
use crate::domain::sns::Envelope;
use crate::domain::timestamp::Timestamp;

/// The result for one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Genuine,
    NotGenuine,
    /// The message may be genuine: another setting, time, certificate or version could accept it.
    Undecided,
}

/// Everything that the checks found out about one message.
pub(super) struct Report {
    pub(super) file: PathBuf,
    pub(super) failure: Option<Failure>,
    pub(super) envelope: Option<Envelope>,
    pub(super) verified_at: Option<Timestamp>,
    pub(super) certificate: Option<CertificateTime>,
}

/// The check that failed.
pub(super) struct Failure {
    verdict: Verdict,
    check: &'static str,
    reason: String,
}

/// The validity of the signing certificate.
#[derive(Clone, Copy)]
pub(super) struct CertificateTime {
    pub(super) valid_from: Timestamp,
    pub(super) valid_until: Timestamp,
    /// Whether the message is genuine for a time within the validity.
    pub(super) is_genuine_within: bool,
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

impl Failure {
    pub(super) fn not_genuine(check: &'static str, reason: &impl Display) -> Self {
        Self { verdict: Verdict::NotGenuine, check, reason: reason.to_string() }
    }

    pub(super) fn undecided(check: &'static str, reason: String) -> Self {
        Self { verdict: Verdict::Undecided, check, reason }
    }
}

impl Report {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), failure: None, envelope: None, verified_at: None, certificate: None }
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.failure.as_ref().map_or(Verdict::Genuine, |failure| failure.verdict)
    }

    pub(super) fn write_text(&self, out: &mut impl Write) -> std::io::Result<()> {
        write!(out, "{}: {}", printable(&self.file.to_string_lossy()), self.verdict().as_str())?;
        if let Some(Failure { check, reason, .. }) = &self.failure {
            write!(out, " ({check}): {}", printable(reason))?;
        }
        writeln!(out)?;
        if let Some(envelope) = &self.envelope {
            writeln!(out, "    message:     {} {}", envelope.message_type.as_str(), printable(&envelope.message_id))?;
            writeln!(out, "    topic:       {}", envelope.topic_arn.as_str())?;
            let version = envelope.signature_version.escape_debug();
            writeln!(out, "    sent:        {}, SignatureVersion {version}", envelope.timestamp)?;
        }
        if let (Some(at), Some(certificate)) = (self.verified_at, self.certificate) {
            let CertificateTime { valid_from, valid_until, is_genuine_within } = certificate;
            writeln!(out, "    verified at: {at}")?;
            writeln!(out, "    certificate: valid from {valid_from} to {valid_until}")?;
            if is_genuine_within && self.verdict() != Verdict::Genuine {
                writeln!(
                    out,
                    "    remedy:      the message is genuine while its certificate is valid; add --at message"
                )?;
            }
        }
        Ok(())
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let (envelope, failure) = (self.envelope.as_ref(), self.failure.as_ref());
        json!({
            "file": self.file,
            "verdict": self.verdict().as_str(),
            "failedCheck": failure.map(|failure| failure.check),
            "reason": failure.map(|failure| &failure.reason),
            "type": envelope.map(|envelope| envelope.message_type.as_str()),
            "messageId": envelope.map(|envelope| &envelope.message_id),
            "topicArn": envelope.map(|envelope| envelope.topic_arn.as_str()),
            "timestamp": envelope.map(|envelope| envelope.timestamp),
            "signatureVersion": envelope.map(|envelope| &envelope.signature_version),
            "verifiedAt": self.verified_at,
            "certificateValidFrom": self.certificate.map(|certificate| certificate.valid_from),
            "certificateValidUntil": self.certificate.map(|certificate| certificate.valid_until),
            "genuineWhileCertificateValid": self.certificate.map(|certificate| certificate.is_genuine_within),
        })
    }
}
