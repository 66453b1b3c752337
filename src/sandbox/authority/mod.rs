//! The sandbox's certificate authority. It issues the keys and certificates for SNS signatures and for TLS.
//!
//! Every start makes a new root. Leaf certificates have the shape of Amazon's. Servers listen on 127.0.0.1 only. The
//! authority needs no process-wide TLS provider, never writes a key to disk and never trusts a public root.

mod loopback;

use std::io;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Extension, X509Name};

pub use self::loopback::{LOOPBACK_NAME, LoopbackServer};

/// A certificate authority with a fresh RSA-2048 root key.
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

/// A certificate that signs SNS messages, with its key.
pub struct SigningLeaf {
    certificate: X509,
    key: PKey<Private>,
}

/// A borrowed private key, the type that OpenSSL signers accept.
pub type Key = PKeyRef<Private>;

/// The validity of a certificate in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second of validity.
    pub not_before_unix_s: i64,
    /// Last second of validity.
    pub not_after_unix_s: i64,
}

/// The RSA-2048 key pair that a merchant registers with Amazon Pay.
pub struct MerchantKey {
    private_pem_pkcs8: String,
    private_pem_pkcs1: String,
    public_pem: String,
}

/// Why the authority could not issue a certificate or start a server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// OpenSSL could not make a key or a certificate.
    #[error("OpenSSL could not make a key or certificate; check the requested names and the OpenSSL installation")]
    OpenSsl(#[from] ErrorStack),
    /// rustls rejected the certificate or key.
    #[error("rustls rejected the sandbox's certificate; check that the versions of OpenSSL and rustls are compatible")]
    Tls(#[from] rustls::Error),
    /// No listener could be opened on the loopback interface.
    #[error("cannot listen on 127.0.0.1; free a port or raise the limit of open files")]
    Listen(#[from] io::Error),
    /// The HTTP client could not be built.
    #[error("cannot build the sandbox's HTTP client; check the features of reqwest")]
    Client(#[from] reqwest::Error),
}

impl Authority {
    /// Makes a new root certificate, valid from 2010 to 2060, so that tests can set any clock.
    pub fn new() -> Result<Self, Error> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let name = common_name("ipn-receiver sandbox root")?;
        let mut builder = builder(&name, &key, ROOT_VALIDITY)?;
        builder.set_issuer_name(&name)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().build()?)?;
        let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
        builder.append_extension(identifier)?;
        builder.sign(&key, MessageDigest::sha256())?;
        let certificate = builder.build();
        Ok(Self { certificate, key })
    }

    /// The root certificate, DER.
    pub fn certificate_der(&self) -> Vec<u8> {
        der(&self.certificate)
    }

    /// The root certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        pem(&self.certificate)
    }

    /// A certificate like the one SNS signs with in 2026: RSA-2048, CN and SAN the signing name, EKU serverAuth,
    /// signed with SHA-256 (seen in the public `SimpleNotificationService-<md5>.pem` files of that year).
    pub fn signing_leaf(&self, name: &str, validity: Validity) -> Result<SigningLeaf, Error> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let certificate = self.leaf(&[name], &key, validity)?;
        Ok(SigningLeaf { certificate, key })
    }

    /// Like [`Self::signing_leaf`], with the URL of the issuer's certificate (authority information access), as in Amazon's.
    pub fn signing_leaf_with_issuer_url(
        &self,
        name: &str,
        validity: Validity,
        issuer_url: &str,
    ) -> Result<SigningLeaf, Error> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let certificate = self.leaf_with(&[name], &key, validity, Some(issuer_url))?;
        Ok(SigningLeaf { certificate, key })
    }

    /// The root certificate and key, to issue certificates of other shapes.
    pub fn signer(&self) -> (&X509, &Key) {
        (&self.certificate, &self.key)
    }

    /// A certificate with any name for any key, PEM.
    pub fn leaf_for(&self, name: &str, key: &Key, validity: Validity) -> Result<String, Error> {
        Ok(pem(&self.leaf(&[name], key, validity)?))
    }

    /// An intermediate authority, signed by this one.
    pub fn intermediate(&self, name: &str, validity: Validity) -> Result<Self, Error> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let mut builder = builder(&common_name(name)?, &key, validity)?;
        builder.set_issuer_name(self.certificate.subject_name())?;
        builder.append_extension(BasicConstraints::new().critical().ca().pathlen(0).build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().build()?)?;
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let extensions =
            [SubjectKeyIdentifier::new().build(&context)?, AuthorityKeyIdentifier::new().keyid(true).build(&context)?];
        for extension in extensions {
            builder.append_extension(extension)?;
        }
        builder.sign(&self.key, MessageDigest::sha256())?;
        Ok(Self { certificate: builder.build(), key })
    }

    fn leaf(&self, names: &[&str], key: &Key, validity: Validity) -> Result<X509, ErrorStack> {
        self.leaf_with(names, key, validity, None)
    }

    fn leaf_with(
        &self,
        names: &[&str],
        key: &Key,
        validity: Validity,
        issuer_url: Option<&str>,
    ) -> Result<X509, ErrorStack> {
        let subject = common_name(names.first().unwrap_or(&"localhost"))?;
        let mut builder = builder(&subject, key, validity)?;
        builder.set_issuer_name(self.certificate.subject_name())?;
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
        builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
        let mut alternative = SubjectAlternativeName::new();
        for name in names {
            alternative.dns(name);
        }
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let extensions = [
            alternative.build(&context)?,
            SubjectKeyIdentifier::new().build(&context)?,
            AuthorityKeyIdentifier::new().keyid(true).build(&context)?,
        ];
        for extension in extensions {
            builder.append_extension(extension)?;
        }
        if let Some(url) = issuer_url {
            #[allow(deprecated, reason = "the crate has no other API for this extension")]
            let access = X509Extension::new_nid(None, None, Nid::INFO_ACCESS, &format!("caIssuers;URI:{url}"))?;
            builder.append_extension(access)?;
        }
        builder.sign(&self.key, MessageDigest::sha256())?;
        Ok(builder.build())
    }
}

impl SigningLeaf {
    /// The certificate, PEM, without an intermediate, as SNS serves it.
    pub fn certificate_pem(&self) -> String {
        pem(&self.certificate)
    }

    /// The certificate, DER.
    pub fn certificate_der(&self) -> Vec<u8> {
        der(&self.certificate)
    }

    /// The private key that belongs to the certificate.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

impl Validity {
    /// From `from_days` to `until_days` after a moment; both may be negative.
    pub fn in_days(moment_unix_s: i64, from_days: i64, until_days: i64) -> Self {
        Self {
            not_before_unix_s: moment_unix_s + from_days * DAY_S,
            not_after_unix_s: moment_unix_s + until_days * DAY_S,
        }
    }
}

/// Makes a merchant's key pair.
pub fn merchant_key() -> Result<MerchantKey, Error> {
    let rsa = Rsa::generate(2048)?;
    let private_pem_pkcs1 = text(rsa.private_key_to_pem()?);
    let key = PKey::from_rsa(rsa)?;
    Ok(MerchantKey {
        private_pem_pkcs8: text(key.private_key_to_pem_pkcs8()?),
        private_pem_pkcs1,
        public_pem: text(key.public_key_to_pem()?),
    })
}

impl MerchantKey {
    /// The private key as `BEGIN PRIVATE KEY`.
    pub fn private_pem_pkcs8(&self) -> String {
        self.private_pem_pkcs8.clone()
    }

    /// The private key as `BEGIN RSA PRIVATE KEY`.
    pub fn private_pem_pkcs1(&self) -> String {
        self.private_pem_pkcs1.clone()
    }

    /// The public key as `BEGIN PUBLIC KEY`.
    pub fn public_pem(&self) -> String {
        self.public_pem.clone()
    }
}

fn builder(name: &X509Name, key: &Key, validity: Validity) -> Result<X509Builder, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(X509_VERSION_3)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(name)?;
    builder.set_pubkey(key)?;
    let not_before = Asn1Time::from_unix(validity.not_before_unix_s)?;
    builder.set_not_before(&not_before)?;
    let not_after = Asn1Time::from_unix(validity.not_after_unix_s)?;
    builder.set_not_after(&not_after)?;
    Ok(builder)
}

fn common_name(name: &str) -> Result<X509Name, ErrorStack> {
    let mut builder = X509Name::builder()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, name)?;
    Ok(builder.build())
}

fn der(certificate: &X509) -> Vec<u8> {
    certificate.to_der().expect("a certificate has a DER form")
}

fn pem(certificate: &X509) -> String {
    text(certificate.to_pem().expect("a certificate has a PEM form"))
}

fn text(pem: Vec<u8>) -> String {
    String::from_utf8(pem).expect("PEM is ASCII")
}

const DAY_S: i64 = 86_400;
/// 2010-01-01 to 2060-01-01.
const ROOT_VALIDITY: Validity = Validity { not_before_unix_s: 1_262_304_000, not_after_unix_s: 2_840_140_800 };
/// X.509 counts its versions from zero.
const X509_VERSION_3: i32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

    #[test]
    fn signing_leaf_has_the_shape_of_an_sns_certificate() {
        let authority = Authority::new().unwrap();
        let validity = Validity::in_days(1_780_000_000, -10, 187);
        let leaf = authority.signing_leaf("sns.amazonaws.com", validity).unwrap();
        let der = leaf.certificate_der();
        let leaf = X509Certificate::from_der(&der).unwrap().1;
        assert_eq!(leaf.subject().to_string(), "CN=sns.amazonaws.com");
        let times = [leaf.validity().not_before, leaf.validity().not_after];
        let wanted = [validity.not_before_unix_s, validity.not_after_unix_s];
        assert_eq!(times.map(|time| time.timestamp()), wanted);
        let usage = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && !usage.client_auth && !leaf.is_ca());
        let names = leaf.subject_alternative_name().unwrap().unwrap().value;
        assert_eq!(names.general_names, [GeneralName::DNSName("sns.amazonaws.com")]);
        let leaf = X509::from_der(&der).unwrap();
        assert!(leaf.verify(&authority.key).unwrap());
        assert_eq!(leaf.public_key().unwrap().bits(), 2048);
    }

    #[test]
    fn merchant_key_has_both_private_formats() {
        let key = merchant_key().unwrap();
        let public = PKey::public_key_from_pem(key.public_pem().as_bytes()).unwrap();
        let forms = [
            (key.private_pem_pkcs1(), "-----BEGIN RSA PRIVATE KEY-----"),
            (key.private_pem_pkcs8(), "-----BEGIN PRIVATE KEY-----"),
        ];
        for (pem, first_line) in forms {
            assert!(pem.starts_with(first_line));
            let private = PKey::private_key_from_pem(pem.as_bytes()).unwrap();
            assert!(private.public_eq(&public));
        }
    }
}
