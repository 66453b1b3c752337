//! The pure core: verifies IPNs, reads Amazon Pay's objects, queues the reads and derives the events.
//!
//! Every result depends on the arguments alone. This folder does no input or output, reads no clock, environment variable or
//! random source, keeps no global, writes no log line, and imports no module outside of it (`tests/all/layering.rs` enforces
//! that).
#![warn(missing_docs)]

pub mod timestamp;

mod decimal;

pub mod sns;

pub mod ipn;

pub mod trace;

pub mod pay;

pub mod work;

pub mod state;

pub mod events;

pub mod dead_letter;

pub mod record_headers;

pub mod schema_version;

/// The most bytes of a record of any topic: key, value and headers. Each topic takes records of 1,000,000 bytes with what the
/// protocol adds to them (`max.message.bytes`), and the producers are set to that.
pub const RECORD_BYTES_MAX: usize = 950_000;

/// Deserializes a string with `parse`, without an intermediate copy.
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

/// Removes the characters of an untrusted word that a log line must not contain, and shortens it.
fn printable(word: &str, chars_max: usize) -> String {
    word.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(chars_max).collect()
}
