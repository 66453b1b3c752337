//! Prints the scenario on standard output: aligned lines for people, JSON lines for programs.

use std::net::SocketAddr;

use anstyle::Style;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::broker::Broker;
use super::control::DEFAULT_ADDRESS;
use super::environment::SandboxEnvironment;
use super::naive_webhook::NaiveWebhook;
use crate::app::App;
use crate::commands::progress::{Medium, Progress};
use crate::commands::terminal::{self, BOLD, CYAN, DIM, GREEN, RED, Text, YELLOW};
use crate::config::Topics;
use crate::domain::events::name_of_type;

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
    sink: Option<UnboundedSender<Value>>,
}

impl Output {
    pub(super) fn new(format: Format) -> Self {
        Self { format, sink: None }
    }

    /// Gives each line to `sink`, in JSON.
    pub(super) fn lines_to(sink: UnboundedSender<Value>) -> Self {
        Self { format: Format::Json, sink: Some(sink) }
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
        Self::say("ipn-receiver sandbox: all servers run on this machine's loopback interface.\n");
        Self::say(format!("  Amazon SNS  {} at {}; signs every message", sns.host(), sns.address()));
        Self::say(format!("  Amazon Pay  {} at {}; verifies every request", pay_api.host(), pay_api.address()));
        Self::say(format!("  Kafka       {kafka}; {note}"));
        if !is_real {
            Self::say("              It does not provide exactly-once; for that use --kafka HOST:PORT");
        }
        Self::say(format!("  Receiver    http://{ingress}/ipn"));
        Self::say(format!("  Admin       http://{admin}/readyz and http://{admin}/metrics"));
        Self::say(format!("  Events      topic {}\n", topics.events));
    }

    pub(super) fn waiting(&self) {
        if self.format == Format::Text {
            Self::say("The receiver joins its consumer group and restores its state (about 4 s) ...");
        }
    }

    pub(super) fn chapter(&self, number: usize, title: &str) {
        match self.format {
            Format::Json => self.line(&json!({"type": "chapter", "number": number, "title": title})),
            Format::Text => Self::say(Text::from("\n").styled(BOLD, &format!("{number}. {title}"))),
        }
    }

    pub(super) fn step(&self, step: Step, text: &str) {
        match self.format {
            Format::Json => self.line(&json!({"type": "step", "step": step.name(), "text": text})),
            Format::Text => Self::say(labelled(step, &text.into())),
        }
    }

    pub(super) fn event(&self, event: &Value) {
        if self.format == Format::Json {
            return self.line(&json!({"type": "event", "event": event}));
        }
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
        let name = name_of_type(text("/type"));
        let published = Text::default().styled(BOLD, name).plain(&format!(" published for {}", text("/subject")));
        Self::say(labelled(Step::Event, &published));
        Self::say(indented(&details(event).into()));
        let (code, advice) = (text("/data/nextAction/code"), text("/data/nextAction/text"));
        if code == "NONE" {
            return;
        }
        Self::say(indented(&Text::from("next action: ").styled(BOLD, code)));
        let field = |name: &str| event.pointer(name).and_then(Value::as_str).unwrap_or_default();
        let (url, deadline) = (field("/data/nextAction/url"), field("/data/nextAction/deadline"));
        Self::say(indented(&Text::from(format!("  {advice} {url}{deadline}").trim_end())));
    }

    /// Shows one event as its consumers get it. Programs get every event whole.
    pub(super) fn whole_event(&self, event: &Value) {
        if self.format == Format::Text {
            let title =
                format!("One of these events as its consumers get it: {}", event["type"].as_str().unwrap_or("?"));
            Self::say(Text::from("\n").styled(BOLD, &title));
            Self::say(format!("{event:#}"));
        }
    }

    /// Shows what the POSTs of the story would have done to another endpoint.
    pub(super) fn naive_webhook(&self, webhook: &NaiveWebhook) {
        let steps = webhook.steps().iter();
        if self.format == Format::Json {
            let steps: Vec<Value> = steps.map(|step| json!({"post": step.post, "does": step.deed.name()})).collect();
            return self.line(&json!({"type": "naiveWebhook", "steps": steps, "summary": webhook.summary()}));
        }
        let title = "The same POSTs at a webhook that believes each of them, and mails the buyer on each";
        Self::say(Text::from("\n").styled(BOLD, title));
        for step in steps {
            let line = Text::from("   ").plain(&step.post).plain(": ").styled(YELLOW, step.deed.text());
            Self::say(line.wrapped("     ", Some(columns())));
        }
        Self::say(Text::from("   ").plain(&webhook.summary()).wrapped("   ", Some(columns())));
    }

    pub(super) fn result(&self, expected: usize, problems: &[String]) {
        if self.format == Format::Json {
            return self.line(&json!({"type": "result", "eventsExpected": expected, "problems": problems}));
        }
        if problems.is_empty() {
            let text = format!("All {expected} expected events were published in order, once each, and no others.");
            return Self::say(Text::from("\n").styled(GREEN, &text));
        }
        Self::problems("The scenario failed:", problems);
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
            return Self::say(Text::from("\n").styled(GREEN, &text));
        }
        Self::problems("The backlog scenario failed:", problems);
    }

    fn problems(title: &str, problems: &[String]) {
        Self::say(Text::from("\n").styled(RED, title));
        for problem in problems {
            Self::say(Text::from("  ").plain(problem).wrapped("    ", terminal::width()));
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
        Self::say("\nThe sandbox keeps running until Ctrl-C. Next, in other shells:\n");
        for (what, command) in [
            ("cause one event, any of `trigger --list`", trigger),
            ("see the events as they come", listen),
            ("read them with a consumer of your own; this is an example, see examples/README.md", consumer),
        ] {
            Self::say(format!("  # {what}"));
            Self::say(Text::from("  ").styled(BOLD, &command));
            Self::say("");
        }
        if let Broker::Mock(_) = broker {
            let lacks = format!(
                "Any Kafka client can read {kafka}. This mock broker keeps everything in memory and has no TLS, no ACLs and no \
                 exactly-once: it shows aborted records, and transactions store no offsets. For all of that: --kafka HOST:PORT"
            );
            Self::say(Text::from(lacks).wrapped("", Some(columns())));
        }
        Self::say(format!("Metrics: http://{}/metrics", app.admin_address()));
    }

    fn line(&self, value: &Value) {
        match &self.sink {
            // A reader that is gone needs no lines.
            Some(sink) => drop(sink.send(value.clone())),
            None => Self::say(value.to_string()),
        }
    }

    /// A story whose output cannot be written still says by its exit code whether it succeeded.
    fn say(text: impl Into<Text>) {
        let _ = terminal::print_line(text);
    }
}

/// The problems of a result.
pub(super) fn problems_of(line: &Value) -> Vec<String> {
    let problems = line["problems"].as_array().into_iter().flatten();
    problems.filter_map(|problem| problem.as_str().map(str::to_owned)).collect()
}

impl Step {
    const ALL: [Self; 5] = [Self::Amazon, Self::Ipn, Self::Read, Self::Event, Self::Problem];

    fn label_and_style(self) -> (&'static str, Style) {
        match self {
            Self::Amazon => ("Amazon", YELLOW),
            Self::Ipn => ("IPN", CYAN),
            Self::Read => ("read", DIM),
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

/// `   IPN      text`
fn labelled(step: Step, text: &Text) -> Text {
    let (label, style) = step.label_and_style();
    Text::from("   ").styled(style, &format!("{label:<8}")).plain(" ").then(text).wrapped(INDENT, Some(columns()))
}

/// Text below that of a step.
fn indented(text: &Text) -> Text {
    Text::from(INDENT).then(text).wrapped(INDENT_OF_REST, Some(columns()))
}

fn columns() -> usize {
    terminal::width().unwrap_or(COLUMNS)
}

/// As wide as the label of a step with the spaces around it.
const INDENT: &str = "            ";
const INDENT_OF_REST: &str = "              ";
/// The width of lines for a file or a program.
const COLUMNS: usize = 92;
