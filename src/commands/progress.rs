//! Progress of a long operation: a bar on a terminal, otherwise a line every few seconds.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::terminal;

/// Where the progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A bar or text lines on standard output.
    Stdout,
    /// One JSON object per line on standard output.
    StdoutJson,
    /// A bar or text lines on standard error.
    Stderr,
}

/// The progress of one operation.
pub struct Progress {
    what: &'static str,
    of: usize,
    medium: Medium,
    bar: Option<ProgressBar>,
    last_line: Cell<LastLine>,
}

/// The last line that was printed.
#[derive(Clone, Copy, Default)]
struct LastLine {
    printed_at: Option<Instant>,
    done: usize,
}

impl Progress {
    /// Starts at 0 of `of`.
    pub fn new(medium: Medium, what: &'static str, of: usize) -> Self {
        let target = match medium {
            Medium::Stdout => std::io::stdout().is_terminal().then(ProgressDrawTarget::stdout),
            Medium::StdoutJson => None,
            Medium::Stderr => std::io::stderr().is_terminal().then(ProgressDrawTarget::stderr),
        };
        let bar = target.map(|target| {
            let bar = ProgressBar::with_draw_target(Some(of as u64), target);
            let style = ProgressStyle::with_template("   {prefix:<8} {wide_bar} {pos}/{len} {msg}");
            bar.with_style(style.expect("the template is valid")).with_prefix(what)
        });
        Self { what, of, medium, bar, last_line: Cell::default() }
    }

    /// Shows that `done` are done, and the estimated time that is left.
    pub fn at(&self, done: usize, left: Option<Duration>) {
        let about = left.map(|left| format!("about {} s left", left.as_secs_f64().ceil()));
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(about.unwrap_or_default());
            return;
        }
        let last = self.last_line.get();
        let is_too_early = last.printed_at.is_some_and(|at| at.elapsed() < LINE_INTERVAL) && done < self.of;
        if done == last.done || is_too_early {
            return;
        }
        self.last_line.set(LastLine { printed_at: Some(Instant::now()), done });
        let percent = done * 100 / self.of.max(1);
        let about = about.map(|about| format!(", {about}")).unwrap_or_default();
        let line = format!("   {:<8} {done} of {} ({percent} %){about}", self.what, self.of);
        let json = json!({"type": "progress", "what": self.what, "done": done, "total": self.of, "secondsLeft": left.map(|left| left.as_secs())});
        self.line(if self.medium == Medium::StdoutJson { json.to_string() } else { line });
    }

    /// Ends the display.
    pub fn end(self) {
        let Some(bar) = &self.bar else { return };
        bar.finish();
        // A finished bar leaves the cursor in its line.
        self.line(String::new());
    }

    /// Progress that cannot be written must not stop the operation.
    fn line(&self, text: String) {
        match self.medium {
            Medium::Stdout | Medium::StdoutJson => _ = terminal::print_line(text),
            Medium::Stderr => terminal::note(text),
        }
    }
}

const LINE_INTERVAL: Duration = Duration::from_secs(5);
