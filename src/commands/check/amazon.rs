//! The checks `certificates`, `credentials` and `clock`: the hosts of signing certificates, each merchant's API key, and this
//! machine's clock.

use std::collections::BTreeSet;
use std::time::Duration;

use super::report::{Line, Report, waiting_for};
use crate::amazon::Clients;
use crate::amazon::clock_skew::{ClockWatch, Peer};
use crate::amazon::pay_api::{ApiKeys, Blame, Disposition, PayApi};
use crate::config::{Config, MerchantAccount};
use crate::domain::pay::{Account, Environment, ObjectId, ObjectKind, ObjectRef};
use crate::http::client::error_chain;

pub(super) async fn check(mut config: Config, clients: &Clients, report: &mut Report) {
    let clock_watch = ClockWatch::new(clients.clock, Duration::from_secs(config.admin.clock_offset_max_s));
    if config.role.receives_ipns() {
        check_certificate_hosts(&config, clients, &clock_watch, report).await;
    }
    let accounts = std::mem::take(&mut config.merchants);
    if config.role.runs_worker() {
        check_credentials(&config, accounts, clients, &clock_watch, report).await;
    }
    report.add(&match clock_watch.comparison() {
        Some(Ok(())) => Line::pass("clock", "this machine's clock agrees with Amazon's"),
        Some(Err(skew)) => Line::fail("clock", skew, "set the clock of this machine (NTP)"),
        None => Line::warn(
            "clock",
            "this machine's clock could not be compared: none of Amazon's hosts answered with its time",
            "make the hosts above reachable, and run this check again",
        ),
    });
}

/// A host that serves signing certificates.
struct CertificateHost<'a> {
    url: String,
    client: &'a reqwest::Client,
    /// Set if the host is Amazon's, so that its clock counts.
    peer: Option<Peer>,
}

fn certificate_hosts<'a>(config: &Config, clients: &'a Clients) -> Vec<CertificateHost<'a>> {
    let policy = config.policy(&MerchantAccount::table(&config.merchants));
    let regions: BTreeSet<String> = policy.topics.regions().map(str::to_owned).collect();
    let of_amazon = regions.iter().map(|region| CertificateHost {
        url: format!("https://sns.{region}.amazonaws.com/"),
        client: &clients.cert_authorities.signing_certs,
        peer: Some(Peer::CertificateHost),
    });
    let of_development = policy.development_origins.iter().map(|origin| CertificateHost {
        url: origin.as_str().to_owned(),
        client: &clients.cert_authorities.development,
        peer: None,
    });
    of_amazon.chain(of_development).collect()
}

async fn check_certificate_hosts(config: &Config, clients: &Clients, clock_watch: &ClockWatch, report: &mut Report) {
    let timeout = Duration::from_millis(config.sns.certificate_timeout_ms);
    for CertificateHost { url, client, peer } in certificate_hosts(config, clients) {
        waiting_for(&format!("requesting {url}, up to {} s", timeout.as_secs_f64()));
        let answer = client.head(&url).timeout(timeout).send().await;
        if let Some(peer) = peer {
            clock_watch.note(peer, &answer);
        }
        report.add(&match answer {
            Ok(_) => Line::pass("certificates", format!("{url} answers")),
            Err(error) => Line::fail(
                "certificates",
                format!("{url} cannot be reached: {}", error_chain(error)),
                "let this machine reach the host (DNS, firewall, network policy); without it the receiver cannot verify any IPN",
            ),
        });
    }
}

async fn check_credentials(
    config: &Config,
    accounts: Vec<MerchantAccount>,
    clients: &Clients,
    clock_watch: &ClockWatch,
    report: &mut Report,
) {
    let names: Vec<Account> = accounts.iter().map(|account| account.merchant.account.clone()).collect();
    let pay_api = PayApi::new(
        clients.pay_api.clone(),
        config.development.as_ref().and_then(|development| development.pay_api_endpoint.clone()),
        ApiKeys::new(accounts),
        &config.pay_api,
        config.events.free_text,
        clock_watch.clone(),
    );
    for account in names {
        let timeout_s = config.pay_api.timeout_ms.div_ceil(1000);
        waiting_for(&format!("requesting the Amazon Pay API as {account}, up to {timeout_s} s"));
        let read = pay_api.read(&nonexistent_object(&account)).await;
        report.add(&credentials_line(&account, read));
    }
}

/// An object that cannot exist. Amazon Pay answers 404 only after it has accepted the key, the clock and the path.
fn nonexistent_object(account: &Account) -> ObjectRef {
    let id = match account.environment {
        Environment::Live => "P00-0000000-0000000",
        Environment::Sandbox => "S00-0000000-0000000",
    };
    let id = ObjectId::parse(id).expect("digits and hyphens are an id");
    ObjectRef { account: account.clone(), kind: ObjectKind::ChargePermission, id }
}

/// Every answer other than "no such object" shows a problem.
fn credentials_line(account: &Account, read: Disposition) -> Line {
    let fail = |what: &str, remedy: &str| Line::fail("credentials", format!("{account}: {what}"), remedy);
    match read {
        Disposition::NotFound(_) | Disposition::Fetched(_) => {
            Line::pass("credentials", format!("{account}: the Amazon Pay API accepts the key"))
        }
        Disposition::Systemic(Blame::Credentials, what) if what.contains("answered 401") => fail(&what, KEY_REMEDY),
        Disposition::Systemic(Blame::Credentials, what) => fail(&what, ACCOUNT_REMEDY),
        Disposition::Systemic(Blame::Network | Blame::Timeout, what) => {
            fail(&what, "let this machine reach the Amazon Pay API (DNS, firewall, network policy, proxy)")
        }
        Disposition::Systemic(Blame::Amazon, what) => Line::warn(
            "credentials",
            format!("{account}: {what}"),
            "the Amazon Pay API has a problem; run this check again later",
        ),
        Disposition::Throttled { .. } => Line::warn(
            "credentials",
            format!("{account}: the Amazon Pay API throttles this merchant"),
            "run this check again when this merchant's other clients send fewer requests",
        ),
        Disposition::ObjectError(what) => fail(&what, "check the merchant's settings region and environment"),
    }
}

const KEY_REMEDY: &str = "Amazon Pay rejects the signature: public_key_id and private_key_file must be one pair of this region \
                          and environment (Seller Central > Integration Central), and this machine's clock must be right";
const ACCOUNT_REMEDY: &str = "Amazon Pay knows the key but rejects the account: check in Seller Central that the account is active \
                              and that the key belongs to this merchant";
