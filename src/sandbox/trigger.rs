//! `trigger`: asks a running sandbox for one event, waits for it and prints it; or has it play a story.
//!
//! A client of the sandbox's control port. What it asks for is checked here first, so that a wrong name needs no sandbox.

mod file;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::control::DEFAULT_ADDRESS;
use super::performer::{Outcome, Read, Request};
use super::recipes::{Override, SIMULATION_CODES, SimulationCode, Variant, permission_types, variants};
use crate::commands::terminal::{note, print};
use crate::commands::{Error, Exit};
use crate::domain::events::{CATALOG, EventType};
use crate::http::client::error_chain;

/// The arguments of `trigger`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The event type, for example ChargeDeclined; an operation of the Amazon Pay API, for example create-charge; or a story, for
    /// example story.toml.
    #[arg(value_name = "EVENT", required_unless_present = "list")]
    event: Option<String>,
    /// With an operation: Amazon's simulation code, for example HardDeclined.
    #[arg(value_name = "CODE", conflicts_with = "reason")]
    code: Option<String>,
    /// Amazon's reason code. Without it, the first one that --list shows for the event type.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Recurring, PaymentMethodOnFile or OneTime. Without it, Recurring, or the type of the object that --id names.
    #[arg(long, value_name = "TYPE")]
    permission_type: Option<String>,
    /// The id of the object of the event. An object that exists is changed; without --id it is always a new one.
    #[arg(long, value_name = "ID", conflicts_with = "count")]
    id: Option<String>,
    /// A field of the object in Amazon's answer, for example chargeAmount.amount=14.00. May be repeated.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// How many events, each of an object of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// The time between two events, for example 2s or 500ms.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration, requires = "count")]
    interval: Duration,
    /// How long to wait for each event, for example 30s.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// Print each event as one line.
    #[arg(long)]
    json: bool,
    /// Print every event type with its reasons and permission types, and Amazon's simulation codes.
    #[arg(long, conflicts_with_all = ["event", "code", "reason", "permission_type", "id", "set"])]
    list: bool,
    /// The control port of the sandbox.
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_ADDRESS)]
    control: SocketAddr,
}

/// Prints the events. Returns [`Exit::No`] if one was not published in time.
pub async fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let Some(event) = arguments.event.as_deref() else {
        print(if arguments.json { list_json() } else { list() })?;
        return Ok(Exit::Success);
    };
    // The sandbox runs on this machine; a proxy may have no route to it.
    let client = reqwest::Client::builder().no_proxy().build()?;
    if file::is_file(event) {
        let Arguments { code, reason, permission_type, id, set, count, .. } = arguments;
        if [code, reason, permission_type, id].iter().any(|given| given.is_some()) || !set.is_empty() || *count > 1 {
            return Err(Error::Usage(format!("{event} is a story; only --json and --control go with it")));
        }
        return file::play(&client, arguments, event).await;
    }
    let request = request(event, arguments).map_err(Error::Usage)?;
    let mut exit = Exit::Success;
    for n in 0..arguments.count {
        if n > 0 {
            tokio::time::sleep(arguments.interval).await;
        }
        let outcome = ask(&client, arguments, &request).await?;
        match &outcome.event {
            Some(event) if arguments.json => print(format!("{event}\n"))?,
            Some(event) => print(format!("{event:#}\n"))?,
            None => {
                note(missing(&outcome, arguments.timeout));
                exit = Exit::No;
            }
        }
    }
    Ok(exit)
}

/// Checks the names before the sandbox is asked.
fn request(event: &str, arguments: &Arguments) -> Result<Request, String> {
    let Arguments { code, reason, permission_type, id, set, timeout, .. } = arguments;
    let simulated = SimulationCode::find(event, code.as_deref(), permission_type.as_deref());
    let variant = match (simulated, code) {
        (Some(variant), _) => variant?,
        (None, None) => Variant::find(event, reason.as_deref(), permission_type.as_deref())?,
        (None, Some(code)) => {
            return Err(format!(
                "unexpected {code}: an event type takes its reason by --reason, for example --reason {code}"
            ));
        }
    };
    for text in set {
        Override::parse(text)?;
    }
    Ok(Request {
        event: variant.event.name.to_owned(),
        reason: variant.reason.map(str::to_owned),
        // Where an object exists, its own permission decides.
        permission_type: permission_type.as_ref().map(|_| variant.permission_type.to_owned()),
        id: id.clone(),
        set: set.clone(),
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
    })
}

async fn ask(client: &reqwest::Client, arguments: &Arguments, request: &Request) -> Result<Outcome, Error> {
    let control = arguments.control;
    let body = serde_json::to_string(request).expect("a request is plain data");
    let posted = client
        .post(format!("http://{control}/trigger"))
        .header("content-type", "application/json")
        .timeout(arguments.timeout + ANSWER_GRACE)
        .body(body);
    let answer = posted.send().await.map_err(|error| no_answer(control, error))?;
    let status = answer.status().as_u16();
    let text = answer.text().await.map_err(|error| no_answer(control, error))?;
    match serde_json::from_str(&text) {
        Ok(outcome) if status == 200 => Ok(outcome),
        _ => Err(refused(control, status, &text)),
    }
}

fn no_answer(control: SocketAddr, error: reqwest::Error) -> Error {
    let is_connect = error.is_connect();
    let why = error_chain(error);
    Error::Failed(if is_connect {
        format!(
            "no sandbox runs at {control} (--control); start one in another shell with: ipn-receiver sandbox ({why})"
        )
    } else {
        format!("the sandbox at {control} (--control) did not answer: {why}")
    })
}

fn refused(control: SocketAddr, status: u16, body: &str) -> Error {
    let error = serde_json::from_str::<Value>(body).ok().and_then(|body| Some(body["error"].as_str()?.to_owned()));
    match (status, error) {
        (400, Some(error)) => Error::Usage(error),
        _ => Error::Failed(format!("{control} (--control) is not the control port of a sandbox: it answered {status}")),
    }
}

/// What happened instead of the event.
fn missing(outcome: &Outcome, timeout: Duration) -> String {
    let status = |status: Option<u16>| status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let posted = outcome.posted.iter().map(|posted| {
        let body = if posted.status == Some(200) { "" } else { &posted.answer };
        format!("{}: {} {body}", posted.ipn, status(posted.status)).trim_end().to_owned()
    });
    let read = outcome.read.iter().map(|read| {
        let Read { request, status: answered, times } = read;
        format!("{request}: {}, {times} times", status(*answered))
    });
    let published = outcome.published.iter().map(|event| format!("{} of {}", event.r#type, event.subject));
    let mut lines =
        vec![format!("ipn-receiver: {} was not published within {timeout:?} (--timeout). Instead:", outcome.awaited)];
    for (what, mut found) in
        [("posted", posted.collect::<Vec<_>>()), ("read", read.collect()), ("published", published.collect())]
    {
        if found.is_empty() {
            found.push("nothing".to_owned());
        }
        lines.extend(found.iter().map(|line| format!("  {what:<10} {line}")));
    }
    lines.join("\n")
}

fn list() -> String {
    let of_event = |event: &'static EventType| {
        let reasons = format!("    reasons           {}\n", event.reasons.join(", "));
        let reasons = if event.reasons.is_empty() { "" } else { &reasons };
        let permission_types = permission_types(event).join(", ");
        format!("\n  {}: {}\n{reasons}    permission types  {permission_types}\n", event.name, event.meaning)
    };
    let of_code = |row: &SimulationCode| {
        let reason = row.reason.map(|reason| format!(" --reason {reason}")).unwrap_or_default();
        format!("  {} {}: the same as {}{reason}\n", row.operation, row.code, row.event)
    };
    let events: String = CATALOG.iter().map(of_event).collect();
    let codes: String = SIMULATION_CODES.iter().map(of_code).collect();
    format!(
        "Events (--reason and --permission-type; the first of each is the default):\n{events}\nAmazon's simulation \
         codes:\n\n{codes}"
    )
}

fn list_json() -> String {
    let line = |variant: Variant| {
        let Variant { event, reason, permission_type } = variant;
        format!("{}\n", json!({"event": event.name, "reason": reason, "permissionType": permission_type}))
    };
    variants().into_iter().map(line).collect()
}

/// `500ms`, `2s`, `1m`, or a number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let ms = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        _ => return Err("use a number with ms, s or m, for example 2s".to_owned()),
    };
    let number: u32 = number.parse().map_err(|_| "use a number with ms, s or m, for example 2s".to_owned())?;
    Ok(Duration::from_millis(u64::from(number) * ms))
}

/// Time beyond `--timeout` for the sandbox to answer, and to end its story first.
const ANSWER_GRACE: Duration = Duration::from_mins(2);

#[cfg(test)]
mod tests {
    use super::super::performer::Posted;
    use super::*;

    #[test]
    fn durations_are_numbers_with_a_unit() {
        for (text, ms) in [("500ms", 500), ("2s", 2_000), ("2", 2_000), ("1m", 60_000), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "s", "2h", "-1s", "1.5s", "99999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn missing_event_says_what_happened_instead() {
        let outcome = Outcome {
            event: None,
            awaited: "ChargeDeclined of S01".to_owned(),
            posted: vec![Posted {
                ipn: "STATE_CHANGE of charge S01".to_owned(),
                status: Some(503),
                answer: "try later".to_owned(),
            }],
            read: vec![Read { request: "GET /charges/S01".to_owned(), status: None, times: 2 }],
            published: vec![],
        };
        assert_eq!(
            missing(&outcome, Duration::from_secs(30)),
            "ipn-receiver: ChargeDeclined of S01 was not published within 30s (--timeout). Instead:\n  \
             posted     STATE_CHANGE of charge S01: 503 try later\n  read       GET /charges/S01: no answer, 2 times\n  \
             published  nothing"
        );
    }

    #[test]
    fn list_names_every_event_and_code() {
        let text = list();
        for event in CATALOG {
            assert!(text.contains(&format!("\n  {}: ", event.name)), "{}", event.name);
        }
        assert!(text.contains("create-charge HardDeclined: the same as ChargeDeclined --reason HardDeclined\n"));
        assert_eq!(list_json().lines().count(), variants().len());
    }
}
