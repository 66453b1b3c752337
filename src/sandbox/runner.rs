//! Runs a scenario: changes objects at Amazon Pay, posts IPNs, and checks which events the receiver publishes.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;

use super::Error;
use super::environment::{Hint, SandboxEnvironment};
use super::events::EventReader;
use super::naive_webhook::{NaiveWebhook, Post, object_of};
use super::output::{Output, Step};
use super::pay_api::{Environment, Fault, ObjectKind};
use super::sns::SignatureVersion;
use crate::domain::events::name_of_type;

/// A running scenario.
pub(super) struct Runner<'a> {
    environment: &'a SandboxEnvironment,
    /// The URL of the receiver.
    post_to: &'a str,
    reader: EventReader,
    output: &'a Output,
    event_timeout: Duration,
    chapters: usize,
    reads_shown: usize,
    events_expected: usize,
    /// The ids of the scenario's objects. Events and reads of others are not shown.
    followed: HashSet<String>,
    /// A scenario has one charge permission, so every event has a higher sequence than the one before.
    last_sequence: String,
    naive: NaiveWebhook,
    /// The first event on which a merchant must act.
    sample: Option<Value>,
    problems: Vec<String>,
}

/// An IPN.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ipn<'a> {
    pub(super) kind: ObjectKind,
    pub(super) id: &'a str,
    pub(super) notification_type: &'a str,
    pub(super) version: SignatureVersion,
}

/// An event that the receiver must publish.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExpectedEvent<'a> {
    pub(super) name: &'a str,
    pub(super) subject: &'a str,
    /// The code of its next action, if it matters.
    pub(super) next_action: Option<&'a str>,
}

impl<'a> Runner<'a> {
    /// Waits at most `event_timeout` for each event.
    pub(super) fn new(
        environment: &'a SandboxEnvironment,
        post_to: &'a str,
        reader: EventReader,
        output: &'a Output,
        event_timeout: Duration,
    ) -> Self {
        Self {
            environment,
            post_to,
            reader,
            output,
            event_timeout,
            chapters: 0,
            reads_shown: environment.pay_api.reads().len(),
            events_expected: 0,
            followed: HashSet::new(),
            last_sequence: String::new(),
            naive: NaiveWebhook::default(),
            sample: None,
            problems: Vec::new(),
        }
    }

    /// Ends the scenario. Returns whether the receiver published every expected event and no other.
    pub(super) async fn end(mut self) -> bool {
        self.reject_events(QUIET_PERIOD).await;
        if let Some(event) = &self.sample {
            self.output.whole_event(event);
        }
        self.output.naive_webhook(&self.naive);
        self.output.result(self.events_expected, &self.problems);
        self.problems.is_empty()
    }

    /// No event may come for this time.
    pub(super) async fn reject_events(&mut self, lasting: Duration) {
        let until = tokio::time::Instant::now() + lasting;
        while let Some(event) = self.next_event(until).await {
            self.output.event(&event);
            self.problem(format!("unexpected event {}", name_of(&event)));
        }
        self.show_reads();
    }

    /// Shows only what is about these objects.
    pub(super) fn follow(&mut self, ids: HashSet<String>) {
        self.followed = ids;
    }

    async fn next_event(&mut self, until: tokio::time::Instant) -> Option<Value> {
        loop {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let event = self.reader.next(left).await?;
            if event["partitionkey"].as_str().is_some_and(|permission| self.followed.contains(permission)) {
                return Some(event);
            }
        }
    }

    pub(super) fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        self.output.chapter(self.chapters, title);
    }

    /// The object, if it exists. It can be changed then: Amazon's timestamps have whole seconds, so this waits for the next one.
    pub(super) async fn existing(&self, kind: ObjectKind, id: &str) -> Option<Value> {
        let object = self.environment.pay_api.get(Environment::Sandbox, kind, id)?;
        tokio::time::sleep(TIMESTAMP_STEP).await;
        Some(object)
    }

    /// A new version of an object. Without a state only attributes change.
    pub(super) fn amazon_puts(&self, kind: ObjectKind, object: Value, state: Option<&str>, reasons: &[&str]) {
        let id = object[kind.id_field()].as_str().unwrap_or_default();
        let because = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
        let becomes =
            state.map_or_else(|| "has other attributes".to_owned(), |state| format!("becomes {state}{because}"));
        self.output.step(Step::Amazon, &format!("{} {id} {becomes}", kind.name()));
        match state {
            Some(state) => self.environment.put(kind, object, state, reasons),
            None => self.environment.pay_api.put(Environment::Sandbox, kind, object),
        }
    }

    /// The Amazon Pay API fails from now on, or no longer.
    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        let what = if fault.is_some() { "reads fail" } else { "answers reads again" };
        self.output.step(Step::Amazon, what);
        self.environment.pay_api.set_fault(fault);
    }

    /// The signed message with an IPN.
    pub(super) fn ipn(&self, ipn: &Ipn<'_>) -> String {
        let Ipn { kind, id, notification_type, version } = *ipn;
        let hint = Hint { merchant: &self.environment.merchants[0], kind, id, notification_type };
        self.environment.envelope(&hint, version)
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
        let answer = self.environment.post_to(self.post_to, body).await?;
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
            let event = self.next_event(tokio::time::Instant::now() + self.event_timeout).await;
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
        if let Some(next_action) = next_action.filter(|expected| *expected != code) {
            self.problem(format!("the next action of {name} of {subject} is {code} instead of {next_action}"));
        }
    }

    fn show_reads(&mut self) {
        let reads = self.environment.pay_api.reads();
        let is_followed = |path: &str| path.rsplit('/').next().is_some_and(|id| self.followed.contains(id));
        for read in reads[self.reads_shown..].iter().filter(|read| is_followed(&read.path)) {
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

fn name_of(event: &Value) -> &str {
    event["type"].as_str().map_or("?", name_of_type)
}

const TIMESTAMP_STEP: Duration = Duration::from_millis(1050);
/// How long no event may come after the last expected one.
const QUIET_PERIOD: Duration = Duration::from_secs(2);
