//! Helpers for requests to other hosts: reads a body up to a limit, and formats an error with its causes.

use futures_util::StreamExt as _;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadBody {
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("{0}")]
    Incomplete(String),
}

/// Reads the body of an answer, up to `bytes_max`.
pub(crate) async fn limited_body(answer: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, BadBody> {
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(|error| BadBody::Incomplete(error_chain(error)))?);
        if body.len() > bytes_max {
            return Err(BadBody::TooLong(bytes_max));
        }
    }
    Ok(body)
}

/// Formats an error with its sources, since reqwest's own text ends at "error sending request". Leaves out the URL,
/// which the caller knows.
pub(crate) fn error_chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    // rustls appends a link to its documentation.
    text.split(": https://").next().unwrap_or_default().to_owned()
}

/// Whether a request failed because the peer's TLS certificate is expired or not valid yet by this machine's clock.
pub(crate) fn is_about_validity(error: &(dyn std::error::Error + 'static)) -> bool {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    if let Some(rustls::Error::InvalidCertificate(
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
    )) = error.downcast_ref()
    {
        return true;
    }
    // `source` of an I/O error skips the error that it wraps.
    let inner = match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|held| held as &(dyn std::error::Error + 'static)),
        None => error.source(),
    };
    inner.is_some_and(is_about_validity)
}
