//! `[development]`: additions for tests, refused as soon as any merchant is live.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::merchants::parse_topic_arn;
use super::{MerchantAccount, Mistake, mistake};
use crate::domain::pay::Environment;
use crate::domain::sns::{DevelopmentOrigin, TopicArn, TrustAnchors};

/// The table, checked.
#[derive(Clone, Debug)]
pub struct Development {
    /// Further origins of signing certificates. There only the signature is checked.
    pub certificate_origins: Vec<DevelopmentOrigin>,
    /// Further root certificates, for signing certificates.
    pub trust_anchors: Option<TrustAnchors>,
    /// The same as PEM, for TLS to the endpoints of this table.
    pub trust_anchor_pems: Vec<String>,
    /// Further topics of every merchant.
    pub topics: Vec<TopicArn>,
    /// The Amazon Pay API, instead of Amazon's.
    pub pay_api_endpoint: Option<String>,
    /// The SNS API, instead of AWS's.
    pub sns_endpoint: Option<String>,
}

/// The table as it is in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DevelopmentSetting {
    #[serde(default)]
    certificate_origins: Vec<String>,
    #[serde(default)]
    trust_anchor_files: Vec<PathBuf>,
    #[serde(default)]
    topic_arns: Vec<String>,
    pay_api_endpoint: Option<String>,
    sns_endpoint: Option<String>,
}

/// Checks the table and reads its files. Adds what is wrong to `mistakes`.
pub(super) fn load(setting: &DevelopmentSetting, folder: &Path, mistakes: &mut Vec<Mistake>) -> Development {
    let mut wrong = |field: &str, what: String| mistakes.push(mistake(format!("development.{field}"), what));
    let (mut certificate_origins, mut topics, mut trust_anchor_pems) = (Vec::new(), Vec::new(), Vec::new());
    for origin in &setting.certificate_origins {
        match DevelopmentOrigin::parse(origin) {
            Some(origin) => certificate_origins.push(origin),
            None => wrong(
                "certificate_origins",
                format!(
                    "{origin:?} is not an origin; write http://HOST:PORT/FOLDER/, such as http://localhost:4566/_aws/sns/"
                ),
            ),
        }
    }
    for arn in &setting.topic_arns {
        match parse_topic_arn(arn) {
            Ok(arn) => topics.push(arn),
            Err(what) => wrong("topic_arns", what),
        }
    }
    let mut trust_anchors: Option<TrustAnchors> = None;
    for file in &setting.trust_anchor_files {
        match read_trust_anchors(&folder.join(file)) {
            Ok((pem, anchors)) => {
                trust_anchor_pems.push(pem);
                trust_anchors = Some(match trust_anchors {
                    Some(before) => before.and(anchors),
                    None => anchors,
                });
            }
            Err(what) => wrong("trust_anchor_files", what),
        }
    }
    let mut endpoint = |field: &str, url: &Option<String>| {
        let url = url.as_ref()?.trim_end_matches('/').to_owned();
        if DevelopmentOrigin::parse(&url).is_none() {
            wrong(field, format!("{url:?} is not an endpoint; write http://HOST:PORT or https://HOST:PORT"));
        }
        Some(url)
    };
    Development {
        pay_api_endpoint: endpoint("pay_api_endpoint", &setting.pay_api_endpoint),
        sns_endpoint: endpoint("sns_endpoint", &setting.sns_endpoint),
        certificate_origins,
        trust_anchors,
        trust_anchor_pems,
        topics,
    }
}

/// A file's PEM text and the root certificates in it.
fn read_trust_anchors(file: &Path) -> Result<(String, TrustAnchors), String> {
    let pem = std::fs::read_to_string(file).map_err(|io| format!("{} cannot be read: {io}", file.display()))?;
    match TrustAnchors::from_pem(&pem) {
        Ok(anchors) => Ok((pem, anchors)),
        Err(bad) => Err(format!("{}: {bad}; a PEM file of root certificates is needed", file.display())),
    }
}

/// Refuses the table if any merchant is live.
pub(super) fn check_nothing_is_live(merchants: &[MerchantAccount], mistakes: &mut Vec<Mistake>) {
    if let Some(live) = merchants.iter().find(|account| account.merchant.account.environment == Environment::Live) {
        mistakes.push(mistake(
            "development",
            format!(
                "weakens the checks of messages, and {} is live: remove the table or the merchant",
                live.merchant.account
            ),
        ));
    }
}
