//! The command line.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::amazon::clients::Clients;
use crate::amazon::signing_certs::CertAuthorities;
use crate::app::App;
use crate::commands::check;
use crate::commands::healthcheck;
use crate::commands::verify::{self, At};
use crate::commands::{inspect, recheck, redrive};
use crate::config::{Config, MerchantAccount, ROLE_VARIABLE};
use crate::domain::events::{self, CATALOG};
use crate::kafka::topics::{self, Difference, Severity};
use crate::sandbox::{self, Scenario, simulators};
use crate::telemetry::{self, LogFormat};

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
        /// Which half of the receiver: `ingest` takes notifications, `worker` reads and publishes. Overrides the setting `role`.
        #[arg(long, value_parser = ["all", "ingest", "worker"])]
        role: Option<String>,
    },
    /// Say line by line whether `serve` would find what it needs: configuration, keys, Kafka, topics, rights, Amazon's hosts,
    /// credentials and clock; and what to do where not. Exit code 1: something fails.
    Check(check::Arguments),
    /// Create the Kafka topics that are missing, then tell how all of them differ from what they must be. Exit code 1:
    /// `serve` would refuse them.
    Topics {
        /// The configuration (TOML). Environment variables IPN_RECEIVER__TABLE__SETTING override it.
        #[arg(long, value_name = "FILE", env = "IPN_RECEIVER_CONFIG")]
        config: PathBuf,
        /// Create nothing; tell what would be created, and how those that are there differ.
        #[arg(long)]
        dry_run: bool,
    },
    /// Ask a running receiver how it is, by HTTP: for container images, which have no other client. Exit code 1: not well.
    Healthcheck(healthcheck::Arguments),
    /// Put dead letters back into the inbox, each once: first counts, then asks. What was told before is not told again.
    Redrive(redrive::Arguments),
    /// Have objects read: a baseline on the first day (--seed), or what an outage may have swallowed.
    Recheck(recheck::Arguments),
    /// Print what is known of an object: state, work that is owed, events and dead letters. Exit code 1: nothing is.
    Inspect(inspect::Arguments),
    /// Judge saved SNS messages by the checks that `serve` makes. Exit code 0: all are genuine, 1: some are not, 2: some
    /// could not be judged.
    Verify {
        /// Files with one message each, as SNS posted it; "-" is standard input.
        #[arg(value_name = "FILE", default_value = "-")]
        files: Vec<PathBuf>,
        /// Judge at this moment (2026-01-02T03:04:05Z), or at each message's own Timestamp (the word "message"), not now.
        #[arg(long, value_name = "TIME", value_parser = At::parse)]
        at: Option<At>,
        /// The signing certificate (PEM) instead of the one at the message's SigningCertURL; nothing is fetched then.
        #[arg(long, value_name = "FILE")]
        cert: Option<PathBuf>,
        /// Also ask whether this configuration (TOML) allows the topic; otherwise any topic will do.
        #[arg(long, value_name = "FILE", env = "IPN_RECEIVER_CONFIG")]
        config: Option<PathBuf>,
        /// One JSON object a message and line.
        #[arg(long)]
        json: bool,
    },
    /// Print the contract of the events: the JSON Schema of one type, or all of them in one AsyncAPI document.
    Schema {
        /// Such as ChargeDeclined; without it all, as AsyncAPI 3.
        #[arg(value_name = "TYPE")]
        event_type: Option<String>,
    },
    /// Watch the receiver at work against loopback Amazon servers: lives of charge permissions, or the drain of a backlog.
    /// Needs nothing installed.
    Sandbox {
        /// What to watch.
        #[arg(long, value_enum, default_value = "subscription")]
        scenario: ScenarioName,
        /// With --scenario backlog: how many objects change while Amazon's API is down; four IPNs tell of each.
        #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(4..=100_000))]
        objects: usize,
        /// Leave after the scenario; the exit code tells whether every expected event came.
        #[arg(long)]
        once: bool,
        /// Run only the simulators of SNS and of the Amazon Pay API, and print a configuration that fits them, for a
        /// receiver started by `serve`. Objects are changed over HTTP; standard error tells how.
        #[arg(long, conflicts_with_all = ["once", "json", "scenario", "objects"])]
        simulators_only: bool,
        /// With --simulators-only: where IPNs are posted.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/ipn", requires = "simulators_only")]
        post_to: String,
        /// With --simulators-only: where changes are asked for; port 0 is any free one.
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0", requires = "simulators_only")]
        control: SocketAddr,
        /// Use this Kafka broker instead of the embedded mock, which cannot show exactly-once. With --simulators-only it
        /// only stands in the configuration (default localhost:9092).
        #[arg(long, value_name = "HOST:PORT")]
        kafka: Option<String>,
        /// Tell the story as JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScenarioName {
    /// The life of a subscription.
    Subscription,
    /// The life of a saved wallet.
    SavedWallet,
    /// One order.
    OneOrder,
    /// An outage of Amazon's API, and the drain after it within Amazon's quota.
    Backlog,
}

/// Runs what was asked for.
pub fn run(arguments: Arguments) -> ExitCode {
    let level = match arguments.command {
        Command::Sandbox { .. } => "error,librdkafka=off,rdkafka=off",
        // What librdkafka and the HTTP server say of themselves is told in this program's own words.
        Command::Healthcheck(_) | Command::Verify { .. } | Command::Schema { .. } => "error",
        Command::Check(_) => "off",
        Command::Redrive(_) | Command::Recheck(_) | Command::Inspect(_) => "warn,librdkafka=off,rdkafka=off",
        Command::Serve { .. } | Command::Topics { .. } => "info,librdkafka=off,rdkafka=off,actix_server=warn",
    };
    telemetry::log(arguments.log_format, level);
    let is_service = matches!(arguments.command, Command::Serve { .. });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the system lets us start threads");
    let outcome = runtime.block_on(async {
        match arguments.command {
            Command::Serve { config, role } => {
                let role = role.map(|role| (ROLE_VARIABLE.to_owned(), role));
                // Of two that name the same setting the last one holds.
                serve(Config::load(&config, std::env::vars().chain(role))?).await
            }
            Command::Check(arguments) => Ok(check::run(&arguments, std::env::vars()).await),
            Command::Topics { config, dry_run: false } => make_topics(&load(&config)?).await,
            Command::Topics { config, dry_run: true } => compare_topics(&load(&config)?).await,
            Command::Healthcheck(arguments) => healthcheck::run(&arguments).await,
            Command::Redrive(arguments) => redrive::run(&arguments, &load(&arguments.config)?),
            Command::Recheck(arguments) => recheck::run(&arguments, &load(&arguments.config)?).await,
            Command::Inspect(arguments) => inspect::run(&arguments, &load(&arguments.config)?),
            Command::Verify { files, at, cert, config, json } => {
                let at = at.unwrap_or(At::Now);
                let format = if json { verify::Format::Json } else { verify::Format::Text };
                let judged = verify(verify::Options { files, at, cert, policy: None, format }, config).await;
                // 1 is a verdict.
                judged.or_else(|error| {
                    eprintln!("ipn-receiver: {error}");
                    Ok(ExitCode::from(2))
                })
            }
            Command::Schema { event_type } => print_schema(event_type.as_deref()),
            Command::Sandbox { simulators_only: true, post_to, control, kafka, .. } => {
                let bootstrap_servers = kafka.unwrap_or_else(|| "localhost:9092".to_owned());
                simulators::run(&simulators::Options { bootstrap_servers, post_to, control }).await
            }
            Command::Sandbox { scenario, objects, once, kafka, json, .. } => {
                let format = if json { sandbox::Format::Json } else { sandbox::Format::Text };
                let scenario = match scenario {
                    ScenarioName::Subscription => Scenario::Subscription,
                    ScenarioName::SavedWallet => Scenario::SavedWallet,
                    ScenarioName::OneOrder => Scenario::OneOrder,
                    ScenarioName::Backlog => Scenario::Backlog { n_objects: objects },
                };
                sandbox::run(&sandbox::Options { scenario, kafka, once, format }).await
            }
        }
    });
    // Threads of the client libraries may still be closing connections; nothing of value is left in them.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome.unwrap_or_else(|error| {
        match arguments.log_format {
            // Whoever collects the log of a service finds its last words among the others.
            LogFormat::Json if is_service => tracing::error!("{error}"),
            LogFormat::Json | LogFormat::Text => eprintln!("ipn-receiver: {error}"),
        }
        ExitCode::FAILURE
    })
}

type Outcome = Result<ExitCode, sandbox::Error>;

fn load(file: &std::path::Path) -> Result<Config, crate::config::Error> {
    Config::load(file, std::env::vars())
}

async fn verify(options: verify::Options, config: Option<PathBuf>) -> Outcome {
    let config = config.map(|file| load(&file)).transpose()?;
    let policy = config.as_ref().map(|config| config.policy(&MerchantAccount::table(&config.merchants)));
    let development = config.as_ref().and_then(|config| config.development.as_ref());
    let authorities = CertAuthorities::internet(Duration::from_secs(5), development)?;
    let options = verify::Options { policy, ..options };
    Ok(verify::run(&options, authorities, &mut std::io::stdout().lock()).await?)
}

fn print_schema(event_type: Option<&str>) -> Outcome {
    let document = match event_type {
        None => events::asyncapi(),
        Some(name) => {
            let short = name.trim_end_matches(".v1").rsplit('.').next().unwrap_or_default();
            let row = CATALOG.iter().find(|row| row.name.eq_ignore_ascii_case(short)).ok_or_else(|| {
                let names: Vec<&str> = CATALOG.iter().map(|row| row.name).collect();
                format!("there is no event {name}; there are: {}", names.join(", "))
            })?;
            events::schema(row)
        }
    };
    match writeln!(std::io::stdout().lock(), "{document:#}") {
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

async fn make_topics(config: &Config) -> Outcome {
    let made = topics::create(&config.kafka).await?;
    for topic in &made {
        println!("created {topic}");
    }
    let found = topics::look(config).await?;
    if found.refused().next().is_none() {
        found.record_count_if_missing(&config.kafka).await?;
    }
    Ok(tell_differences(&found))
}

async fn compare_topics(config: &Config) -> Outcome {
    let found = topics::look(config).await?;
    for line in topics::describe_plans(&config.kafka, &found.missing) {
        println!("would create {line}");
    }
    Ok(tell_differences(&found))
}

/// What is missing or refused makes the exit code 1.
fn tell_differences(found: &topics::Comparison) -> ExitCode {
    for Difference { severity, topic, setting, is, should_be, why, remedy } in &found.differences {
        let severity = if *severity == Severity::Refused { "REFUSED" } else { "warning" };
        println!("{severity}  {topic}  {setting} is {is}, should be {should_be}");
        println!("         why: {why}");
        println!("         remedy: {remedy}");
    }
    let (n_missing, n_refused, n_warned) = (found.missing.len(), found.refused().count(), found.warned().count());
    match (n_missing + n_refused, n_warned) {
        (0, 0) => println!("all topics are as they should be"),
        (0, _) => println!("{n_warned} to be warned of; serve starts"),
        _ => println!("{n_missing} missing, {n_refused} refused, {n_warned} to be warned of; serve does not start"),
    }
    if n_missing + n_refused > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn not_started() -> ExitCode {
    tracing::info!("told to stop before it had started; nothing was begun");
    ExitCode::SUCCESS
}

async fn serve(config: Config) -> Outcome {
    let clients = Clients::internet(&config)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Kafka may let it wait for a while.
    let app = tokio::select! {
        app = App::start(config, clients) => app?,
        _ = terminate.recv() => return Ok(not_started()),
        _ = interrupt.recv() => return Ok(not_started()),
    };
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
        return Err("the worker ended unexpectedly, or nothing can be appended to the inbox any more; see the log lines before this one".into());
    }
    Ok(ExitCode::SUCCESS)
}
