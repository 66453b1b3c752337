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

pub mod recipes;
pub mod sample;

pub mod control;
mod performer;
pub mod trigger;

pub mod simulators;

mod backlog;
mod naive_webhook;
mod runner;
mod story;

mod output;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::broker::Broker;
use self::control::{Control, Receiver};
use self::environment::SandboxEnvironment;
use self::events::EventReader;
pub use self::output::Format;
use self::output::Output;
use self::runner::Runner;
use self::story::Story;
use crate::app::App;
use crate::commands::signals::Signals;
use crate::commands::{Exit, terminal};
use crate::config::Kafka;

/// The scenario to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// None: the sandbox only waits for `trigger`.
    None,
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
    /// The address of the control port. It is open unless the sandbox exits after the scenario.
    pub control: SocketAddr,
}

/// Why the sandbox could not start.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Starts the simulators and the receiver, runs the scenario, and stops them again: at once with `once`, else after SIGINT or
/// SIGTERM.
pub async fn run(options: &Options) -> Result<Exit, Error> {
    let output = Output::new(options.format);
    let listener = if options.once { None } else { Some(control::bind(options.control)?) };
    let broker = Broker::start(options.kafka.as_deref())?;
    let environment = Arc::new(environment(options.scenario, &broker).await?);
    let config = environment.config_with(&broker.bootstrap_servers(), SETTINGS)?;
    broker.create_topics(&config.kafka).await?;
    let (kafka, notices) = (config.kafka.clone(), config.events.notices());
    let events = EventReader::start(&kafka)?.broadcast();
    let reader = EventReader::subscribe(&events);
    let app = App::start(config, environment.clients()?, broker.kind()).await?;
    output.addresses(&environment, &broker, &app, &kafka.topics());

    let mut signals = Signals::new()?;
    let mut succeeded = false; // until the whole scenario did
    let work = async {
        wait_until_working(&app, &output).await?;
        succeeded = run_scenario(options.scenario, &environment, &app, reader, &output).await?;
        if let Some(listener) = listener {
            let post_to = format!("http://{}/ipn", app.ingress_address());
            output.staying(&app, &broker, &kafka.topics(), listener.local_addr()?);
            let receiver = Some(Receiver { events, notices });
            let control = Control { environment: environment.clone(), post_to, receiver };
            let server = control::serve(listener, control)?;
            let failed = until_failed(&app).await;
            server.stop(false).await;
            return Err(failed);
        }
        Ok(())
    };
    tokio::select! {
        outcome = work => outcome?,
        () = signals.next() => {}
        // The rest of the scenario is not read, so it is not known whether it would have succeeded.
        () = terminal::closed() => {}
    }
    app.stop().await;
    environment.stop().await;
    Ok(if succeeded { Exit::Success } else { Exit::No })
}

async fn environment(scenario: Scenario, broker: &Broker) -> Result<SandboxEnvironment, Error> {
    let mut environment = if let Scenario::Backlog { .. } = scenario {
        let mut environment = SandboxEnvironment::start(1).await?;
        backlog::prepare(&mut environment);
        environment
    } else {
        SandboxEnvironment::start_fast(1).await?
    };
    if let Broker::Mock(_) = broker {
        // It has no other topics, so that consumers find the usual names.
        environment.topic_prefix = Kafka::default().topic_prefix;
    }
    Ok(environment)
}

/// Returns whether it succeeded.
async fn run_scenario(
    scenario: Scenario,
    environment: &SandboxEnvironment,
    app: &App,
    reader: EventReader,
    output: &Output,
) -> Result<bool, Error> {
    let text = match scenario {
        Scenario::None => return Ok(true),
        Scenario::Backlog { n_objects } => return backlog::run(environment, app, reader, output, n_objects).await,
        Scenario::Subscription => include_str!("stories/subscription.toml"),
        Scenario::SavedWallet => include_str!("stories/saved-wallet.toml"),
        Scenario::OneOrder => include_str!("stories/one-order.toml"),
        Scenario::Declines => include_str!("stories/declines.toml"),
    };
    let story = Story::parse(text)?;
    let post_to = format!("http://{}/ipn", app.ingress_address());
    let runner = Runner::new(environment, &post_to, reader, output, story.timeout()?);
    story::play(&story, runner).await
}

/// Waits until the receiver ends by itself.
async fn until_failed(app: &App) -> Error {
    while !app.has_failed() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    "the receiver failed; see its log lines above".into()
}

async fn wait_until_working(app: &App, output: &Output) -> Result<(), Error> {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    output.waiting();
    while !(app.is_ready() && app.is_working()) {
        if app.has_failed() || tokio::time::Instant::now() > deadline {
            return Err("the receiver did not become ready within 60 s; see its log lines above".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// What production waits for half a minute to an hour comes within half a second to a minute.
const SETTINGS: &str = "worker.confirm_reads_after_ms = [500, 2000, 10000, 60000]\n";
