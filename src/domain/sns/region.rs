//! AWS regions and partitions: which names a region can have, and which regions this version can verify.

/// The name of an AWS region, such as `eu-west-1`. That the region exists is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwsRegion<'a>(&'a str);

/// A group of AWS regions with its own host names and its own certificates.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// As ARNs name it.
    pub name: &'static str,
    /// How the names of its regions begin.
    region_prefix: &'static str,
    /// How the hosts of its services end.
    dns_suffix: &'static str,
}

impl<'a> AwsRegion<'a> {
    /// Reads words of letters, then a number, joined by hyphens. A word with a digit is none: `s3-eu-west-1` is the end
    /// of S3's hosts, where `sns` can be anyone's bucket.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (words, number) = text.rsplit_once('-')?;
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_number = matches!(number.len(), 1 | 2) && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_region =
            text.len() <= REGION_BYTES_MAX && is_number && words.contains('-') && words.split('-').all(is_word);
        is_region.then_some(Self(text))
    }

    /// The name.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The partition that regions of such a name belong to.
    pub fn partition(self) -> &'static Partition {
        OTHER_PARTITIONS.iter().find(|partition| self.0.starts_with(partition.region_prefix)).unwrap_or(&AWS)
    }

    /// The region of the host `sns.<region>.<suffix of its partition>`.
    pub(super) fn of_sns_host(host: &'a str) -> Option<Self> {
        let (region, suffix) = host.strip_prefix("sns.")?.split_once('.')?;
        Self::parse(region).filter(|region| region.partition().dns_suffix == suffix)
    }

    /// Whether it is a region of 2026. Anyone can make up other names, so these are not logged one by one.
    pub fn is_known(self) -> bool {
        KNOWN.contains(&self.0) || OWN_SIGNING_NAME.contains(&self.0)
    }
}

impl Partition {
    /// Whether it is the partition of the commercial regions. Amazon Pay has topics in no other, and in the others SNS
    /// signs with certificates of other names.
    pub fn is_verifiable(&self) -> bool {
        self == &AWS
    }
}

/// Longer names are none; the longest today has 14 bytes.
const REGION_BYTES_MAX: usize = 32;

/// The partition of the commercial regions.
const AWS: Partition = Partition { name: "aws", region_prefix: "", dns_suffix: "amazonaws.com" };

/// Source: `partitions.json` of the AWS SDKs.
const OTHER_PARTITIONS: [Partition; 7] = [
    Partition { name: "aws-cn", region_prefix: "cn-", dns_suffix: "amazonaws.com.cn" },
    Partition { name: "aws-us-gov", region_prefix: "us-gov-", dns_suffix: "amazonaws.com" },
    Partition { name: "aws-eusc", region_prefix: "eusc-", dns_suffix: "amazonaws.eu" },
    Partition { name: "aws-iso", region_prefix: "us-iso-", dns_suffix: "c2s.ic.gov" },
    Partition { name: "aws-iso-b", region_prefix: "us-isob-", dns_suffix: "sc2s.sgov.gov" },
    Partition { name: "aws-iso-e", region_prefix: "eu-isoe-", dns_suffix: "cloud.adc-e.uk" },
    Partition { name: "aws-iso-f", region_prefix: "us-isof-", dns_suffix: "csp.hci.ic.gov" },
];

/// The other regions of 2026. A region that is missing here works as well; only its log lines are throttled together
/// with those of other unknown names.
const KNOWN: [&str; 19] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-south-1",
    "us-gov-west-1",
    "us-gov-east-1",
];

/// Opt-in regions, in which SNS signs with a name of its own (see AWS SDK for Java v2).
pub(super) const OWN_SIGNING_NAME: [&str; 17] = [
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "me-south-1",
    "me-central-1",
    "eu-south-1",
    "eu-south-2",
    "eu-central-2",
    "af-south-1",
    "il-central-1",
    "ca-west-1",
    "mx-central-1",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_region_has_the_form_of_one() {
        for name in KNOWN.into_iter().chain(OWN_SIGNING_NAME) {
            let region = AwsRegion::parse(name).unwrap();
            assert_eq!((region.is_known(), region.partition().name == "aws"), (true, !name.starts_with("us-gov")));
        }
        assert!(!AwsRegion::parse("xx-nowhere-1").unwrap().is_known());
    }

    #[test]
    fn partition_follows_from_the_name() {
        for (name, partition) in [
            ("eu-west-1", "aws"),
            ("us-east-1", "aws"),
            ("cn-northwest-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("eusc-de-east-1", "aws-eusc"),
            ("us-iso-west-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
        ] {
            assert_eq!(AwsRegion::parse(name).unwrap().partition().name, partition, "{name}");
        }
    }
}
