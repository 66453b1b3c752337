//! `completions` and `man`: what a shell and `man` need to know about the program, made from its own arguments.

use std::io::Write as _;
use std::path::PathBuf;

use clap_complete::Shell;

use super::terminal::{Stdout, print_line};
use super::{Error, Exit};

/// The arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArguments {
    /// The shell.
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish"])]
    shell: String,
}

/// The arguments of `man`.
#[derive(Debug, clap::Args)]
pub struct ManArguments {
    /// Write the page of the program and a page of each command into this folder, which must exist.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the script that completes the arguments of `program` in a shell.
pub fn completions(arguments: &CompletionsArguments, mut program: clap::Command) -> Result<Exit, Error> {
    let shell: Shell = arguments.shell.parse().map_err(Error::Usage)?;
    let (name, mut script) = (program.get_name().to_owned(), Vec::new());
    clap_complete::generate(shell, &mut program, &name, &mut script);
    let script = String::from_utf8(script).map_err(|_| "the script is not UTF-8")?;
    // In bash it writes the hyphen of a program's name in two ways, so that nothing is offered after a command
    // (https://github.com/clap-rs/clap/issues/6421).
    let script = script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"));
    Stdout.write_all(script.as_bytes())?;
    Ok(Exit::Success)
}

/// Prints the page of `program`, or writes the pages of the program and of its commands.
pub fn man(arguments: &ManArguments, program: clap::Command) -> Result<Exit, Error> {
    // `help` needs no page.
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let Some(folder) = &arguments.out else {
        clap_mangen::Man::new(program).render(&mut Stdout)?;
        return Ok(Exit::Success);
    };
    let unusable = |error| format!("cannot write the pages into {} (--out): {error}", folder.display());
    clap_mangen::generate_to(program, folder).map_err(unusable)?;
    print_line(format!("wrote the pages into {}; read them with: man -l {0}/ipn-receiver.1", folder.display()))?;
    Ok(Exit::Success)
}
