//! The pure core: what a genuine IPN is, what Amazon's objects mean, what changed, what to tell.
//!
//! Everything here is a function of its arguments. Nothing in this folder waits, does input or output, looks at
//! a clock, an environment variable or a random source, keeps a global or writes a log line, and nothing names
//! a module outside of it (`tests/all/layering.rs` enforces that).

pub mod timestamp;

pub mod sns;

pub mod ipn;

pub mod trace;

pub mod pay;

pub mod work;

pub mod state;

pub mod events;

pub mod dead_letter;

pub mod record_headers;

/// Reads a text that `parse` understands, without a copy of it in between.
fn deserialize_text<'de, D: serde::Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    struct Text<F>(&'static str, F);
    impl<T, F: FnOnce(&str) -> Option<T>> serde::de::Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            (self.1)(text).ok_or_else(|| E::custom(format_args!("not {}", self.0)))
        }
    }
    deserializer.deserialize_str(Text(expected, parse))
}

/// A stranger's word made fit for a log line.
fn printable(word: &str, chars_max: usize) -> String {
    word.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(chars_max).collect()
}
