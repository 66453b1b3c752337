//! The `ipn-receiver` command: arguments → telemetry → run → exit code.

use std::process::ExitCode;

use clap::Parser as _;
use ipn_receiver::{app, cli, failpoints};

fn main() -> ExitCode {
    failpoints::arm();
    app::use_ring_for_tls();
    cli::run(cli::Arguments::parse())
}
