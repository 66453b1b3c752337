//! Builds the path from a certificate to a trusted root: one of Amazon's four, or one that the caller passes.
//!
//! webpki builds and checks the path. Its result does not depend on the current time: a path is good if it was valid at
//! some time at which the certificate was valid. The validity of the path then limits the validity of the certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::domain::timestamp::Timestamp;

/// The roots at which a path may end.
#[derive(Clone, Debug)]
pub struct TrustAnchors(Vec<TrustAnchor<'static>>);

/// A certificate that may stand between a leaf and a root. It is untrusted until a path through it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intermediate(CertificateDer<'static>);

/// The input is not a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an X.509 certificate")]
pub struct NotACertificate;

/// The time within which all certificates of a path are valid: its begin and its end.
pub(super) type Validity = (Timestamp, Timestamp);

impl TrustAnchors {
    /// Amazon Root CA 1 to 4.
    pub fn amazon() -> Self {
        let anchors = AMAZON_ROOTS.iter().map(|pem| Self::from_pem(pem).expect("Amazon's roots are certificates"));
        Self(anchors.flat_map(|anchors| anchors.0).collect())
    }

    /// Every certificate of a PEM file.
    pub fn from_pem(pem: &str) -> Result<Self, NotACertificate> {
        let anchors: Vec<_> = pem_blocks(pem).map(|der| Self::from_der(&der?)).collect::<Result<_, _>>()?;
        if anchors.is_empty() {
            return Err(NotACertificate);
        }
        Ok(Self(anchors.into_iter().flat_map(|anchors| anchors.0).collect()))
    }

    /// One root.
    pub fn from_der(der: &[u8]) -> Result<Self, NotACertificate> {
        let der = CertificateDer::from(der.to_vec());
        let anchor = anchor_from_trusted_cert(&der).map_err(|_| NotACertificate)?;
        Ok(Self(vec![anchor.to_owned()]))
    }

    /// Adds `more`.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }
}

impl Intermediate {
    /// Amazon RSA 2048 M01, which issued every SNS certificate known since 2023. Other issuers are fetched.
    pub fn bundled() -> Vec<Self> {
        pem_blocks(AMAZON_RSA_2048_M01)
            .map(|der| {
                Self::from_der(&der.expect("the bundled file is PEM")).expect("the bundled file is a certificate")
            })
            .collect()
    }

    /// Reads the DER that an [`IssuerUrl`](super::IssuerUrl) serves.
    pub fn from_der(der: &[u8]) -> Result<Self, NotACertificate> {
        validity(der).ok_or(NotACertificate)?;
        Ok(Self(CertificateDer::from(der.to_vec())))
    }
}

/// The time within which every certificate from `leaf` up to a root is valid; `at` should be in the validity of the
/// leaf. Without such a path, the error of webpki.
pub(super) fn path_validity(
    leaf: &[u8],
    anchors: &TrustAnchors,
    intermediates: &[Intermediate],
    at: Timestamp,
) -> Result<Validity, webpki::Error> {
    let at = UnixTime::since_unix_epoch(at.since(Timestamp::from_unix_ms(0)));
    let leaf = CertificateDer::from(leaf);
    let end_entity = EndEntityCert::try_from(&leaf)?;
    let candidates: Vec<CertificateDer<'_>> = intermediates.iter().map(|intermediate| intermediate.0.clone()).collect();
    let path = end_entity.verify_for_usage(
        ALGORITHMS,
        &anchors.0,
        &candidates,
        at,
        KeyUsage::server_auth(),
        None, // no revocation check, like the SDKs of AWS: certificates live for months, and a new one has a new URL
        None,
    )?;
    let above = path.intermediate_certificates().map(|certificate| validity(&certificate.der()));
    std::iter::once(validity(&leaf)).chain(above).try_fold(
        (Timestamp::from_unix_ms(i64::MIN), Timestamp::from_unix_ms(i64::MAX)),
        |(begin, end), next| {
            let (not_before, not_after) = next.ok_or(webpki::Error::BadDer)?;
            Ok((begin.max(not_before), end.min(not_after)))
        },
    )
}

pub(super) fn validity_of(certificate: &X509Certificate<'_>) -> Validity {
    let validity = certificate.validity();
    let ms = |time: x509_parser::time::ASN1Time| time.timestamp().saturating_mul(1000);
    // The certificate is valid to the end of the last second.
    (
        Timestamp::from_unix_ms(ms(validity.not_before)),
        Timestamp::from_unix_ms(ms(validity.not_after).saturating_add(999)),
    )
}

fn validity(der: &[u8]) -> Option<Validity> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then(|| validity_of(&certificate))
}

fn pem_blocks(pem: &str) -> impl Iterator<Item = Result<Vec<u8>, NotACertificate>> {
    pem.split("-----BEGIN CERTIFICATE-----").skip(1).map(|block| {
        let base64 = block.split_once("-----END CERTIFICATE-----").ok_or(NotACertificate)?.0;
        STANDARD.decode(base64.split_ascii_whitespace().collect::<String>()).map_err(|_| NotACertificate)
    })
}

/// The algorithms that sign Amazon's certificates: RSA below Root CA 1 and 2, ECDSA below 3 and 4.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    ring::RSA_PKCS1_2048_8192_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA512,
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P384_SHA384,
];

/// From Amazon Trust Services' repository; their SHA-256 fingerprints are checked by a test.
const AMAZON_ROOTS: [&str; 4] = [
    include_str!("amazon/root-ca-1.pem"),
    include_str!("amazon/root-ca-2.pem"),
    include_str!("amazon/root-ca-3.pem"),
    include_str!("amazon/root-ca-4.pem"),
];
const AMAZON_RSA_2048_M01: &str = include_str!("amazon/rsa-2048-m01.pem");

#[cfg(test)]
mod tests {
    use super::*;
    use ::ring::digest::{SHA256, digest};

    /// As Amazon Trust Services publishes them (amazontrust.com/repository).
    const FINGERPRINTS: [&str; 5] = [
        "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
        "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
        "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
        "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
        "5338ebec8fb2ac60996126d3e76aa34fd0f3318ac78ebb7ac8f6f1361f484b33",
    ];

    #[test]
    fn root_fingerprints_match_amazon_trust_services() {
        let files = AMAZON_ROOTS.iter().chain([&AMAZON_RSA_2048_M01]);
        for (pem, expected) in files.zip(FINGERPRINTS) {
            let blocks: Vec<Vec<u8>> = pem_blocks(pem).map(Result::unwrap).collect();
            let [der] = &blocks[..] else { panic!("one certificate a file") };
            let found = digest(&SHA256, der);
            assert_eq!(found.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")), expected);
        }
        assert_eq!((TrustAnchors::amazon().0.len(), Intermediate::bundled().len()), (4, 1));
    }

    #[test]
    fn invalid_certificate_is_no_anchor_or_intermediate() {
        for pem in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"] {
            assert!(TrustAnchors::from_pem(pem).is_err(), "{pem}");
        }
        assert_eq!(Intermediate::from_der(b"<html>"), Err(NotACertificate));
    }
}
