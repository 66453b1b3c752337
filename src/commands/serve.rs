//! `serve`: runs the receiver until a signal stops it.
//!
//! SIGTERM or SIGINT starts an orderly shutdown. A second SIGINT ends it at once; what was not committed is processed by the
//! next process. SIGHUP is ignored.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::config_file::ConfigFile;
use super::signals::Signals;
use super::{Error, Exit};
use crate::amazon::Clients;
use crate::app::App;
use crate::config::{Config, ROLE_VARIABLE};
use crate::kafka::Broker;

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// The role of this process: `ingest` receives IPNs, `worker` reads objects and publishes events, `all` does both.
    /// Overrides the setting `role`.
    #[arg(long, value_parser = ["all", "ingest", "worker"])]
    role: Option<String>,
}

/// Starts the receiver, waits for a signal, and shuts it down.
pub async fn run(arguments: &Arguments) -> Result<Exit, Error> {
    keep_keys_in_this_process();
    tokio::spawn(ignore_hangups(signal(SignalKind::hangup())?));
    let role = arguments.role.clone().map(|role| (ROLE_VARIABLE.to_owned(), role));
    // Of two values for one setting the last one wins, so the argument overrides the environment.
    let config = Config::load(&arguments.config.path, std::env::vars().chain(role))?;
    let clients = Clients::internet(&config)?;
    let mut signals = Signals::new()?;
    // The start can take long while Kafka is unreachable, so it must be possible to interrupt it.
    let app = tokio::select! {
        app = App::start(config, clients, Broker::Real) => app?,
        () = signals.next() => return Ok(stopped_before_start()),
    };
    let mut check = tokio::time::interval(CHECK_INTERVAL);
    let has_failed = loop {
        tokio::select! {
            () = signals.next() => break false,
            _ = check.tick() => if app.has_failed() { break true },
        }
    };
    tokio::select! {
        () = app.stop() => {}
        () = signals.next_interrupt() => {
            return Err("the shutdown was interrupted; the next process continues with what was not committed".into());
        }
    }
    if has_failed {
        return Err("the worker ended unexpectedly, or the inbox can no longer be appended to; \
                    see the log lines before this one"
            .into());
    }
    Ok(Exit::Success)
}

/// The process holds API keys: no core dump, and no other process of its user may read its memory.
#[cfg(target_os = "linux")]
fn keep_keys_in_this_process() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    for (what, outcome) in [
        ("core dumps are possible", setrlimit(Resource::Core, none)),
        ("other processes can read its memory", set_dumpable_behavior(DumpableBehavior::NotDumpable)),
    ] {
        if let Err(error) = outcome {
            tracing::warn!(%error, what, "the system does not protect the memory of this process, which holds API keys");
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn keep_keys_in_this_process() {}

/// Without this, a SIGHUP would end the process at once: by default, and for many programs it means "reload".
async fn ignore_hangups(mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        tracing::info!(
            "SIGHUP ignored: the configuration is read at start only, so restart the process to apply a change; changed key \
             files are used without a restart"
        );
    }
}

fn stopped_before_start() -> Exit {
    tracing::info!("received a signal during start; the receiver did not start");
    Exit::Success
}

const CHECK_INTERVAL: Duration = Duration::from_secs(1);
