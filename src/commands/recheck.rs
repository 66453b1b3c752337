//! `recheck`: the worker is asked to read objects that nobody told it of, or that it was told of in vain.
//!
//! A record for each goes into the inbox. Appending one twice costs a read at most, so the command can simply be repeated.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::confirm::Confirmation;
use super::{Error, about, counted};
use crate::clock::Clock;
use crate::commands::progress::{Medium, Progress};
use crate::config::{Config, MerchantAccount};
use crate::domain::ipn::recheck_request::Recheck;
use crate::domain::ipn::routing::Merchants;
use crate::domain::pay::{Account, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef};
use crate::kafka::acls::{self, PrincipalRole};
use crate::kafka::inbox::Inbox;
use crate::kafka::topics;

/// What is to be read.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration (TOML). Environment variables IPN_RECEIVER__TABLE__SETTING override it.
    #[arg(long, value_name = "FILE", env = "IPN_RECEIVER_CONFIG")]
    pub config: PathBuf,
    /// Whose objects.
    #[arg(long, value_name = "ID")]
    merchant: String,
    /// In which environment; needed only where neither the configuration nor the ids tell.
    #[arg(long, value_name = "live|sandbox", value_parser = environment)]
    environment: Option<Environment>,
    /// Ids of charge permissions, charges, refunds and disputes.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// More ids, one a line; blank lines and what follows a # do not count; "-" is standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What the ids are, where their form does not tell.
    #[arg(long = "type", value_name = "charge-permission|charge|refund|dispute", value_parser = object_type)]
    object_type: Option<ObjectKind>,
    /// A baseline: what nothing is known of yet is taken down and not told; later changes are.
    #[arg(long)]
    seed: bool,
    #[command(flatten)]
    consent: Confirmation,
}

/// Checks, asks, and appends.
pub async fn run(arguments: &Arguments, config: &Config) -> Result<ExitCode, Error> {
    let merchants = MerchantAccount::table(&config.merchants);
    let objects = objects(arguments, &merchants)?;
    let inbox_topic = config.kafka.topics().inbox;
    println!("{}", plan(&objects, config, arguments));
    if !arguments.consent.is_given(&format!("Append {} to {inbox_topic}?", counted(objects.len(), "record")))? {
        return Ok(ExitCode::SUCCESS);
    }
    let found = topics::check(config).await;
    let found = found.map_err(|error| error.to_users(&config.kafka, &[PrincipalRole::Recheck]))?;
    let inbox = Inbox::new(&config.kafka, found.min_in_sync_replicas)?;
    let (requested_at, progress) = (Clock::system().now(), Progress::new(Medium::Stderr, "appended", objects.len()));
    let mut n_appended = 0;
    for chunk in objects.chunks(CHUNK) {
        let rechecks: Vec<Recheck> =
            chunk.iter().map(|object| Recheck { object: object.clone(), seed: arguments.seed, requested_at }).collect();
        let appended = try_join_all(rechecks.iter().map(|recheck| inbox.append_recheck(recheck))).await;
        appended.map_err(|error| {
            let lacking = error.code().and_then(|code| acls::missing_acl(&config.kafka, PrincipalRole::Recheck, &inbox_topic, code));
            let error = lacking.unwrap_or_else(|| error.to_string());
            format!("{error}; at least {n_appended} were appended. The same command can be repeated: it costs reads, and tells nothing twice")
        })?;
        n_appended += chunk.len();
        progress.at(n_appended, None);
    }
    progress.end();
    println!("appended {} to {inbox_topic}", counted(n_appended, "record"));
    Ok(ExitCode::SUCCESS)
}

/// The objects that were named, each once. All mistakes are told at once.
fn objects(arguments: &Arguments, merchants: &Merchants) -> Result<Vec<ObjectRef>, Error> {
    let of_file = arguments.file.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let named = arguments.ids.iter().map(|id| (String::new(), id.as_str()));
    let listed = of_file.lines().enumerate().filter_map(|(at, line)| {
        let id = line.split('#').next().unwrap_or_default().trim();
        (!id.is_empty()).then(|| (format!("line {}: ", at + 1), id))
    });
    let merchant = merchant(&arguments.merchant, merchants)?;
    let (mut objects, mut seen, mut mistakes) = (Vec::new(), BTreeSet::new(), Vec::new());
    for (place, id) in named.chain(listed) {
        match object(id, &merchant, arguments, merchants) {
            Ok(object) if seen.insert(object.clone()) => objects.push(object),
            Ok(_) => {}
            Err(what) => mistakes.push(format!("{place}{what}")),
        }
    }
    if !mistakes.is_empty() {
        let more = mistakes.len().saturating_sub(MISTAKES_TOLD);
        mistakes.truncate(MISTAKES_TOLD);
        let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
        return Err(format!("nothing was appended:\n  {}{more}", mistakes.join("\n  ")).into());
    }
    if objects.is_empty() {
        return Err("no ids were given; name them, or list them in --file, one a line".into());
    }
    Ok(objects)
}

fn read_file(file: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    read.map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    Ok(text)
}

fn merchant(id: &str, merchants: &Merchants) -> Result<MerchantId, Error> {
    let known = MerchantId::parse(id).filter(|id| merchants.knows(id));
    Ok(known
        .ok_or_else(|| format!("merchant {id} is not configured; configured are: {}", list(merchants.accounts())))?)
}

fn object(id: &str, merchant: &MerchantId, arguments: &Arguments, merchants: &Merchants) -> Result<ObjectRef, String> {
    let id = ObjectId::parse(id).ok_or_else(|| format!("{id:?} is no id: ids are letters, digits and hyphens"))?;
    let kind = arguments.object_type.or_else(|| id.kind_hint()).ok_or_else(|| {
        format!("the form of {id} does not tell what it is; add --type charge-permission, charge, refund or dispute")
    })?;
    let of_merchant: Vec<&Account> = merchants.accounts().filter(|account| account.merchant_id == *merchant).collect();
    let environment = match (arguments.environment, id.environment_hint(), of_merchant.as_slice()) {
        (Some(environment), _, _) | (None, Some(environment), _) => environment,
        (None, None, [only]) => only.environment,
        (None, None, _) => return Err(format!("the form of {id} does not tell its environment; add --environment")),
    };
    let account = Account { merchant_id: merchant.clone(), environment };
    if !merchants.has(&account) {
        return Err(format!("{id}: {account} is not configured; configured are: {}", list(merchants.accounts())));
    }
    Ok(ObjectRef { account, kind, id })
}

fn list<'a>(accounts: impl Iterator<Item = &'a Account>) -> String {
    accounts.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What would be done, and for how long it keeps the worker busy.
fn plan(objects: &[ObjectRef], config: &Config, arguments: &Arguments) -> String {
    let rules = config.quota.rules(&config.worker);
    let mut lines =
        vec![format!("to be read: {} of merchant {}", counted(objects.len(), "object"), arguments.merchant)];
    for environment in [Environment::Live, Environment::Sandbox] {
        let quota = if environment == Environment::Live { rules.live } else { rules.sandbox };
        for kind in ObjectKind::ALL {
            let of_it = |object: &&ObjectRef| object.kind == kind && object.account.environment == environment;
            let n = objects.iter().filter(of_it).count();
            if n > 0 {
                let time = about(Duration::from_secs_f64(n as f64 / quota.per_second));
                lines.push(format!(
                    "  {:<8} {:<18} {n:>8}, at our part of its quota in about {time}",
                    environment.as_str(),
                    kind.as_str()
                ));
            }
        }
    }
    lines.push(if arguments.seed {
        "what nothing is known of yet is taken down and not told (--seed); other changes are told".to_owned()
    } else {
        "what nothing is known of yet is told as a first sight; --seed would only take it down".to_owned()
    });
    lines.join("\n")
}

fn environment(word: &str) -> Result<Environment, &'static str> {
    [Environment::Live, Environment::Sandbox]
        .into_iter()
        .find(|environment| environment.as_str() == word)
        .ok_or("write live or sandbox")
}

fn object_type(word: &str) -> Result<ObjectKind, &'static str> {
    match word {
        "charge-permission" => Ok(ObjectKind::ChargePermission),
        "charge" => Ok(ObjectKind::Charge),
        "refund" => Ok(ObjectKind::Refund),
        "dispute" => Ok(ObjectKind::Dispute),
        _ => Err("write charge-permission, charge, refund or dispute"),
    }
}

/// Under way at once.
const CHUNK: usize = 500;
const MISTAKES_TOLD: usize = 20;
