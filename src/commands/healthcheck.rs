//! `healthcheck`: sends one HTTP request to a running receiver. The container image has neither a shell nor another HTTP
//! client.

use std::time::{Duration, Instant};

use super::terminal::{note, print_line};
use super::{Error, Exit};
use crate::http::client;

/// The arguments of `healthcheck`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The URL to request. The default shows whether the process is alive.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090/healthz")]
    url: String,
    /// The expected HTTP status.
    #[arg(long, value_name = "STATUS", default_value_t = 200, value_parser = clap::value_parser!(u16).range(100..=599))]
    expect: u16,
    /// Repeat the request every 0.5 s, for at most this many seconds, until the expected status is returned. 0 sends one
    /// request.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3600))]
    within_s: u64,
}

/// Sends the request and prints the response. Returns [`Exit::No`] if the expected status is not returned.
pub async fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let Arguments { url, expect, within_s } = arguments;
    // The receiver is on this host or network; a proxy may have no route to it.
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let client = client.timeout(TIMEOUT).build()?;
    let began = Instant::now();
    loop {
        let answer = request(&client, url).await;
        if let Ok(Answer { status, body }) = &answer
            && status == expect
        {
            print_line(format!("{url} answers {status}: {body}"))?;
            return Ok(Exit::Success);
        }
        if began.elapsed() + PAUSE > Duration::from_secs(*within_s) {
            match answer {
                Ok(Answer { status, body }) => {
                    note(format!("ipn-receiver: {url} answers {status} instead of {expect}: {body}"));
                }
                Err(error) => note(format!("ipn-receiver: {url} does not answer: {error}")),
            }
            return Ok(Exit::No);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Answer {
    status: u16,
    body: String,
}

async fn request(client: &reqwest::Client, url: &str) -> Result<Answer, String> {
    let answer = client.get(url).send().await.map_err(client::error_chain)?;
    let status = answer.status().as_u16();
    let body = client::limited_body(answer, BODY_BYTES_MAX).await.map_err(|bad| bad.to_string())?;
    Ok(Answer { status, body: String::from_utf8_lossy(&body).trim().to_owned() })
}

/// Shorter than the timeout of a container runtime's health check.
const TIMEOUT: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(500);
const BODY_BYTES_MAX: usize = 65_536;
