//! The `ipn-receiver` command: arguments → telemetry → run → exit code.

use std::process::ExitCode;

use clap::Parser as _;
use ipn_receiver::cli;

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().expect("no other provider was installed before");
    cli::run(cli::Arguments::parse())
}
