//! `check`: line by line, whether `serve` would find what it needs, and what to do where not.
//!
//! It asks what `serve` asks, with the same settings and clients. It joins no group, appends nothing and changes nothing;
//! what its proofs leave behind is said in `acl_probes`.

mod acl_probes;
mod amazon;
mod kafka;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use self::report::{Line, Report};
use crate::amazon::Clients;
use crate::config::{self, Config};
use crate::kafka::acls::PrincipalRole;

/// What is to be looked at, and how it is told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration (TOML). Environment variables IPN_RECEIVER__TABLE__SETTING override it.
    #[arg(long, value_name = "FILE", env = "IPN_RECEIVER_CONFIG")]
    config: PathBuf,
    /// Whose rights are looked at: those of `serve` in this role (default: the setting `role`), or of another command.
    #[arg(long, value_parser = ["all", "ingest", "worker", "topics", "redrive", "recheck", "inspect"])]
    role: Option<String>,
    /// The configuration and its key files alone; nothing is asked of anybody.
    #[arg(long)]
    offline: bool,
    /// One JSON object a line, the last one with the counts.
    #[arg(long)]
    json: bool,
}

/// Looks at everything. The exit code is 1 if something fails.
pub async fn run(arguments: &Arguments, environment: impl Iterator<Item = (String, String)>) -> ExitCode {
    let mut report = if arguments.json { Report::json() } else { Report::text() };
    look(arguments, environment, &mut report).await;
    if report.end() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn look(arguments: &Arguments, environment: impl Iterator<Item = (String, String)>, report: &mut Report) {
    let role = arguments.role.as_deref();
    let command = role.and_then(command);
    let serve_as = role.filter(|_| command.is_none()).map(|role| (config::ROLE_VARIABLE.to_owned(), role.to_owned()));
    let config = match Config::load(&arguments.config, environment.chain(serve_as)) {
        Ok(config) => config,
        Err(error) => {
            for mistake in error.mistakes() {
                let check = if mistake.is_about_a_key() { "key" } else { "configuration" };
                report.tell(&Line::fail(check, mistake.to_string(), format!("mend {}", error.file().display())));
            }
            return;
        }
    };
    tell_settings(&config, report);
    if arguments.offline {
        return;
    }
    kafka::look(&config, &command.map_or_else(|| PrincipalRole::of(config.role), |user| vec![user]), report).await;
    // The commands beside `serve` ask nothing of Amazon.
    if command.is_some() {
        return;
    }
    match Clients::internet(&config) {
        Ok(clients) => amazon::look(config, &clients, report).await,
        Err(error) => {
            let remedy = "install this system's CA certificates (Debian: ca-certificates)";
            report.tell(&Line::fail("certificates", format!("no HTTP client: {error}"), remedy));
        }
    }
}

fn command(role: &str) -> Option<PrincipalRole> {
    let commands = [PrincipalRole::Topics, PrincipalRole::Redrive, PrincipalRole::Recheck, PrincipalRole::Inspect];
    commands.into_iter().find(|user| user.as_str() == role)
}

fn tell_settings(config: &Config, report: &mut Report) {
    let merchants: Vec<String> = config.merchants.iter().map(|account| account.merchant.account.to_string()).collect();
    report.tell(&Line::pass("configuration", format!("role {}, {}", config.role.as_str(), merchants.join(", "))));
    if config.development.is_some() {
        report.tell(&Line::warn(
            "configuration",
            "[development] makes it believe whoever controls what is named there",
            "remove the table for production",
        ));
    }
    for account in &config.merchants {
        if account.credentials.is_some() {
            let whose = &account.merchant.account;
            report.tell(&Line::pass("key", format!("{whose}: the private key can be read and can sign")));
        }
    }
}
