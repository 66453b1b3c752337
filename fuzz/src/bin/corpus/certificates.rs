//! Certificates of many shapes: those that must pass, and those that must not although an authority signed them.
//!
//! Their files' names begin with what they are for (`ipn_receiver_fuzz::authority`).

use ipn_receiver::sandbox::authority::{Authority, Validity};
use ipn_receiver_fuzz::authority::pem;
use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Extension, X509Name};

use super::Seed;

/// DER, and the same file as PEM in some ways.
pub fn certificates() -> Vec<Seed> {
    let mut made = of_the_sandbox();
    made.extend(of_our_own());
    let (_, leaf) = made.iter().find(|(name, _)| name == "good-rsa").unwrap();
    let text = pem(leaf, "\n");
    let files = [
        ("pem-lf", text.clone()),
        ("pem-crlf", pem(leaf, "\r\n")),
        ("pem-one-line", text.replace('\n', "")),
        ("pem-around", format!("<xml>{text}</xml>")),
        ("pem-two", text.repeat(2)),
        ("pem-headers", text.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1)),
        ("pem-no-certificate", pem(b"no certificate", "\n")),
    ]
    .map(|(name, text)| (format!("{name}.pem"), text.into_bytes()));
    made.into_iter().map(|(name, der)| (format!("{name}.der"), der)).chain(files).collect()
}

fn of_the_sandbox() -> Vec<Seed> {
    let authority = Authority::new().unwrap();
    let leaf = |name: &str, validity| authority.signing_leaf(name, validity).unwrap().certificate_der();
    let this_year = Validity { not_before_unix_s: NOW_UNIX_S - 10 * DAY_S, not_after_unix_s: NOW_UNIX_S + 187 * DAY_S };
    let named = |(name, der): (&str, Vec<u8>)| (name.to_owned(), der);
    [
        ("root-sandbox", authority.certificate_der()),
        ("good-sandbox", leaf("sns.amazonaws.com", this_year)),
        ("good-sandbox-own-name", leaf("sns-signing.af-south-1.amazonaws.com", this_year)),
        ("good-sandbox-expired", leaf("sns.amazonaws.com", Validity::in_days(NOW_UNIX_S, -400, -35))),
        ("bad-sandbox-stranger", leaf("stranger.example", this_year)),
    ]
    .map(named)
    .into()
}

fn of_our_own() -> Vec<Seed> {
    let root = Shape::authority("fuzz root", rsa(2048)).self_signed();
    let elliptic = Shape::authority("fuzz elliptic root", elliptic_key(Nid::X9_62_PRIME256V1)).self_signed();
    let between = Shape::authority("fuzz issuer", rsa(2048)).signed_by(&root);
    let elliptic_between = Shape::authority("fuzz P-384 issuer", elliptic_key(Nid::SECP384R1)).signed_by(&elliptic);
    let narrow = Shape { extra: vec![only_below("example.com")], ..Shape::authority("fuzz narrow issuer", rsa(2048)) };
    let narrow = narrow.signed_by(&root);
    let past = Shape { days: (-900, -500), ..Shape::authority("fuzz past issuer", rsa(2048)) }.signed_by(&root);
    let stranger = Shape::authority("fuzz root", rsa(2048)).self_signed();

    let leaf = || Shape::leaf("sns.amazonaws.com");
    let amazon_like = Shape {
        extra: vec![authority_info(&[
            (OCSP, "http://ocsp.r2m01.amazontrust.com"),
            (CA_ISSUERS, "http://crt.r2m01.amazontrust.com/r2m01.cer"),
        ])],
        names: vec!["sns.amazonaws.com", "sns.af-south-1.amazonaws.com"],
        usage: Some(ExtendedKeyUsage::new().server_auth().client_auth().build().unwrap()),
        ..leaf()
    };
    let many_issuers: Vec<_> =
        ["a", "b", "c"].into_iter().map(|file| (CA_ISSUERS, format!("http://crt.amazontrust.com/{file}"))).collect();
    let many_issuers: Vec<_> = many_issuers.iter().map(|(oid, url)| (*oid, url.as_str())).collect();
    let client = ExtendedKeyUsage::new().client_auth().build().unwrap();

    let good = [
        ("root-rsa", root.der()),
        ("root-elliptic", elliptic.der()),
        ("issuer-rsa", between.der()),
        ("issuer-elliptic", elliptic_between.der()),
        ("issuer-narrow", narrow.der()),
        ("issuer-past", past.der()),
        ("good-rsa", leaf().signed_by(&root).der()),
        ("good-amazon-like", amazon_like.signed_by(&between).der()),
        ("good-common-name", Shape { names: vec![], ..leaf() }.signed_by(&root).der()),
        ("good-below-elliptic", leaf().signed_by(&elliptic).der()),
        ("good-below-p384", Shape { digest: MessageDigest::sha384(), ..leaf() }.signed_by(&elliptic_between).der()),
        ("good-sha512", Shape { digest: MessageDigest::sha512(), ..leaf() }.signed_by(&root).der()),
        ("good-many-issuers", Shape { extra: vec![authority_info(&many_issuers)], ..leaf() }.signed_by(&root).der()),
        ("good-late", Shape { days: (0, 12_000), ..leaf() }.signed_by(&root).der()),
    ];
    let bad = [
        ("bad-elliptic-key", Shape { key: elliptic_key(Nid::X9_62_PRIME256V1), ..leaf() }.signed_by(&root).der()),
        ("bad-short-key", Shape { key: rsa(1024), ..leaf() }.signed_by(&root).der()),
        ("bad-no-usage", Shape { usage: None, ..leaf() }.signed_by(&root).der()),
        ("bad-client", Shape { usage: Some(client), ..leaf() }.signed_by(&root).der()),
        ("bad-other-name", Shape { names: vec!["sns.amazonaws.com.example"], ..leaf() }.signed_by(&root).der()),
        ("bad-sha1", Shape { digest: MessageDigest::sha1(), ..leaf() }.signed_by(&root).der()),
        ("bad-authority", Shape { is_authority: true, ..leaf() }.signed_by(&root).der()),
        ("bad-narrow", leaf().signed_by(&narrow).der()),
        ("bad-past-issuer", leaf().signed_by(&past).der()),
        ("bad-critical", Shape { extra: vec![unknown_and_critical()], ..leaf() }.signed_by(&root).der()),
        ("bad-self-signed", leaf().self_signed().der()),
        ("bad-stranger", leaf().signed_by(&stranger).der()),
        ("bad-version-1", Shape { version: 0, names: vec![], ..leaf() }.signed_by(&root).der()),
        ("bad-never-valid", Shape { days: (100, -100), ..leaf() }.signed_by(&root).der()),
    ];
    good.into_iter().chain(bad).map(|(name, der)| (name.to_owned(), der)).collect()
}

/// What a certificate says.
struct Shape {
    common_name: &'static str,
    /// None: no alternative names at all.
    names: Vec<&'static str>,
    key: PKey<Private>,
    /// From when until when, in days after [`NOW_UNIX_S`].
    days: (i64, i64),
    is_authority: bool,
    usage: Option<X509Extension>,
    extra: Vec<X509Extension>,
    digest: MessageDigest,
    /// X.509 counts its versions from zero.
    version: i32,
}

/// A certificate with its key.
struct Made {
    certificate: X509,
    key: PKey<Private>,
}

impl Shape {
    fn leaf(name: &'static str) -> Self {
        let usage = Some(ExtendedKeyUsage::new().server_auth().build().unwrap());
        Self { names: vec![name], is_authority: false, usage, days: (-10, 187), ..Self::authority(name, rsa(2048)) }
    }

    fn authority(common_name: &'static str, key: PKey<Private>) -> Self {
        Self {
            common_name,
            names: Vec::new(),
            key,
            days: (-1000, 5000),
            is_authority: true,
            usage: None,
            extra: Vec::new(),
            digest: MessageDigest::sha256(),
            version: 2,
        }
    }

    fn self_signed(self) -> Made {
        let (name, key) = (common_name(self.common_name), self.key.clone());
        self.signed(&name, &key)
    }

    fn signed_by(self, issuer: &Made) -> Made {
        let name = issuer.certificate.subject_name().to_owned().unwrap();
        self.signed(&name, &issuer.key)
    }

    fn signed(mut self, issuer: &X509Name, issuer_key: &PKey<Private>) -> Made {
        let mut builder = X509::builder().unwrap();
        builder.set_version(self.version).unwrap();
        builder.set_serial_number(&BigNum::from_u32(0x0123_4567).unwrap().to_asn1_integer().unwrap()).unwrap();
        builder.set_issuer_name(issuer).unwrap();
        builder.set_subject_name(&common_name(self.common_name)).unwrap();
        builder.set_pubkey(&self.key).unwrap();
        let time = |days: i64| Asn1Time::from_unix(NOW_UNIX_S + days * DAY_S).unwrap();
        builder.set_not_before(&time(self.days.0)).unwrap();
        builder.set_not_after(&time(self.days.1)).unwrap();
        let extensions = self.extensions(&builder.x509v3_context(None, None));
        for extension in extensions {
            builder.append_extension(extension).unwrap();
        }
        builder.sign(issuer_key, self.digest).unwrap();
        Made { certificate: builder.build(), key: self.key }
    }

    fn extensions(&mut self, context: &openssl::x509::X509v3Context<'_>) -> Vec<X509Extension> {
        if self.version == 0 {
            return Vec::new();
        }
        let mut constraints = BasicConstraints::new();
        let mut key_usage = KeyUsage::new();
        if self.is_authority {
            constraints.ca();
            key_usage.key_cert_sign();
        } else {
            key_usage.digital_signature();
        }
        let mut extensions = vec![constraints.critical().build().unwrap(), key_usage.critical().build().unwrap()];
        if !self.names.is_empty() {
            let mut alternative = SubjectAlternativeName::new();
            for name in &self.names {
                alternative.dns(name);
            }
            extensions.push(alternative.build(context).unwrap());
        }
        extensions.extend(self.usage.take());
        extensions.append(&mut self.extra);
        extensions
    }
}

impl Made {
    fn der(&self) -> Vec<u8> {
        self.certificate.to_der().unwrap()
    }
}

fn rsa(n_bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(n_bits).unwrap()).unwrap()
}

fn elliptic_key(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

fn common_name(name: &str) -> X509Name {
    let mut builder = X509Name::builder().unwrap();
    builder.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    builder.build()
}

fn authority_info(places: &[(&[u8], &str)]) -> X509Extension {
    let places = places.iter().map(|(method, url)| {
        let uri = tlv(0x86, url.as_bytes());
        tlv(SEQUENCE, &[tlv(OBJECT_IDENTIFIER, method), uri].concat())
    });
    extension("1.3.6.1.5.5.7.1.1", false, &tlv(SEQUENCE, &places.collect::<Vec<_>>().concat()))
}

fn only_below(domain: &str) -> X509Extension {
    let permitted = tlv(0xa0, &tlv(SEQUENCE, &tlv(0x82, domain.as_bytes())));
    extension("2.5.29.30", true, &tlv(SEQUENCE, &permitted))
}

fn unknown_and_critical() -> X509Extension {
    extension("1.3.6.1.4.1.99999.1", true, &tlv(SEQUENCE, &[]))
}

fn extension(oid: &str, is_critical: bool, der: &[u8]) -> X509Extension {
    let value = Asn1OctetString::new_from_bytes(der).unwrap();
    X509Extension::new_from_der(&Asn1Object::from_str(oid).unwrap(), is_critical, &value).unwrap()
}

/// One DER element.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match u8::try_from(content.len()).unwrap() {
        short @ ..0x80 => vec![short],
        long => vec![0x81, long],
    };
    [&[tag], length.as_slice(), content].concat()
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// 1.3.6.1.5.5.7.48.1 and .2.
const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1];
const CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 2];
/// 2026-05-28, the hour that the targets judge at.
const NOW_UNIX_S: i64 = 1_780_000_000;
const DAY_S: i64 = 86_400;
