//! Simulators of the receiver's external systems on loopback, for tests and for `ipn-receiver sandbox`: Amazon SNS
//! that signs messages, an Amazon Pay API that verifies requests, a Kafka broker, and scenarios that use them.
//!
//! The sandbox runs the same receiver as `serve`, certificate checks included. Messages carry URLs under Amazon's host
//! names; only the HTTP clients that the receiver is started with resolve these names to loopback and trust the
//! sandbox's own root certificate.
#![warn(missing_docs)]

pub mod authority;
pub mod broker;
pub mod pay_api;
pub mod sns;

pub mod environment;

pub mod events;

pub mod simulators;

mod backlog;
mod declines;
mod naive_webhook;
mod runner;
mod scenarios;

mod output;

use self::broker::Broker;
use self::environment::SandboxEnvironment;
use self::events::EventReader;
pub use self::output::Format;
use self::output::Output;
use self::runner::Runner;
use crate::app::App;
use crate::commands::{Exit, terminal};

/// The scenario to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// A subscription from the first charge to its cancellation.
    Subscription,
    /// A saved wallet with an expired card and a dispute.
    SavedWallet,
    /// One order with a declined refund.
    OneOrder,
    /// Declined charges whose permission is fixed or closed before the receiver reads it, in both orders.
    Declines,
    /// An outage of the Amazon Pay API, and the drain of the backlog after it.
    Backlog {
        /// Objects that change during the outage.
        n_objects: usize,
    },
}

/// Options of `ipn-receiver sandbox`.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenario to run.
    pub scenario: Scenario,
    /// Bootstrap servers of a real Kafka; without them the sandbox starts a mock broker.
    pub kafka: Option<String>,
    /// Exit after the scenario: 0 if it succeeded, 1 if not.
    pub once: bool,
    /// How the sandbox prints its output.
    pub format: Format,
}

/// Why the sandbox could not start.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Starts the simulators and the receiver, runs the scenario, and stops them again.
pub async fn run(options: &Options) -> Result<Exit, Error> {
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
    output.addresses(&environment, &broker, &app, &topics);
    let story = async {
        wait_until_working(&app, &output).await?;
        let runner = |reader| Runner::new(&environment, &app, reader, &output, scenarios::EVENT_TIMEOUT);
        let succeeded = match options.scenario {
            Scenario::Subscription => scenarios::subscription(runner(reader)).await?,
            Scenario::SavedWallet => scenarios::saved_wallet(runner(reader)).await?,
            Scenario::OneOrder => scenarios::one_order(runner(reader)).await?,
            Scenario::Declines => declines::run(runner(reader)).await?,
            Scenario::Backlog { n_objects } => backlog::run(&environment, &app, reader, &output, n_objects).await?,
        };
        if !options.once {
            output.staying(&app);
            tokio::signal::ctrl_c().await?;
        }
        Ok::<_, Error>(succeeded)
    };
    let succeeded = tokio::select! {
        succeeded = story => succeeded?,
        // Nobody reads the rest, so it is not known whether it would have succeeded.
        () = terminal::closed() => false,
    };
    app.stop().await;
    environment.stop().await;
    Ok(if succeeded { Exit::Success } else { Exit::No })
}

async fn wait_until_working(app: &App, output: &Output) -> Result<(), Error> {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_mins(1);
    output.waiting();
    while !(app.is_ready() && app.is_working()) {
        if app.has_failed() || tokio::time::Instant::now() > deadline {
            return Err("the receiver did not become ready within 60 s; see its log lines above".into());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}
