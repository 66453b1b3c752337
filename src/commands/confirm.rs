//! Confirmation: a command writes only after a person at the terminal, or `--yes`, agrees.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::Error;
use super::terminal::print_line;

/// Whether a command may write.
#[derive(Debug, clap::Args)]
pub(super) struct Confirmation {
    /// Append without asking for confirmation.
    #[arg(long)]
    yes: bool,
}

impl Confirmation {
    /// Asks on the terminal, unless `--yes` is set. Without a terminal or with the answer no, it says on standard output
    /// that nothing was appended.
    pub(super) fn is_given(&self, question: &str) -> Result<bool, Error> {
        if self.yes {
            return Ok(true);
        }
        let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
        if !(stdin.is_terminal() && stderr.is_terminal()) {
            print_line("Nothing was appended: this was a dry run. Add --yes to append.")?;
            return Ok(false);
        }
        write!(stderr, "{question} [y/N] ")?;
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        let is_yes = ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
        if !is_yes {
            print_line("Nothing was appended.")?;
        }
        Ok(is_yes)
    }
}
