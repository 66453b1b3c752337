//! The allowed URLs of certificates: of the signing certificate, and of its issuer's certificate.

use super::policy::Policy;
use super::topic_policy::is_label;

/// The URL of a signing certificate:
/// `https://sns.<region>.amazonaws.com/SimpleNotificationService-<32 hex>.pem`, and nothing else.
///
/// A development setting can add origins. A certificate from such an origin keeps [`CertSource::Development`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SigningCertUrl {
    url: String,
    source: CertSource,
}

/// The owner of the certificate at a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertSource {
    /// Amazon SNS in this region: issuer, name, key and validity are checked.
    Region(String),
    /// A development origin: only the key is used.
    Development,
}

/// Why a URL is not a certificate URL of Amazon SNS in an allowed region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCertUrl {
    /// Another scheme, or no URL.
    #[error("SigningCertURL does not begin with https://")]
    Scheme,
    /// Another host, a port or userinfo.
    #[error("SigningCertURL is not at https://sns.<region>.amazonaws.com")]
    Host,
    /// The host of a region that no allowed topic uses.
    #[error("SigningCertURL is in {0:?}, where no allowed topic is (merchants[].topic_regions)")]
    Region(String),
    /// Another path, or text after the path.
    #[error("SigningCertURL's path is not /SimpleNotificationService-<32 hex>.pem")]
    Path,
}

impl SigningCertUrl {
    /// Parses the text of `SigningCertURL`. Each part must match exactly, so userinfo, a port, a query, a fragment, dot
    /// segments and percent signs are refused.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, RefusedCertUrl> {
        let source = match region_of(text) {
            Ok(region) if policy.topics.names_region(region) => CertSource::Region(region.to_owned()),
            _ if policy.development_origins.iter().any(|origin| origin.file_of(text).is_some_and(is_cert_file)) => {
                CertSource::Development
            }
            Ok(region) => return Err(RefusedCertUrl::Region(region.to_owned())),
            Err(refused) => return Err(refused),
        };
        Ok(Self { url: text.to_owned(), source })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The owner of the certificate.
    pub fn source(&self) -> &CertSource {
        &self.source
    }

    /// The 32 hex digits of the file name. For every known certificate they are the MD5 of its DER form.
    pub fn hash(&self) -> &str {
        &self.url[self.url.len() - CERT_FILE_SUFFIX.len() - HASH_DIGITS..self.url.len() - CERT_FILE_SUFFIX.len()]
    }
}

/// The URL at which a certificate says that its issuer's certificate is (authority information access, "CA issuers").
/// Only hosts of Amazon Trust Services are allowed; they publish these files over plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IssuerUrl(String);

impl IssuerUrl {
    /// Parses `http://<name>.amazontrust.com/<file>`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, file) = text.strip_prefix("http://")?.split_once('/')?;
        let name = host.strip_suffix(".amazontrust.com")?;
        let is_file = !file.is_empty()
            && !file.starts_with('.')
            && file.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        (name.split('.').all(is_label) && is_file).then(|| Self(text.to_owned()))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The region in a URL that is valid in all other parts.
fn region_of(url: &str) -> Result<&str, RefusedCertUrl> {
    let rest = url.strip_prefix("https://").ok_or(RefusedCertUrl::Scheme)?;
    let (host, file) = rest.split_once('/').ok_or(RefusedCertUrl::Host)?;
    let region = host.strip_prefix("sns.").and_then(|rest| rest.strip_suffix(".amazonaws.com"));
    let region = region.filter(|region| is_label(region)).ok_or(RefusedCertUrl::Host)?;
    if is_cert_file(file) { Ok(region) } else { Err(RefusedCertUrl::Path) }
}

fn is_cert_file(name: &str) -> bool {
    name.strip_prefix(CERT_FILE_PREFIX).and_then(|rest| rest.strip_suffix(CERT_FILE_SUFFIX)).is_some_and(|hash| {
        hash.len() == HASH_DIGITS && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

const CERT_FILE_PREFIX: &str = "SimpleNotificationService-";
const CERT_FILE_SUFFIX: &str = ".pem";
const HASH_DIGITS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sns::{DevelopmentOrigin, TopicArn, TopicPolicy, TopicRule};

    const FILE: &str = "SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem";

    fn policy() -> Policy {
        let topic = TopicArn::parse("arn:aws:sns:eu-west-1:291180941288:X").unwrap();
        Policy {
            development_origins: vec![DevelopmentOrigin::parse("http://localhost:4566/_aws/sns/").unwrap()],
            ..Policy::of(TopicPolicy::new(vec![TopicRule::Arn(topic)]))
        }
    }

    #[test]
    fn cert_url_distinguishes_sns_and_development_origins() {
        let source = |url: &str| SigningCertUrl::parse(url, &policy()).map(|url| url.source().clone());
        let pinned = format!("https://sns.eu-west-1.amazonaws.com/{FILE}");
        assert_eq!(source(&pinned), Ok(CertSource::Region("eu-west-1".to_owned())));
        assert_eq!(SigningCertUrl::parse(&pinned, &policy()).unwrap().hash(), "7506a1e35b36ef5a444dd1a8e7cc3ed8");
        assert_eq!(source(&format!("http://localhost:4566/_aws/sns/{FILE}")), Ok(CertSource::Development));
        let host = "https://sns.eu-west-1.amazonaws.com";
        let elsewhere = RefusedCertUrl::Region("us-east-1".to_owned());
        for (refused, why) in [
            (format!("https://sns.us-east-1.amazonaws.com/{FILE}"), elsewhere),
            (format!("http://sns.eu-west-1.amazonaws.com/{FILE}"), RefusedCertUrl::Scheme),
            (format!("{host}:443/{FILE}"), RefusedCertUrl::Host),
            (format!("https://sns..amazonaws.com/{FILE}"), RefusedCertUrl::Host),
            (format!("https://sns.EU-WEST-1.amazonaws.com/{FILE}"), RefusedCertUrl::Host),
            (format!("https://sns.eu-west-1@x.amazonaws.com/{FILE}"), RefusedCertUrl::Host),
            (format!("{host}//{FILE}"), RefusedCertUrl::Path),
            (format!("{host}/{FILE}#x"), RefusedCertUrl::Path),
            (host.to_owned(), RefusedCertUrl::Host),
            (format!("https://localhost:4566/_aws/sns/{FILE}"), RefusedCertUrl::Host),
            (format!("http://localhost:4566/{FILE}"), RefusedCertUrl::Scheme),
            (format!("http://localhost:4566/_aws/sns/../{FILE}"), RefusedCertUrl::Scheme),
            (format!("http://localhost:4566/_aws/sns/{FILE}?"), RefusedCertUrl::Scheme),
            (FILE.to_owned(), RefusedCertUrl::Scheme),
        ] {
            assert_eq!(source(&refused), Err(why), "{refused}");
        }
    }

    #[test]
    fn issuer_url_allows_amazon_trust_services_only() {
        assert!(IssuerUrl::parse("http://crt.r2m01.amazontrust.com/r2m01.cer").is_some());
        for text in [
            "https://crt.r2m01.amazontrust.com/r2m01.cer",
            "http://amazontrust.com/r2m01.cer",
            "http://evilamazontrust.com/r2m01.cer",
            "http://crt.amazontrust.com.evil.example/x",
            "http://evil.example/.amazontrust.com/x",
            "http://evil.example#.amazontrust.com/x",
            "http://u@crt.amazontrust.com/x",
            "http://crt.amazontrust.com:8080/x",
            "http://crt.amazontrust.com/a/b",
            "http://crt.amazontrust.com/..",
            "http://crt.amazontrust.com/x?y",
            "http://.amazontrust.com/x",
            "http://crt.amazontrust.com/",
        ] {
            assert_eq!(IssuerUrl::parse(text), None, "{text}");
        }
    }
}
