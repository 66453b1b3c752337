//! Runs a scenario: changes objects at Amazon Pay, posts IPNs, and checks which events the receiver publishes.

use std::time::Duration;

use serde_json::Value;

use super::Error;
use super::environment::{Hint, SandboxEnvironment};
use super::events::EventReader;
use super::naive_webhook::{NaiveWebhook, Post, object_of};
use super::output::{Output, Step};
use super::pay_api::{Environment, ObjectKind};
use super::sns::SignatureVersion;
use crate::app::App;

/// A running scenario.
pub(super) struct Runner<'a> {
    environment: &'a SandboxEnvironment,
    app: &'a App,
    reader: EventReader,
    output: &'a Output,
    event_timeout: Duration,
    chapters: usize,
    reads_shown: usize,
    events_expected: usize,
    /// A scenario has one charge permission, so every event has a higher sequence than the one before.
    last_sequence: String,
    naive: NaiveWebhook,
    /// The first event on which a merchant must act.
    sample: Option<Value>,
    problems: Vec<String>,
}

/// An event that the receiver must publish.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExpectedEvent<'a> {
    pub(super) name: &'a str,
    pub(super) subject: &'a str,
    pub(super) next_action: &'a str,
}

impl<'a> Runner<'a> {
    /// Waits at most `event_timeout` for each event.
    pub(super) fn new(
        environment: &'a SandboxEnvironment,
        app: &'a App,
        reader: EventReader,
        output: &'a Output,
        event_timeout: Duration,
    ) -> Self {
        Self {
            environment,
            app,
            reader,
            output,
            event_timeout,
            chapters: 0,
            reads_shown: 0,
            events_expected: 0,
            last_sequence: String::new(),
            naive: NaiveWebhook::default(),
            sample: None,
            problems: Vec::new(),
        }
    }

    /// Ends the scenario. Returns whether the receiver published every expected event and no other.
    pub(super) async fn end(mut self) -> bool {
        self.reject_further_events().await;
        if let Some(event) = &self.sample {
            self.output.whole_event(event);
        }
        self.output.naive_webhook(&self.naive);
        self.output.result(self.events_expected, &self.problems);
        self.problems.is_empty()
    }

    async fn reject_further_events(&mut self) {
        while let Some(event) = self.reader.next(QUIET_PERIOD).await {
            self.output.event(&event);
            self.problem(format!("unexpected event {}", name_of(&event)));
        }
        self.show_reads();
    }

    pub(super) fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        self.output.chapter(self.chapters, title);
    }

    pub(super) fn amazon_puts(&self, kind: ObjectKind, id: &str, object: Value, state: &str, reasons: &[&str]) {
        self.environment.put(kind, object, state, reasons);
        self.show_state(kind, id, state, reasons);
    }

    /// Changes an object in a later second than before: Amazon's timestamps have whole seconds.
    pub(super) async fn amazon_changes(&self, kind: ObjectKind, id: &str, state: &str, reasons: &[&str]) {
        tokio::time::sleep(TIMESTAMP_STEP).await;
        self.environment.change(kind, id, state, reasons);
        self.show_state(kind, id, state, reasons);
    }

    fn show_state(&self, kind: ObjectKind, id: &str, state: &str, reasons: &[&str]) {
        let because = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
        self.output.step(Step::Amazon, &format!("{} {id} becomes {state}{because}", kind.name()));
    }

    pub(super) fn envelope(&self, kind: ObjectKind, id: &str, version: SignatureVersion) -> String {
        let hint = Hint { merchant: &self.environment.merchants[0], kind, id, notification_type: "STATE_CHANGE" };
        self.environment.envelope(&hint, version)
    }

    pub(super) async fn post(&mut self, kind: ObjectKind, id: &str, version: SignatureVersion) -> Result<(), Error> {
        let body = self.envelope(kind, id, version);
        self.post_body(&body, &format!("{} {id} changed", kind.name())).await
    }

    pub(super) async fn post_body(&mut self, body: &str, what: &str) -> Result<(), Error> {
        self.post_expecting(body, what, 200).await
    }

    /// Posts a copy of a message that was posted before.
    pub(super) async fn post_again(&mut self, body: &str, what: &str) -> Result<(), Error> {
        self.post_as(body, (what, "verified, in the inbox already"), 200).await
    }

    pub(super) async fn post_expecting(&mut self, body: &str, what: &str, status: u16) -> Result<(), Error> {
        let outcome = if status == 200 { "verified, stored in inbox" } else { "rejected" };
        self.post_as(body, (what, outcome), status).await
    }

    async fn post_as(&mut self, body: &str, (what, outcome): (&str, &str), status: u16) -> Result<(), Error> {
        let answer = self.environment.post(self.app, body).await?;
        let object =
            object_of(body).and_then(|(kind, id)| self.environment.pay_api.get(Environment::Sandbox, kind, &id));
        let state = object.and_then(|object| object["statusDetails"]["state"].as_str().map(str::to_owned));
        self.naive.receive(&Post { what, body, is_forged: answer.status == 403, state });
        self.output.step(Step::Ipn, &format!("{what}: {outcome}, answered {}", answer.status));
        if answer.status != status {
            self.problem(format!("{what}: answered {} instead of {status}: {}", answer.status, answer.body));
        }
        Ok(())
    }

    pub(super) async fn expect(&mut self, events: &[ExpectedEvent<'_>]) {
        for expected in events {
            self.events_expected += 1;
            let event = self.reader.next(self.event_timeout).await;
            self.show_reads();
            match event {
                Some(event) => {
                    self.output.event(&event);
                    self.compare(expected, &event);
                    let code = event["data"]["nextAction"]["code"].as_str().unwrap_or_default();
                    if self.sample.is_none() && !["NONE", "WAIT"].contains(&code) {
                        self.sample = Some(event);
                    }
                }
                None => self.problem(format!(
                    "{} of {} was not published within {} s",
                    expected.name,
                    expected.subject,
                    self.event_timeout.as_secs()
                )),
            }
        }
    }

    fn compare(&mut self, expected: &ExpectedEvent<'_>, event: &Value) {
        let ExpectedEvent { name, subject, next_action } = *expected;
        let sequence = event["sequence"].as_str().unwrap_or_default().to_owned();
        if sequence <= self.last_sequence {
            let last = &self.last_sequence;
            self.problem(format!("the sequence of {name} is {sequence}, which is not above {last}"));
        }
        self.last_sequence = sequence;
        let found = (name_of(event), event["subject"].as_str().unwrap_or_default());
        if found != (name, subject) {
            self.problem(format!("expected {name} of {subject}, got {} of {}", found.0, found.1));
        }
        let code = event["data"]["nextAction"]["code"].as_str().unwrap_or_default();
        if code != next_action {
            self.problem(format!("the next action of {name} of {subject} is {code} instead of {next_action}"));
        }
    }

    fn show_reads(&mut self) {
        let reads = self.environment.pay_api.reads();
        for read in &reads[self.reads_shown..] {
            let status = read.status.map_or("no answer".to_owned(), |status| status.to_string());
            self.output.step(Step::Read, &format!("{} {}: {status}", read.method, read.path));
        }
        self.reads_shown = reads.len();
    }

    fn problem(&mut self, what: String) {
        self.output.step(Step::Problem, &what);
        self.problems.push(what);
    }
}

/// `amazonpay.ChargeDeclined.v1` → `ChargeDeclined`.
fn name_of(event: &Value) -> &str {
    event["type"].as_str().and_then(|wire| wire.rsplit('.').nth(1)).unwrap_or("?")
}

const TIMESTAMP_STEP: Duration = Duration::from_millis(1050);
/// How long no event may come after the last expected one.
const QUIET_PERIOD: Duration = Duration::from_secs(2);
