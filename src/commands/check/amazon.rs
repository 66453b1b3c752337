//! Amazon's side: the hosts of signing certificates, each merchant's credentials, and the clock.

use std::collections::BTreeSet;
use std::time::Duration;

use super::report::{Line, Report, waiting_for};
use crate::amazon::Clients;
use crate::amazon::clock_skew::{ClockWatch, Peer};
use crate::amazon::pay_api::{ApiKeys, Blame, Disposition, PayApi};
use crate::config::{Config, MerchantAccount};
use crate::domain::pay::{Account, Environment, ObjectId, ObjectKind, ObjectRef};
use crate::http::client::error_chain;

pub(super) async fn look(mut config: Config, clients: &Clients, report: &mut Report) {
    let clock_watch = ClockWatch::new(clients.clock, Duration::from_secs(config.admin.clock_offset_max_s));
    if config.role.takes() {
        look_at_certificate_hosts(&config, clients, &clock_watch, report).await;
    }
    let accounts = std::mem::take(&mut config.merchants);
    if config.role.works() {
        look_at_credentials(&config, accounts, clients, &clock_watch, report).await;
    }
    report.tell(&match clock_watch.comparison() {
        Some(Ok(())) => Line::pass("clock", "agrees with Amazon's"),
        Some(Err(trouble)) => Line::fail("clock", trouble, "set this machine's clock (NTP)"),
        None => Line::warn(
            "clock",
            "could not be compared with Amazon's, since no host of Amazon's told its time",
            "make the hosts above reachable",
        ),
    });
}

async fn look_at_certificate_hosts(config: &Config, clients: &Clients, clock_watch: &ClockWatch, report: &mut Report) {
    let policy = config.policy(&MerchantAccount::table(&config.merchants));
    let timeout = Duration::from_millis(config.sns.certificate_timeout_ms);
    let regions: BTreeSet<String> = policy.topics.regions().map(str::to_owned).collect();
    let hosts = regions.iter().map(|region| {
        (
            format!("https://sns.{region}.amazonaws.com/"),
            &clients.cert_authorities.signing_certs,
            Some(Peer::CertificateHost),
        )
    });
    let origins = policy
        .development_origins
        .iter()
        .map(|origin| (origin.as_str().to_owned(), &clients.cert_authorities.development, None));
    for (url, client, peer) in hosts.chain(origins) {
        waiting_for(&format!("asking {url}, {} s at most", timeout.as_secs_f64()));
        let answer = client.head(&url).timeout(timeout).send().await;
        if let Some(peer) = peer {
            clock_watch.note(peer, &answer);
        }
        report.tell(&match answer {
            Ok(_) => Line::pass("certificates", format!("{url} answers")),
            Err(error) => Line::fail(
                "certificates",
                format!("{url} cannot be reached: {}", error_chain(error)),
                "let this machine reach it (DNS, firewall, network policy): without it no notification can be proven genuine",
            ),
        });
    }
}

async fn look_at_credentials(
    config: &Config,
    accounts: Vec<MerchantAccount>,
    clients: &Clients,
    clock_watch: &ClockWatch,
    report: &mut Report,
) {
    let whose: Vec<Account> = accounts.iter().map(|account| account.merchant.account.clone()).collect();
    let pay_api = PayApi::new(
        clients.pay_api.clone(),
        config.development.as_ref().and_then(|development| development.pay_api_endpoint.clone()),
        ApiKeys::new(accounts),
        &config.pay_api,
        config.events.free_text,
        clock_watch.clone(),
    );
    for account in whose {
        waiting_for(&format!("asking Amazon Pay as {account}, {} s at most", config.pay_api.timeout_ms.div_ceil(1000)));
        let read = pay_api.read(&nothing_of(&account)).await;
        report.tell(&judged(&account, read));
    }
}

/// An object that cannot exist: its 404 comes only after key, clock and path were found good.
fn nothing_of(account: &Account) -> ObjectRef {
    let id = match account.environment {
        Environment::Live => "P00-0000000-0000000",
        Environment::Sandbox => "S00-0000000-0000000",
    };
    let id = ObjectId::parse(id).expect("digits and hyphens are an id");
    ObjectRef { account: account.clone(), kind: ObjectKind::ChargePermission, id }
}

/// Any other answer than "no such object" tells what is wrong.
fn judged(account: &Account, read: Disposition) -> Line {
    let fail = |what: &str, remedy: &str| Line::fail("credentials", format!("{account}: {what}"), remedy);
    match read {
        Disposition::NotFound(_) | Disposition::Fetched(_) => {
            Line::pass("credentials", format!("{account}: Amazon Pay takes key, clock and path"))
        }
        Disposition::Systemic(Blame::Credentials, what) if what.contains("answered 401") => fail(
            &what,
            "Amazon does not take the signature: public_key_id and private_key_file must be one pair of this region and \
             environment (Seller Central > Integration Central), and the clock must be right",
        ),
        Disposition::Systemic(Blame::Credentials, what) => fail(
            &what,
            "Amazon knows the key and refuses the account: see in Seller Central whether the account is active, and whether the \
             key belongs to this merchant",
        ),
        Disposition::Systemic(Blame::Network, what) => {
            fail(&what, "let this machine reach the Amazon Pay API (DNS, firewall, network policy, proxy)")
        }
        Disposition::Systemic(Blame::Amazon, what) => {
            Line::warn("credentials", format!("{account}: {what}"), "Amazon is in trouble: repeat this later")
        }
        Disposition::Throttled { .. } => Line::warn(
            "credentials",
            format!("{account}: Amazon Pay throttles this merchant now"),
            "repeat this when fewer requests are made with this account",
        ),
        Disposition::ObjectError(what) => fail(&what, "see whether region and environment are the merchant's"),
    }
}
