//! Backlogs and outages in virtual time: the ledger against a model of Amazon Pay that counts reads and throttles by the
//! published quota. No clock and no socket, so hours pass in a second and every run is the same.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use serde_json::json;

use super::tests::{account, ledger_with, record_of};
use super::*;
use crate::amazon::pay_api::{Blame, Disposition};
use crate::config;
use crate::domain::pay::{DigestKey, Edge, Fetched, ObjectId, ObjectKind};
use crate::domain::work::{Cause, Origin};

const STEP_MS: i64 = 10;
const LATENCY_MS: i64 = 120;
/// The published quota of the live environment.
const BURST: f64 = 20.0;
pub(in crate::worker) const PER_SECOND: f64 = 4.0;

/// A model of Amazon Pay: its objects, its throttling, its outages.
#[derive(Default)]
pub(in crate::worker) struct Amazon {
    pub(in crate::worker) objects: HashMap<ObjectRef, (&'static str, i64)>,
    /// Requests that count against the quota, by operation, and the time of the last one.
    used: HashMap<ObjectKind, (f64, i64)>,
    /// Requests a second that the shop itself makes of each operation.
    pub(in crate::worker) used_by_the_shop: f64,
    is_down: bool,
    pub(in crate::worker) throttled: u32,
    refused: u32,
}

impl Amazon {
    fn answer(&mut self, object: &ObjectRef, now_ms: i64) -> Disposition {
        if self.is_down {
            self.refused += 1;
            return Disposition::Systemic(Blame::Amazon, "Amazon Pay answered 503".to_owned());
        }
        let (used, at) = self.used.entry(object.kind).or_insert((0.0, now_ms));
        *used = (*used - (now_ms - *at) as f64 / 1000.0 * (PER_SECOND - self.used_by_the_shop)).clamp(0.0, BURST);
        *at = now_ms;
        if *used + 1.0 > BURST {
            self.throttled += 1;
            return Disposition::Throttled { retry_after: None };
        }
        *used += 1.0;
        let Some((state, updated_ms)) = self.objects.get(object) else { return Disposition::NotFound("404".into()) };
        let mut body = json!({
            "statusDetails": {"state": state, "lastUpdatedTimestamp": updated_ms / 1000},
        });
        match object.kind {
            ObjectKind::ChargePermission | ObjectKind::Charge => {
                body["chargePermissionId"] = json!(permission_of(object).id);
            }
            // They name only their charge.
            ObjectKind::Refund | ObjectKind::Dispute => body["chargeId"] = json!(charge_of(object).id),
        }
        body[object.kind.id_field()] = json!(object.id);
        let body = body.to_string();
        Disposition::Fetched(Box::new(
            Fetched::decode(
                (object.kind, &object.id),
                object.account.environment,
                &Edge::strict(DigestKey::derive(b"k")),
                body.as_bytes(),
            )
            .unwrap(),
        ))
    }
}

/// The purpose of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::worker) enum Purpose {
    First,
    Confirming,
    Parent,
    Reconcile,
}

/// The worker's round without its thread.
pub(in crate::worker) struct Drive {
    pub(in crate::worker) ledger: Ledger,
    pub(in crate::worker) amazon: Amazon,
    pub(in crate::worker) now_ms: i64,
    inbox: VecDeque<InboxRecord>,
    appended: i64,
    in_flight: VecDeque<(i64, ObjectRef, i64)>,
    pub(in crate::worker) reads: Vec<(i64, ObjectRef, Purpose)>,
    pub(in crate::worker) published: Vec<(i64, ObjectRef)>,
    /// Events whose evidence is an ATTRIBUTE_CHANGE IPN.
    hints_published: Vec<(i64, ObjectRef)>,
    /// Events whose only cause is reconciliation.
    pub(in crate::worker) found: usize,
}

impl Drive {
    /// With the default configuration.
    pub(in crate::worker) fn new() -> Self {
        let settings = config::Worker::default();
        let rules = config::Quotas::default().rules(&settings);
        Self {
            ledger: ledger_with(settings, rules, Timestamp::from_unix_ms(START_MS)),
            amazon: Amazon::default(),
            now_ms: START_MS,
            inbox: VecDeque::new(),
            appended: 0,
            in_flight: VecDeque::new(),
            reads: Vec::new(),
            published: Vec::new(),
            hints_published: Vec::new(),
            found: 0,
        }
    }

    /// Changes an object at Amazon; its IPN follows a second later.
    pub(in crate::worker) fn change(
        &mut self,
        object: &ObjectRef,
        state: &'static str,
        at_ms: i64,
        notification_type: &str,
    ) {
        self.amazon.objects.insert(object.clone(), (state, at_ms));
        let since = ("Chargeable", START_MS - 9_000_000);
        self.amazon.objects.entry(permission_of(object)).or_insert(since);
        let record = record_of(object, notification_type, self.appended, Timestamp::from_unix_ms(at_ms + 1000));
        self.appended += 1;
        self.inbox.push_back(record);
    }

    /// Adds an object without an IPN, and its permission.
    fn exists(&mut self, kind: ObjectKind, n: i64) {
        let known = object(kind, n);
        self.amazon.objects.insert(permission_of(&known), ("Chargeable", START_MS - 9_000_000));
        self.amazon.objects.insert(known, ("Captured", START_MS - 9_000_000));
    }

    fn step(&mut self) {
        self.now_ms += STEP_MS;
        let now = Timestamp::from_unix_ms(self.now_ms);
        for record in self.inbox.drain(..self.inbox.len().min(500)) {
            self.ledger.take_in(record, now);
        }
        for object in self.ledger.queue.take_due(now) {
            let purpose = match self.ledger.queue.causes_of(&object) {
                (_, true) => Purpose::Confirming,
                ([], false) => Purpose::Reconcile,
                (causes, _) if !causes.iter().any(Cause::is_ipn) => Purpose::Parent,
                _ => Purpose::First,
            };
            self.reads.push((self.now_ms, object.clone(), purpose));
            self.in_flight.push_back((self.now_ms + LATENCY_MS, object, self.now_ms));
        }
        while self.in_flight.front().is_some_and(|(at, ..)| *at <= self.now_ms) {
            let (_, object, started_ms) = self.in_flight.pop_front().unwrap();
            let disposition = self.amazon.answer(&object, self.now_ms);
            self.ledger.apply_read(&object, disposition, Timestamp::from_unix_ms(started_ms).into(), now);
        }
        self.ledger.release_overdue(now);
        self.ledger.reconcile(now);
        if self.ledger.has_output() {
            assert!(self.ledger.take_dead_letters().is_empty() && !self.ledger.is_giving_up(), "no dead letter");
            let batch = self.ledger.take_batch(vec![]);
            for (event, _) in &batch.events {
                let published = if event.evidence.is_empty() { &mut self.published } else { &mut self.hints_published };
                published.push((self.now_ms, event.object.clone()));
            }
            let is_found = |event: &Event| matches!(&event.causes[..], [Cause { origin: Origin::Reconciliation, .. }]);
            self.found += batch.events.iter().filter(|(event, _)| is_found(event)).count();
            let positions = self.ledger.inbox.positions();
            self.ledger.inbox.committed(&positions);
        }
    }

    pub(in crate::worker) fn run_for(&mut self, time: Duration) {
        let until = self.now_ms + time.as_millis() as i64;
        while self.now_ms < until {
            self.step();
        }
    }

    /// Runs until the queue is empty. Returns how long that took.
    pub(in crate::worker) fn drain(&mut self) -> Duration {
        let began = self.now_ms;
        while !(self.inbox.is_empty() && self.ledger.queue.is_empty()) {
            assert!(self.now_ms - began < 20_000_000, "{} objects are left", self.ledger.queue.len());
            self.step();
        }
        Duration::from_millis((self.now_ms - began) as u64)
    }

    fn count(&self, kind: ObjectKind, purpose: Purpose) -> usize {
        self.reads.iter().filter(|(_, object, of)| object.kind == kind && *of == purpose).count()
    }

    pub(in crate::worker) fn published_at(&self, object: &ObjectRef) -> Option<i64> {
        self.published.iter().find(|(_, of)| of == object).map(|(at, _)| *at)
    }

    /// Every inbox record is answered, and every change is published exactly once.
    fn check_nothing_is_lost(&self) {
        assert_eq!(self.ledger.inbox.positions()[&0], self.appended);
        let mut published: BTreeMap<&ObjectRef, usize> = BTreeMap::new();
        self.published.iter().for_each(|(_, object)| *published.entry(object).or_default() += 1);
        let wrong: Vec<_> = self.amazon.objects.keys().filter(|object| published.get(object) != Some(&1)).collect();
        let hints: BTreeSet<&ObjectRef> = self.hints_published.iter().map(|(_, object)| object).collect();
        assert_eq!(hints.len(), self.hints_published.len(), "one event for all ATTRIBUTE_CHANGE IPNs of a permission");
        assert!(wrong.is_empty(), "{} objects not published exactly once, such as {}", wrong.len(), wrong[0].id);
    }
}

pub(in crate::worker) const START_MS: i64 = 1_767_000_000_000;

pub(in crate::worker) fn object(kind: ObjectKind, n: i64) -> ObjectRef {
    let suffix = match kind {
        ObjectKind::ChargePermission => "",
        ObjectKind::Charge => "-C",
        ObjectKind::Refund => "-R",
        ObjectKind::Dispute => "-B",
    };
    let number = if suffix.is_empty() { String::new() } else { format!("{n:06}") };
    let id = format!("P01-{n:07}-0000001{suffix}{number}");
    ObjectRef { account: account(), kind, id: ObjectId::parse(&id).unwrap() }
}

fn number(object: &ObjectRef) -> i64 {
    object.id.as_str()[4..11].parse().unwrap()
}

pub(in crate::worker) fn permission_of(of: &ObjectRef) -> ObjectRef {
    object(ObjectKind::ChargePermission, number(of))
}

fn charge_of(of: &ObjectRef) -> ObjectRef {
    object(ObjectKind::Charge, number(of))
}

/// 10,000 IPNs about 2,000 objects, received during downtime: 1,000 charges, 500 permissions, 300 refunds (100 of them of
/// charges without an IPN) and 200 disputes. One IPN in twenty is an ATTRIBUTE_CHANGE.
fn backlog(drive: &mut Drive) {
    let kinds = [
        (ObjectKind::Charge, "Captured", 0..1000),
        (ObjectKind::ChargePermission, "Chargeable", 0..500),
        (ObjectKind::Refund, "Refunded", 800..1100),
        (ObjectKind::Dispute, "UnderReview", 0..200),
    ];
    for charge in 1000..1100 {
        drive.exists(ObjectKind::Charge, charge);
    }
    for round in 0..5 {
        let mut at_ms = START_MS - 7_200_000 + round * 1_000_000;
        for (kind, state, numbers) in kinds.clone() {
            for n in numbers {
                let notification_type = if round == 4 && n % 4 == 0 { "ATTRIBUTE_CHANGE" } else { "STATE_CHANGE" };
                at_ms += 100;
                drive.change(&object(kind, n), state, at_ms, notification_type);
            }
        }
    }
    // Objects without an IPN are read once as parents: 100 charges, and 600 permissions of charges.
    assert_eq!((drive.appended, drive.amazon.objects.len()), (10_000, 2_700));
}

#[test]
fn backlog_drains_at_full_rate_with_one_read_per_object() {
    let mut drive = Drive::new();
    backlog(&mut drive);
    let time = drive.drain();
    drive.check_nothing_is_lost();
    let mut lines = vec![format!("10,000 IPNs on 2,000 objects in {} s of virtual time:", time.as_secs())];
    let mut first_reads = 0;
    for kind in ObjectKind::ALL {
        let [first, confirming, parent] =
            [Purpose::First, Purpose::Confirming, Purpose::Parent].map(|purpose| drive.count(kind, purpose));
        first_reads += first;
        // The time in which an operation has work due: until its last first read or parent read.
        let last = drive.reads.iter().filter(|(_, object, of)| object.kind == kind && *of != Purpose::Confirming);
        let window_s = (last.map(|(at, ..)| *at).max().unwrap() - START_MS) as f64 / 1000.0;
        let until_then = drive
            .reads
            .iter()
            .filter(|(at, object, _)| object.kind == kind && (*at - START_MS) as f64 / 1000.0 <= window_s);
        let used = until_then.count() as f64 / (window_s * PER_SECOND * 0.8);
        lines.push(format!(
            "{kind}: {first} first, {confirming} confirming, {parent} parent reads; {:.1} % of the share in {window_s:.0} s",
            used * 100.0
        ));
        assert!(used >= 0.95, "{lines:?}");
    }
    let ratio = first_reads as f64 / 2000.0;
    println!("{}\n  reads ÷ objects: {ratio:.3}; answered 429: {}", lines.join("\n  "), drive.amazon.throttled);
    assert!(ratio <= 1.05 && drive.amazon.throttled == 0);
}

#[test]
fn quota_used_by_the_shop_costs_at_most_one_percent_429() {
    let mut drive = Drive::new();
    drive.amazon.used_by_the_shop = PER_SECOND / 2.0;
    backlog(&mut drive);
    let time = drive.drain();
    drive.check_nothing_is_lost();
    let (reads, throttled) = (drive.reads.len(), drive.amazon.throttled as usize);
    println!("the shop takes half: {reads} reads in {} s, {throttled} answered 429", time.as_secs());
    assert!(throttled > 0, "the remaining half is less than the receiver's share");
    assert!(throttled * 100 <= reads);
}

#[test]
fn charge_backlog_does_not_delay_disputes_and_permissions() {
    let mut drive = Drive::new();
    for n in 0..2000 {
        drive.change(&object(ObjectKind::Charge, n), "Captured", START_MS - 60_000 + n, "STATE_CHANGE");
    }
    // Charges without an IPN, one that waits in the backlog, and one that is published.
    for n in 5000..5010 {
        drive.exists(ObjectKind::Charge, n);
    }
    let mut slowest_ms = 0;
    for n in (5000..5010).chain([1999, 0]) {
        drive.run_for(Duration::from_secs(20));
        let posted_at = drive.now_ms;
        for kind in [ObjectKind::Dispute, ObjectKind::ChargePermission] {
            drive.change(
                &object(kind, n),
                if kind == ObjectKind::Dispute { "ActionRequired" } else { "NonChargeable" },
                posted_at - 1000,
                "STATE_CHANGE",
            );
        }
        drive.run_for(Duration::from_secs(6));
        for kind in [ObjectKind::Dispute, ObjectKind::ChargePermission] {
            let published_at =
                drive.published_at(&object(kind, n)).unwrap_or_else(|| panic!("{kind} {n} is not published"));
            slowest_ms = slowest_ms.max(published_at - posted_at);
        }
    }
    println!("slowest dispute or permission beside a backlog of charges: {slowest_ms} ms");
    assert!(slowest_ms <= 5000);
    assert!(drive.ledger.queue.len() > 500, "the backlog was still there");
}

#[test]
fn fresh_ipn_overtakes_retries_and_reconciliation_reads() {
    let mut drive = Drive::new();
    // Amazon Pay does not know these 300, so their reads are retried.
    for n in 0..300 {
        let unknown = object(ObjectKind::Charge, n);
        drive.change(&unknown, "Captured", START_MS, "STATE_CHANGE");
        drive.amazon.objects.remove(&unknown);
        drive.ledger.queue.reconcile(&object(ObjectKind::Charge, 1000 + n), Timestamp::from_unix_ms(START_MS));
    }
    drive.run_for(Duration::from_secs(150));
    let due: i64 = 300;
    assert!(drive.ledger.queue.len() as i64 >= due, "more is due than can be read");
    let posted_at = drive.now_ms;
    let fresh = object(ObjectKind::Charge, 9999);
    drive.change(&fresh, "Declined", posted_at - 1000, "STATE_CHANGE");
    drive.run_for(Duration::from_secs(2));
    println!("published after {} ms", drive.published_at(&fresh).expect("published at once") - posted_at);
}

#[test]
fn two_hour_outage_loses_nothing_and_ends_without_a_burst() {
    let mut drive = Drive::new();
    let mut rng = 7_u64;
    let mut post = |drive: &mut Drive| {
        rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let n = (rng >> 33) as i64 % 2000;
        let (at_ms, charge) = (drive.now_ms - 1000, object(ObjectKind::Charge, n));
        drive.change(&charge, "Captured", at_ms, "STATE_CHANGE");
    };
    drive.amazon.is_down = true;
    for _ in 0..4 * 7200 {
        post(&mut drive);
        drive.run_for(Duration::from_millis(250));
    }
    let (probes, open) = (drive.amazon.refused, drive.ledger.inbox.positions()[&0]);
    assert!(drive.appended - open < 4 * 11, "the inbox moved on: the work is pending");
    assert!(drive.published.is_empty() && probes <= 720 + 5, "{probes} probes");
    drive.amazon.is_down = false;
    let back_at = drive.now_ms;
    drive.drain();
    drive.check_nothing_is_lost();
    let of_charges = drive.reads.iter().filter(|(at, object, _)| *at > back_at && object.kind == ObjectKind::Charge);
    let reads: Vec<i64> = of_charges.map(|(at, ..)| *at).collect();
    let first_after_s = (reads[1] - back_at) as f64 / 1000.0;
    let rate = (reads.len() - 16) as f64 / ((reads[reads.len() - 1] - reads[0]) as f64 / 1000.0);
    println!(
        "outage: {probes} probes in 7,200 s for {} IPNs; drain began {first_after_s:.1} s after its end, {rate:.2} reads a second, {} answered 429",
        drive.appended, drive.amazon.throttled
    );
    assert!(first_after_s <= 11.0 && rate >= 0.95 * PER_SECOND * 0.8 && drive.amazon.throttled == 0);
    let in_any_second = reads.iter().map(|at| reads.iter().filter(|other| (*at..*at + 1000).contains(*other)).count());
    let most = in_any_second.max().unwrap();
    assert!(most as f64 <= BURST * 0.8 + PER_SECOND, "{most} reads in a second");
}
