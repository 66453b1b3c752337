//! `recheck`: asks the worker to read objects, whether or not an IPN named them.
//!
//! It appends one record per object to the inbox. A record that is appended twice costs at most one read, so the command can
//! simply be repeated.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::try_join_all;

use super::config_file::ConfigFile;
use super::confirm::Confirmation;
use super::format::{about, counted};
use super::progress::{Medium, Progress};
use super::terminal::print_line;
use super::{Error, Exit};
use crate::clock::Clock;
use crate::config::{Config, MerchantAccount};
use crate::domain::ipn::recheck_request::Recheck;
use crate::domain::ipn::routing::Merchants;
use crate::domain::pay::{Account, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef};
use crate::kafka::acls::{self, PrincipalRole};
use crate::kafka::inbox::{AppendError, Inbox};
use crate::kafka::topics;

/// The arguments of `recheck`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// The id of the merchant that owns the objects.
    #[arg(long, value_name = "ID")]
    merchant: String,
    /// The environment of the objects. Needed only if neither the configuration nor the ids show it.
    #[arg(long, value_name = "live|sandbox", value_parser = environment)]
    environment: Option<Environment>,
    /// Ids of charge permissions, charges, refunds and disputes.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// A file with more ids, one per line; "-" is standard input. Blank lines and text after # are ignored.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The object type of all ids. Needed only for ids whose form does not show it.
    #[arg(long = "type", value_name = "charge-permission|charge|refund|dispute", value_parser = object_type)]
    object_type: Option<ObjectKind>,
    /// Record a baseline: store the state of unknown objects without publishing it. Later changes are published.
    #[arg(long)]
    seed: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// Checks the ids, asks, and appends one record per object.
pub async fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let config = arguments.config.load()?;
    let merchants = MerchantAccount::table(&config.merchants);
    let objects = objects(arguments, &merchants)?;
    let inbox_topic = config.kafka.topics().inbox;
    print_line(plan(&objects, &config, arguments))?;
    let question = format!("Append {} to {inbox_topic}?", counted(objects.len(), "record"));
    if arguments.confirmation.is_given(&question)? {
        append(&objects, &config, arguments.seed).await?;
        print_line(format!("appended {} to {inbox_topic}", counted(objects.len(), "record")))?;
    }
    Ok(Exit::Success)
}

async fn append(objects: &[ObjectRef], config: &Config, seed: bool) -> Result<(), Error> {
    let inbox = open_inbox(config).await?;
    let (requested_at, progress) = (Clock::system().now(), Progress::new(Medium::Stderr, "appended", objects.len()));
    let mut n_appended = 0;
    for chunk in objects.chunks(CHUNK) {
        let rechecks: Vec<Recheck> =
            chunk.iter().map(|object| Recheck { object: object.clone(), seed, requested_at }).collect();
        let appended = try_join_all(rechecks.iter().map(|recheck| inbox.append_recheck(recheck))).await;
        appended.map_err(|error| append_failed(config, &error, n_appended))?;
        n_appended += chunk.len();
        progress.at(n_appended, None);
    }
    progress.end();
    Ok(())
}

/// The inbox, after a check of the topics, for an operator's requests.
pub(super) async fn open_inbox(config: &Config) -> Result<Inbox, Error> {
    let found = topics::check(config).await;
    let found = found.map_err(|error| error.to_users(&config.kafka, &[PrincipalRole::Recheck]))?;
    Ok(Inbox::new(&config.kafka, found.min_in_sync_replicas)?)
}

/// Why a request was not appended: the missing ACL, if that is the cause.
pub(super) fn append_error(config: &Config, error: &AppendError) -> String {
    let inbox = config.kafka.topics().inbox;
    let lacking = error.code().and_then(|code| acls::missing_acl(&config.kafka, PrincipalRole::Recheck, &inbox, code));
    lacking.unwrap_or_else(|| error.to_string())
}

fn append_failed(config: &Config, error: &AppendError, n_appended: usize) -> Error {
    Error::Failed(format!(
        "{}; at least {} appended. Run the same command again: it costs reads, and no event is published twice",
        append_error(config, error),
        counted(n_appended, "record")
    ))
}

/// The named objects without duplicates. The error lists all mistakes at once.
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
        let more = mistakes.len().saturating_sub(MISTAKES_SHOWN_MAX);
        mistakes.truncate(MISTAKES_SHOWN_MAX);
        let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
        return Err(Error::Usage(format!("nothing was appended:\n  {}{more}", mistakes.join("\n  "))));
    }
    if objects.is_empty() {
        return Err(Error::Usage("no ids were given; add them as arguments, or one per line in --file".to_owned()));
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
    read.map_err(|error| Error::Failed(format!("--file {} cannot be read: {error}", file.display())))?;
    Ok(text)
}

pub(super) fn merchant(id: &str, merchants: &Merchants) -> Result<MerchantId, Error> {
    let known = MerchantId::parse(id).filter(|id| merchants.knows(id));
    known.ok_or_else(|| {
        let configured = list(merchants.accounts());
        Error::Usage(format!("merchant {id} is not configured; configured merchants: {configured}"))
    })
}

fn object(id: &str, merchant: &MerchantId, arguments: &Arguments, merchants: &Merchants) -> Result<ObjectRef, String> {
    let id =
        ObjectId::parse(id).ok_or_else(|| format!("{id:?} is not an id; an id has letters, digits and hyphens"))?;
    let kind = arguments.object_type.or_else(|| id.kind_hint()).ok_or_else(|| {
        format!("the form of {id} does not show its type; add --type charge-permission, charge, refund or dispute")
    })?;
    let of_merchant: Vec<&Account> = merchants.accounts().filter(|account| account.merchant_id == *merchant).collect();
    let environment = match (arguments.environment, id.environment_hint(), of_merchant.as_slice()) {
        (Some(environment), _, _) | (None, Some(environment), _) => environment,
        (None, None, [only]) => only.environment,
        (None, None, _) => return Err(format!("the form of {id} does not show its environment; add --environment")),
    };
    let account = Account { merchant_id: merchant.clone(), environment };
    if !merchants.has(&account) {
        let configured = list(merchants.accounts());
        return Err(format!("{id}: {account} is not configured; configured merchants: {configured}"));
    }
    Ok(ObjectRef { account, kind, id })
}

pub(super) fn list<'a>(accounts: impl Iterator<Item = &'a Account>) -> String {
    accounts.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What the command would append, and how long the worker's reads would take.
fn plan(objects: &[ObjectRef], config: &Config, arguments: &Arguments) -> String {
    let rules = config.quota.rules(&config.worker);
    let mut lines = vec![
        format!("to be read: {} of merchant {}", counted(objects.len(), "object"), arguments.merchant),
        format!("  {:<11}  {:<16}  {:>7}  {}", "environment", "type", "objects", "time to read"),
    ];
    for environment in Environment::ALL {
        let quota = if environment == Environment::Live { rules.live } else { rules.sandbox };
        for kind in ObjectKind::ALL {
            let of_it = |object: &&ObjectRef| object.kind == kind && object.account.environment == environment;
            let n = objects.iter().filter(of_it).count();
            if n > 0 {
                let time = about(Duration::from_secs_f64(n as f64 / quota.per_second));
                let (environment, kind) = (environment.as_str(), kind.as_str());
                lines.push(format!("  {environment:<11}  {kind:<16}  {n:>7}  about {time}"));
            }
        }
    }
    lines.push(if arguments.seed {
        "Objects without a known state are recorded as a baseline, without events (--seed). Changes of other objects are \
         published."
            .to_owned()
    } else {
        "Objects without a known state are published as new. To record them without events, add --seed.".to_owned()
    });
    lines.join("\n")
}

pub(super) fn environment(word: &str) -> Result<Environment, &'static str> {
    Environment::parse(word).ok_or("write live or sandbox")
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

/// Appends in flight at once.
const CHUNK: usize = 500;
const MISTAKES_SHOWN_MAX: usize = 20;
