//! The certificate that SNS signs with, and the checks before its key is trusted.
//!
//! It is an ordinary public TLS certificate in a file of its own. The checks: one PEM block, name, key, usage, issuer and
//! validity.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::cert_url::IssuerUrl;
use super::chain::{Intermediate, TrustAnchors, path_validity, validity_of};
use super::region::OWN_SIGNING_NAME;
use crate::domain::printable;
use crate::domain::timestamp::Timestamp;

/// The file served at a certificate's URL: one certificate, not yet trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertFile {
    der: Vec<u8>,
}

/// A certificate whose key may prove that SNS signed a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningCert {
    der: Vec<u8>,
    rsa_public_key_der: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Why a certificate from an allowed URL cannot be used. A wrong clock, an outdated table of names in the receiver or a
/// change at Amazon is likelier than a forgery. So the answer is not final: SNS sends the message again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSigningCert {
    /// Not exactly one PEM block and nothing else.
    #[error("signing certificate is not exactly one PEM block")]
    NotOnePem,
    /// Not a certificate.
    #[error("signing certificate cannot be decoded")]
    Undecodable,
    /// The certificate names another host.
    #[error("signing certificate is for {found:?}, not {expected}")]
    Name {
        /// The name that SNS uses in that region.
        expected: String,
        /// The names in the certificate.
        found: Vec<String>,
    },
    /// The key is not an RSA key of at least 2048 bits.
    #[error("signing certificate has a key of {0}; RSA of at least 2048 bits is needed")]
    Key(String),
    /// The certificate is not for servers.
    #[error("signing certificate lacks the extended key usage serverAuth")]
    Usage,
    /// There is no path to a trusted root.
    #[error("signing certificate was issued by {issuer:?}, and there is no valid path to an Amazon root ({what})")]
    Issuer {
        /// The issuer in the certificate.
        issuer: String,
        /// The error of webpki.
        what: String,
    },
    /// Not yet valid.
    #[error("signing certificate is not valid before {0}")]
    NotYetValid(Timestamp),
    /// Expired.
    #[error("signing certificate expired at {0}")]
    Expired(Timestamp),
}

impl CertFile {
    /// Takes the one certificate out of the file.
    pub fn from_pem(pem: &[u8]) -> Result<Self, BadSigningCert> {
        Self::from_der(one_pem_block(pem).ok_or(BadSigningCert::NotOnePem)?)
    }

    /// Takes what [`SigningCert::to_base64`] gives.
    pub fn from_base64(text: &str) -> Result<Self, BadSigningCert> {
        Self::from_der(STANDARD.decode(text).map_err(|_| BadSigningCert::Undecodable)?)
    }

    fn from_der(der: Vec<u8>) -> Result<Self, BadSigningCert> {
        let file = Self { der };
        file.certificate()?;
        Ok(file)
    }

    /// MD5 of the certificate in hex. The URL of every known certificate contains it. It proves nothing.
    pub fn hash(&self) -> String {
        use std::fmt::Write as _;
        Md5::digest(&self.der).iter().fold(String::with_capacity(32), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The URLs of its issuer's certificate, at most two.
    pub fn issuer_urls(&self) -> Vec<IssuerUrl> {
        let Ok(certificate) = self.certificate() else { return Vec::new() };
        let descriptions = certificate.iter_extensions().filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityInfoAccess(access) => Some(&access.accessdescs),
            _ => None,
        });
        let urls = descriptions
            .flatten()
            .filter(|d| d.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS)
            .filter_map(|description| match &description.access_location {
                GeneralName::URI(url) => IssuerUrl::parse(url),
                _ => None,
            });
        urls.take(2).collect()
    }

    /// All checks except the validity: the name that SNS uses in `region`, the key, the usage and a path to `anchors`.
    ///
    /// `now` only chooses between paths. A certificate that is expired or not yet valid passes here:
    /// [`SigningCert::check_validity`] checks the time at each use.
    pub fn check(
        &self,
        region: &str,
        anchors: &TrustAnchors,
        intermediates: &[Intermediate],
        now: Timestamp,
    ) -> Result<SigningCert, BadSigningCert> {
        let certificate = self.certificate()?;
        check_name(&certificate, region)?;
        check_key(&certificate)?;
        check_usage(&certificate)?;
        let (not_before, not_after) = validity_of(&certificate);
        let at = now.max(not_before).min(not_after);
        let (not_before, not_after) =
            path_validity(&self.der, anchors, intermediates, at).map_err(|error| BadSigningCert::Issuer {
                issuer: printable(&certificate.issuer().to_string(), ISSUER_CHARS_MAX),
                what: error.to_string(),
            })?;
        Ok(SigningCert { not_before, not_after, ..self.key_of(&certificate) })
    }

    /// The key and its validity, for a development certificate without a chain.
    pub fn check_key_alone(&self) -> Result<SigningCert, BadSigningCert> {
        let certificate = self.certificate()?;
        check_key(&certificate)?;
        Ok(self.key_of(&certificate))
    }

    fn key_of(&self, certificate: &X509Certificate<'_>) -> SigningCert {
        let (not_before, not_after) = validity_of(certificate);
        let rsa_public_key_der = certificate.public_key().subject_public_key.data.to_vec();
        SigningCert { der: self.der.clone(), rsa_public_key_der, not_before, not_after }
    }

    fn certificate(&self) -> Result<X509Certificate<'_>, BadSigningCert> {
        match X509Certificate::from_der(&self.der) {
            Ok(([], certificate)) => Ok(certificate),
            Ok(_) | Err(_) => Err(BadSigningCert::Undecodable),
        }
    }
}

impl SigningCert {
    /// Whether it is valid at `now`. Called at each use, because the cache can keep it for longer than it is valid.
    pub fn check_validity(&self, now: Timestamp) -> Result<(), BadSigningCert> {
        if now < self.not_before {
            Err(BadSigningCert::NotYetValid(self.not_before))
        } else if now > self.not_after {
            Err(BadSigningCert::Expired(self.not_after))
        } else {
            Ok(())
        }
    }

    /// The first and the last moment at which it is valid.
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        (self.not_before, self.not_after)
    }

    /// The certificate, in base64.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.der)
    }

    /// The key as PKCS#1 `RSAPublicKey`.
    pub(super) fn rsa_public_key_der(&self) -> &[u8] {
        &self.rsa_public_key_der
    }
}

/// The DER of a file that has one PEM certificate, and only white space around it. So an API on the same host that echoes
/// an attacker's text cannot pass as a certificate file (DEF CON 30, 2022).
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
                GeneralName::DNSName(name) => Some((*name).to_owned()),
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

/// webpki accepts a certificate without this extension for any usage, so it is checked here.
fn check_usage(certificate: &X509Certificate<'_>) -> Result<(), BadSigningCert> {
    match certificate.extended_key_usage() {
        Ok(Some(usage)) if usage.value.server_auth => Ok(()),
        Ok(_) | Err(_) => Err(BadSigningCert::Usage),
    }
}

fn check_key(certificate: &X509Certificate<'_>) -> Result<(), BadSigningCert> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() >= 2048 => Ok(()),
        Ok(PublicKey::RSA(key)) => Err(BadSigningCert::Key(format!("RSA {} bits", key.key_size()))),
        Ok(_) | Err(_) => Err(BadSigningCert::Key("another kind".to_owned())),
    }
}

/// The name in the certificates of SNS: opt-in regions have their own (see AWS SDK for Java v2).
fn signing_name(region: &str) -> String {
    if OWN_SIGNING_NAME.contains(&region) {
        format!("sns-signing.{region}.amazonaws.com")
    } else {
        "sns.amazonaws.com".to_owned()
    }
}

/// Longer issuer names are cut in the error.
const ISSUER_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cert_file_is_one_pem_block_and_white_space() {
        let pem = include_str!("amazon/rsa-2048-m01.pem");
        let crlf = pem.replace('\n', "\r\n");
        for good in [pem, &crlf, &format!("\n  {pem}\n\n"), pem.trim_end()] {
            assert!(CertFile::from_pem(good.as_bytes()).is_ok(), "{good}");
        }
        let begin = "-----BEGIN CERTIFICATE-----";
        for bad in [
            format!("text\n{pem}"),
            format!("{pem}text"),
            format!("{pem}{pem}"),
            format!("<x>{pem}</x>"),
            pem.replace(begin, "-----BEGIN TRUSTED CERTIFICATE-----"),
            pem.replace(begin, &format!("{begin}\nProc-Type: 4,ENCRYPTED")),
            format!("{begin}\n-----END CERTIFICATE-----"),
            String::new(),
        ] {
            assert_eq!(CertFile::from_pem(bad.as_bytes()), Err(BadSigningCert::NotOnePem), "{bad}");
        }
        assert_eq!(CertFile::from_pem(&[0xff]), Err(BadSigningCert::NotOnePem));
    }
}
