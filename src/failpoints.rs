//! Points at which a test lets this process die, freeze, or break one of its own rules.
//!
//! They are armed by the environment variable `FAILPOINTS`, such as `after-produce=3*off->return(kill)`, and are there
//! only with the cargo feature of this name, which a build without debug assertions refuses: in every other build the
//! functions below are empty.

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("failpoints are for tests: build without the feature, or with debug assertions");

/// Dies (`kill`) or freezes (`stop`) here, with the signal that no process can catch, if a test wants it so.
#[inline]
pub fn reach(point: &str) {
    #[cfg(feature = "failpoints")]
    armed::reach(point);
    #[cfg(not(feature = "failpoints"))]
    let _ = point;
}

/// Whether a test wants this rule to be broken.
#[inline]
pub fn breaks(rule: &str) -> bool {
    #[cfg(feature = "failpoints")]
    return armed::ask(rule).is_some();
    #[cfg(not(feature = "failpoints"))]
    {
        let _ = rule;
        false
    }
}

/// Reads `FAILPOINTS`; to be called once, before anything runs.
pub fn arm() {
    #[cfg(feature = "failpoints")]
    armed::arm();
}

#[cfg(feature = "failpoints")]
mod armed {
    use rustix::process::{Signal, getpid, kill_process};

    pub(super) fn arm() {
        // It is disarmed when dropped.
        std::mem::forget(fail::FailScenario::setup());
    }

    pub(super) fn ask(point: &str) -> Option<String> {
        fail::fail_point!(point, |action| Some(action.unwrap_or_default()));
        None
    }

    pub(super) fn reach(point: &str) {
        let signal = match ask(point).as_deref() {
            Some("kill") => Signal::KILL,
            Some("stop") => Signal::STOP,
            _ => return,
        };
        eprintln!("failpoint {point}: {signal:?}");
        let _ = kill_process(getpid(), signal);
    }
}
