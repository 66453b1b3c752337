//! What is shown looks either of two ways.

/// For whom the story is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people, with colours on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}
