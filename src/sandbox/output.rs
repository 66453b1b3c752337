//! Prints the scenario on standard output: aligned lines for people, JSON lines for programs.

use std::io::IsTerminal as _;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::broker::Broker;
use super::control::DEFAULT_ADDRESS;
use super::environment::SandboxEnvironment;
use crate::app::App;
use crate::commands::progress::{Medium, Progress};
use crate::config::Topics;

/// How the sandbox prints its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people, with colours on a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

/// What a step of the scenario shows; its label starts the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// An object changes at Amazon Pay.
    Amazon,
    /// An IPN is posted and answered.
    Ipn,
    /// The receiver reads an object from the Amazon Pay API.
    Read,
    /// The receiver published an event.
    Event,
    /// The scenario did not go as expected.
    Problem,
}

/// Standard output, or another process that shows the lines.
pub(super) struct Output {
    format: Format,
    colours: bool,
    sink: Option<UnboundedSender<Value>>,
}

impl Output {
    pub(super) fn new(format: Format) -> Self {
        Self { format, colours: format == Format::Text && std::io::stdout().is_terminal(), sink: None }
    }

    /// Gives each line to `sink`, in JSON.
    pub(super) fn lines_to(sink: UnboundedSender<Value>) -> Self {
        Self { format: Format::Json, colours: false, sink: Some(sink) }
    }

    /// Prints a line of [`Output::lines_to`].
    pub(super) fn show(&self, line: &Value) {
        if self.format == Format::Json {
            return self.line(line);
        }
        let text = |field: &str| line[field].as_str().unwrap_or_default();
        let number = |field: &str| line[field].as_u64().and_then(|number| number.try_into().ok()).unwrap_or_default();
        match text("type") {
            "chapter" => self.chapter(number("number"), text("title")),
            "step" => {
                let step = Step::ALL.into_iter().find(|step| step.name() == text("step"));
                self.step(step.unwrap_or(Step::Problem), text("text"));
            }
            "event" => self.event(&line["event"]),
            "result" => self.result(number("eventsExpected"), &problems_of(line)),
            _ => {}
        }
    }

    /// Prints the addresses of everything that the sandbox started.
    pub(super) fn addresses(&self, environment: &SandboxEnvironment, broker: &Broker, app: &App, topics: &Topics) {
        let is_real = matches!(broker, Broker::Real(_));
        let (kafka, ingress, admin) = (broker.bootstrap_servers(), app.ingress_address(), app.admin_address());
        if self.format == Format::Json {
            return self.line(&json!({
                "type": "started", "kafka": kafka, "ingress": ingress.to_string(), "admin": admin.to_string(),
                "eventsTopic": topics.events, "exactlyOnce": is_real,
            }));
        }
        let (sns, pay_api) = (&environment.sns, &environment.pay_api);
        let note = if is_real {
            "real broker; its topics remain after the sandbox ends"
        } else {
            "mock broker of librdkafka, in this process"
        };
        println!("ipn-receiver sandbox: all servers run on this machine's loopback interface.\n");
        println!("  Amazon SNS  {} at {}; signs every message", sns.host(), sns.address());
        println!("  Amazon Pay  {} at {}; verifies every request", pay_api.host(), pay_api.address());
        println!("  Kafka       {kafka}; {note}");
        if !is_real {
            println!("              It does not provide exactly-once; for that use --kafka HOST:PORT");
        }
        println!("  Receiver    http://{ingress}/ipn");
        println!("  Admin       http://{admin}/readyz and http://{admin}/metrics");
        println!("  Events      topic {}\n", topics.events);
    }

    pub(super) fn waiting(&self) {
        if self.format == Format::Text {
            println!("The receiver joins its consumer group and restores its state (about 4 s) ...");
        }
    }

    pub(super) fn chapter(&self, number: usize, title: &str) {
        match self.format {
            Format::Json => self.line(&json!({"type": "chapter", "number": number, "title": title})),
            Format::Text => println!("\n{}", self.painted(BOLD, &format!("{number}. {title}"))),
        }
    }

    pub(super) fn step(&self, step: Step, text: &str) {
        let (label, colour) = step.label_and_colour();
        match self.format {
            Format::Json => self.line(&json!({"type": "step", "step": step.name(), "text": text})),
            Format::Text => println!("   {} {text}", self.painted(colour, &format!("{label:<8}"))),
        }
    }

    pub(super) fn event(&self, event: &Value) {
        if self.format == Format::Json {
            return self.line(&json!({"type": "event", "event": event}));
        }
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
        let name = text("/type").rsplit('.').nth(1).unwrap_or("?");
        self.step(Step::Event, &format!("{} published for {}", self.painted(BOLD, name), text("/subject")));
        println!("{INDENT}{}", details(event));
        let (code, advice) = (text("/data/nextAction/code"), text("/data/nextAction/text"));
        if code == "NONE" {
            return;
        }
        println!("{INDENT}next action: {}", self.painted(BOLD, code));
        let field = |name: &str| event.pointer(name).and_then(Value::as_str).unwrap_or_default();
        let (url, deadline) = (field("/data/nextAction/url"), field("/data/nextAction/deadline"));
        for line in wrapped(&format!("{advice} {url}{deadline}"), ADVICE_WIDTH) {
            println!("{INDENT}  {line}");
        }
    }

    pub(super) fn result(&self, expected: usize, problems: &[String]) {
        if self.format == Format::Json {
            return self.line(&json!({"type": "result", "eventsExpected": expected, "problems": problems}));
        }
        if problems.is_empty() {
            let text = format!("All {expected} expected events were published in order, once each, and no others.");
            return println!("\n{}", self.painted(GREEN, &text));
        }
        self.problems("The scenario failed:", problems);
    }

    pub(super) fn progress(&self, what: &'static str, total: usize) -> Progress {
        let medium = match self.format {
            Format::Text => Medium::Stdout,
            Format::Json => Medium::StdoutJson,
        };
        Progress::new(medium, what, total)
    }

    pub(super) fn drained(&self, n_ipns: usize, n_published: usize, problems: &[String]) {
        if self.format == Format::Json {
            return self.line(
                &json!({"type": "result", "ipns": n_ipns, "objectsPublished": n_published, "problems": problems}),
            );
        }
        if problems.is_empty() {
            let text = format!("{n_ipns} IPNs, {n_published} objects: one event for each object, nothing lost.");
            return println!("\n{}", self.painted(GREEN, &text));
        }
        self.problems("The backlog scenario failed:", problems);
    }

    fn problems(&self, title: &str, problems: &[String]) {
        println!("\n{}", self.painted(RED, title));
        for problem in problems {
            println!("  {problem}");
        }
    }

    /// Prints the next steps, as lines to paste.
    pub(super) fn staying(&self, app: &App, broker: &Broker, topics: &Topics, control: SocketAddr) {
        let (program, kafka, topic) = (program(), broker.bootstrap_servers(), &topics.events);
        let at = if control.to_string() == DEFAULT_ADDRESS { String::new() } else { format!(" --control {control}") };
        let trigger =
            format!("{program} trigger ChargeDeclined --reason HardDeclined --permission-type PaymentMethodOnFile{at}");
        let listen = format!("{program} listen --kafka {kafka} --topic {topic}");
        let consumer = format!("python3 examples/python/dunning.py {kafka} sandbox {topic}");
        if self.format == Format::Json {
            return self.line(&json!({
                "type": "staying", "control": control.to_string(), "trigger": trigger, "listen": listen, "consumer": consumer,
            }));
        }
        println!("\nThe sandbox keeps running until Ctrl-C. Next, in other shells:\n");
        for (what, command) in [
            ("cause one event, any of `trigger --list`", trigger),
            ("see the events as they come", listen),
            ("read them with a consumer of your own; this is an example, see examples/README.md", consumer),
        ] {
            println!("  # {what}\n  {}\n", self.painted(BOLD, &command));
        }
        if let Broker::Mock(_) = broker {
            println!(
                "Any Kafka client can read {kafka}. This mock broker keeps everything in memory and has no TLS, no ACLs and no"
            );
            println!(
                "exactly-once: it shows aborted records, and transactions store no offsets. For all of that: --kafka HOST:PORT"
            );
        }
        println!("Metrics: http://{}/metrics", app.admin_address());
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&self, value: &Value) {
        match &self.sink {
            // A reader that is gone needs no lines.
            Some(sink) => drop(sink.send(value.clone())),
            None => println!("{value}"),
        }
    }
}

/// The problems of a result.
pub(super) fn problems_of(line: &Value) -> Vec<String> {
    let problems = line["problems"].as_array().into_iter().flatten();
    problems.filter_map(|problem| problem.as_str().map(str::to_owned)).collect()
}

impl Step {
    const ALL: [Self; 5] = [Self::Amazon, Self::Ipn, Self::Read, Self::Event, Self::Problem];

    fn label_and_colour(self) -> (&'static str, &'static str) {
        match self {
            Self::Amazon => ("Amazon", "33"),
            Self::Ipn => ("IPN", "36"),
            Self::Read => ("read", "90"),
            Self::Event => ("event", GREEN),
            Self::Problem => ("problem", RED),
        }
    }

    /// The value of `step` in JSON.
    fn name(self) -> &'static str {
        match self {
            Self::Amazon => "amazon",
            Self::Ipn => "ipn",
            Self::Read => "read",
            Self::Event => "event",
            Self::Problem => "problem",
        }
    }
}

/// How the user started this program, so that lines with it can be pasted.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "ipn-receiver".to_owned())
}

/// `Chargeable → NonChargeable, reason PaymentMethodInvalid`
fn details(event: &Value) -> String {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let state = text("/data/state").unwrap_or("-");
    let mut details = vec![match text("/data/previousState") {
        Some(previous) if previous != state => format!("{previous} → {state}"),
        Some(_) => state.to_owned(),
        None => format!("first sight, {state}"),
    }];
    let reasons = event["data"]["reasons"].as_array().into_iter().flatten();
    details.extend(reasons.filter_map(|reason| Some(format!("reason {}", reason["reasonCode"].as_str()?))));
    details.extend(text("/data/evidence/0").map(|evidence| format!("evidence {evidence}")));
    details.join(", ")
}

/// The words of a text in lines of at most `width` characters; a longer word gets a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31";
/// As wide as the label of a step with the spaces around it.
const INDENT: &str = "            ";
const ADVICE_WIDTH: usize = 78;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a https://pay.amazon.com/ ", 5), ["a", "https://pay.amazon.com/"]);
        assert_eq!(wrapped("", 5), [""; 0]);
    }
}
