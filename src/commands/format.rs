//! Numbers, durations and output as all commands print them.

use std::io::Write as _;
use std::time::Duration;

/// `1 record`, `2 records`.
pub(super) fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A rounded duration: `40 s`, `3 h 28 min`.
pub(super) fn about(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0..=1) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// Writes to standard output. A reader that closes the pipe early, as `head` does, is no error.
pub(super) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_durations_are_readable() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "record")), ["0 records", "1 record", "2 records"]);
        for (seconds, text) in [(0.2, "1 s"), (119.0, "119 s"), (125.0, "2 min"), (12_500.0, "3 h 28 min")] {
            assert_eq!(about(Duration::from_secs_f64(seconds)), text);
        }
    }
}
