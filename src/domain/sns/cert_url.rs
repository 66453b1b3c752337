//! The allowed URLs of certificates: of the signing certificate, and of its issuer's certificate.

use super::policy::Policy;
use super::region::AwsRegion;
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

/// Why a URL is not a certificate URL of Amazon SNS in an allowed region. [`Region`](Self::Region) and
/// [`Partition`](Self::Partition) may be the URL of a genuine message; no region could have one of the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCertUrl {
    /// Another scheme, or no URL.
    #[error("SigningCertURL does not begin with https://")]
    Scheme,
    /// Another host, a port or userinfo.
    #[error("SigningCertURL is not at https://sns.<region>.amazonaws.com, in a region that AWS could have")]
    Host,
    /// The host of a region that no allowed topic uses.
    #[error(
        "SigningCertURL is in region {0}, and no merchant has topics there; if the topic is Amazon Pay's, add {0} to merchants[].topic_regions"
    )]
    Region(String),
    /// The host of a region in another AWS partition. No setting allows it.
    #[error(
        "SigningCertURL is in region {0} of another AWS partition; Amazon Pay has no topics there, and this version cannot verify their messages"
    )]
    Partition(String),
    /// Another path, or text after the path.
    #[error("SigningCertURL's path is not /SimpleNotificationService-<32 hex>.pem")]
    Path,
}

impl SigningCertUrl {
    /// Parses the text of `SigningCertURL`. Each part must match exactly, so userinfo, a port, a query, a fragment, dot
    /// segments and percent signs are refused.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, RefusedCertUrl> {
        let source = match region_of(text) {
            Ok(region) if region.partition().is_verifiable() && policy.topics.names_region(region.as_str()) => {
                CertSource::Region(region.as_str().to_owned())
            }
            _ if policy.development_origins.iter().any(|origin| origin.file_of(text).is_some_and(is_cert_file)) => {
                CertSource::Development
            }
            Ok(region) if !region.partition().is_verifiable() => {
                return Err(RefusedCertUrl::Partition(region.as_str().to_owned()));
            }
            Ok(region) => return Err(RefusedCertUrl::Region(region.as_str().to_owned())),
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
fn region_of(url: &str) -> Result<AwsRegion<'_>, RefusedCertUrl> {
    let rest = url.strip_prefix("https://").ok_or(RefusedCertUrl::Scheme)?;
    let (host, file) = rest.split_once('/').ok_or(RefusedCertUrl::Host)?;
    let region = AwsRegion::of_sns_host(host).ok_or(RefusedCertUrl::Host)?;
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
    fn only_names_that_no_region_could_have_are_a_wrong_host() {
        let refused = |host: &str| SigningCertUrl::parse(&format!("https://{host}/{FILE}"), &policy()).unwrap_err();
        for region in ["eu-central-1", "ap-southeast-7", "mx-central-1", "us-east-22", "xx-nowhere-1"] {
            let host = format!("sns.{region}.amazonaws.com");
            assert_eq!(refused(&host), RefusedCertUrl::Region(region.to_owned()));
            assert!(refused(&host).to_string().contains("merchants[].topic_regions"), "{}", refused(&host));
        }
        for (region, suffix) in
            [("cn-north-1", "amazonaws.com.cn"), ("us-gov-west-1", "amazonaws.com"), ("eusc-de-east-1", "amazonaws.eu")]
        {
            assert_eq!(refused(&format!("sns.{region}.{suffix}")), RefusedCertUrl::Partition(region.to_owned()));
        }
        let long = format!("sns.eu-{}-1.amazonaws.com", "x".repeat(40));
        for host in [
            "sns.s3-eu-west-1.amazonaws.com",
            "sns.s3-accelerate.amazonaws.com",
            "sns.eu.amazonaws.com",
            "sns.eu-west.amazonaws.com",
            "sns.eu-west-123.amazonaws.com",
            "sns.eu--west-1.amazonaws.com",
            "sns.-eu-west-1.amazonaws.com",
            "sns.eu-west-1-.amazonaws.com",
            "sns.eu-w3st-1.amazonaws.com",
            "sns.us-east-1.amazonaws.com.cn",
            "sns.cn-north-1.amazonaws.com",
            "sns.us-east-1.amazonaws.eu",
            "sns.us-east-1.amazonaws.com.evil.example",
            &long,
        ] {
            assert_eq!(refused(host), RefusedCertUrl::Host, "{host}");
        }
    }

    #[test]
    fn region_of_another_partition_is_refused_even_for_an_allowed_topic() {
        let topic = TopicArn::parse("arn:aws-cn:sns:cn-north-1:291180941288:X").unwrap();
        let policy = Policy::of(TopicPolicy::new(vec![TopicRule::Arn(topic)]));
        let url = format!("https://sns.cn-north-1.amazonaws.com.cn/{FILE}");
        assert_eq!(SigningCertUrl::parse(&url, &policy), Err(RefusedCertUrl::Partition("cn-north-1".to_owned())));
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
