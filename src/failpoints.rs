//! Failpoints: places where a fault test kills the process, freezes it, or makes it break one of its own rules.
//!
//! The environment variable `FAILPOINTS` activates them, for example `after-produce=3*off->return(kill)` (syntax of the
//! crate `fail`). They exist only in a build with the cargo feature `failpoints`, which requires debug assertions. In every
//! other build the functions of this module do nothing.

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("the feature failpoints is for tests only: build without it, or with debug assertions");

/// Kills (`kill`) or freezes (`stop`) the process if a test activated this failpoint. It uses the signals that no process
/// can catch.
#[inline]
pub fn reach(point: &str) {
    #[cfg(feature = "failpoints")]
    active::reach(point);
    #[cfg(not(feature = "failpoints"))]
    let _ = point;
}

/// Whether a test asks the caller to break this rule.
#[inline]
pub fn breaks(rule: &str) -> bool {
    #[cfg(feature = "failpoints")]
    return active::action(rule).is_some();
    #[cfg(not(feature = "failpoints"))]
    {
        let _ = rule;
        false
    }
}

/// How far a test has set the clock of this process ahead, or back if negative: the milliseconds in the file that
/// `FAILPOINTS_CLOCK` names, which the test changes while the process runs.
#[inline]
pub fn clock_ahead_ms() -> i64 {
    #[cfg(feature = "failpoints")]
    return active::clock_ahead_ms();
    #[cfg(not(feature = "failpoints"))]
    0
}

/// Reads `FAILPOINTS`. Call it once, before anything else runs.
pub fn arm() {
    #[cfg(feature = "failpoints")]
    active::arm();
}

#[cfg(feature = "failpoints")]
mod active {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    use rustix::process::{Signal, getpid, kill_process};

    pub(super) fn arm() {
        // Dropping the scenario would deactivate all failpoints.
        std::mem::forget(fail::FailScenario::setup());
    }

    pub(super) fn clock_ahead_ms() -> i64 {
        static FILE: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os("FAILPOINTS_CLOCK").map(Into::into));
        let text = FILE.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// The argument of `return(…)`, if this failpoint is active.
    pub(super) fn action(point: &str) -> Option<String> {
        fail::fail_point!(point, |action| Some(action.unwrap_or_default()));
        None
    }

    #[expect(clippy::print_stderr, reason = "the standard error of a process that is about to die")]
    pub(super) fn reach(point: &str) {
        let signal = match action(point).as_deref() {
            Some("kill") => Signal::KILL,
            Some("stop") => Signal::STOP,
            _ => return,
        };
        eprintln!("failpoint {point}: {signal:?}");
        let _ = kill_process(getpid(), signal);
    }
}
