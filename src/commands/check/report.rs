//! The output of `check`: one line per check, as text or JSON.

use serde_json::json;

use crate::commands::format::printable;
use crate::commands::terminal::{self, note};

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    verdict: Verdict,
    /// The name of the check. Scripts may rely on it.
    check: &'static str,
    what: String,
    /// What the operator can do, unless the check passed.
    remedy: Option<String>,
}

/// Prints lines at once, and counts them.
#[derive(Debug)]
pub(super) struct Report {
    is_json: bool,
    n_passed: usize,
    n_warned: usize,
    n_failed: usize,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

impl Line {
    pub(super) fn pass(check: &'static str, what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Pass, check, what: what.into(), remedy: None }
    }

    pub(super) fn warn(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, check, what: what.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn fail(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, check, what: what.into(), remedy: Some(remedy.into()) }
    }

    #[cfg(test)]
    pub(super) fn what(&self) -> &str {
        &self.what
    }
}

impl Report {
    pub(super) fn json() -> Self {
        Self { is_json: true, n_passed: 0, n_warned: 0, n_failed: 0 }
    }

    /// Prints the names of the columns.
    pub(super) fn text() -> Self {
        print("      check          result");
        Self { is_json: false, ..Self::json() }
    }

    pub(super) fn add(&mut self, line: &Line) {
        let Line { verdict, check, what, remedy } = line;
        match verdict {
            Verdict::Pass => self.n_passed += 1,
            Verdict::Warn => self.n_warned += 1,
            Verdict::Fail => self.n_failed += 1,
        }
        if self.is_json {
            let verdict = verdict.as_str().to_ascii_lowercase();
            print(&json!({"verdict": verdict, "check": check, "what": what, "remedy": remedy}).to_string());
            return;
        }
        print(&format!("{}  {check:<13}  {what}", verdict.as_str()));
        if let Some(remedy) = remedy {
            print(&format!("                     remedy: {remedy}"));
        }
    }

    /// Prints the counts. Returns whether no check failed.
    pub(super) fn end(self) -> bool {
        let Self { is_json, n_passed, n_warned, n_failed } = self;
        if is_json {
            print(&json!({"passed": n_passed, "warned": n_warned, "failed": n_failed}).to_string());
        } else {
            print(&format!("{n_passed} passed, {n_warned} warned, {n_failed} failed"));
        }
        n_failed == 0
    }
}

/// Shows on standard error what the command waits for; standard output holds only results.
pub(super) fn waiting_for(what: &str) {
    note(format!("      {what} …"));
}

/// An output that cannot be written must not stop the checks.
fn print(line: &str) {
    let _ = terminal::print_line(printable(line));
}
