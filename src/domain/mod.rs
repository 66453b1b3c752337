//! The pure core: what a genuine IPN is, what Amazon's objects mean, what changed, what to tell.
//!
//! Everything here is a function of its arguments. Nothing in this folder waits, does input or output, looks at
//! a clock, an environment variable or a random source, keeps a global or writes a log line, and nothing names
//! a module outside of it (`tests/all/layering.rs` enforces that).

pub mod timestamp;

pub mod sns;

pub mod ipn;

pub mod merchants;

pub mod homes;

pub mod notification;

pub mod recheck_request;

pub mod pay;

pub mod work;

pub mod state;

pub mod events;

pub mod dead_letter;

pub mod redrive;

/// A stranger's word made fit for a log line.
fn printable(word: &str, chars_max: usize) -> String {
    word.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(chars_max).collect()
}
