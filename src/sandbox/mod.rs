//! Everything the receiver meets outside, on this machine's loopback: an SNS that really signs, an Amazon Pay
//! API that really verifies requests, a broker, and a scenario to watch.
//!
//! The receiver in it is the one that `serve` runs, pin and all: messages carry Amazon's real-looking URLs, and
//! only the HTTP clients handed to it resolve Amazon's names to loopback and trust the sandbox's own root.

pub mod authority;
pub mod broker;
pub mod pay_api;
pub mod sns;

pub mod environment;

pub mod events;

pub mod simulators;

mod backlog;
mod runner;
mod scenarios;

mod output;

use std::process::ExitCode;

use self::broker::Broker;
use self::environment::SandboxEnvironment;
use self::events::EventReader;
pub use self::output::Format;
use self::output::Output;
use self::runner::Runner;
use crate::app::App;

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The life of a subscription.
    Subscription,
    /// The life of a saved wallet.
    SavedWallet,
    /// One order.
    OneOrder,
    /// An outage of Amazon's API, and the drain after it.
    Backlog {
        /// Objects that change meanwhile.
        n_objects: usize,
    },
}

/// What the sandbox is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is shown.
    pub scenario: Scenario,
    /// A real broker instead of the embedded one.
    pub kafka: Option<String>,
    /// Leave after the scenario, with a code that tells whether it came out right.
    pub once: bool,
    /// For people or for machines.
    pub format: Format,
}

/// Why the sandbox could not be set up.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs the sandbox.
pub async fn run(options: &Options) -> Result<ExitCode, Error> {
    let output = Output::new(options.format);
    let broker = Broker::start(options.kafka.as_deref())?;
    let mut environment = SandboxEnvironment::start(1).await?;
    if let Scenario::Backlog { .. } = options.scenario {
        backlog::prepare(&mut environment);
    }
    let config = environment.config(&broker)?;
    broker.create_topics(&config.kafka).await?;
    let reader = EventReader::start(&config.kafka)?;
    let topics = config.kafka.topics();
    let app = App::start(config, environment.clients()?, broker.kind()).await?;
    output.opening(&environment, &broker, &app, &topics);
    wait_until_working(&app, &output).await?;

    let runner = |reader| Runner::new(&environment, &app, reader, &output, scenarios::PATIENCE);
    let came_out_right = match options.scenario {
        Scenario::Subscription => scenarios::subscription(runner(reader)).await?,
        Scenario::SavedWallet => scenarios::saved_wallet(runner(reader)).await?,
        Scenario::OneOrder => scenarios::one_order(runner(reader)).await?,
        Scenario::Backlog { n_objects } => backlog::tell(&environment, &app, reader, &output, n_objects).await?,
    };
    if !options.once {
        output.staying(&app);
        tokio::signal::ctrl_c().await?;
    }
    app.stop().await;
    environment.stop().await;
    Ok(if came_out_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn wait_until_working(app: &App, output: &Output) -> Result<(), Error> {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_mins(1);
    output.waiting();
    while !(app.is_ready() && app.is_working()) {
        if app.has_failed() || tokio::time::Instant::now() > deadline {
            return Err("the receiver did not become ready within a minute; its log lines above say why".into());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}
