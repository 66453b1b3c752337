//! Standard output and standard error as every command writes them.
//!
//! - What a stranger may have written is escaped; only this program's own styles reach a terminal.
//! - Styles are left out where the output is no terminal, with `NO_COLOR`, and as `--color` says.
//! - A reader that closes the pipe early, as `head` does, is no error: what follows is dropped, and [`closed`] ends a command
//!   that would run on.

use std::fmt::{self, Write as _};
use std::io::{ErrorKind, IsTerminal as _, Write};
use std::sync::LazyLock;

use anstyle::{AnsiColor, Style};
use tokio::sync::watch;

use super::format::{printable, printable_lines};

/// Text in which everything is escaped but the styles of this program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Appends words without a style; an end of a line in them is escaped.
    #[must_use]
    pub fn plain(mut self, text: &str) -> Self {
        self.0 += &printable(text);
        self
    }

    /// Appends words in a style.
    #[must_use]
    pub fn styled(mut self, style: Style, text: &str) -> Self {
        let _ = write!(self.0, "{style}{}{style:#}", printable(text));
        self
    }

    /// Appends another text.
    #[must_use]
    pub fn then(mut self, text: &Self) -> Self {
        self.0 += &text.0;
        self
    }

    /// Breaks lines at blanks, to fit the terminal. Each line after the first starts with `indent`. Long words, such as URLs
    /// and ids, stay whole. Without a terminal the text stays as it is if `width` is none.
    #[must_use]
    pub fn wrapped(self, indent: &str, width: Option<usize>) -> Self {
        let Some(width) = width else { return self };
        let options = textwrap::Options::new(width)
            .break_words(false)
            .word_separator(textwrap::WordSeparator::AsciiSpace)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
            .subsequent_indent(indent);
        let wrapped = self.0.lines().flat_map(|line| textwrap::wrap(line, &options));
        Self(wrapped.collect::<Vec<_>>().join("\n"))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text of several lines, also of JSON, which keeps its meaning.
impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(printable_lines(text))
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

/// The columns of the terminal on standard output; none if it is no terminal.
pub fn width() -> Option<usize> {
    std::io::stdout().is_terminal().then(textwrap::termwidth)
}

/// Writes to standard output.
pub fn print(text: impl Into<Text>) -> std::io::Result<()> {
    write_to(anstream::stdout().lock(), &text.into(), "")
}

/// Writes a line to standard output.
pub fn print_line(text: impl Into<Text>) -> std::io::Result<()> {
    write_to(anstream::stdout().lock(), &text.into(), "\n")
}

/// Writes a line to standard error, if anybody reads it.
pub fn note(text: impl Into<Text>) {
    let _ = writeln!(anstream::stderr().lock(), "{}", text.into().0);
}

/// Waits until the reader of standard output has closed it.
pub async fn closed() {
    let _ = IS_CLOSED.subscribe().wait_for(|is_closed| *is_closed).await;
}

/// Standard output for text that is escaped already.
pub(super) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        unless_closed(std::io::stdout().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        unless_closed(std::io::stdout().flush())
    }
}

fn write_to(mut out: impl Write, text: &Text, end: &str) -> std::io::Result<()> {
    unless_closed(write!(out, "{}{end}", text.0).and_then(|()| out.flush()))
}

fn unless_closed(written: std::io::Result<()>) -> std::io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            IS_CLOSED.send_replace(true);
            Ok(())
        }
        outcome => outcome,
    }
}

/// A process has one standard output.
static IS_CLOSED: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// What matters most in a line.
pub const BOLD: Style = Style::new().bold();
/// What matters least.
pub const DIM: Style = AnsiColor::BrightBlack.on_default();
/// Success.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Failure.
pub const RED: Style = AnsiColor::Red.on_default();
/// A warning, or a change at Amazon.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// A message.
pub const CYAN: Style = AnsiColor::Cyan.on_default();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_styles_reach_the_terminal() {
        let text = Text::from("a\u{1b}[2J\n").styled(BOLD, "b\u{1b}]0;c\u{7}").plain("\u{202e}");
        assert_eq!(text.0, "a\\u001b[2J\n\u{1b}[1mb\\u001b]0;c\\u0007\u{1b}[0m\\u202e");
    }

    #[test]
    fn text_is_wrapped_at_blanks() {
        let wrapped = |text: &str, width| Text::from(text).wrapped("  ", Some(width)).0;
        assert_eq!(wrapped("one two three", 7), "one two\n  three");
        assert_eq!(wrapped("a https://pay.amazon.com/ S01-1-2", 9), "a\n  https://pay.amazon.com/\n  S01-1-2");
        assert_eq!(wrapped("one two\nthree four", 8), "one two\nthree\n  four", "each line by itself");
        assert_eq!(Text::from("one two").wrapped("", None).0, "one two");
        let styled = Text::default().styled(GREEN, "one").plain(" two").wrapped("", Some(7));
        assert_eq!(styled.0, "\u{1b}[32mone\u{1b}[0m two");
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        struct Closed(ErrorKind);
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        assert!(write_to(Closed(ErrorKind::StorageFull), &"x".into(), "").is_err());
        assert!(!*IS_CLOSED.borrow());
        write_to(Closed(ErrorKind::BrokenPipe), &"x".into(), "").unwrap();
        assert!(*IS_CLOSED.borrow());
    }
}
