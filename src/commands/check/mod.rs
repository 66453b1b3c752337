//! `check`: checks that `serve` would find everything it needs, and prints a remedy where it would not.
//!
//! It uses the same settings and clients as `serve`. It joins no consumer group, appends nothing and changes nothing;
//! `acl_probes` names the traces that it leaves on the brokers.

mod amazon;
mod kafka;

mod acl_probes;
mod report;
mod weaknesses;

use self::report::{Line, Report};
use super::config_file::ConfigFile;
use super::{Error, Exit};
use crate::amazon::Clients;
use crate::config::{self, Config};
use crate::kafka::acls::PrincipalRole;

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Check the ACLs that this role of `serve`, or this command, needs. The default is the setting `role`.
    #[arg(long, value_parser = ["all", "ingest", "worker", "topics", "redrive", "recheck", "inspect", "listen"])]
    role: Option<String>,
    /// Check only the configuration and its key files. Use no network.
    #[arg(long)]
    offline: bool,
    /// Print one JSON object per line. The last one holds the counts.
    #[arg(long)]
    json: bool,
}

/// Runs all checks. Returns [`Exit::No`] if one fails, [`Exit::Config`] if the configuration
/// cannot be used.
pub async fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let mut report = if arguments.json { Report::json() } else { Report::text() };
    let role = arguments.role.as_deref();
    let command = role.and_then(command);
    let serve_role = role.filter(|_| command.is_none()).map(|role| (config::ROLE_VARIABLE.to_owned(), role.to_owned()));
    let config = match Config::load(&arguments.config.path, std::env::vars().chain(serve_role)) {
        Ok(config) => config,
        Err(error) => {
            report_mistakes(&error, &mut report);
            report.end();
            return Ok(Exit::Config);
        }
    };
    report_settings(&config, &mut report);
    if !arguments.offline {
        check_network(config, command, &mut report).await;
    }
    Ok(if report.end() { Exit::Success } else { Exit::No })
}

/// The role of a command, unless `role` is one of `serve`.
fn command(role: &str) -> Option<PrincipalRole> {
    let is_of_serve = |role: &PrincipalRole| matches!(role, PrincipalRole::Ingest | PrincipalRole::Worker);
    PrincipalRole::ALL.into_iter().filter(|role| !is_of_serve(role)).find(|command| command.as_str() == role)
}

fn report_mistakes(error: &config::Error, report: &mut Report) {
    for mistake in error.mistakes() {
        let check = if mistake.is_about_a_key() { "key" } else { "configuration" };
        report.add(&Line::fail(
            check,
            mistake.to_string(),
            format!(
                "correct the setting or the file that this line names; the configuration file is {}",
                error.file().display()
            ),
        ));
    }
}

fn report_settings(config: &Config, report: &mut Report) {
    let merchants: Vec<String> = config.merchants.iter().map(|account| account.merchant.account.to_string()).collect();
    let what = format!("role {}, merchants {}", config.role.as_str(), merchants.join(", "));
    report.add(&Line::pass("configuration", what));
    if config.development.is_some() {
        report.add(&Line::warn(
            "configuration",
            "the table [development] is set: the receiver trusts everyone who controls the hosts that it names",
            "remove the table in production",
        ));
    }
    for account in &config.merchants {
        if account.credentials.is_some() {
            let account = &account.merchant.account;
            report.add(&Line::pass("key", format!("{account}: the private key is readable and signs")));
        }
    }
    weaknesses::weaknesses(config).iter().for_each(|weakness| report.add(weakness));
}

async fn check_network(config: Config, command: Option<PrincipalRole>, report: &mut Report) {
    let roles = command.map_or_else(|| PrincipalRole::of(config.role), |command| vec![command]);
    kafka::check(&config, &roles, report).await;
    // Only `serve` uses Amazon's hosts.
    if command.is_some() {
        return;
    }
    match Clients::internet(&config) {
        Ok(clients) => amazon::check(config, &clients, report).await,
        Err(error) => {
            let remedy = "install the CA certificates of this system (Debian: package ca-certificates)";
            report.add(&Line::fail("certificates", format!("no HTTP client can be built: {error}"), remedy));
        }
    }
}
