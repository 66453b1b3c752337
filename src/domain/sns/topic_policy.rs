//! The SNS topics that may notify the receiver.
//!
//! A valid signature proves only that *some* SNS topic sent a message, and anyone can own a topic. Amazon Pay
//! names a topic `<marketplace prefix><merchant id of the endpoint's owner>` in its own account. The prefix has no fixed
//! length, so the end of the name is compared with the owner.

use super::signature_version::SignatureVersion;

/// The parsed name of an SNS topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicArn {
    text: String,
    region: String,
    account: String,
    name: String,
}

impl TopicArn {
    /// Parses `arn:<partition>:sns:<region>:<account>:<name>`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (Some("arn"), Some(partition), Some("sns")) = (parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
        let is_partition = partition == "aws" || partition.strip_prefix("aws-").is_some_and(is_label);
        let is_region = is_label(region);
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let is_name = (1..=256).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (is_partition && is_region && is_account && is_name).then(|| Self {
            text: text.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its AWS partition.
    pub fn partition(&self) -> &str {
        self.text.split(':').nth(1).unwrap_or_default()
    }

    /// Its AWS region.
    pub fn region(&self) -> &str {
        &self.region
    }
}

/// Whether the text can be one label of an AWS host name, such as a region.
pub(super) fn is_label(text: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The longest label of a DNS name.
const LABEL_BYTES_MAX: usize = 63;

/// A rule that allows topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRule {
    /// Every topic in Amazon Pay's accounts, in these regions, whose name ends with this owner.
    Owner {
        /// The merchant id (or solution provider's id) that configured the receiver's URL in Seller Central.
        owner: String,
        /// Accounts of Amazon Pay.
        accounts: Vec<String>,
        /// AWS regions of its topics.
        regions: Vec<String>,
    },
    /// Exactly this topic.
    Arn(TopicArn),
}

impl TopicRule {
    /// Whether this rule allows `topic`.
    pub fn allows(&self, topic: &TopicArn) -> bool {
        match self {
            Self::Arn(arn) => arn == topic,
            Self::Owner { regions, .. } => regions.contains(&topic.region) && self.allows_in_any_region(topic),
        }
    }

    /// Whether `topic` falls under this rule but for its region.
    fn allows_in_any_region(&self, topic: &TopicArn) -> bool {
        match self {
            Self::Arn(arn) => arn == topic,
            Self::Owner { owner, accounts, .. } => {
                accounts.contains(&topic.account)
                    && topic.name.len() > owner.len()
                    && topic.name.ends_with(owner.as_str())
            }
        }
    }

    /// The owner of the topics of this rule. For an explicit ARN, the topic's name.
    pub fn owner(&self) -> &str {
        match self {
            Self::Arn(arn) => &arn.name,
            Self::Owner { owner, .. } => owner,
        }
    }

    fn regions(&self) -> &[String] {
        match self {
            Self::Arn(arn) => std::slice::from_ref(&arn.region),
            Self::Owner { regions, .. } => regions,
        }
    }
}

/// The rules of all merchants, each with its minimum `SignatureVersion`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicPolicy {
    rules: Vec<(TopicRule, SignatureVersion)>,
}

impl TopicPolicy {
    /// Allows a topic if one of `rules` allows it, with any `SignatureVersion`.
    pub fn new(rules: Vec<TopicRule>) -> Self {
        Self::demanding(SignatureVersion::V1, rules)
    }

    /// The same, with a minimum `SignatureVersion`.
    pub fn demanding(least: SignatureVersion, rules: Vec<TopicRule>) -> Self {
        Self { rules: rules.into_iter().map(|rule| (rule, least)).collect() }
    }

    /// Adds the rules of `more`. If both allow a topic, the higher minimum `SignatureVersion` applies.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.rules.extend(more.rules);
        self
    }

    /// Whether any rule allows `topic`.
    pub fn allows(&self, topic: &TopicArn) -> bool {
        self.rules_for(topic).next().is_some()
    }

    /// Whether a rule would allow `topic` in another region.
    pub fn allows_in_another_region(&self, topic: &TopicArn) -> bool {
        self.rules.iter().any(|(rule, _)| rule.allows_in_any_region(topic))
    }

    /// The owner of `topic` if it is allowed.
    pub fn owner_of(&self, topic: &TopicArn) -> Option<&str> {
        self.rules_for(topic).next().map(|(rule, _)| rule.owner())
    }

    /// The minimum `SignatureVersion` of `topic` if it is allowed.
    pub fn signature_version_min(&self, topic: &TopicArn) -> Option<SignatureVersion> {
        self.rules_for(topic).map(|(_, least)| *least).max()
    }

    /// The AWS regions of allowed topics; a region can occur more than once.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(|(rule, _)| rule.regions().iter().map(String::as_str))
    }

    /// Whether an allowed topic can be in this AWS region.
    pub fn names_region(&self, region: &str) -> bool {
        self.regions().any(|known| known == region)
    }

    fn rules_for(&self, topic: &TopicArn) -> impl Iterator<Item = &(TopicRule, SignatureVersion)> {
        self.rules.iter().filter(|(rule, _)| rule.allows(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> TopicPolicy {
        let arn = TopicArn::parse("arn:aws:sns:ap-northeast-1:123456789012:my-topic").unwrap();
        TopicPolicy::new(vec![
            TopicRule::Owner {
                owner: "A1O8CIV1A24A6X".into(),
                accounts: vec!["291180941288".into()],
                regions: vec!["eu-west-1".into()],
            },
            TopicRule::Arn(arn),
        ])
    }

    #[test]
    fn topic_is_allowed_by_account_region_owner_or_by_arn() {
        for (arn, owner) in [
            ("arn:aws:sns:eu-west-1:291180941288:A1G8446IYHA4MRA1O8CIV1A24A6X", Some("A1O8CIV1A24A6X")),
            ("arn:aws:sns:eu-west-1:291180941288:AGWSWK15IEJJ7A1O8CIV1A24A6X", Some("A1O8CIV1A24A6X")),
            ("arn:aws:sns:eu-west-1:291180941289:A1G8446IYHA4MRA1O8CIV1A24A6X", None),
            ("arn:aws:sns:us-east-1:291180941288:A1G8446IYHA4MRA1O8CIV1A24A6X", None),
            ("arn:aws:sns:eu-west-1:291180941288:A1G8446IYHA4MRA1O8CIV1A24A6Y", None),
            ("arn:aws:sns:eu-west-1:291180941288:A1O8CIV1A24A6X", None),
            ("arn:aws:sns:eu-west-1:291180941288:A1G8446IYHA4MRA1O8CIV1A24A6XANOTHER", None),
            ("arn:aws:sns:ap-northeast-1:123456789012:my-topic", Some("my-topic")),
            ("arn:aws:sns:ap-northeast-1:123456789012:my-topic2", None),
        ] {
            assert_eq!(policy().owner_of(&TopicArn::parse(arn).unwrap()), owner, "{arn}");
        }
    }

    #[test]
    fn topic_that_lacks_only_its_region_is_recognized() {
        for (arn, expected) in [
            ("arn:aws:sns:us-east-1:291180941288:A1G8446IYHA4MRA1O8CIV1A24A6X", true),
            ("arn:aws:sns:us-east-1:291180941289:A1G8446IYHA4MRA1O8CIV1A24A6X", false),
            ("arn:aws:sns:us-east-1:291180941288:A1G8446IYHA4MRA1O8CIV1A24A6Y", false),
            ("arn:aws:sns:us-east-1:123456789012:my-topic", false),
        ] {
            assert_eq!(policy().allows_in_another_region(&TopicArn::parse(arn).unwrap()), expected, "{arn}");
        }
    }

    #[test]
    fn stricter_signature_version_of_two_rules_applies() {
        let topic = TopicArn::parse("arn:aws:sns:eu-west-1:291180941288:A1G8446IYHA4MRA1O8CIV1A24A6X").unwrap();
        assert_eq!(policy().signature_version_min(&topic), Some(SignatureVersion::V1));
        let strict = TopicPolicy::demanding(SignatureVersion::V2, vec![TopicRule::Arn(topic.clone())]);
        for both in [policy().and(strict.clone()), strict.and(policy())] {
            assert_eq!(both.signature_version_min(&topic), Some(SignatureVersion::V2));
        }
        assert_eq!(TopicPolicy::default().signature_version_min(&topic), None);
    }

    #[test]
    fn only_regions_of_allowed_topics_are_allowed() {
        assert!(policy().names_region("eu-west-1") && policy().names_region("ap-northeast-1"));
        assert!(!policy().names_region("s3-eu-west-1") && !policy().names_region(""));
    }

    #[test]
    fn topic_arn_of_every_partition_is_read() {
        for text in [
            "arn:aws-cn:sns:cn-north-1:291180941288:X",
            "arn:aws-us-gov:sns:us-gov-west-1:291180941288:X",
            "arn:aws-eusc:sns:eusc-de-east-1:291180941288:X",
            "arn:aws-iso-b:sns:us-isob-east-1:291180941288:X",
        ] {
            assert_eq!(TopicArn::parse(text).map(|arn| arn.text), Some(text.to_owned()));
        }
    }

    #[test]
    fn topic_arn_has_exactly_six_valid_parts() {
        for text in [
            "",
            "arn:aws:sns:eu-west-1:291180941288",
            "arn:aws:sns:eu-west-1:29118094128:X",
            "arn:aws:sns::291180941288:X",
            "arn:aws:sns:EU-WEST-1:291180941288:X",
            "arn:aws:sns:eu-west-1\nX:291180941288:X",
            "arn:aws:sns:eu-west-1:29118094128\n:X",
            "arn:aws:sns:eu-west-1:291180941288:X:Y",
            "arn:aws:sns:eu-west-1:291180941288:X\nY",
            " arn:aws:sns:eu-west-1:291180941288:X",
            "arn:aw:sns:eu-west-1:291180941288:X",
            "arn:aws-:sns:eu-west-1:291180941288:X",
            "arn:aws-CN:sns:eu-west-1:291180941288:X",
            &format!("arn:aws-{}:sns:eu-west-1:291180941288:X", "x".repeat(64)),
            &format!("arn:aws:sns:{}:291180941288:X", "x".repeat(64)),
            "arn:aws:sns:eu-west-1:291180941288:",
        ] {
            assert_eq!(TopicArn::parse(text), None, "{text:?}");
        }
    }
}
