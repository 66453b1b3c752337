//! What a person or a machine sees of the scenario.

use std::io::IsTerminal as _;

use serde_json::{Value, json};

use super::broker::Broker;
use super::environment::SandboxEnvironment;
use crate::app::App;
use crate::commands::progress::{Medium, Progress};
use crate::config::Topics;

/// For whom the scenario is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people, with colours on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Who does something in the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Actor {
    Amazon,
    Posted,
    Fetched,
    Event,
    Problem,
}

/// Standard output.
pub(super) struct Output {
    format: Format,
    colours: bool,
}

impl Output {
    pub(super) fn new(format: Format) -> Self {
        Self { format, colours: format == Format::Text && std::io::stdout().is_terminal() }
    }

    pub(super) fn opening(&self, environment: &SandboxEnvironment, broker: &Broker, app: &App, topics: &Topics) {
        let (kafka, note) = match broker {
            Broker::Mock(_) => (
                broker.bootstrap_servers(),
                "librdkafka's mock broker, in this process: it shows the way of an event, NOT exactly-once.\n              For that give a real one: --kafka HOST:PORT",
            ),
            Broker::Real(_) => (broker.bootstrap_servers(), "a real broker; the topics are left there when this ends"),
        };
        let (ingress, admin) = (app.ingress_address(), app.admin_address());
        if self.format == Format::Json {
            return Self::line(
                &json!({"happened": "opening", "kafka": kafka, "ingress": ingress.to_string(), "admin": admin.to_string(),
                "eventsTopic": topics.events, "exactlyOnceShown": matches!(broker, Broker::Real(_))}),
            );
        }
        println!("ipn-receiver sandbox: everything below happens on this machine's loopback; nothing leaves it.\n");
        println!(
            "  SNS         https://{} is {}, with its own CA; it really signs",
            environment.sns.host(),
            environment.sns.address()
        );
        println!(
            "  Amazon Pay  https://{} is {}; it really verifies our requests",
            environment.pay_api.host(),
            environment.pay_api.address()
        );
        println!("  Kafka       {kafka}: {note}");
        println!("  receiver    POST http://{ingress}/ipn    http://{admin}/readyz    http://{admin}/metrics");
        println!("  events      topic {}\n", topics.events);
    }

    pub(super) fn waiting(&self) {
        if self.format == Format::Text {
            println!("The receiver joins its consumer group and rebuilds its state (about 4 seconds) ...");
        }
    }

    pub(super) fn chapter(&self, number: usize, title: &str) {
        match self.format {
            Format::Json => Self::line(&json!({"happened": "chapter", "number": number, "title": title})),
            Format::Text => println!("\n{}", self.painted(BOLD, &format!("{number}. {title}"))),
        }
    }

    pub(super) fn happened(&self, actor: Actor, text: &str) {
        let (word, colour) = actor.word_and_colour();
        match self.format {
            Format::Json => Self::line(&json!({"happened": word, "text": text})),
            Format::Text => println!("   {} {text}", self.painted(colour, &format!("{word:<8}"))),
        }
    }

    pub(super) fn event(&self, event: &Value) {
        if self.format == Format::Json {
            return Self::line(&json!({"happened": "event", "event": event}));
        }
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
        let name = text("/type").rsplit('.').nth(1).unwrap_or("?").to_owned();
        let from = event
            .pointer("/data/previousState")
            .and_then(Value::as_str)
            .map_or("first sight".to_owned(), |state| format!("was {state}"));
        let reasons: Vec<&str> = event["data"]["reasons"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|reason| reason["reasonCode"].as_str())
            .collect();
        let because = if reasons.is_empty() { String::new() } else { format!("; reason {}", reasons.join(" and ")) };
        let evidence = event
            .pointer("/data/evidence/0")
            .and_then(Value::as_str)
            .map_or(String::new(), |evidence| format!("; evidence {evidence}"));
        let line =
            format!("{} {} ({from}{because}{evidence})", self.painted(BOLD, &format!("{name:<24}")), text("/subject"));
        self.happened(Actor::Event, &line);
        let (code, advice) = (text("/data/nextAction/code"), text("/data/nextAction/text"));
        if code != "NONE" {
            let url = event.pointer("/data/nextAction/url").and_then(Value::as_str).unwrap_or_default();
            println!("            → {code}: {advice} {url}");
        }
    }

    pub(super) fn result(&self, expected: usize, problems: &[String]) {
        if self.format == Format::Json {
            return Self::line(&json!({"happened": "result", "eventsExpected": expected, "problems": problems}));
        }
        if problems.is_empty() {
            println!(
                "\n{}",
                self.painted(
                    GREEN,
                    &format!("All {expected} expected events came, in order, once each, and nothing else.")
                )
            );
            return;
        }
        self.problems("The scenario did not come out right:", problems);
    }

    pub(super) fn progress(&self, what: &'static str, of: usize) -> Progress {
        let medium = match self.format {
            Format::Text => Medium::Stdout,
            Format::Json => Medium::StdoutJson,
        };
        Progress::new(medium, what, of)
    }

    pub(super) fn drained(&self, n_ipns: usize, n_told: usize, problems: &[String]) {
        if self.format == Format::Json {
            return Self::line(
                &json!({"happened": "result", "ipns": n_ipns, "objectsTold": n_told, "problems": problems}),
            );
        }
        if problems.is_empty() {
            let text = format!("{n_ipns} IPNs, {n_told} objects, each told once; nothing was lost.");
            return println!("\n{}", self.painted(GREEN, &text));
        }
        self.problems("The backlog was not drained as it should be:", problems);
    }

    fn problems(&self, title: &str, problems: &[String]) {
        println!("\n{}", self.painted(RED, title));
        for problem in problems {
            println!("  {problem}");
        }
    }

    pub(super) fn staying(&self, app: &App) {
        if self.format == Format::Text {
            println!(
                "\nThe receiver stays up; look at http://{}/metrics. Ctrl-C ends it (with --once it would have ended by itself).",
                app.admin_address()
            );
        }
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(value: &Value) {
        println!("{value}");
    }
}

impl Actor {
    fn word_and_colour(self) -> (&'static str, &'static str) {
        match self {
            Self::Amazon => ("amazon", "33"),
            Self::Posted => ("posted", "36"),
            Self::Fetched => ("fetched", "90"),
            Self::Event => ("event", GREEN),
            Self::Problem => ("problem", RED),
        }
    }
}

const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31";
