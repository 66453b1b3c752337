//! The command line: parses the arguments, runs one command and returns its exit code.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::commands::{
    Error, Exit, check, exit_codes_help, healthcheck, in_charge_since, inspect, listen, recheck, redrive, schema,
    serve, shell, terminal, topics, verify,
};
use crate::sandbox::{self, Scenario, control, sample, simulators, trigger};
use crate::telemetry::{self, LogFormat};

/// Receives Amazon Pay IPNs, verifies their signatures, reads the current state from the Amazon Pay API, and publishes each
/// change exactly once to Kafka.
#[derive(Debug, Parser)]
#[command(
    version, arg_required_else_help = true,
    after_help = help("ipn-receiver check --config receiver.toml", Some(Exit::No.meaning()))
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The format of the log lines on standard error.
    #[arg(long, global = true, value_enum, default_value = "text", env = "IPN_RECEIVER_LOG_FORMAT")]
    log_format: LogFormat,
    #[command(flatten)]
    color: colorchoice_clap::Color,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the receiver.
    #[command(after_help = help("ipn-receiver serve --config receiver.toml", None))]
    Serve(serve::Arguments),
    /// Check that `serve` would find everything it needs.
    ///
    /// Checks the configuration, API keys, Kafka, topics, ACLs, certificate hosts, credentials and the clock. Prints one line
    /// for each check, with a remedy where one fails. Changes nothing.
    #[command(after_help = help("ipn-receiver check --config receiver.toml --role worker", Some("at least one check failed")))]
    Check(check::Arguments),
    /// Create the missing Kafka topics, and print how the existing topics differ from what the receiver needs.
    #[command(after_help = help("ipn-receiver topics --config receiver.toml --dry-run", Some("serve would not start")))]
    Topics(topics::Arguments),
    /// Print the contract of the events: the JSON Schema of one type, or an AsyncAPI document of all types.
    #[command(after_help = help("ipn-receiver schema ChargeDeclined", None))]
    Schema(schema::Arguments),
    /// Print the records about one object in the topics: known state, pending work, events and dead letters.
    #[command(after_help = help("ipn-receiver inspect P01-1234567-7654321", Some("nothing was found")))]
    Inspect(inspect::Arguments),
    /// Print events as they are published, and forward them to an HTTP endpoint (--forward-to). Changes nothing in the cluster.
    #[command(after_help = help(
        "ipn-receiver listen --kafka 127.0.0.1:19092 --type ChargeDeclined --forward-to http://localhost:3000/hook",
        Some("an event was not forwarded, or --resend found none"),
    ))]
    Listen(listen::Arguments),
    /// Request reads of objects by the worker: after an outage, or to record a baseline on the first day (--seed).
    #[command(after_help = help("ipn-receiver recheck --merchant A1EXAMPLE --file ids.txt", None))]
    Recheck(recheck::Arguments),
    /// Print since when each configured merchant has been in the receiver's charge, or request another time (--set).
    #[command(after_help = help("ipn-receiver in-charge-since --config receiver.toml", Some("a configured merchant has no time yet")))]
    InChargeSince(in_charge_since::Arguments),
    /// Append dead letters to the inbox again, each one once. Prints their number and asks for confirmation. No event is
    /// published twice.
    #[command(after_help = help("ipn-receiver redrive --filter reason=unknown_merchant", None))]
    Redrive(redrive::Arguments),
    /// Verify saved SNS messages with the same checks as `serve`.
    #[command(after_help = help("ipn-receiver verify --at message message.json", Some("at least one message is not genuine")))]
    Verify(verify::Arguments),
    /// Request the health of a running receiver over HTTP. For container images, which have no other HTTP client.
    #[command(after_help = help(
        "ipn-receiver healthcheck --url http://127.0.0.1:9090/readyz --within-s 30",
        Some("the receiver did not return the expected status"),
    ))]
    Healthcheck(healthcheck::Arguments),
    /// Run the receiver against simulators of Amazon SNS and the Amazon Pay API on loopback. Needs nothing installed.
    #[command(after_help = help("ipn-receiver sandbox --once", Some("an expected event was not published")))]
    Sandbox(SandboxArguments),
    /// Make a running sandbox publish an event, and print it. The event comes by the real way: signed IPN, inbox, read,
    /// transaction.
    #[command(after_help = help(
        "ipn-receiver trigger ChargeDeclined --reason HardDeclined --permission-type PaymentMethodOnFile",
        Some("an event was not published in time"),
    ))]
    Trigger(trigger::Arguments),
    /// Print an event as a consumer gets it, made by the same code as real ones; or write one of each kind (--all --out).
    #[command(after_help = help("ipn-receiver sample ChargeDeclined --reason HardDeclined --permission-type OneTime", None))]
    Sample(sample::Arguments),
    /// Print a script that completes the program's arguments in a shell.
    #[command(after_help = help("ipn-receiver completions bash > /etc/bash_completion.d/ipn-receiver", None))]
    Completions(shell::CompletionsArguments),
    /// Print the manual page, or write the pages of all commands (--out).
    #[command(after_help = help("ipn-receiver man > ipn-receiver.1 && man -l ipn-receiver.1", None))]
    Man(shell::ManArguments),
}

#[derive(Debug, clap::Args)]
struct SandboxArguments {
    /// The scenario to run.
    #[arg(long, value_enum, default_value = "subscription")]
    scenario: ScenarioName,
    /// With --scenario backlog: how many objects change while the Amazon Pay API is down. Each causes four IPNs.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(4..=100_000))]
    objects: usize,
    /// Exit after the scenario. The exit code is 1 if an expected event was not published.
    #[arg(long)]
    once: bool,
    /// Run only the simulators of SNS and of the Amazon Pay API, and print a configuration for a receiver that you start
    /// with `serve`. Standard error explains how to change objects over HTTP.
    #[arg(long, conflicts_with_all = ["once", "json", "scenario", "objects"])]
    simulators_only: bool,
    /// With --simulators-only: the URL to which IPNs are posted.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/ipn", requires = "simulators_only")]
    post_to: String,
    /// The address of the control port, which `trigger` uses; port 0 means any free port. It is closed with --once. With
    /// --simulators-only, the default is any free port.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "once", default_value = control::DEFAULT_ADDRESS, default_value_if("simulators_only", "true", "127.0.0.1:0"))]
    control: SocketAddr,
    /// Use this Kafka broker instead of the embedded mock broker, which cannot show exactly-once. With --simulators-only,
    /// the broker that the printed configuration names (default: localhost:9092).
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScenarioName {
    /// No scenario: only wait for `trigger`.
    None,
    /// The life of a subscription.
    Subscription,
    /// The life of a saved wallet.
    SavedWallet,
    /// One order.
    OneOrder,
    /// Declined charges whose permission is fixed or closed before the receiver reads it, in both orders.
    Declines,
    /// An outage of the Amazon Pay API, and how the backlog drains afterwards within Amazon's quota.
    Backlog,
}

/// Runs the command of `arguments`.
pub fn run(arguments: &Arguments) -> ExitCode {
    arguments.color.write_global();
    telemetry::log(arguments.log_format, arguments.command.log_level());
    let is_service = matches!(arguments.command, Command::Serve(_));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the system lets us start threads");
    let outcome = runtime.block_on(arguments.command.run());
    // The client libraries' threads may still be closing connections; they hold no data.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let exit = outcome.unwrap_or_else(|error| {
        match arguments.log_format {
            // The error that ends a service belongs into its log.
            LogFormat::Json if is_service => tracing::error!("{error}"),
            LogFormat::Json | LogFormat::Text => terminal::note(format!("ipn-receiver: {error}")),
        }
        error.exit()
    });
    exit.into()
}

impl Command {
    /// The log level without `RUST_LOG`. librdkafka and the HTTP server are mostly silent, since the receiver reports their
    /// errors itself.
    fn log_level(&self) -> &'static str {
        match self {
            Self::Serve(_) | Self::Topics(_) => "info,librdkafka=off,rdkafka=off,actix_server=warn",
            Self::Inspect(_) | Self::Listen(_) | Self::Recheck(_) | Self::InChargeSince(_) | Self::Redrive(_) => {
                "warn,librdkafka=off,rdkafka=off"
            }
            Self::Sandbox(_) => "error,librdkafka=off,rdkafka=off",
            Self::Schema(_)
            | Self::Sample(_)
            | Self::Trigger(_)
            | Self::Verify(_)
            | Self::Healthcheck(_)
            | Self::Completions(_)
            | Self::Man(_) => "error",
            Self::Check(_) => "off",
        }
    }

    async fn run(&self) -> Result<Exit, Error> {
        match self {
            Self::Serve(arguments) => serve::run(arguments).await,
            Self::Check(arguments) => check::run(arguments).await,
            Self::Topics(arguments) => topics::run(arguments).await,
            Self::Schema(arguments) => schema::run(arguments, sample::all),
            Self::Inspect(arguments) => inspect::run(arguments),
            Self::Listen(arguments) => listen::run(arguments).await,
            Self::Recheck(arguments) => recheck::run(arguments).await,
            Self::InChargeSince(arguments) => in_charge_since::run(arguments).await,
            Self::Redrive(arguments) => redrive::run(arguments),
            Self::Verify(arguments) => verify::run(arguments).await,
            Self::Healthcheck(arguments) => healthcheck::run(arguments).await,
            Self::Sample(arguments) => sample::run(arguments),
            Self::Trigger(arguments) => trigger::run(arguments).await,
            Self::Completions(arguments) => shell::completions(arguments, Arguments::command()),
            Self::Man(arguments) => shell::man(arguments, Arguments::command()),
            Self::Sandbox(arguments) => arguments.run().await.map_err(|error| Error::Failed(error.to_string())),
        }
    }
}

impl SandboxArguments {
    async fn run(&self) -> Result<Exit, sandbox::Error> {
        let Self { objects, once, kafka, .. } = self;
        if self.simulators_only {
            let bootstrap_servers = kafka.clone().unwrap_or_else(|| "localhost:9092".to_owned());
            let options =
                simulators::Options { bootstrap_servers, post_to: self.post_to.clone(), control: self.control };
            return simulators::run(&options).await;
        }
        let format = if self.json { sandbox::Format::Json } else { sandbox::Format::Text };
        let scenario = match self.scenario {
            ScenarioName::None => Scenario::None,
            ScenarioName::Subscription => Scenario::Subscription,
            ScenarioName::SavedWallet => Scenario::SavedWallet,
            ScenarioName::OneOrder => Scenario::OneOrder,
            ScenarioName::Declines => Scenario::Declines,
            ScenarioName::Backlog => Scenario::Backlog { n_objects: *objects },
        };
        let options = sandbox::Options { scenario, kafka: kafka.clone(), once: *once, format, control: self.control };
        sandbox::run(&options).await
    }
}

/// The end of a command's help text: one example, and the exit codes. `no` is the meaning of exit code 1, if the
/// command uses it.
fn help(example: &str, no: Option<&str>) -> String {
    format!("Example:\n  {example}\n\n{}", exit_codes_help(no))
}
