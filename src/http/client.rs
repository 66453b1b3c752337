//! What every request of ours to Amazon has in common: an answer of limited size, and an error told with its cause.

use futures_util::StreamExt as _;

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadBody {
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("{0}")]
    BrokeOff(String),
}

/// The body of an answer.
pub(crate) async fn limited_body(answer: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, BadBody> {
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(|error| BadBody::BrokeOff(told(error)))?);
        if body.len() > bytes_max {
            return Err(BadBody::TooLong(bytes_max));
        }
    }
    Ok(body)
}

/// An error with its sources, since reqwest's own words stop at "error sending request". The URL stays out: who
/// asked knows it.
pub(crate) fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    // rustls adds a page of its own manual.
    text.split(": https://").next().unwrap_or_default().to_owned()
}

/// Whether a request failed because the other's TLS certificate is expired or not valid yet by our clock.
pub(crate) fn is_about_validity(error: &(dyn std::error::Error + 'static)) -> bool {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    if let Some(rustls::Error::InvalidCertificate(
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
    )) = error.downcast_ref()
    {
        return true;
    }
    // An I/O error holds its cause where `source` does not look.
    let inner = match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|held| held as &(dyn std::error::Error + 'static)),
        None => error.source(),
    };
    inner.is_some_and(is_about_validity)
}
