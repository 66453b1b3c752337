//! Numbers, durations and words as all commands print them.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
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

/// One word or sentence for a terminal. Strangers may have written it: characters that move the cursor, change the terminal or
/// the direction of the text, end the line or are invisible are shown as JSON escapes them: `\u001b`.
pub(super) fn printable(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same for text of several lines, also of JSON, which keeps its meaning.
pub(super) fn printable_lines(text: &str) -> String {
    escaped(text, |c| c == '\n')
}

fn escaped(text: &str, is_allowed: impl Fn(char) -> bool) -> String {
    let is_shown = |c: char| is_allowed(c) || !(c.is_control() || INVISIBLE.iter().any(|range| range.contains(&c)));
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_shown(c) {
            shown.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    shown
}

/// Controls of the text's direction, separators of lines and paragraphs, characters without width, and tags.
const INVISIBLE: &[RangeInclusive<char>] = &[
    '\u{61c}'..='\u{61c}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{fff9}'..='\u{fffb}',
    '\u{e0000}'..='\u{e007f}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_stranger_wrote_reaches_the_terminal_raw() {
        let hostile = "a\u{1b}]52;c;cm0=\u{7}\u{9b}2J\r\nb\u{202e}c\u{2066}d\u{200b}e\u{feff}\u{2028}f\u{7f}\u{e0041}";
        let shown = printable(hostile);
        assert!(shown.chars().all(|c| c.is_ascii_graphic()), "{shown:?}");
        assert!(shown.starts_with(r"a\u001b]52;c;cm0=\u0007\u009b2J\u000d\u000ab\u202ec"), "{shown}");
        let json = serde_json::to_string_pretty(&[hostile]).unwrap();
        assert_eq!(serde_json::from_str::<[String; 1]>(&printable_lines(&json)).unwrap(), [hostile]);
        assert_eq!(printable_lines("Müller, 名前\n€ 5\t"), "Müller, 名前\n€ 5\\u0009");
    }

    #[test]
    fn counts_and_durations_are_readable() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "record")), ["0 records", "1 record", "2 records"]);
        for (seconds, text) in [(0.2, "1 s"), (119.0, "119 s"), (125.0, "2 min"), (12_500.0, "3 h 28 min")] {
            assert_eq!(about(Duration::from_secs_f64(seconds)), text);
        }
    }
}
