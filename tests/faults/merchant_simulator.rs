//! The merchants' objects at Amazon Pay, whose states change, and an SNS that delivers an IPN for each change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ipn_receiver::sandbox::environment::{Hint, SandboxEnvironment, message};
use ipn_receiver::sandbox::pay_api::{Environment, ObjectKind, charge, charge_permission, refund};
use ipn_receiver::sandbox::sns::{Draft, SignatureVersion, post};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use time::OffsetDateTime;

use crate::random::Random;

/// Merchants and their objects.
pub(crate) struct MerchantSimulator {
    pub(crate) environment: Arc<SandboxEnvironment>,
    objects: Mutex<Vec<Object>>,
    /// Ids of objects that [`MerchantSimulator::step`] leaves alone.
    held: Mutex<BTreeSet<String>>,
    ids_given: AtomicUsize,
    pub(crate) sns: Sns,
}

/// An object at Amazon Pay.
#[derive(Clone)]
pub(crate) struct Object {
    merchant: usize,
    pub(crate) kind: ObjectKind,
    pub(crate) id: String,
    /// The permission of a charge, or the charge of a refund.
    parent: String,
    state: &'static str,
    changed_at: Instant,
}

/// Delivers as SNS does: 15 s for an answer, phases of retries, no retry after a 4xx. Unlike SNS it retries without limit,
/// so that every message is answered after the faults have ended.
#[derive(Clone)]
pub(crate) struct Sns {
    poster: reqwest::Client,
    urls: Arc<Vec<String>>,
    record: Arc<Mutex<Record>>,
}

/// The outcomes of the deliveries.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// MessageIds that were answered 200.
    pub(crate) accepted: BTreeSet<String>,
    /// Messages that were answered 4xx, although all are genuine.
    pub(crate) refused: Vec<String>,
    /// MessageIds of genuine messages that must become dead letters.
    pub(crate) undeliverable: BTreeSet<String>,
    pub(crate) in_flight: usize,
    pub(crate) attempts: usize,
    /// Deliveries that were answered 5xx or not at all.
    pub(crate) failed: usize,
    /// Details of the first failures.
    pub(crate) failures: Vec<String>,
}

/// Amazon's timestamps have whole seconds, so two changes often have the same time.
const SECOND_CHANGE_AFTER: Duration = Duration::from_millis(300);
const FAILURES_KEPT: usize = 20;
const ENVIRONMENT: Environment = Environment::Sandbox;

impl MerchantSimulator {
    pub(crate) fn new(environment: Arc<SandboxEnvironment>, ingest_ports: &[u16]) -> Self {
        let urls = ingest_ports.iter().map(|port| format!("http://127.0.0.1:{port}/ipn")).collect();
        let poster = reqwest::Client::builder().pool_max_idle_per_host(4).build().unwrap();
        let sns = Sns { poster, urls: Arc::new(urls), record: Arc::default() };
        let (objects, held) = (Mutex::default(), Mutex::default());
        Self { environment, objects, held, ids_given: AtomicUsize::new(0), sns }
    }

    /// Creates charge permissions for each merchant.
    pub(crate) fn open(&self, permissions_each: usize) {
        for _ in 0..permissions_each {
            for merchant in 0..self.environment.merchants.len() {
                let id = self.new_id("C02", "");
                self.put(Object {
                    merchant,
                    kind: ObjectKind::ChargePermission,
                    parent: String::new(),
                    id,
                    state: "Chargeable",
                    changed_at: Instant::now(),
                });
            }
        }
    }

    /// Changes or creates one object and posts its IPN, sometimes repeated and sometimes late.
    pub(crate) fn step(&self, random: &mut Random) {
        let candidates = self.unchanged_for(SECOND_CHANGE_AFTER);
        if candidates.is_empty() {
            return;
        }
        let next = self.next_of(random.pick(&candidates), random);
        self.put(next.clone());
        for _ in 0..random.between(1, 3) {
            let wait = if random.one_in(3) { Duration::from_millis(random.between(1, 3000)) } else { Duration::ZERO };
            self.deliver_ipn(&next, "STATE_CHANGE", wait, random.one_in(2));
        }
        if next.kind == ObjectKind::ChargePermission && random.one_in(4) {
            self.deliver_ipn(&next, "ATTRIBUTE_CHANGE", Duration::ZERO, false);
        }
        if random.one_in(40) {
            self.post_ipns_for_dead_letters(next.merchant);
        }
    }

    /// The next version of an object, or a new charge or refund of it.
    pub(crate) fn next_of(&self, object: &Object, random: &mut Random) -> Object {
        match (object.kind, object.state) {
            (ObjectKind::ChargePermission, _) if random.one_in(2) => self.new_charge(object),
            (ObjectKind::Charge, "Captured") => self.new_refund(object),
            _ => Object { state: next_state(object, random), ..object.clone() },
        }
    }

    /// The objects that have not changed for this long, and are not held.
    fn unchanged_for(&self, rested: Duration) -> Vec<Object> {
        let (objects, held) = (self.objects(), self.held.lock());
        let is_free = |object: &&Object| object.changed_at.elapsed() > rested && !held.contains(&object.id);
        objects.iter().filter(is_free).cloned().collect()
    }

    /// Takes an object that has not changed for this long. It does not change by itself until it is released.
    pub(crate) fn hold(&self, rested: Duration, random: &mut Random) -> Option<Object> {
        let candidates = self.unchanged_for(rested);
        let object = (!candidates.is_empty()).then(|| random.pick(&candidates).clone())?;
        self.hold_also(&object);
        Some(object)
    }

    /// Holds an object that may not exist yet.
    pub(crate) fn hold_also(&self, object: &Object) {
        self.held.lock().insert(object.id.clone());
    }

    pub(crate) fn release(&self, object: &Object) {
        self.held.lock().remove(&object.id);
    }

    /// An object, and the id of its merchant.
    pub(crate) fn any(&self, random: &mut Random) -> (Object, &str) {
        let object = random.pick(&self.objects()).clone();
        let merchant = &self.environment.merchants[object.merchant];
        (object, merchant)
    }

    fn new_charge(&self, permission: &Object) -> Object {
        Object {
            id: self.new_id("S02", "C"),
            kind: ObjectKind::Charge,
            parent: permission.id.clone(),
            state: "AuthorizationInitiated",
            ..permission.clone()
        }
    }

    /// A refund of a charge; the charge does not change after that.
    fn new_refund(&self, charge: &Object) -> Object {
        self.objects().retain(|object| object.id != charge.id);
        Object {
            id: self.new_id("S02", "R"),
            kind: ObjectKind::Refund,
            parent: charge.id.clone(),
            state: "RefundInitiated",
            ..charge.clone()
        }
    }

    pub(crate) fn put(&self, object: Object) {
        let reasons: &[&str] = match object.state {
            "NonChargeable" => &["PaymentMethodInvalid"],
            "Declined" if object.id.ends_with(['0', '2', '4', '6', '8']) => &["SoftDeclined"],
            "Declined" => &["HardDeclined"],
            _ => &[],
        };
        let there = self.environment.pay_api.get(ENVIRONMENT, object.kind, &object.id);
        let body = there.unwrap_or_else(|| match object.kind {
            ObjectKind::ChargePermission => charge_permission(&object.id, "Recurring"),
            ObjectKind::Refund => refund(&object.id, &object.parent, "1.00", "EUR"),
            _ => charge(&object.id, &object.parent, "9.99", "EUR"),
        });
        self.environment.put(object.kind, body, object.state, reasons);
        let mut objects = self.objects();
        objects.retain(|other| other.id != object.id);
        if !["Declined", "Refunded"].contains(&object.state) {
            objects.push(Object { changed_at: Instant::now(), ..object });
        }
    }

    fn deliver_ipn(&self, object: &Object, notification_type: &str, wait: Duration, old_signature: bool) {
        let hint = Hint {
            merchant: &self.environment.merchants[object.merchant],
            kind: object.kind,
            id: &object.id,
            notification_type,
        };
        let version = if old_signature { SignatureVersion::V1 } else { SignatureVersion::V2 };
        self.sns.deliver(self.environment.envelope(&hint, version), wait);
    }

    /// Posts an IPN about a change of this object.
    pub(crate) fn announce(&self, object: &Object) {
        self.deliver_ipn(object, "STATE_CHANGE", Duration::ZERO, false);
    }

    /// Changes every object to this state without an IPN.
    pub(crate) fn change_all(&self, state: &'static str) {
        let objects = self.objects().clone();
        objects.into_iter().for_each(|object| self.put(Object { state, ..object }));
    }

    /// Posts another IPN about a random object.
    pub(crate) fn post_ipn_for_any(&self, random: &mut Random) {
        self.announce(&self.any(random).0);
    }

    /// Posts another IPN about an object of the first merchant.
    pub(crate) fn post_ipn(&self, kind: ObjectKind, id: &str) {
        let object = Object {
            merchant: 0,
            kind,
            id: id.to_owned(),
            parent: String::new(),
            state: "",
            changed_at: Instant::now(),
        };
        self.announce(&object);
    }

    /// Posts genuine messages that must become dead letters: one about an unknown object, one that is not an IPN.
    fn post_ipns_for_dead_letters(&self, merchant: usize) {
        let merchant = &self.environment.merchants[merchant];
        let id = self.new_id("S02", "C");
        let hint = Hint { merchant, kind: ObjectKind::Charge, id: &id, notification_type: "STATE_CHANGE" };
        for text in [message(&hint), "not an IPN".to_owned()] {
            let draft = Draft::new(&self.environment.topic_arn(merchant), &text, OffsetDateTime::now_utc());
            let body = self.environment.sns.notification(&draft);
            self.sns.record().undeliverable.insert(message_id(&body));
            self.sns.deliver(body, Duration::ZERO);
        }
    }

    /// The state and time of every version of every object.
    pub(crate) fn histories(&self) -> BTreeMap<String, Vec<(String, String)>> {
        let mut histories = BTreeMap::new();
        for (kind, id) in self.environment.pay_api.ids(ENVIRONMENT) {
            let versions = self.environment.pay_api.versions(ENVIRONMENT, kind, &id);
            histories.insert(id, versions.iter().map(version).collect());
        }
        histories
    }

    fn new_id(&self, prefix: &str, kind: &str) -> String {
        let n = self.ids_given.fetch_add(1, Ordering::Relaxed);
        let suffix = if kind.is_empty() { String::new() } else { format!("-{kind}{n:06}") };
        format!("{prefix}-{n:07}-{n:07}{suffix}")
    }

    fn objects(&self) -> MutexGuard<'_, Vec<Object>> {
        self.objects.lock()
    }
}

impl Object {
    /// The key of its state record.
    pub(crate) fn state_key(&self, merchant: &str) -> String {
        format!("{merchant}/sandbox/{:?}/{}", self.kind, self.id)
    }

    /// The charge permission of the object, if it is known, otherwise its parent.
    pub(crate) fn permission_id(&self) -> &str {
        if self.parent.is_empty() { &self.id } else { &self.parent }
    }
}

/// State and time in the format of events.
fn version(object: &Value) -> (String, String) {
    let basic = object["statusDetails"]["lastUpdatedTimestamp"].as_str().unwrap_or_default();
    let part = |range: std::ops::Range<usize>| basic.get(range).unwrap_or_default();
    let (date, time) = ((part(0..4), part(4..6), part(6..8)), (part(9..11), part(11..13), part(13..15)));
    let time = format!("{}-{}-{}T{}:{}:{}.000Z", date.0, date.1, date.2, time.0, time.1, time.2);
    (object["statusDetails"]["state"].as_str().unwrap_or_default().to_owned(), time)
}

fn next_state(object: &Object, random: &mut Random) -> &'static str {
    match object.state {
        "Chargeable" => "NonChargeable",
        "NonChargeable" => "Chargeable",
        "AuthorizationInitiated" if random.one_in(4) => "Declined",
        "AuthorizationInitiated" => "Authorized",
        "Authorized" => "CaptureInitiated",
        "CaptureInitiated" => "Captured",
        "RefundInitiated" => "Refunded",
        state => unreachable!("{state} is final"),
    }
}

fn message_id(body: &str) -> String {
    let envelope: Value = serde_json::from_str(body).unwrap();
    envelope["MessageId"].as_str().unwrap().to_owned()
}

impl Sns {
    fn deliver(&self, body: String, wait: Duration) {
        self.record().in_flight += 1;
        let sns = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            sns.deliver_until_answered(&body).await;
            sns.record().in_flight -= 1;
        });
    }

    async fn deliver_until_answered(&self, body: &str) {
        let id = message_id(body);
        for attempt in 0.. {
            let n = {
                let mut record = self.record();
                record.attempts += 1;
                record.attempts
            };
            let url = &self.urls[n % self.urls.len()];
            match post(&self.poster, url, body).await {
                Ok(answer) if answer.status == 200 => {
                    self.record().accepted.insert(id);
                    return;
                }
                Ok(answer) if (400..500).contains(&answer.status) => {
                    self.record().refused.push(format!("{id}: {} {}", answer.status, answer.body));
                    return;
                }
                Ok(answer) => self.record().note_failure(|| format!("{} {}", answer.status, answer.body)),
                Err(error) => self.record().note_failure(|| format!("{error:?}")),
            }
            tokio::time::sleep(retry_after(attempt)).await;
        }
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock()
    }
}

impl Record {
    fn note_failure(&mut self, what: impl FnOnce() -> String) {
        self.failed += 1;
        if self.failures.len() < FAILURES_KEPT {
            self.failures.push(what());
        }
    }
}

/// The retry phases of SNS: immediate, pre-backoff, backoff, post-backoff.
fn retry_after(attempt: u32) -> Duration {
    match attempt {
        0 => Duration::ZERO,
        1..=2 => Duration::from_secs(1),
        3..=5 => Duration::from_secs(1 << (attempt - 2)),
        _ => Duration::from_secs(10),
    }
}
