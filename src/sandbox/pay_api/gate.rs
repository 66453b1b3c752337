//! The gate of the loopback Amazon Pay API: lets only rightly signed requests pass.
//!
//! Promises: code that shares nothing with the receiver's own signing. Never looks at an object.

use std::sync::{PoisonError, RwLock};

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
use time::{OffsetDateTime, PrimitiveDateTime};

use super::objects::TIMESTAMP;
use super::{Environment, Error, RegisteredKey};

/// What a request's signature is checked against.
pub(super) struct Gate {
    pub(super) region: &'static str,
    pub(super) host: &'static str,
    pub(super) keys: RwLock<Vec<(String, Environment, PKey<Public>)>>,
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
pub(super) struct Refusal(pub(super) u16, pub(super) &'static str, pub(super) &'static str);

impl Gate {
    /// Lets a request pass that is signed as the Amazon Pay API reference, "Signing requests", demands, and tells the
    /// environment it is for.
    pub(super) fn admit(&self, request: &Incoming<'_>, now: OffsetDateTime) -> Result<Environment, Refusal> {
        self.check_headers(request.headers)?;
        let (key_id, signed, signature) =
            authorization(request.headers).ok_or(unsigned("authorization is not of AMZN-PAY-RSASSA-PSS-V2"))?;
        let environment =
            environment(request.uri.path(), key_id).ok_or(unsigned("the path does not fit the kind of key"))?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let Some((.., key)) = keys.iter().find(|(id, of, _)| id == key_id && *of == environment) else {
            return Err(UNKNOWN_KEY);
        };
        let is_signed = |name: &&str| signed.split(';').any(|given| given == *name);
        if !SIGNED_HEADERS.iter().all(is_signed) {
            return Err(unsigned("a header that must be signed is not"));
        }
        if !is_near(text(request.headers, "x-amz-pay-date"), now) {
            return Err(unsigned("x-amz-pay-date is not within 5 minutes of now"));
        }
        let string_to_sign = string_to_sign(&canonical_request(request, signed));
        if !verifies(key, signature, &string_to_sign).unwrap_or(false) {
            return Err(unsigned("the signature does not verify"));
        }
        Ok(environment)
    }

    fn check_headers(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut required = SIGNED_HEADERS.iter().chain(&["authorization"]);
        if !required.all(|name| headers.contains_key(*name)) {
            return Err(MISSING_HEADER);
        }
        let (host, region) = (text(headers, "x-amz-pay-host"), text(headers, "x-amz-pay-region"));
        if (host, region) != (self.host, self.region) {
            return Err(STRANGE_REGION);
        }
        Ok(())
    }
}

fn unsigned(message: &'static str) -> Refusal {
    Refusal(401, "InvalidRequestSignature", message)
}

/// Key id, signed headers and signature of the Authorization header.
pub(super) fn authorization(headers: &HeaderMap) -> Option<(&str, &str, &str)> {
    let parameters = text(headers, "authorization").strip_prefix(ALGORITHM)?;
    let mut parts = parameters.strip_prefix(' ')?.split(", ");
    let mut part = |name| parts.next()?.strip_prefix(name)?.strip_prefix('=');
    Some((part("PublicKeyId")?, part("SignedHeaders")?, part("Signature")?))
}

/// Keys with an environment in their id call `/v2/…`, all others `/live/v2/…` or `/sandbox/v2/…` (Amazon Pay SDKs).
/// Amazon may be more lenient; a receiver that keeps to the SDKs' way need not find out.
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

/// The SDKs send `20260102T030405Z` or, the Node.js one, `2026-01-02T03:04:05Z`.
fn is_near(date: &str, now: OffsetDateTime) -> bool {
    let date = PrimitiveDateTime::parse(&date.replace(['-', ':'], ""), TIMESTAMP);
    date.is_ok_and(|date| (date.assume_utc() - now).abs() <= SKEW_MAX)
}

/// A header's value, empty where it is absent or no text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub(super) fn parse_key(key: &RegisteredKey) -> Result<(String, Environment, PKey<Public>), Error> {
    match PKey::public_key_from_pem(key.public_pem.as_bytes()) {
        Ok(public) => Ok((key.public_key_id.clone(), key.environment, public)),
        Err(source) => Err(Error::Key { public_key_id: key.public_key_id.clone(), source }),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

pub(super) const REGIONS: [(&str, &str); 3] =
    [("na", "pay-api.amazon.com"), ("eu", "pay-api.amazon.eu"), ("jp", "pay-api.amazon.jp")];
const MISSING_HEADER: Refusal = Refusal(400, "MissingHeader", "a header is missing");
const STRANGE_REGION: Refusal = Refusal(400, "InvalidHeaderValue", "host or region is another");
const UNKNOWN_KEY: Refusal = Refusal(401, "UnauthorizedAccess", "no such key in this environment");
const ALGORITHM: &str = "AMZN-PAY-RSASSA-PSS-V2";
/// What every SDK signs, on a GET too.
const SIGNED_HEADERS: [&str; 5] = ["accept", "content-type", "x-amz-pay-date", "x-amz-pay-host", "x-amz-pay-region"];
/// Amazon does not tell its own.
const SKEW_MAX: time::Duration = time::Duration::minutes(5);
#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};
    use serde_json::Value;

    /// Vectors made by the official PHP SDK; `IPN_VECTORS_DIR` tells where they lie.
    #[test]
    fn signatures_of_the_official_sdk_are_admitted() {
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
            let (_, names, _) = authorization(&headers).unwrap();
            let canonical = canonical_request(&incoming, names);
            assert_eq!(canonical, field("canonical_request"), "{}", field("id"));
            assert_eq!(string_to_sign(&canonical), field("string_to_sign"));
            let environment = if field("environment") == "live" { Environment::Live } else { Environment::Sandbox };
            let public = read("public.spki.pem");
            let public_key_id = field("public_key_id").to_owned();
            let key = parse_key(&RegisteredKey { public_key_id, public_pem: public, environment }).unwrap();
            let (region, host) = REGIONS.into_iter().find(|(region, _)| *region == field("region")).unwrap();
            let date = PrimitiveDateTime::parse(field("x_amz_pay_date"), TIMESTAMP).unwrap().assume_utc();
            assert_eq!(Gate { region, host, keys: vec![key].into() }.admit(&incoming, date), Ok(environment));
        }
    }
}
