//! How far a long thing is: a bar on a terminal, a line now and then elsewhere.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

/// Where it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Lines for people, or a bar, among what a command prints.
    Stdout,
    /// One JSON object a line.
    StdoutJson,
    /// Lines for people, or a bar, beside what a command prints.
    Stderr,
}

/// One long thing.
pub struct Progress {
    what: &'static str,
    of: usize,
    medium: Medium,
    bar: Option<ProgressBar>,
    /// The last line, when and how far.
    printed: Cell<(Option<Instant>, usize)>,
}

impl Progress {
    /// Nothing is done yet of `of` things.
    pub fn new(medium: Medium, what: &'static str, of: usize) -> Self {
        let target = match medium {
            Medium::Stdout => std::io::stdout().is_terminal().then(ProgressDrawTarget::stdout),
            Medium::StdoutJson => None,
            Medium::Stderr => std::io::stderr().is_terminal().then(ProgressDrawTarget::stderr),
        };
        let bar = target.map(|target| {
            let bar = ProgressBar::with_draw_target(Some(of as u64), target);
            let style = ProgressStyle::with_template("   {prefix:<8} {wide_bar} {pos}/{len} {msg}");
            bar.with_style(style.expect("the template is one")).with_prefix(what)
        });
        Self { what, of, medium, bar, printed: Cell::new((None, 0)) }
    }

    /// So many are done; the rest takes about so long.
    pub fn at(&self, done: usize, left: Option<Duration>) {
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
        let percent = done * 100 / self.of.max(1);
        let about = about.map(|about| format!(", {about}")).unwrap_or_default();
        let line = format!("   {:<8} {done} of {} ({percent} %){about}", self.what, self.of);
        match self.medium {
            Medium::Stdout => println!("{line}"),
            Medium::Stderr => eprintln!("{line}"),
            Medium::StdoutJson => println!(
                "{}",
                json!({"type": "progress", "what": self.what, "done": done, "total": self.of, "secondsLeft": left.map(|left| left.as_secs())})
            ),
        }
    }

    /// The thing has ended.
    pub fn end(self) {
        let Some(bar) = self.bar else { return };
        bar.finish();
        // A finished bar leaves the cursor in its line.
        if self.medium == Medium::Stderr { eprintln!() } else { println!() }
    }
}

/// Between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);
