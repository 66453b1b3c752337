//! How a scenario is told: what Amazon does, what is posted, and which events must follow.

use std::time::Duration;

use serde_json::Value;

use super::Error;
use super::environment::{Hint, SandboxEnvironment};
use super::events::EventReader;
use super::output::{Actor, Output};
use super::pay_api::ObjectKind;
use super::sns::SignatureVersion;
use crate::app::App;

/// A scenario under way.
pub(super) struct Runner<'a> {
    environment: &'a SandboxEnvironment,
    app: &'a App,
    reader: EventReader,
    output: &'a Output,
    patience: Duration,
    chapters: usize,
    reads_told: usize,
    expected: usize,
    /// The whole scenario is about one permission, so every event's is above it.
    last_sequence: String,
    problems: Vec<String>,
}

/// An event that must come: its name, its subject, and what it says to do.
pub(super) type Expected<'a> = (&'a str, &'a str, &'a str);

impl<'a> Runner<'a> {
    /// Waits for each event for at most `patience`.
    pub(super) fn new(
        environment: &'a SandboxEnvironment,
        app: &'a App,
        reader: EventReader,
        output: &'a Output,
        patience: Duration,
    ) -> Self {
        Self {
            environment,
            app,
            reader,
            output,
            patience,
            chapters: 0,
            reads_told: 0,
            expected: 0,
            last_sequence: String::new(),
            problems: Vec::new(),
        }
    }

    /// Whether every expected event came and no other.
    pub(super) async fn end(mut self) -> bool {
        self.nothing_more_comes().await;
        self.output.result(self.expected, &self.problems);
        self.problems.is_empty()
    }

    async fn nothing_more_comes(&mut self) {
        while let Some(event) = self.reader.next(QUIET).await {
            self.output.event(&event);
            self.problem(format!("an event came that was not expected: {}", name_of(&event)));
        }
        self.tell_reads();
    }

    pub(super) fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        self.output.chapter(self.chapters, title);
    }

    pub(super) fn amazon_puts(&self, kind: ObjectKind, id: &str, object: Value, state: &str, reasons: &[&str]) {
        self.environment.put(kind, object, state, reasons);
        self.tell_state(id, state, reasons);
    }

    /// Amazon's times have whole seconds, so a change waits until the second of the one before it is over.
    pub(super) async fn amazon_changes(&self, kind: ObjectKind, id: &str, state: &str, reasons: &[&str]) {
        tokio::time::sleep(A_SECOND_AT_LEAST).await;
        self.environment.change(kind, id, state, reasons);
        self.tell_state(id, state, reasons);
    }

    fn tell_state(&self, id: &str, state: &str, reasons: &[&str]) {
        let because = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
        self.output.happened(Actor::Amazon, &format!("{id} is {state}{because}"));
    }

    pub(super) fn envelope(&self, kind: ObjectKind, id: &str, version: SignatureVersion) -> String {
        let hint = Hint { merchant: &self.environment.merchants[0], kind, id, notification_type: "STATE_CHANGE" };
        self.environment.envelope(&hint, version)
    }

    pub(super) async fn post(&mut self, kind: ObjectKind, id: &str, version: SignatureVersion) -> Result<(), Error> {
        let body = self.envelope(kind, id, version);
        self.post_body(&body, &format!("IPN: \"{id} changed\", and nothing else")).await
    }

    pub(super) async fn post_body(&mut self, body: &str, what: &str) -> Result<(), Error> {
        self.post_refused(body, what, 200).await
    }

    pub(super) async fn post_refused(&mut self, body: &str, what: &str, expected: u16) -> Result<(), Error> {
        let answer = self.environment.post(self.app, body).await?;
        self.output.happened(Actor::Posted, &format!("{what} → {}", answer.status));
        if answer.status != expected {
            self.problem(format!("{what} was answered {} instead of {expected}: {}", answer.status, answer.body));
        }
        Ok(())
    }

    pub(super) async fn expect(&mut self, events: &[Expected<'_>]) {
        for (name, subject, code) in events {
            self.expected += 1;
            let Some(event) = self.reader.next(self.patience).await else {
                self.tell_reads();
                self.problem(format!("{name} of {subject} did not come within {} s", self.patience.as_secs()));
                continue;
            };
            self.tell_reads();
            self.output.event(&event);
            let came = (name_of(&event), event["subject"].as_str().unwrap_or_default());
            let sequence = event["sequence"].as_str().unwrap_or_default().to_owned();
            if sequence <= self.last_sequence {
                self.problem(format!(
                    "the sequence of {name} is {sequence}, which is not above {}",
                    self.last_sequence
                ));
            }
            self.last_sequence = sequence;
            if came != (*name, *subject) {
                self.problem(format!("expected {name} of {subject}, but {} of {} came", came.0, came.1));
            }
            let says = event["data"]["nextAction"]["code"].as_str().unwrap_or_default();
            if says != *code {
                self.problem(format!("{name} of {subject} says {says} and not {code}"));
            }
        }
    }

    fn tell_reads(&mut self) {
        let reads = self.environment.pay_api.reads();
        for read in &reads[self.reads_told..] {
            let status = read.status.map_or("no answer".to_owned(), |status| status.to_string());
            self.output.happened(Actor::Fetched, &format!("{} {} → {status}", read.method, read.path));
        }
        self.reads_told = reads.len();
    }

    fn problem(&mut self, what: String) {
        self.output.happened(Actor::Problem, &what);
        self.problems.push(what);
    }
}

/// `amazonpay.ChargeDeclined.v1` → `ChargeDeclined`.
fn name_of(event: &Value) -> &str {
    event["type"].as_str().and_then(|wire| wire.rsplit('.').nth(1)).unwrap_or("?")
}

const A_SECOND_AT_LEAST: Duration = Duration::from_millis(1050);
const QUIET: Duration = Duration::from_secs(2);
