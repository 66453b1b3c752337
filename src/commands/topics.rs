//! `topics`: creates the missing topics and prints how the existing ones differ from what the receiver needs.

use super::config_file::ConfigFile;
use super::format::counted;
use super::terminal::print_line;
use super::{Error, Exit};
use crate::config::Config;
use crate::kafka::topics::{self, Comparison, Difference, Severity};

/// The arguments of `topics`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Create nothing. Print what the command would create, and how the existing topics differ.
    #[arg(long)]
    dry_run: bool,
}

/// Creates and compares the topics. Returns [`Exit::No`] if `serve` would not start with them.
pub async fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let config = arguments.config.load()?;
    let found = if arguments.dry_run { plan(&config).await? } else { create(&config).await? };
    print_differences(&found)?;
    print_line(summary(&found))?;
    let serve_starts = found.missing.is_empty() && found.refused().next().is_none();
    Ok(if serve_starts { Exit::Success } else { Exit::No })
}

async fn create(config: &Config) -> Result<Comparison, Error> {
    for topic in &topics::create(&config.kafka).await? {
        print_line(format!("created {topic}"))?;
    }
    let found = topics::look(config).await?;
    if found.refused().next().is_none() {
        found.record_counts_if_missing(&config.kafka).await?;
    }
    Ok(found)
}

async fn plan(config: &Config) -> Result<Comparison, Error> {
    let found = topics::look(config).await?;
    for line in topics::describe_plans(&config.kafka, &found.missing) {
        print_line(format!("would create {line}"))?;
    }
    Ok(found)
}

fn print_differences(found: &Comparison) -> std::io::Result<()> {
    for Difference { severity, topic, setting, is, should_be, why, remedy } in &found.differences {
        let severity = if *severity == Severity::Refused { "FAIL" } else { "warn" };
        print_line(format!("{severity}  {topic}: {setting} is {is}, should be {should_be}"))?;
        print_line(format!("      reason: {why}"))?;
        print_line(format!("      remedy: {remedy}"))?;
    }
    Ok(())
}

fn summary(found: &Comparison) -> String {
    let (n_missing, n_refused, n_warned) = (found.missing.len(), found.refused().count(), found.warned().count());
    match (n_missing + n_refused, n_warned) {
        (0, 0) => "All topics are correct. serve starts.".to_owned(),
        (0, _) => format!("{}. serve starts.", counted(n_warned, "warning")),
        _ => format!(
            "{}, {}, {}. serve does not start: run `ipn-receiver topics` to create missing topics, and apply the remedy of each failure.",
            counted(n_missing, "missing topic"),
            counted(n_refused, "failure"),
            counted(n_warned, "warning")
        ),
    }
}
