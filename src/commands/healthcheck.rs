//! `healthcheck`: asks a running receiver over HTTP, since its image has neither a shell nor another client.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::http::client;

/// Why the check could not be made.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What is asked, and what is hoped for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What is asked: whether the process lives, unless this says otherwise.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090/healthz")]
    url: String,
    /// The status that is hoped for.
    #[arg(long, value_name = "STATUS", default_value_t = 200, value_parser = clap::value_parser!(u16).range(100..=599))]
    expect: u16,
    /// Ask every half a second until that status comes, for so long at most; 0 asks once.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3600))]
    within_s: u64,
}

/// Asks, and prints what was answered. Exit code 1: not what was hoped for.
pub async fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    // It is a neighbour that is asked; a proxy knows no way to it.
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let client = client.timeout(TIMEOUT).build()?;
    let began = Instant::now();
    loop {
        let answer = ask(&client, &arguments.url).await;
        if let Ok((status, text)) = &answer
            && *status == arguments.expect
        {
            println!("{} answers {status} {text}", arguments.url);
            return Ok(ExitCode::SUCCESS);
        }
        if began.elapsed() + PAUSE > Duration::from_secs(arguments.within_s) {
            let (url, expected) = (&arguments.url, arguments.expect);
            return Err(match answer {
                Ok((status, text)) => format!("{url} answers {status} instead of {expected}: {text}"),
                Err(trouble) => format!("{url} does not answer: {trouble}"),
            }
            .into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(client: &reqwest::Client, url: &str) -> Result<(u16, String), String> {
    let answer = client.get(url).send().await.map_err(client::error_chain)?;
    let status = answer.status().as_u16();
    let body = client::limited_body(answer, BODY_BYTES_MAX).await.map_err(|bad| bad.to_string())?;
    Ok((status, String::from_utf8_lossy(&body).trim().to_owned()))
}

/// Less than the time that container runtimes give a health check.
const TIMEOUT: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(500);
const BODY_BYTES_MAX: usize = 65_536;
