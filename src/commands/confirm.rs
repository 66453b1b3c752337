//! Nothing is written before a person at the terminal, or `--yes`, said so.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::Error;

/// Whether a command may act.
#[derive(Debug, clap::Args)]
pub(super) struct Confirmation {
    /// Act without asking.
    #[arg(long)]
    yes: bool,
}

impl Confirmation {
    /// Asks on the terminal, unless `--yes` was said. If not, says on standard output that nothing was done.
    pub(super) fn is_given(&self, question: &str) -> Result<bool, Error> {
        if self.yes {
            return Ok(true);
        }
        let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
        if !(stdin.is_terminal() && stderr.is_terminal()) {
            println!("nothing was appended: this was a dry run; --yes appends them");
            return Ok(false);
        }
        write!(stderr, "{question} [y/N] ")?;
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        let is_yes = ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
        if !is_yes {
            println!("nothing was appended");
        }
        Ok(is_yes)
    }
}
