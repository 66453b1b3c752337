//! `sandbox --simulators-only`: the simulators of SNS and the Amazon Pay API, for a receiver in another process.
//!
//! Prints a configuration for that receiver and serves a control API: a request changes an object, and the simulator
//! posts the IPN that SNS would post. Never starts a receiver and never connects to Kafka.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Error;
use super::control::{self, Control};
use super::environment::SandboxEnvironment;
use super::pay_api::Fault;
use crate::commands::Exit;
use crate::commands::signals::Signals;
use crate::commands::terminal::{note, print};

/// Options of `sandbox --simulators-only`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bootstrap servers for the printed configuration.
    pub bootstrap_servers: String,
    /// The URL at which the receiver accepts IPNs.
    pub post_to: String,
    /// The address of the control API.
    pub control: SocketAddr,
}

/// Runs until SIGINT or SIGTERM.
pub async fn run(options: &Options) -> Result<Exit, Error> {
    let environment = SandboxEnvironment::start(1).await?.reachable_by_address();
    print(environment.config_for_another_process(&options.bootstrap_servers)?)?;
    let listener = control::bind(options.control)?;
    print_usage(listener.local_addr()?, &options.post_to);
    let (environment, post_to) = (Arc::new(environment), options.post_to.clone());
    let handle = control::serve(listener, Control { environment, post_to, receiver: None })?;
    Signals::new()?.next().await;
    handle.stop(false).await;
    Ok(Exit::Success)
}

fn print_usage(control: SocketAddr, post_to: &str) {
    note("Simulators of Amazon SNS and the Amazon Pay API run on loopback. The configuration above is for them.");
    note("Write it to a file, create the topics and start the receiver in another shell:");
    note("  ipn-receiver topics --config FILE && ipn-receiver serve --config FILE");
    note(format!("Change objects; each change is posted as an IPN to {post_to}:"));
    note(format!("  curl -X POST 'http://{control}/charges/S01-1234567-1234567-C000001/Declined?reason=HardDeclined'"));
    note(format!("  curl -X POST 'http://{control}/chargePermissions/S01-1234567-1234567/Closed?reason=BuyerClosed'"));
    note(format!("  curl -X POST 'http://{control}/subscription'      posts a SubscriptionConfirmation"));
    note("Make the Amazon Pay API fail, by default every read for 60 s:");
    note(format!("  curl -X POST 'http://{control}/fault/status-503?seconds=60&one_in=1'"));
    note(format!("  curl -X DELETE 'http://{control}/fault'           ends the fault"));
    note(format!("  faults: {}", Fault::USAGE));
    note("Stop with Ctrl-C.");
}
