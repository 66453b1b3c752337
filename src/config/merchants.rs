//! `[[merchants]]`: whose IPNs are accepted, and with which key their objects are read.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::key_files::{Fingerprint, KeyFiles};
use super::{Mistake, mistake};
use crate::domain::ipn::routing::{Merchant, Merchants};
use crate::domain::pay::{Account, ApiKey, Environment, MerchantId, Region};
use crate::domain::sns::{AwsRegion, SignatureVersion, TopicArn, TopicPolicy, TopicRule};

/// One merchant in one environment, with its key.
#[derive(Debug)]
pub struct MerchantAccount {
    /// The account, and the topics of its IPNs.
    pub merchant: Merchant,
    /// The region of the Amazon Pay API.
    pub region: Region,
    /// Where its buyers update their payment method, if not at the page of the region.
    pub update_url: Option<String>,
    /// The credentials of its requests; none in a role that sends none.
    pub credentials: Option<Credentials>,
}

/// The credentials of a merchant's requests.
#[derive(Debug)]
pub struct Credentials {
    /// The key.
    pub api_key: ApiKey,
    /// The files that it was read from.
    pub files: KeyFiles,
    /// The fingerprint of the files at that time.
    pub fingerprint: Fingerprint,
}

/// The table as it is in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MerchantSetting {
    id: MerchantId,
    region: Region,
    environment: Environment,
    public_key_id: Option<String>,
    public_key_id_file: Option<PathBuf>,
    private_key_file: PathBuf,
    topic_owners: Option<Vec<MerchantId>>,
    #[serde(default)]
    topic_arns: Vec<String>,
    topic_regions: Option<Vec<String>>,
    #[serde(default)]
    signature_version_min: SignatureVersionSetting,
    update_url: Option<String>,
}

/// `1` or `2`, as a string or as a number.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "serde_json::Value")]
struct SignatureVersionSetting(SignatureVersion);

impl Default for SignatureVersionSetting {
    fn default() -> Self {
        Self(SignatureVersion::V1)
    }
}

impl TryFrom<serde_json::Value> for SignatureVersionSetting {
    type Error = &'static str;

    fn try_from(value: serde_json::Value) -> Result<Self, Self::Error> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        SignatureVersion::parse(&text).map(Self).ok_or("must be 1 or 2")
    }
}

impl MerchantSetting {
    fn credentials(&self, folder: &Path) -> Result<Credentials, (&'static str, String)> {
        let files = KeyFiles::new(
            self.environment,
            self.public_key_id.as_deref(),
            self.public_key_id_file.as_deref(),
            &self.private_key_file,
            folder,
        )?;
        let (api_key, fingerprint) = files.load()?;
        Ok(Credentials { api_key, files, fingerprint })
    }
}

impl MerchantAccount {
    /// The routing table.
    pub fn table(accounts: &[Self]) -> Merchants {
        Merchants::new(accounts.iter().map(|account| account.merchant.clone()).collect())
    }
}

/// Checks every table, and loads its key if `keys_in` is given. Adds what is wrong to `mistakes`.
pub(super) fn load(
    settings: &[MerchantSetting],
    (topic_accounts, extra_topics): (&[String], &[TopicArn]),
    keys_in: Option<&Path>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<MerchantAccount> {
    let mut loaded: Vec<MerchantAccount> = Vec::new();
    for (at, setting) in settings.iter().enumerate() {
        let mut wrong = |field: &str, what: String| mistakes.push(mistake(format!("merchants[{at}].{field}"), what));
        let account = Account { merchant_id: setting.id.clone(), environment: setting.environment };
        if let Some(first) = loaded.iter().position(|other| other.merchant.account == account) {
            wrong(
                "id",
                format!(
                    "{account} is listed twice (first as merchants[{first}]); use one table for each merchant and environment"
                ),
            );
        }
        let credentials = keys_in.map(|folder| setting.credentials(folder)).transpose();
        let credentials = credentials.map_err(|(field, what)| wrong(field, what));
        let mut topics = topic_rules(setting, topic_accounts, &mut wrong);
        topics.extend(extra_topics.iter().cloned().map(TopicRule::Arn));
        if topics.is_empty() {
            wrong("topic_owners", "is empty and there are no topic_arns, so no IPN could be received; leave it out for the merchant itself".to_owned());
        }
        let topics = TopicPolicy::demanding(setting.signature_version_min.0, topics);
        let update_url = setting.update_url.clone();
        if update_url.as_ref().is_some_and(|url| !is_update_url(url)) {
            mistakes.push(mistake(format!("merchants[{at}].update_url"), UPDATE_URL_RULE));
        }
        if let Ok(credentials) = credentials {
            let merchant = Merchant { account, topics };
            loaded.push(MerchantAccount { merchant, region: setting.region, update_url, credentials });
        }
    }
    loaded
}

/// Whether the text is a page where buyers update their payment method.
pub(super) fn is_update_url(url: &str) -> bool {
    let rest = url.replacen("{ChargePermissionId}", "", 1);
    let host = rest.strip_prefix("https://").and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    !host.is_empty() && !rest.contains(|character: char| "{}".contains(character) || character.is_whitespace())
}

fn topic_rules(setting: &MerchantSetting, accounts: &[String], wrong: &mut impl FnMut(&str, String)) -> Vec<TopicRule> {
    let regions = setting.topic_regions.clone().unwrap_or_else(|| default_topic_regions(setting.region));
    for region in &regions {
        if let Err(what) = check_topic_region(region) {
            wrong("topic_regions", what);
        }
    }
    let owners = setting.topic_owners.clone().unwrap_or_else(|| vec![setting.id.clone()]);
    let mut rules: Vec<TopicRule> = owners
        .iter()
        .map(|owner| TopicRule::Owner {
            owner: owner.as_str().to_owned(),
            accounts: accounts.to_vec(),
            regions: regions.clone(),
        })
        .collect();
    for arn in &setting.topic_arns {
        match parse_topic_arn(arn) {
            Ok(arn) => rules.push(TopicRule::Arn(arn)),
            Err(what) => wrong("topic_arns", what),
        }
    }
    rules
}

/// Reads a topic whose messages can be verified, or says what is wrong.
pub(super) fn parse_topic_arn(text: &str) -> Result<TopicArn, String> {
    let arn = TopicArn::parse(text)
        .ok_or_else(|| format!("{text:?} is not a topic; write arn:aws:sns:REGION:ACCOUNT:NAME"))?;
    check_topic_region(arn.region())?;
    if arn.partition() != "aws" {
        return Err(format!("{text:?} is not in the AWS partition aws, the only one whose messages can be verified"));
    }
    Ok(arn)
}

/// Whether SNS in this region signs with certificates that can be verified.
fn check_topic_region(text: &str) -> Result<(), String> {
    let region = AwsRegion::parse(text)
        .ok_or_else(|| format!("{text:?} is not the name of an AWS region; write it like eu-west-1"))?;
    let partition = region.partition();
    if partition.is_verifiable() {
        return Ok(());
    }
    Err(format!(
        "{text} is in the AWS partition {}; Amazon Pay has no topics there, and messages from there cannot be verified",
        partition.name
    ))
}

/// What [`is_update_url`] accepts.
const UPDATE_URL_RULE: &str =
    "must start with https:// and have no other placeholder than {ChargePermissionId}, at most once";

/// The regions in which topics of Amazon Pay were observed. For Japan none was: the regions that are likely.
fn default_topic_regions(region: Region) -> Vec<String> {
    let regions: &[&str] = match region {
        Region::Na => &["us-east-1"],
        Region::Eu => &["eu-west-1"],
        Region::Jp => &["ap-northeast-1", "us-west-2", "us-east-1"],
    };
    regions.iter().map(|region| (*region).to_owned()).collect()
}
