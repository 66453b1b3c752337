//! Certificates that Amazon would not issue, and a host that serves an issuer's certificate.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use ipn_receiver::sandbox::authority::{Authority, Validity};
use ipn_receiver::sandbox::sns::CertificateAnswer;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Name, X509NameBuilder};

use crate::harness::http_server;

/// A self-signed certificate.
pub(crate) fn self_signed(name: &str, validity: Validity) -> String {
    let key = rsa(2048);
    let name = common_name(&[("CN", name)]);
    signed_by(&name, &name, &key, &key, validity)
}

/// A certificate whose issuer has the name of Amazon's intermediate, with another key.
pub(crate) fn imitated_intermediate(name: &str, validity: Validity) -> String {
    let issuer = common_name(&[("C", "US"), ("O", "Amazon"), ("CN", "Amazon RSA 2048 M01")]);
    signed_by(&common_name(&[("CN", name)]), &issuer, &rsa(2048), &rsa(2048), validity)
}

/// A certificate of the right authority with a key that is too short or of another type.
pub(crate) fn odd_key(authority: &Authority, kind: &str, name: &str, validity: Validity) -> String {
    let key = match kind {
        "RSA-1024" => rsa(1024),
        "EC" => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        }
        "Ed25519" => PKey::generate_ed25519().unwrap(),
        other => panic!("{other}"),
    };
    authority.leaf_for(name, &key, validity).unwrap()
}

fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

fn common_name(parts: &[(&str, &str)]) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    for (part, value) in parts {
        name.append_entry_by_text(part, value).unwrap();
    }
    name.build()
}

fn signed_by(
    subject: &X509Name,
    issuer: &X509Name,
    key: &PKey<Private>,
    issuer_key: &PKeyRef<Private>,
    validity: Validity,
) -> String {
    let usual = Extensions { is_ca: false, dns_name: Some("sns.amazonaws.com"), usage: &["serverAuth"] };
    pem(&issue(subject, (issuer, issuer_key), key, validity, &usual))
}

/// The extensions of a certificate of the right authority with the common name `sns.amazonaws.com`.
#[derive(Debug)]
pub(crate) struct Extensions {
    pub(crate) is_ca: bool,
    pub(crate) dns_name: Option<&'static str>,
    pub(crate) usage: &'static [&'static str],
}

/// A certificate that the right authority issued with the wrong extensions, DER.
pub(crate) fn odd_extensions(authority: &Authority, validity: Validity, extensions: &Extensions) -> Vec<u8> {
    let (certificate, key) = authority.signer();
    let subject = common_name(&[("CN", "sns.amazonaws.com")]);
    let leaf_key = rsa(2048);
    let issuer = common_name(&[("CN", "ipn-receiver sandbox root")]);
    assert!(certificate.subject_name().try_cmp(&issuer).unwrap().is_eq());
    issue(&subject, (&issuer, key), &leaf_key, validity, extensions).to_der().unwrap()
}

fn issue(
    subject: &X509Name,
    (issuer, issuer_key): (&X509Name, &PKeyRef<Private>),
    key: &PKey<Private>,
    validity: Validity,
    extensions: &Extensions,
) -> X509 {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(validity.not_before_unix_s).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(validity.not_after_unix_s).unwrap()).unwrap();
    let mut constraints = BasicConstraints::new();
    if extensions.is_ca {
        constraints.ca();
    }
    builder.append_extension(constraints.critical().build().unwrap()).unwrap();
    if let Some(name) = extensions.dns_name {
        let name = SubjectAlternativeName::new().dns(name).build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(name).unwrap();
    }
    if !extensions.usage.is_empty() {
        let mut usage = ExtendedKeyUsage::new();
        extensions.usage.iter().for_each(|name| _ = usage.other(name));
        builder.append_extension(usage.build().unwrap()).unwrap();
    }
    builder.sign(issuer_key, MessageDigest::sha256()).unwrap();
    builder.build()
}

fn pem(certificate: &X509) -> String {
    String::from_utf8(certificate.to_pem().unwrap()).unwrap()
}

/// The issuer URL in the certificate.
pub(crate) const ISSUER_URL: &str = "http://crt.m09.amazontrust.com/m09.cer";

/// A host of Amazon Trust Services on loopback, over plain HTTP, with configurable answers.
pub(crate) struct IssuerHost {
    address: SocketAddr,
    answer: Arc<Mutex<CertificateAnswer>>,
    n_visits: Arc<AtomicUsize>,
}

impl IssuerHost {
    pub(crate) fn start() -> Self {
        let (answer, n_visits) = (Arc::new(Mutex::new(CertificateAnswer::Good)), Arc::new(AtomicUsize::new(0)));
        let shared = web::Data::new((answer.clone(), n_visits.clone()));
        let address = http_server(move |app| {
            app.app_data(shared.clone()).default_service(web::to(serve));
        });
        Self { address, answer, n_visits }
    }

    pub(crate) fn client(&self) -> reqwest::Client {
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .resolve("crt.m09.amazontrust.com", self.address)
            .resolve("evil.example", self.address)
            .build()
            .unwrap()
    }

    pub(crate) fn set(&self, answer: CertificateAnswer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(crate) fn n_visits(&self) -> usize {
        self.n_visits.load(Ordering::SeqCst)
    }
}

type Shared = (Arc<Mutex<CertificateAnswer>>, Arc<AtomicUsize>);

async fn serve(shared: web::Data<Shared>) -> HttpResponse {
    shared.1.fetch_add(1, Ordering::SeqCst);
    let answer = shared.0.lock().unwrap().clone();
    match answer {
        CertificateAnswer::Status(status) => HttpResponse::new(StatusCode::from_u16(status).unwrap()),
        CertificateAnswer::Body(body) => HttpResponse::Ok().body(body),
        CertificateAnswer::Redirect(url) => HttpResponse::Found().insert_header(("location", url)).finish(),
        CertificateAnswer::Good | CertificateAnswer::Late(_) | CertificateAnswer::Endless | CertificateAnswer::Hang => {
            std::future::pending().await
        }
    }
}
