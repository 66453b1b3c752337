//! `trigger FILE.toml`: has the sandbox play a story, and shows it as it goes on.

use std::path::Path;

use futures_util::StreamExt as _;
use serde_json::Value;

use super::{Arguments, no_answer, refused};
use crate::commands::{Error, Exit};
use crate::sandbox::output::{Format, Output, problems_of};
use crate::sandbox::story::Story;

/// Whether the argument is the name of such a file.
pub(super) fn is_file(argument: &str) -> bool {
    Path::new(argument).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

/// Returns [`Exit::No`] if an expected event did not come, or another one did.
pub(super) async fn play(client: &reqwest::Client, arguments: &Arguments, file: &str) -> Result<Exit, Error> {
    let text = std::fs::read_to_string(file).map_err(|io| format!("cannot read {file}: {io}"))?;
    Story::parse(&text).map_err(|error| Error::Usage(format!("{file}: {error}")))?;
    let control = arguments.control;
    let sent = client.post(format!("http://{control}/story")).header("content-type", "text/plain").body(text).send();
    let answer = sent.await.map_err(|error| no_answer(control, error))?;
    if answer.status() != 200 {
        let status = answer.status().as_u16();
        return Err(refused(control, status, &answer.text().await.unwrap_or_default()));
    }
    let output = Output::new(if arguments.json { Format::Json } else { Format::Text });
    let (mut chunks, mut rest) = (answer.bytes_stream(), Vec::new());
    while let Some(chunk) = chunks.next().await {
        rest.extend_from_slice(&chunk.map_err(|error| no_answer(control, error))?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let line: Value = serde_json::from_slice(&line).map_err(|error| Error::Failed(error.to_string()))?;
            output.show(&line);
            if line["type"] == "result" {
                return Ok(if problems_of(&line).is_empty() { Exit::Success } else { Exit::No });
            }
        }
    }
    Err(Error::Failed(format!("the sandbox at {control} (--control) ended before the story did")))
}
