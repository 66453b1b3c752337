//! A simulated Amazon SNS on loopback: it signs messages, serves its signing certificate, confirms subscriptions and
//! posts to an endpoint as SNS does.
//!
//! It makes RSA signatures with code that it does not share with the receiver, and records every request. It never
//! retries a delivery and never subscribes an endpoint by itself.

mod delivery;
mod draft;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::sign::Signer;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::authority::{self, Authority, LOOPBACK_NAME, LoopbackServer, SigningLeaf, Validity};
pub use delivery::{Answer, post};
use draft::string_to_sign;
pub use draft::{Draft, SignatureVersion};

/// The simulated SNS of one region. It stops when it is dropped.
pub struct Sns {
    server: LoopbackServer,
    leaf: SigningLeaf,
    certificate_path: String,
    is_reached_by_address: bool,
    shared: Arc<Shared>,
}

/// The answer to a GET of the signing certificate.
#[derive(Clone, Debug)]
pub enum CertificateAnswer {
    /// 200 with the certificate.
    Good,
    /// The same after this time. Requests for other certificates take as long.
    Late(Duration),
    /// This status without a body.
    Status(u16),
    /// 200 with these bytes.
    Body(Vec<u8>),
    /// 200 with a body that never ends.
    Endless,
    /// No answer.
    Hang,
    /// 302 to this URL.
    Redirect(String),
}

/// Why the simulated SNS could not start or deliver a message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The keys, the certificate or the listener could not be created.
    #[error("the simulated SNS cannot start")]
    Start(#[from] authority::Error),
    /// OpenSSL cannot compute the MD5 digest of the signing certificate.
    #[error("OpenSSL has no MD5, which names the signing certificate; use an OpenSSL with the default provider")]
    Digest(#[from] ErrorStack),
    /// The endpoint did not answer completely within 15 seconds.
    #[error("no complete answer from {url} within 15 s; check that the receiver listens there")]
    Post {
        /// The URL of the endpoint.
        url: String,
        /// The error of the HTTP client.
        source: reqwest::Error,
    },
}

impl Sns {
    /// Starts SNS of a region with a certificate for `sns.amazonaws.com`, valid from 10 days ago for 197 days. Opt-in
    /// regions sign under another name and need `start_with_leaf`.
    pub async fn start(authority: &Authority, region: &str) -> Result<Self, Error> {
        let validity = Validity::in_days(OffsetDateTime::now_utc().unix_timestamp(), -10, 187);
        let leaf = authority.signing_leaf("sns.amazonaws.com", validity)?;
        Self::start_with_leaf(authority, region, leaf).await
    }

    /// Starts SNS with this signing certificate, for example an expired one or one of another authority.
    pub async fn start_with_leaf(authority: &Authority, region: &str, leaf: SigningLeaf) -> Result<Self, Error> {
        // Not documented, but true for all known files: the name holds the MD5 of the DER certificate.
        let md5 = hash(MessageDigest::md5(), &leaf.certificate_der())?;
        let certificate_path = format!("/SimpleNotificationService-{}.pem", hex(&md5));
        let host = format!("sns.{region}.amazonaws.com");
        let shared = Arc::new(Shared {
            host: host.clone(),
            certificate_path: certificate_path.clone(),
            certificate_pem: leaf.certificate_pem(),
            log: Mutex::new(Log {
                certificate_answer: CertificateAnswer::Good,
                any_certificate_path: false,
                requests: Vec::new(),
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

    /// Stops the server and waits until it has stopped.
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    /// The listening address.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The host name of the region, as in every signed URL.
    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// The `SigningCertURL` of its messages. It has no port, as in real messages, unless `reach_by_address` was called.
    pub fn signing_cert_url(&self) -> String {
        let path = &self.certificate_path;
        if self.is_reached_by_address {
            format!("{}{path}", self.endpoint())
        } else {
            format!("https://{}{path}", self.shared.host)
        }
    }

    /// Makes later messages name the certificate at the loopback address, where other processes can fetch it.
    pub fn reach_by_address(&mut self) {
        self.is_reached_by_address = true;
    }

    /// The URL at which other processes on this machine reach the server.
    pub fn endpoint(&self) -> String {
        format!("https://{LOOPBACK_NAME}:{}", self.address().port())
    }

    /// The number of requests for the signing certificate, whatever their answer.
    pub fn certificate_fetches(&self) -> usize {
        let own = format!("GET {}", self.certificate_path);
        self.shared.log().requests.iter().filter(|request| **request == own).count()
    }

    /// The number of requests for a certificate of any name.
    pub fn certificate_fetches_of_any_name(&self) -> usize {
        let requests = &self.shared.log().requests;
        requests.iter().filter(|request| request.starts_with("GET /SimpleNotificationService-")).count()
    }

    /// Method, path and query of every request so far.
    pub fn requests(&self) -> Vec<String> {
        self.shared.log().requests.clone()
    }

    /// The topics with a confirmed subscription, in order.
    pub fn confirmed(&self) -> Vec<String> {
        self.shared.log().confirmed.clone()
    }

    /// Sets the answer to requests for the certificate.
    pub fn set_certificate_answer(&self, answer: CertificateAnswer) {
        self.shared.log().certificate_answer = answer;
    }

    /// Serves the configured certificate answer under any certificate name.
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

    /// The body of a `SubscriptionConfirmation`; from then on its token can be confirmed. Real tokens have about 250 hex
    /// digits.
    pub fn subscription_confirmation(&self, draft: &Draft, token: &str) -> String {
        self.confirmation("SubscriptionConfirmation", draft, token, &self.subscribe_url(draft, token))
    }

    /// The body of an `UnsubscribeConfirmation`; confirming its token would subscribe the endpoint again.
    pub fn unsubscribe_confirmation(&self, draft: &Draft, token: &str) -> String {
        self.confirmation("UnsubscribeConfirmation", draft, token, &self.subscribe_url(draft, token))
    }

    /// A `SubscriptionConfirmation` with another `SubscribeURL`, as a topic owner could make SNS sign.
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

    /// Signs the fields and formats the body as SNS does, with one `"Key" : "value"` per line.
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
    certificate_path: String,
    certificate_pem: String,
    log: Mutex<Log>,
}

struct Log {
    certificate_answer: CertificateAnswer,
    any_certificate_path: bool,
    requests: Vec<String>,
    /// `TopicArn` and `Token` of every confirmation that was made.
    tokens: HashSet<(String, String)>,
    confirmed: Vec<String>,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock()
    }
}

async fn answer(request: HttpRequest, shared: web::Data<Shared>, body: web::Bytes) -> HttpResponse {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let target = format!("{} {target}", request.method());
    let (certificate_answer, any_path) = {
        let mut log = shared.log();
        log.requests.push(target.clone());
        (log.certificate_answer.clone(), log.any_certificate_path)
    };
    if let CertificateAnswer::Late(delay) = certificate_answer {
        tokio::time::sleep(delay).await;
    }
    let Shared { certificate_path, certificate_pem, .. } = &**shared;
    if target == format!("GET {certificate_path}")
        || (any_path && target.starts_with("GET /SimpleNotificationService-"))
    {
        certificate(certificate_answer, certificate_pem).await
    } else if target == "POST /" {
        query_api(&shared, &body)
    } else {
        HttpResponse::NotFound().finish()
    }
}

async fn certificate(answer: CertificateAnswer, pem: &str) -> HttpResponse {
    match answer {
        CertificateAnswer::Good | CertificateAnswer::Late(_) => HttpResponse::Ok().body(pem.to_owned()),
        CertificateAnswer::Status(status) => {
            HttpResponse::new(StatusCode::from_u16(status).expect("the test sets a valid HTTP status"))
        }
        CertificateAnswer::Body(body) => HttpResponse::Ok().body(body),
        CertificateAnswer::Endless => HttpResponse::Ok().streaming(futures_util::stream::repeat_with(|| {
            Ok::<_, std::convert::Infallible>(web::Bytes::from_static(b"-----BEGIN CERTIFICATE-----\n"))
        })),
        CertificateAnswer::Hang => std::future::pending().await,
        CertificateAnswer::Redirect(url) => HttpResponse::Found().insert_header((LOCATION, url)).finish(),
    }
}

/// The only action of the SNS query API that the receiver uses (Amazon SNS API reference: `ConfirmSubscription`).
fn query_api(shared: &Shared, body: &[u8]) -> HttpResponse {
    let form = web::Query::<HashMap<String, String>>::from_query(&String::from_utf8_lossy(body));
    let Ok(web::Query(mut form)) = form else {
        return error_response("MalformedQueryString", "not a query string");
    };
    if form.get("Action").map(String::as_str) != Some("ConfirmSubscription") {
        return error_response("InvalidAction", "only ConfirmSubscription is supported");
    }
    let mut take = |name| form.remove(name).unwrap_or_default();
    let (topic_arn, token) = (take("TopicArn"), take("Token"));
    let mut log = shared.log();
    if !log.tokens.contains(&(topic_arn.clone(), token)) {
        return error_response("InvalidParameter", "Invalid parameter: Token");
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

fn error_response(code: &str, message: &str) -> HttpResponse {
    HttpResponse::BadRequest().content_type(ContentType::xml()).body(format!(
        "<ErrorResponse xmlns=\"{XML_NAMESPACE}\">\n  <Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error>\n  <RequestId>{}</RequestId>\n</ErrorResponse>\n",
        Uuid::new_v4()
    ))
}

/// The subscription of the one endpoint to a topic; its id depends only on the topic.
fn subscription_arn(topic_arn: &str) -> String {
    format!("{topic_arn}:{}", Uuid::new_v5(&Uuid::NAMESPACE_URL, topic_arn.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The samples in the Amazon SNS developer guide show Subject between `TopicArn` and Message.
const SUBJECT_AFTER_TOPIC: usize = 3;
const XML_NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";
