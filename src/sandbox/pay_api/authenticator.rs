//! Verifies the signature of requests to the simulated Amazon Pay API.
//!
//! Shares no code with the receiver's request signing.

use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Padding;
use openssl::sha::sha256;
use openssl::sign::{RsaPssSaltlen, Verifier};
use parking_lot::RwLock;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::objects::TIMESTAMP;
use super::{Environment, Error, RegisteredKey};

/// The data that request signatures are verified with.
pub(super) struct Authenticator {
    pub(super) region: &'static str,
    pub(super) host: &'static str,
    pub(super) keys: RwLock<Vec<KnownKey>>,
}

/// A registered key, parsed.
pub(super) struct KnownKey {
    id: String,
    environment: Environment,
    key: PKey<Public>,
}

/// The parts of a request that its signature covers.
pub(super) struct Incoming<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// Status, `reasonCode` and message.
#[derive(Debug, PartialEq)]
pub(super) struct Rejection(pub(super) u16, pub(super) &'static str, pub(super) &'static str);

impl Authenticator {
    /// Verifies a request by the Amazon Pay API reference, "Signing requests". Returns its environment.
    pub(super) fn verify(&self, request: &Incoming<'_>, now: OffsetDateTime) -> Result<Environment, Rejection> {
        self.check_headers(request.headers)?;
        let Authorization { key_id, signed_headers, signature } =
            authorization(request.headers).ok_or(unsigned("the authorization header is not AMZN-PAY-RSASSA-PSS-V2"))?;
        let environment =
            environment(request.uri.path(), key_id).ok_or(unsigned("the path does not fit the key id"))?;
        let keys = self.keys.read();
        let Some(known) = keys.iter().find(|known| known.id == key_id && known.environment == environment) else {
            return Err(UNKNOWN_KEY);
        };
        let is_signed = |name: &&str| signed_headers.split(';').any(|given| given == *name);
        if !SIGNED_HEADERS.iter().all(is_signed) {
            return Err(unsigned("a required header is not signed"));
        }
        if !is_near(text(request.headers, "x-amz-pay-date"), now) {
            return Err(unsigned("x-amz-pay-date is not within 5 minutes of now"));
        }
        let string_to_sign = string_to_sign(&canonical_request(request, signed_headers));
        if !verifies(&known.key, signature, &string_to_sign).unwrap_or(false) {
            return Err(unsigned("the signature does not verify"));
        }
        Ok(environment)
    }

    fn check_headers(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        let mut required = SIGNED_HEADERS.iter().chain(&["authorization"]);
        if !required.all(|name| headers.contains_key(*name)) {
            return Err(MISSING_HEADER);
        }
        let (host, region) = (text(headers, "x-amz-pay-host"), text(headers, "x-amz-pay-region"));
        if (host, region) != (self.host, self.region) {
            return Err(WRONG_REGION);
        }
        Ok(())
    }
}

fn unsigned(message: &'static str) -> Rejection {
    Rejection(401, "InvalidRequestSignature", message)
}

/// The parameters of the Authorization header.
pub(super) struct Authorization<'a> {
    pub(super) key_id: &'a str,
    /// Header names, separated by semicolons.
    pub(super) signed_headers: &'a str,
    pub(super) signature: &'a str,
}

/// Parses the Authorization header.
pub(super) fn authorization(headers: &HeaderMap) -> Option<Authorization<'_>> {
    let parameters = text(headers, "authorization").strip_prefix(ALGORITHM)?;
    let mut parts = parameters.strip_prefix(' ')?.split(", ");
    let mut part = |name| parts.next()?.strip_prefix(name)?.strip_prefix('=');
    Some(Authorization {
        key_id: part("PublicKeyId")?,
        signed_headers: part("SignedHeaders")?,
        signature: part("Signature")?,
    })
}

/// Requests with a key whose id names an environment use `/v2/…`, all others `/live/v2/…` or `/sandbox/v2/…`, as in the
/// Amazon Pay SDKs. Amazon itself may be more lenient.
fn environment(path: &str, key_id: &str) -> Option<Environment> {
    let key_id = key_id.to_ascii_uppercase();
    let of_key = if key_id.starts_with("LIVE") {
        Some(Environment::Live)
    } else if key_id.starts_with("SANDBOX") {
        Some(Environment::Sandbox)
    } else {
        None
    };
    match (of_key, path.split('/').nth(1)?) {
        (Some(environment), "v2") => Some(environment),
        (None, "live") => Some(Environment::Live),
        (None, "sandbox") => Some(Environment::Sandbox),
        _ => None,
    }
}

fn canonical_request(request: &Incoming<'_>, signed: &str) -> String {
    let mut names: Vec<&str> = signed.split(';').collect();
    names.sort_unstable();
    let mut query: Vec<&str> = request.uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let (method, path, query) = (request.method, request.uri.path(), query.join("&"));
    let mut canonical = format!("{method}\n{path}\n{query}\n");
    for name in &names {
        let value = text(request.headers, name);
        canonical.extend([name, ":", value.trim(), "\n"]);
    }
    canonical + "\n" + &names.join(";") + "\n" + &hex(&sha256(request.body))
}

fn string_to_sign(canonical_request: &str) -> String {
    let digest = sha256(canonical_request.as_bytes());
    format!("{ALGORITHM}\n{}", hex(&digest))
}

/// RSASSA-PSS with SHA-256, MGF1-SHA-256 and, in V2 of the algorithm, 32 bytes of salt.
fn verifies(key: &PKey<Public>, signature: &str, string_to_sign: &str) -> Result<bool, ErrorStack> {
    let mut verifier = Verifier::new(MessageDigest::sha256(), key)?;
    verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
    verifier.set_rsa_mgf1_md(MessageDigest::sha256())?;
    verifier.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32))?;
    let signature = BASE64.decode(signature).unwrap_or_default();
    verifier.verify_oneshot(&signature, string_to_sign.as_bytes())
}

/// The SDKs send `20260102T030405Z`; the Node.js SDK sends `2026-01-02T03:04:05Z`.
fn is_near(date: &str, now: OffsetDateTime) -> bool {
    let date = PrimitiveDateTime::parse(&date.replace(['-', ':'], ""), TIMESTAMP);
    date.is_ok_and(|date| (date.assume_utc() - now).abs() <= SKEW_MAX)
}

/// The value of a header; empty if it is absent or not text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub(super) fn parse_key(key: &RegisteredKey) -> Result<KnownKey, Error> {
    match PKey::public_key_from_pem(key.public_pem.as_bytes()) {
        Ok(public) => Ok(KnownKey { id: key.public_key_id.clone(), environment: key.environment, key: public }),
        Err(source) => Err(Error::Key { public_key_id: key.public_key_id.clone(), source }),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

pub(super) const REGIONS: [(&str, &str); 3] =
    [("na", "pay-api.amazon.com"), ("eu", "pay-api.amazon.eu"), ("jp", "pay-api.amazon.jp")];
const MISSING_HEADER: Rejection = Rejection(400, "MissingHeader", "a required header is missing");
const WRONG_REGION: Rejection =
    Rejection(400, "InvalidHeaderValue", "x-amz-pay-host or x-amz-pay-region is not of this region");
const UNKNOWN_KEY: Rejection = Rejection(401, "UnauthorizedAccess", "the key is not registered in this environment");
const ALGORITHM: &str = "AMZN-PAY-RSASSA-PSS-V2";
/// The headers that every SDK signs, also on a GET.
const SIGNED_HEADERS: [&str; 5] = ["accept", "content-type", "x-amz-pay-date", "x-amz-pay-host", "x-amz-pay-region"];
/// An assumption: Amazon does not document its limit.
const SKEW_MAX: time::Duration = time::Duration::minutes(5);

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};
    use serde_json::Value;

    /// Vectors made by the official PHP SDK, in the folder `IPN_VECTORS_DIR`.
    #[test]
    fn signatures_of_the_official_sdk_verify() {
        let Ok(folder) = std::env::var("IPN_VECTORS_DIR") else {
            return;
        };
        let read = |name| std::fs::read_to_string(format!("{folder}/amazon-pay-signing/{name}")).unwrap();
        let vectors: Value = serde_json::from_str(&read("vectors.json")).unwrap();
        for vector in vectors["vectors"].as_array().unwrap() {
            let field = |name: &str| vector[name].as_str().unwrap();
            let mut headers = HeaderMap::new();
            let signed = vector["headers"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value));
            for (name, value) in signed.chain([("authorization", &vector["authorization"])]) {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                headers.insert(name, HeaderValue::from_str(value.as_str().unwrap()).unwrap());
            }
            let uri: Uri = field("url").parse().unwrap();
            let incoming = Incoming { method: &Method::GET, uri: &uri, headers: &headers, body: b"" };
            let names = authorization(&headers).unwrap().signed_headers;
            let canonical = canonical_request(&incoming, names);
            assert_eq!(canonical, field("canonical_request"), "{}", field("id"));
            assert_eq!(string_to_sign(&canonical), field("string_to_sign"));
            let environment = if field("environment") == "live" { Environment::Live } else { Environment::Sandbox };
            let public = read("public.spki.pem");
            let public_key_id = field("public_key_id").to_owned();
            let key = parse_key(&RegisteredKey { public_key_id, public_pem: public, environment }).unwrap();
            let (region, host) = REGIONS.into_iter().find(|(region, _)| *region == field("region")).unwrap();
            let date = PrimitiveDateTime::parse(field("x_amz_pay_date"), TIMESTAMP).unwrap().assume_utc();
            assert_eq!(Authenticator { region, host, keys: vec![key].into() }.verify(&incoming, date), Ok(environment));
        }
    }
}
