//! `in-charge-since`: prints since when each configured merchant has been in the receiver's charge, or requests another time.
//!
//! Only the worker that owns a merchant writes its state. So `--set` appends a request to the inbox, and that worker applies it.

use std::collections::{BTreeMap, BTreeSet};

use super::config_file::ConfigFile;
use super::confirm::Confirmation;
use super::recheck::{append_error, environment, list, merchant, open_inbox};
use super::redrive::moment;
use super::terminal::{print, print_line};
use super::topic_scan::{Offsets, Topic};
use super::{Error, Exit};
use crate::clock::Clock;
use crate::config::{Config, MerchantAccount};
use crate::domain::ipn::in_charge_request::SetInChargeSince;
use crate::domain::ipn::routing::Merchants;
use crate::domain::pay::{Account, Environment};
use crate::domain::state::in_charge::InCharge;
use crate::domain::state::partitioner::owning_partition;
use crate::domain::timestamp::Timestamp;
use crate::kafka::acls::PrincipalRole;
use crate::kafka::inbox::InboxRecord;

/// The arguments of `in-charge-since`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// With --set: the id of the merchant.
    #[arg(long, value_name = "ID", requires = "set")]
    merchant: Option<String>,
    /// With --set: the environment.
    #[arg(long, value_name = "live|sandbox", value_parser = environment, requires = "set")]
    environment: Option<Environment>,
    /// The new time, as 2026-01-02T03:04:05Z. When the receiver reads an object for the first time, what happened to it from
    /// this time on is published under its own type. It changes nothing about objects that are already known.
    #[arg(long, value_name = "TIME", value_parser = moment, requires_all = ["merchant", "environment"])]
    set: Option<Timestamp>,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// Prints the times, or asks and appends the request.
pub async fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let config = arguments.config.load()?;
    let merchants = MerchantAccount::table(&config.merchants);
    let request = request(arguments, &merchants)?;
    let accounts: Vec<Account> = match &request {
        Some(request) => vec![request.account.clone()],
        None => merchants.accounts().cloned().collect(),
    };
    let known = read(&config, &accounts)?;
    print(table(&accounts, &known))?;
    let Some(request) = request else {
        let all_known = accounts.iter().all(|account| known.contains_key(&account.to_string()));
        return Ok(if all_known { Exit::Success } else { Exit::No });
    };
    let inbox = config.kafka.topics().inbox;
    print_line(format!("to be set: {} in charge since {}", request.account, request.since))?;
    if arguments.confirmation.is_given(&format!("Append 1 record to {inbox}?"))? {
        append(&config, &request).await?;
        print_line(format!(
            "appended 1 record to {inbox}; the worker applies it. To see the result, run in-charge-since again"
        ))?;
    }
    Ok(Exit::Success)
}

/// What `--set` asks for; none without it.
fn request(arguments: &Arguments, merchants: &Merchants) -> Result<Option<SetInChargeSince>, Error> {
    let Arguments { merchant: Some(id), environment: Some(environment), set: Some(since), .. } = arguments else {
        return Ok(None);
    };
    let account = Account { merchant_id: merchant(id, merchants)?, environment: *environment };
    if !merchants.has(&account) {
        let configured = list(merchants.accounts());
        return Err(Error::Usage(format!("{account} is not configured; configured merchants: {configured}")));
    }
    let (since, requested_at) = (*since, Clock::system().now());
    if since > requested_at {
        return Err(Error::Usage(format!("--set {since} is in the future: it is {requested_at} now")));
    }
    Ok(Some(SetInChargeSince { account, since, requested_at }))
}

/// The last record of each of these accounts, by the account's text. Reads only the partitions that hold them. Blocks.
fn read(config: &Config, accounts: &[Account]) -> Result<BTreeMap<String, InCharge>, Error> {
    let kafka = &config.kafka;
    let mut topic = Topic::open(kafka, kafka.topics().state, PrincipalRole::Recheck, "in-charge-since")?;
    let partitions = i32::try_from(topic.ends.len()).unwrap_or(i32::MAX);
    let owning: BTreeSet<i32> =
        accounts.iter().map(|account| owning_partition(&account.merchant_id, partitions)).collect();
    topic.keep(&owning);
    let mut known = BTreeMap::new();
    let mut scan = topic.scan(&Offsets::new(), Some("state"))?;
    while let Some(message) = scan.next()? {
        let record = InboxRecord::from_message(&message);
        let Some((account, _)) = InCharge::of_record(&record.key, &record.value) else { continue };
        if record.value.is_empty() {
            known.remove(&account.to_string());
            continue;
        }
        let in_charge = InCharge::parse(&record.value)
            .map_err(|what| format!("the record of {account} in {} cannot be read: {what}", topic.name()))?;
        known.insert(account.to_string(), in_charge);
    }
    Ok(known)
}

fn table(accounts: &[Account], known: &BTreeMap<String, InCharge>) -> String {
    let row = |columns: [&str; 4]| {
        let [merchant, environment, since, set] = columns;
        format!("{merchant:<24}  {environment:<11}  {since:<24}  {set}\n")
    };
    let mut text = row(["merchant", "environment", "in charge since", "set by an operator"]);
    for account in accounts {
        let (since, set) = match known.get(&account.to_string()) {
            Some(InCharge { since, set_at: Some(set_at), .. }) => (since.to_string(), format!("at {set_at}")),
            Some(in_charge) => (in_charge.since.to_string(), "no".to_owned()),
            None => ("-".to_owned(), "no worker has started for this merchant".to_owned()),
        };
        text += &row([account.merchant_id.as_str(), account.environment.as_str(), &since, &set]);
    }
    text
}

async fn append(config: &Config, request: &SetInChargeSince) -> Result<(), Error> {
    let appended = open_inbox(config).await?.append_in_charge_since(request).await;
    appended.map_err(|error| Error::Failed(format!("{}; run the same command again", append_error(config, &error))))
}
