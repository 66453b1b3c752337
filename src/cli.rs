//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::Config;
use crate::outside::Outside;
use crate::sandbox;
use crate::telemetry::{self, LogFormat};
use crate::topics;

/// Receives Amazon Pay IPNs, proves them genuine, reads the authoritative state from the Amazon Pay API and
/// publishes what changed exactly once on Kafka.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How log lines on standard error look.
    #[arg(long, global = true, value_enum, default_value = "text", env = "IPN_RECEIVER_LOG_FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the receiver.
    Serve {
        /// The configuration (TOML). Environment variables IPN_RECEIVER__TABLE__SETTING override it.
        #[arg(long, value_name = "FILE", env = "IPN_RECEIVER_CONFIG")]
        config: PathBuf,
    },
    /// Create the Kafka topics that are missing, then check all of them.
    Topics {
        /// The configuration (TOML). Environment variables IPN_RECEIVER__TABLE__SETTING override it.
        #[arg(long, value_name = "FILE", env = "IPN_RECEIVER_CONFIG")]
        config: PathBuf,
    },
    /// Watch the receiver at work: a subscription's life against loopback Amazon servers. Needs nothing installed.
    Sandbox {
        /// Leave after the story; the exit code tells whether every expected event came.
        #[arg(long)]
        once: bool,
        /// Use this Kafka broker instead of the embedded mock, which cannot show exactly-once.
        #[arg(long, value_name = "HOST:PORT")]
        kafka: Option<String>,
        /// Tell the story as JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
}

/// Runs what was asked for.
pub fn run(arguments: Arguments) -> ExitCode {
    let level = match arguments.command {
        Command::Sandbox { .. } => "error,librdkafka=off",
        // What librdkafka and the HTTP server say of themselves is told in this program's own words.
        Command::Serve { .. } | Command::Topics { .. } => "info,librdkafka=off,rdkafka=off,actix_server=warn",
    };
    telemetry::log(arguments.log_format, level);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the system lets us start threads");
    let outcome = runtime.block_on(async {
        match arguments.command {
            Command::Serve { config } => serve(load(&config)?).await,
            Command::Topics { config } => make_topics(&load(&config)?).await,
            Command::Sandbox { once, kafka, json } => {
                let format = if json { sandbox::Format::Json } else { sandbox::Format::Text };
                sandbox::run(&sandbox::Options { kafka, once, format }).await
            }
        }
    });
    // Threads of the client libraries may still be closing connections; nothing of value is left in them.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome.unwrap_or_else(|error| {
        eprintln!("ipn-receiver: {error}");
        ExitCode::FAILURE
    })
}

type Outcome = Result<ExitCode, sandbox::Error>;

fn load(file: &std::path::Path) -> Result<Config, crate::config::Error> {
    Config::load(file, std::env::vars())
}

async fn make_topics(config: &Config) -> Outcome {
    let made = topics::create(&config.kafka).await?;
    for topic in &made {
        println!("created {topic}");
    }
    let found = topics::check(&config.kafka).await?;
    for warning in &found.warnings {
        println!("warning: {warning}");
    }
    if found.warnings.is_empty() {
        println!("all topics are as they should be");
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> Outcome {
    let outside = Outside::internet(&config)?;
    let app = App::start(config, outside).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut check = tokio::time::interval(Duration::from_secs(1));
    let failed = loop {
        tokio::select! {
            _ = terminate.recv() => break false,
            _ = interrupt.recv() => break false,
            _ = check.tick() => if app.has_failed() { break true },
        }
    };
    tokio::select! {
        () = app.stop() => {}
        _ = interrupt.recv() => return Err("interrupted again; what was not committed is taken up by the next process".into()),
    }
    if failed {
        return Err("the worker ended unexpectedly; see the log lines before this one".into());
    }
    Ok(ExitCode::SUCCESS)
}
