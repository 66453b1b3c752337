//! The `ipn-receiver` program: it parses its arguments, runs one command and exits with that command's code.
#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic on a closed pipe: use `commands::terminal`

use std::process::ExitCode;

use clap::Parser as _;
use ipn_receiver::{app, cli, failpoints};

fn main() -> ExitCode {
    failpoints::arm();
    app::use_ring_for_tls();
    cli::run(&cli::Arguments::parse())
}
