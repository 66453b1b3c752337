//! The certificate that SNS signs with: which URL it may come from, and what it must say.
//!
//! The certificate is an ordinary public TLS certificate in a file of its own, named by a hash of its content,
//! so one URL always means one certificate. Checked here: the URL's pin, one PEM block, name, key and validity.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::topic_policy::TopicPolicy;
use crate::domain::timestamp::Timestamp;

/// A URL that a signing certificate may be fetched from:
/// `https://sns.<region>.amazonaws.com/SimpleNotificationService-<32 hex>.pem`, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SigningCertUrl {
    url: String,
    region: String,
}

/// The URL is not one of Amazon SNS in a region that a merchant's topic names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "SigningCertURL is not of the form https://sns.<region of an allowed topic>.amazonaws.com/SimpleNotificationService-<32 hex>.pem"
)]
pub struct RefusedCertUrl;

impl SigningCertUrl {
    /// Reads the text of `SigningCertURL`. The form is matched as a whole, so there is no room for userinfo, a
    /// port, a query, a fragment, dot segments or percent signs.
    pub fn parse(text: &str, policy: &TopicPolicy) -> Result<Self, RefusedCertUrl> {
        let region_and_hash = text
            .strip_prefix("https://sns.")
            .and_then(|rest| rest.strip_suffix(".pem"))
            .and_then(|rest| rest.split_once(".amazonaws.com/SimpleNotificationService-"));
        match region_and_hash {
            Some((region, hash)) if policy.names_region(region) && is_hash(hash) => {
                Ok(Self { url: text.to_owned(), region: region.to_owned() })
            }
            _ => Err(RefusedCertUrl),
        }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The AWS region of its host.
    pub fn region(&self) -> &str {
        &self.region
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A certificate that names SNS and holds a key we accept.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningCert {
    rsa_public_key_der: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Why a certificate from the pinned host cannot be used. Our clock, our table of names or a change at Amazon
/// is likelier than a forger, so nobody is refused for it: the message is to be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSigningCert {
    /// Not exactly one PEM block and nothing else.
    #[error("signing certificate is not exactly one PEM block")]
    NotOnePem,
    /// Not a certificate.
    #[error("signing certificate cannot be decoded")]
    Undecodable,
    /// Made out for someone else.
    #[error("signing certificate is for {found:?}, not {expected}")]
    Name {
        /// The name SNS signs with in that region.
        expected: String,
        /// The names it bears.
        found: Vec<String>,
    },
    /// The key is no RSA key of 2048 bits or more.
    #[error("signing certificate has a key of {0}; RSA of at least 2048 bits is needed")]
    Key(String),
    /// Used before its time.
    #[error("signing certificate is not valid before {0}")]
    NotYetValid(Timestamp),
    /// Used after its time.
    #[error("signing certificate expired at {0}")]
    Expired(Timestamp),
}

impl SigningCert {
    /// Reads the file served at a [`SigningCertUrl`] of `region` and checks everything but the time.
    pub fn from_pem(pem: &[u8], region: &str) -> Result<Self, BadSigningCert> {
        let der = one_pem_block(pem).ok_or(BadSigningCert::NotOnePem)?;
        let (rest, certificate) = X509Certificate::from_der(&der).map_err(|_| BadSigningCert::Undecodable)?;
        if !rest.is_empty() {
            return Err(BadSigningCert::Undecodable);
        }
        check_name(&certificate, region)?;
        check_key(&certificate)?;
        let validity = certificate.validity();
        Ok(Self {
            rsa_public_key_der: certificate.public_key().subject_public_key.data.to_vec(),
            not_before: Timestamp::from_unix_ms(validity.not_before.timestamp() * 1000),
            not_after: Timestamp::from_unix_ms(validity.not_after.timestamp() * 1000 + 999),
        })
    }

    /// Whether it may be used at `now`; asked at each use, since it is cached for longer than it lives.
    pub fn check_validity(&self, now: Timestamp) -> Result<(), BadSigningCert> {
        if now < self.not_before {
            Err(BadSigningCert::NotYetValid(self.not_before))
        } else if now > self.not_after {
            Err(BadSigningCert::Expired(self.not_after))
        } else {
            Ok(())
        }
    }

    /// The key as PKCS#1 `RSAPublicKey`.
    pub(super) fn rsa_public_key_der(&self) -> &[u8] {
        &self.rsa_public_key_der
    }
}

/// The DER of a file that holds one PEM certificate and only white space around it. An API on the same host
/// that echoes an attacker's text must not be taken for a certificate file (DEF CON 30, 2022).
fn one_pem_block(pem: &[u8]) -> Option<Vec<u8>> {
    let base64_lines = std::str::from_utf8(pem)
        .ok()?
        .trim_ascii()
        .strip_prefix("-----BEGIN CERTIFICATE-----")?
        .strip_suffix("-----END CERTIFICATE-----")?;
    let base64: String = base64_lines.lines().map(str::trim_ascii).collect();
    STANDARD.decode(base64).ok().filter(|der| !der.is_empty())
}

fn check_name(certificate: &X509Certificate<'_>, region: &str) -> Result<(), BadSigningCert> {
    let expected = signing_name(region);
    let alternative_names = certificate.subject_alternative_name().ok().flatten();
    // The common name counts only where there are no alternative names (certificates of before 2015).
    let found: Vec<String> = match alternative_names {
        Some(names) => names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                x509_parser::extensions::GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
            .collect(),
        None => {
            certificate
                .subject()
                .iter_common_name() // Certificates of 2010 spell it as a T61String; a name that counts is plain ASCII in any of them.
                .filter_map(|name| String::from_utf8(name.as_slice().to_vec()).ok())
                .collect()
        }
    };
    if found.contains(&expected) { Ok(()) } else { Err(BadSigningCert::Name { expected, found }) }
}

fn check_key(certificate: &X509Certificate<'_>) -> Result<(), BadSigningCert> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() >= 2048 => Ok(()),
        Ok(PublicKey::RSA(key)) => Err(BadSigningCert::Key(format!("RSA {} bits", key.key_size()))),
        Ok(_) | Err(_) => Err(BadSigningCert::Key("another kind".to_owned())),
    }
}

/// The name SNS signs with: opt-in regions have one of their own (as AWS's Java SDK v2 tells).
fn signing_name(region: &str) -> String {
    if OWN_SIGNING_NAME.contains(&region) {
        format!("sns-signing.{region}.amazonaws.com")
    } else {
        "sns.amazonaws.com".to_owned()
    }
}

const OWN_SIGNING_NAME: [&str; 17] = [
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "me-south-1",
    "me-central-1",
    "eu-south-1",
    "eu-south-2",
    "eu-central-2",
    "af-south-1",
    "il-central-1",
    "ca-west-1",
    "mx-central-1",
];
