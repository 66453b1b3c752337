//! `AMZN-PAY-RSASSA-PSS-V2`: how a GET to the Amazon Pay API is signed.
//!
//! The header set is the one of Amazon's PHP and .NET SDKs. The signature is RSASSA-PSS with SHA-256 and a salt
//! of 32 bytes, which V2 requires and *ring* uses.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SecureRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use zeroize::Zeroizing;

use super::ids::{Environment, ObjectId, ObjectKind, Region};
use super::private_details::DigestKey;
use crate::domain::timestamp::Timestamp;

/// A merchant's key pair registered in Seller Central. Prints as its public id only.
pub struct ApiKey {
    public_key_id: String,
    key_pair: RsaKeyPair,
    digest_key: DigestKey,
}

/// Why a private key file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadApiKey {
    /// Not `-----BEGIN PRIVATE KEY-----` or `-----BEGIN RSA PRIVATE KEY-----`.
    #[error(
        "no PEM private key found; the .pem file that Seller Central let you download is needed, starting with \"-----BEGIN PRIVATE KEY-----\" or \"-----BEGIN RSA PRIVATE KEY-----\""
    )]
    NotPem,
    /// The key is encrypted with a pass phrase, which a service cannot ask for.
    #[error("the private key is encrypted; decrypt it with: openssl pkey -in FILE -out NEW-FILE")]
    Encrypted,
    /// The public half of the pair.
    #[error(
        "this is the public key; the private one is needed, which Seller Central let you download when the pair was made"
    )]
    Public,
    /// PEM, but not an RSA key that can sign.
    #[error("not an RSA private key of 2048 to 4096 bits, unencrypted, in PKCS#8 or PKCS#1 form")]
    NotRsa,
}

impl ApiKey {
    /// Reads a private key in PEM, PKCS#8 or PKCS#1.
    pub fn from_pem(public_key_id: &str, pem: &str) -> Result<Self, BadApiKey> {
        let block = |label: &str| {
            let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
            let base64 = pem.split_once(&begin)?.1.split_once(&end)?.0;
            let base64: Zeroizing<String> = Zeroizing::new(base64.split_ascii_whitespace().collect());
            STANDARD.decode(base64.as_bytes()).ok().map(Zeroizing::new)
        };
        if pem.contains("ENCRYPTED") {
            return Err(BadApiKey::Encrypted);
        }
        if pem.contains("-----BEGIN PUBLIC KEY-----") {
            return Err(BadApiKey::Public);
        }
        if pem.contains("-----BEGIN EC PRIVATE KEY-----") {
            return Err(BadApiKey::NotRsa);
        }
        let (der, key_pair) = if let Some(der) = block("PRIVATE KEY") {
            let key_pair = RsaKeyPair::from_pkcs8(&der);
            (der, key_pair)
        } else if let Some(der) = block("RSA PRIVATE KEY") {
            let key_pair = RsaKeyPair::from_der(&der);
            (der, key_pair)
        } else {
            return Err(BadApiKey::NotPem);
        };
        let key_pair = key_pair.map_err(|_| BadApiKey::NotRsa)?;
        Ok(Self { public_key_id: public_key_id.to_owned(), key_pair, digest_key: DigestKey::derive(&der) })
    }

    /// The key for digests of private details.
    pub fn digest_key(&self) -> &DigestKey {
        &self.digest_key
    }

    /// Signs `GET` of one object.
    ///
    /// `random` is the source of the salt.
    pub fn sign_get(
        &self,
        region: Region,
        environment: Environment,
        (kind, id): (ObjectKind, &ObjectId),
        now: Timestamp,
        random: &dyn SecureRandom,
    ) -> SignedGet {
        let path = self.path(environment, kind, id);
        let date = now.basic();
        let to_sign = string_to_sign(&canonical_request(&path, region, &date));
        let mut signature = vec![0; self.key_pair.public().modulus_len()];
        self.key_pair
            .sign(&RSA_PSS_SHA256, random, to_sign.as_bytes(), &mut signature)
            .expect("the buffer has the modulus' length and RSA_PSS_SHA256 fits 2048 bits and more");
        let authorization = format!(
            "{ALGORITHM} PublicKeyId={}, SignedHeaders={SIGNED_HEADERS}, Signature={}",
            self.public_key_id,
            STANDARD.encode(signature),
        );
        SignedGet { host: region.api_host(), path, region, date, authorization }
    }

    /// Environment-specific keys (`LIVE-…`, `SANDBOX-…`) name the environment. With other keys, the path must name it.
    fn path(&self, environment: Environment, kind: ObjectKind, id: &ObjectId) -> String {
        let id_upper = self.public_key_id.to_ascii_uppercase();
        let prefix = if id_upper.starts_with("LIVE") || id_upper.starts_with("SANDBOX") {
            String::new()
        } else {
            format!("/{environment}")
        };
        format!("{prefix}/v2/{}/{id}", kind.path_segment())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", self.public_key_id)
    }
}

/// A request ready to be sent: `https://{host}{path}` with [`SignedGet::headers`].
#[derive(Clone, Debug)]
pub struct SignedGet {
    /// Host of the API.
    pub host: &'static str,
    /// Path; it needs no escaping.
    pub path: String,
    region: Region,
    date: String,
    authorization: String,
}

impl SignedGet {
    /// Every header of the request.
    pub fn headers(&self) -> [(&'static str, &str); 6] {
        [
            ("accept", CONTENT_TYPE),
            ("content-type", CONTENT_TYPE),
            ("x-amz-pay-date", &self.date),
            ("x-amz-pay-host", self.host),
            ("x-amz-pay-region", self.region.as_str()),
            ("authorization", &self.authorization),
        ]
    }
}

/// The canonical form of a `GET` without query and body.
pub fn canonical_request(path: &str, region: Region, date: &str) -> String {
    let host = region.api_host();
    format!(
        "GET\n{path}\n\naccept:{CONTENT_TYPE}\ncontent-type:{CONTENT_TYPE}\nx-amz-pay-date:{date}\n\
         x-amz-pay-host:{host}\nx-amz-pay-region:{region}\n\n{SIGNED_HEADERS}\n{EMPTY_BODY_SHA256}"
    )
}

/// The string to sign: the name of the algorithm and the hash of the canonical request.
pub fn string_to_sign(canonical_request: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, canonical_request.as_bytes());
    format!("{ALGORITHM}\n{}", super::canonical_json::hex(hash.as_ref()))
}

/// The headers under the signature, in order.
pub const SIGNED_HEADERS: &str = "accept;content-type;x-amz-pay-date;x-amz-pay-host;x-amz-pay-region";

const ALGORITHM: &str = "AMZN-PAY-RSASSA-PSS-V2";
/// Sent and signed even on a `GET`, as every SDK of Amazon does.
const CONTENT_TYPE: &str = "application/json";
const EMPTY_BODY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
