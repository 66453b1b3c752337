//! LocalStack's SNS as far as a receiver meets it: it signs with a certificate of its own (self-signed, CA:TRUE, no
//! alternative name, no extended key usage) and serves that by plain HTTP below `/_aws/sns/`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use openssl::x509::extension::BasicConstraints;
use openssl::x509::{X509, X509NameBuilder};
use serde_json::{Value, json};

use crate::harness::http_server;

/// Topics of LocalStack belong to this account.
pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:ipn";
const CERTIFICATE: &str = "SimpleNotificationService-6c6f63616c737461636b69736e696365.pem";

pub(crate) struct LocalStack {
    address: SocketAddr,
    key: PKey<Private>,
    pem: String,
    n_confirmed: Arc<AtomicUsize>,
}

impl LocalStack {
    pub(crate) fn start() -> Self {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let pem = certificate(&key);
        let n_confirmed = Arc::new(AtomicUsize::new(0));
        let (served, counter) = (pem.clone(), n_confirmed.clone());
        let address = http_server(move |app| {
            let (served, counter) = (served.clone(), counter.clone());
            let certificate = web::get().to(move || {
                let served = served.clone();
                async move { HttpResponse::Ok().body(served) }
            });
            let confirm = web::post().to(move |form: String| {
                assert!(form.contains("Action=ConfirmSubscription"), "{form}");
                counter.fetch_add(1, Ordering::SeqCst);
                async { HttpResponse::Ok().content_type("text/xml").body(CONFIRMED) }
            });
            app.route(&format!("/_aws/sns/{CERTIFICATE}"), certificate).route("/", confirm);
        });
        Self { address, key, pem, n_confirmed }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    pub(crate) fn certificate_origin(&self) -> String {
        format!("{}/_aws/sns/", self.endpoint())
    }

    pub(crate) fn certificate_pem(&self) -> String {
        self.pem.clone()
    }

    pub(crate) fn confirmed(&self) -> usize {
        self.n_confirmed.load(Ordering::SeqCst)
    }

    pub(crate) fn notification(&self, topic: &str) -> String {
        self.signed(json!({"Message": "a message", "TopicArn": topic, "Type": "Notification"}))
    }

    pub(crate) fn subscription_confirmation(&self) -> String {
        let url = format!("{}/?Action=ConfirmSubscription", self.endpoint());
        self.signed(json!({"Message": "please", "SubscribeURL": url, "Token": "00ff", "TopicArn": TOPIC,
            "Type": "SubscriptionConfirmation"}))
    }

    fn signed(&self, mut fields: Value) -> String {
        let now = ipn_receiver::clock::Clock::system().now();
        fields["MessageId"] = json!(uuid::Uuid::new_v4());
        fields["Timestamp"] = json!(now);
        let mut names: Vec<&String> = fields.as_object().unwrap().keys().collect();
        names.sort();
        let text: String =
            names.iter().flat_map(|name| [name.as_str(), "\n", fields[*name].as_str().unwrap(), "\n"]).collect();
        let mut signer = Signer::new(MessageDigest::sha1(), &self.key).unwrap();
        let signature = signer.sign_oneshot_to_vec(text.as_bytes()).unwrap();
        fields["SignatureVersion"] = json!("1");
        fields["Signature"] = json!(STANDARD.encode(signature));
        fields["SigningCertURL"] = json!(format!("{}{CERTIFICATE}", self.certificate_origin()));
        fields.to_string()
    }
}

fn certificate(key: &PKey<Private>) -> String {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "LocalStack").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(365).unwrap()).unwrap();
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    String::from_utf8(builder.build().to_pem().unwrap()).unwrap()
}

const CONFIRMED: &str = "<ConfirmSubscriptionResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
    <ConfirmSubscriptionResult><SubscriptionArn>arn:aws:sns:us-east-1:000000000000:ipn:1</SubscriptionArn>\
    </ConfirmSubscriptionResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></ConfirmSubscriptionResponse>";
