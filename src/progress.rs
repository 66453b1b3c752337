//! How far a long thing is: a bar on a terminal, a line now and then elsewhere.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::format::Format;

/// One long thing.
pub(super) struct Progress {
    what: &'static str,
    of: usize,
    format: Format,
    bar: Option<ProgressBar>,
    /// The last line, when and how far.
    printed: Cell<(Option<Instant>, usize)>,
}

impl Progress {
    pub(super) fn new(format: Format, what: &'static str, of: usize) -> Self {
        let on_terminal = format == Format::Text && std::io::stdout().is_terminal();
        let bar = on_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(of as u64), ProgressDrawTarget::stdout());
            let style = ProgressStyle::with_template("   {prefix:<8} {wide_bar} {pos}/{len} {msg}");
            bar.with_style(style.expect("the template is one")).with_prefix(what)
        });
        Self { what, of, format, bar, printed: Cell::new((None, 0)) }
    }

    /// So many are done; the rest takes about so long.
    pub(super) fn at(&self, done: usize, left: Option<Duration>) {
        let about = left.map(|left| format!("about {} s left", left.as_secs_f64().ceil()));
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(about.unwrap_or_default());
            return;
        }
        let (printed_at, printed) = self.printed.get();
        if done == printed || (printed_at.is_some_and(|at| at.elapsed() < EVERY) && done < self.of) {
            return;
        }
        self.printed.set((Some(Instant::now()), done));
        match self.format {
            Format::Json => println!(
                "{}",
                json!({"happened": "progress", "what": self.what, "done": done, "of": self.of, "secondsLeft": left.map(|left| left.as_secs())})
            ),
            Format::Text => {
                let percent = done * 100 / self.of.max(1);
                let about = about.map(|about| format!(", {about}")).unwrap_or_default();
                println!("   {:<8} {done} of {} ({percent} %){about}", self.what, self.of);
            }
        }
    }

    pub(super) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish();
            println!(); // a finished bar leaves the cursor in its line
        }
    }
}

/// Between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);
