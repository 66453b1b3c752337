//! A loopback Amazon SNS: it signs messages with a key of its own, serves the certificate, confirms subscriptions and
//! posts to an endpoint as SNS does.
//!
//! Promises: real RSA signatures over a string-to-sign written here, independently of the receiver's; a record of
//! every request it was sent. Never retries a delivery and never subscribes anybody by itself.

mod delivery;
mod draft;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::sign::Signer;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::authority::{self, Authority, LOOPBACK_NAME, LoopbackServer, SigningLeaf, Validity};
pub use delivery::{Answer, post};
use draft::string_to_sign;
pub use draft::{Draft, SignatureVersion};

/// SNS of one region, on the loopback interface; dropping it stops it.
pub struct Sns {
    server: LoopbackServer,
    leaf: SigningLeaf,
    certificate_path: String,
    is_reached_by_address: bool,
    shared: Arc<Shared>,
}

/// What a GET of the signing certificate is answered.
#[derive(Clone, Debug)]
pub enum CertificateAnswer {
    /// The certificate.
    Good,
    /// This status and no body.
    Status(u16),
    /// 200 with these bytes.
    Body(Vec<u8>),
    /// 200 and a body that never ends.
    Endless,
    /// Nothing, ever.
    Hang,
    /// 302 to this address.
    Redirect(String),
}

/// Why the sandbox's SNS could not start or deliver.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No keys, certificate or listener.
    #[error("the sandbox's sns cannot start: see the cause")]
    Start(#[from] authority::Error),
    /// The signing certificate has no digest.
    #[error("openssl has no md5 to name the signing certificate by: use a build with the default provider")]
    Digest(#[from] ErrorStack),
    /// The endpoint gave no whole answer within 15 seconds.
    #[error("no whole answer from {url} within 15 s: check that the receiver listens there")]
    Post {
        /// Where the message was posted to.
        url: String,
        /// What went wrong.
        source: reqwest::Error,
    },
}

impl Sns {
    /// Starts SNS for a region, with a certificate for `sns.amazonaws.com` that is valid for 197 days since 10 days
    /// ago. Opt-in regions sign under another name: they need `start_with_leaf`.
    pub async fn start(authority: &Authority, region: &str) -> Result<Self, Error> {
        let validity = Validity::in_days(OffsetDateTime::now_utc().unix_timestamp(), -10, 187);
        let leaf = authority.signing_leaf("sns.amazonaws.com", validity)?;
        Self::start_with_leaf(authority, region, leaf).await
    }

    /// The same with another signing certificate: an expired one, say, or one of another authority.
    pub async fn start_with_leaf(authority: &Authority, region: &str, leaf: SigningLeaf) -> Result<Self, Error> {
        // Undocumented, but so for all known files: the name holds the MD5 of the certificate's DER form.
        let md5 = hash(MessageDigest::md5(), &leaf.certificate_der())?;
        let certificate_path = format!("/SimpleNotificationService-{}.pem", hex(&md5));
        let host = format!("sns.{region}.amazonaws.com");
        let shared = Arc::new(Shared {
            host: host.clone(),
            certificate: (certificate_path.clone(), leaf.certificate_pem()),
            log: Mutex::new(Log {
                certificate_answer: CertificateAnswer::Good,
                any_certificate_path: false,
                visits: Vec::new(),
                tokens: HashSet::new(),
                confirmed: Vec::new(),
            }),
        });
        let state = web::Data::from(Arc::clone(&shared));
        let server = authority
            .serve(&[&host, LOOPBACK_NAME], move |app| {
                app.app_data(state.clone()).default_service(web::to(answer));
            })
            .await?;
        Ok(Self { server, leaf, certificate_path, is_reached_by_address: false, shared })
    }

    /// Stops it and waits for the end.
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The host name it answers for, as in every URL it signs.
    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// The `SigningCertURL` of its messages: no port, as with the real SNS, unless it is to be reached by its address.
    pub fn signing_cert_url(&self) -> String {
        let path = &self.certificate_path;
        if self.is_reached_by_address {
            format!("{}{path}", self.endpoint())
        } else {
            format!("https://{}{path}", self.shared.host)
        }
    }

    /// From now on its messages name the certificate where another process can fetch it.
    pub fn reach_by_address(&mut self) {
        self.is_reached_by_address = true;
    }

    /// Where another process on this machine finds it.
    pub fn endpoint(&self) -> String {
        format!("https://{LOOPBACK_NAME}:{}", self.address().port())
    }

    /// How often the signing certificate was asked for, whatever the answer.
    pub fn certificate_fetches(&self) -> usize {
        let own = format!("GET {}", self.certificate_path);
        self.shared.log().visits.iter().filter(|visit| **visit == own).count()
    }

    /// How often a certificate was asked for, by whatever name.
    pub fn certificate_fetches_of_any_name(&self) -> usize {
        let visits = &self.shared.log().visits;
        visits.iter().filter(|visit| visit.starts_with("GET /SimpleNotificationService-")).count()
    }

    /// Method and path?query of every request so far.
    pub fn visits(&self) -> Vec<String> {
        self.shared.log().visits.clone()
    }

    /// The topics whose subscription was confirmed, in order.
    pub fn confirmed(&self) -> Vec<String> {
        self.shared.log().confirmed.clone()
    }

    /// Decides what the next GETs of the certificate are answered.
    pub fn set_certificate_answer(&self, answer: CertificateAnswer) {
        self.shared.log().certificate_answer = answer;
    }

    /// Serves the certificate, or what stands for it, under any name it is asked for.
    pub fn serve_certificate_at_any_path(&self) {
        self.shared.log().any_certificate_path = true;
    }

    /// The body of a Notification.
    pub fn notification(&self, draft: &Draft) -> String {
        let mut fields = vec![
            ("Type", "Notification"),
            ("MessageId", &draft.message_id),
            ("TopicArn", &draft.topic_arn),
            ("Message", &draft.message),
            ("Timestamp", &draft.timestamp),
        ];
        if let Some(subject) = &draft.subject {
            fields.insert(SUBJECT_AFTER_TOPIC, ("Subject", subject));
        }
        let unsubscribe_url = format!(
            "https://{}/?Action=Unsubscribe&SubscriptionArn={}",
            self.host(),
            subscription_arn(&draft.topic_arn)
        );
        self.envelope(&fields, draft.version, Some(&unsubscribe_url))
    }

    /// The body of a `SubscriptionConfirmation`; its token can be confirmed from now on. SNS itself sends tokens of
    /// some 250 hex digits.
    pub fn subscription_confirmation(&self, draft: &Draft, token: &str) -> String {
        self.confirmation("SubscriptionConfirmation", draft, token, &self.subscribe_url(draft, token))
    }

    /// The body of an `UnsubscribeConfirmation`; confirming its token would subscribe the endpoint again.
    pub fn unsubscribe_confirmation(&self, draft: &Draft, token: &str) -> String {
        self.confirmation("UnsubscribeConfirmation", draft, token, &self.subscribe_url(draft, token))
    }

    /// A `SubscriptionConfirmation` that names another URL, as a topic's owner could have SNS sign it.
    pub fn subscription_confirmation_at(&self, draft: &Draft, token: &str, subscribe_url: &str) -> String {
        self.confirmation("SubscriptionConfirmation", draft, token, subscribe_url)
    }

    fn subscribe_url(&self, draft: &Draft, token: &str) -> String {
        format!("https://{}/?Action=ConfirmSubscription&TopicArn={}&Token={token}", self.host(), draft.topic_arn)
    }

    fn confirmation(&self, kind: &str, draft: &Draft, token: &str, subscribe_url: &str) -> String {
        self.shared.log().tokens.insert((draft.topic_arn.clone(), token.to_owned()));
        let fields = [
            ("Type", kind),
            ("MessageId", &draft.message_id),
            ("Token", token),
            ("TopicArn", &draft.topic_arn),
            ("Message", &draft.message),
            ("SubscribeURL", subscribe_url),
            ("Timestamp", &draft.timestamp),
        ];
        self.envelope(&fields, draft.version, None)
    }

    /// Signs the fields and lays the body out as SNS does: one `"Key" : "value"` a line.
    fn envelope(&self, signed: &[(&str, &str)], version: SignatureVersion, unsubscribe_url: Option<&str>) -> String {
        let signature = self.sign(&string_to_sign(signed), version);
        let signing_cert_url = self.signing_cert_url();
        let mut fields = signed.to_vec();
        fields.push(("SignatureVersion", version.as_str()));
        fields.push(("Signature", &signature));
        fields.push(("SigningCertURL", &signing_cert_url));
        fields.extend(unsubscribe_url.map(|url| ("UnsubscribeURL", url)));
        let lines: Vec<String> =
            fields.iter().map(|(key, value)| format!("  \"{key}\" : {}", Value::from(*value))).collect();
        format!("{{\n{}\n}}", lines.join(",\n"))
    }

    fn sign(&self, string_to_sign: &str, version: SignatureVersion) -> String {
        let digest = match version {
            SignatureVersion::V1 => MessageDigest::sha1(),
            SignatureVersion::V2 => MessageDigest::sha256(),
        };
        let signature = Signer::new(digest, self.leaf.key())
            .and_then(|mut signer| signer.sign_oneshot_to_vec(string_to_sign.as_bytes()))
            .expect("an RSA-2048 key signs any text with PKCS#1 v1.5");
        BASE64.encode(signature)
    }
}

struct Shared {
    host: String,
    /// Path and PEM.
    certificate: (String, String),
    log: Mutex<Log>,
}

struct Log {
    certificate_answer: CertificateAnswer,
    any_certificate_path: bool,
    visits: Vec<String>,
    /// (`TopicArn`, `Token`) of every confirmation sent.
    tokens: HashSet<(String, String)>,
    confirmed: Vec<String>,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("nothing panics while it holds the log")
    }
}

async fn answer(request: HttpRequest, shared: web::Data<Shared>, body: web::Bytes) -> HttpResponse {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let visit = format!("{} {target}", request.method());
    let (certificate_answer, any_path) = {
        let mut log = shared.log();
        log.visits.push(visit.clone());
        (log.certificate_answer.clone(), log.any_certificate_path)
    };
    let (certificate_path, certificate_pem) = &shared.certificate;
    if visit == format!("GET {certificate_path}") || (any_path && visit.starts_with("GET /SimpleNotificationService-"))
    {
        certificate(certificate_answer, certificate_pem).await
    } else if visit == "POST /" {
        query_api(&shared, &body)
    } else {
        HttpResponse::NotFound().finish()
    }
}

async fn certificate(answer: CertificateAnswer, pem: &str) -> HttpResponse {
    match answer {
        CertificateAnswer::Good => HttpResponse::Ok().body(pem.to_owned()),
        CertificateAnswer::Status(status) => {
            HttpResponse::new(StatusCode::from_u16(status).expect("a test asks for an HTTP status"))
        }
        CertificateAnswer::Body(body) => HttpResponse::Ok().body(body),
        CertificateAnswer::Endless => HttpResponse::Ok().streaming(futures_util::stream::repeat_with(|| {
            Ok::<_, std::convert::Infallible>(web::Bytes::from_static(b"-----BEGIN CERTIFICATE-----\n"))
        })),
        CertificateAnswer::Hang => std::future::pending().await,
        CertificateAnswer::Redirect(url) => HttpResponse::Found().insert_header((LOCATION, url)).finish(),
    }
}

/// The one action of the SNS query API that a receiver needs (Amazon SNS API reference: `ConfirmSubscription`).
fn query_api(shared: &Shared, body: &[u8]) -> HttpResponse {
    let form = web::Query::<HashMap<String, String>>::from_query(&String::from_utf8_lossy(body));
    let Ok(web::Query(mut form)) = form else {
        return refusal("MalformedQueryString", "not a query string");
    };
    if form.get("Action").map(String::as_str) != Some("ConfirmSubscription") {
        return refusal("InvalidAction", "only ConfirmSubscription is known");
    }
    let mut take = |name| form.remove(name).unwrap_or_default();
    let (topic_arn, token) = (take("TopicArn"), take("Token"));
    let mut log = shared.log();
    if !log.tokens.contains(&(topic_arn.clone(), token)) {
        return refusal("InvalidParameter", "Invalid parameter: Token");
    }
    let subscription_arn = subscription_arn(&topic_arn);
    log.confirmed.push(topic_arn);
    HttpResponse::Ok().content_type(ContentType::xml()).body(format!(
        "<ConfirmSubscriptionResponse xmlns=\"{XML_NAMESPACE}\">\n  <ConfirmSubscriptionResult>\n    \
         <SubscriptionArn>{subscription_arn}</SubscriptionArn>\n  </ConfirmSubscriptionResult>\n  \
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata>\n</ConfirmSubscriptionResponse>\n",
        Uuid::new_v4()
    ))
}

fn refusal(code: &str, message: &str) -> HttpResponse {
    HttpResponse::BadRequest().content_type(ContentType::xml()).body(format!(
        "<ErrorResponse xmlns=\"{XML_NAMESPACE}\">\n  <Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error>\n  <RequestId>{}</RequestId>\n</ErrorResponse>\n",
        Uuid::new_v4()
    ))
}

/// One endpoint has one subscription to a topic, always under the same id.
fn subscription_arn(topic_arn: &str) -> String {
    format!("{topic_arn}:{}", Uuid::new_v5(&Uuid::NAMESPACE_URL, topic_arn.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Amazon SNS developer guide: the samples show Subject between `TopicArn` and Message.
const SUBJECT_AFTER_TOPIC: usize = 3;
const XML_NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";
