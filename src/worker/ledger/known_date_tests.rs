//! Dates that Amazon's answers name, in virtual time: the object is read when its date comes near and when it has passed,
//! without any IPN.

use std::time::Duration;

use serde_json::{Value, json};

use super::tests::{account, decode, ledger_with};
use super::*;
use crate::amazon::pay_api::Disposition;
use crate::config::Quotas;
use crate::domain::pay::ObjectKind;
use crate::domain::work::{Cause, Origin};

const DAY: Duration = Duration::from_hours(24);
const STEP: Duration = Duration::from_secs(58);

fn start() -> Timestamp {
    Timestamp::from_unix_ms(1_767_000_000_000)
}

/// One object at Amazon, and the reads and events about it.
struct Story {
    ledger: Ledger,
    object: ObjectRef,
    now: Timestamp,
    reads: Vec<Timestamp>,
    events: Vec<(Timestamp, &'static str)>,
    missed: usize,
}

impl Story {
    /// The object becomes known.
    fn new(kind: ObjectKind, id: &str, first: &Value) -> Self {
        let settings = Settings::default();
        let rules = Quotas::default().rules(&settings);
        let mut ledger = ledger_with(settings, rules, start());
        ledger.owning_partitions.insert(&account().merchant_id, 0);
        let object = ObjectRef { account: account(), kind, id: ObjectId::parse(id).unwrap() };
        let mut story = Self { ledger, object, now: start(), reads: vec![], events: vec![], missed: 0 };
        story.answer(first);
        story
    }

    fn answer(&mut self, body: &Value) {
        let fetched = decode(&self.object, body);
        self.ledger.apply_read(&self.object, Disposition::Fetched(Box::new(fetched)), self.now.into(), self.now);
        self.missed += std::mem::take(&mut self.ledger.outgoing.found).len();
        let events = self.ledger.take_batch(vec![]).events;
        for (event, _) in events {
            assert!(matches!(event.causes[..], [Cause { origin: Origin::Reconciliation, .. }]));
            self.events.push((self.now, event.event_type.name));
        }
    }

    /// Lets time pass. Amazon answers with what `body` has at that time.
    fn run_until(&mut self, until: Timestamp, body: impl Fn(Timestamp) -> Value) {
        while self.now < until {
            self.now = self.now.plus(STEP);
            for _ in 0..3 {
                self.ledger.reconcile(self.now);
                self.now = self.now.plus(Duration::from_millis(500));
            }
            for object in self.ledger.queue.take_due(self.now) {
                assert_eq!(object, self.object);
                self.reads.push(self.now);
                self.answer(&body(self.now));
            }
        }
    }

    fn read_times_after(&self, moment: Timestamp) -> Vec<Duration> {
        self.reads.iter().filter(|read| **read >= moment).map(|read| read.since(moment)).collect()
    }
}

fn permission(state: &str, updated: Timestamp, expires: Timestamp) -> Value {
    json!({"chargePermissionId": "B01-1111111-2222222", "chargePermissionType": "Recurring", "expirationTimestamp": expires.basic(),
        "statusDetails": {"state": state, "lastUpdatedTimestamp": updated}})
}

fn is_about(time: Duration, expected: Duration) -> bool {
    time >= expected && time < expected + Duration::from_mins(2)
}

#[test]
fn expiry_without_an_ipn_is_found_within_minutes() {
    let (since, expires) = (start().minus(90 * DAY), start().plus(30 * DAY));
    let body = |now: Timestamp| {
        if now < expires { permission("Chargeable", since, expires) } else { permission("Closed", expires, expires) }
    };
    let mut story = Story::new(ObjectKind::ChargePermission, "B01-1111111-2222222", &body(start()));
    (story.events, story.missed) = (vec![], 0);
    story.run_until(expires.plus(2 * DAY), body);
    let [(warned, "PermissionExpiring"), (closed, "PermissionClosed")] = story.events[..] else {
        panic!("{:?}", story.events)
    };
    assert!(is_about(warned.since(expires.minus(14 * DAY)), Duration::ZERO));
    assert!(is_about(closed.since(expires), Duration::from_mins(5)));
    assert_eq!(story.missed, 1, "the notice is not a missed IPN");
    assert_eq!(story.read_times_after(closed).len(), 1, "a closed permission is not read again");
}

#[test]
fn permission_that_outlives_its_date_is_read_at_its_period() {
    let (since, expires) = (start().minus(90 * DAY), start().plus(DAY));
    let body = |_: Timestamp| permission("Chargeable", since, expires);
    let mut story = Story::new(ObjectKind::ChargePermission, "B01-1111111-2222222", &body(start()));
    story.run_until(expires.plus(22 * DAY), body);
    let after = story.read_times_after(expires);
    assert!(is_about(after[0], Duration::from_mins(5)) && is_about(after[1], Duration::from_hours(1)), "{after:?}");
    assert!(is_about(after[2], DAY), "{after:?}");
    assert!(after[3..].windows(2).all(|pair| pair[1] > pair[0] + 5 * DAY) && after.len() <= 7, "{after:?}");
    let published: Vec<_> = story.events.iter().map(|(_, name)| *name).collect();
    assert_eq!(published, ["PermissionUpdated", "PermissionExpiring"]);
}

#[test]
fn restart_repeats_no_notice() {
    let (since, expires) = (start().minus(90 * DAY), start().plus(10 * DAY));
    let body = |_: Timestamp| permission("Chargeable", since, expires);
    let story = Story::new(ObjectKind::ChargePermission, "B01-1111111-2222222", &body(start()));
    assert_eq!(story.events.len(), 2);
    let written = serde_json::to_vec(&story.ledger.store.get(&story.object)).unwrap();
    let mut restarted = Story::new(ObjectKind::ChargePermission, "B01-1111111-2222222", &body(start()));
    restarted.ledger.store.put(0, serde_json::from_slice(&written).unwrap());
    restarted.events.clear();
    restarted.run_until(expires.minus(DAY), body);
    assert!(!restarted.reads.is_empty() && restarted.events.is_empty(), "{:?}", restarted.events);
}

#[test]
fn lapsed_authorization_is_found_within_minutes() {
    let (since, expires) = (start(), start().plus(30 * DAY));
    let body = |now: Timestamp| {
        let (state, updated) = if now < expires { ("Authorized", since) } else { ("Canceled", expires) };
        json!({"chargeId": "P01-1111111-2222222-C000001", "chargePermissionId": "P01-1111111-2222222",
            "expirationTimestamp": expires.basic(), "statusDetails": {"state": state, "lastUpdatedTimestamp": updated}})
    };
    let mut story = Story::new(
        ObjectKind::ChargePermission,
        "P01-1111111-2222222",
        &json!({
        "chargePermissionId": "P01-1111111-2222222", "statusDetails": {"state": "Closed", "lastUpdatedTimestamp": since}}),
    );
    story.object = ObjectRef {
        kind: ObjectKind::Charge,
        id: ObjectId::parse("P01-1111111-2222222-C000001").unwrap(),
        ..story.object
    };
    story.answer(&body(start()));
    (story.events, story.missed) = (vec![], 0);
    story.run_until(expires.plus(DAY), body);
    let [(canceled, "ChargeCanceled")] = story.events[..] else { panic!("{:?}", story.events) };
    assert!(is_about(canceled.since(expires), Duration::from_mins(5)));
}

#[test]
fn deadline_of_a_dispute_is_announced_and_shortens_its_period() {
    let deadline = start().plus(7 * DAY);
    let body = |_: Timestamp| {
        json!({"disputeId": "P01-1111111-2222222-B000001", "chargeId": "P01-1111111-2222222-C000001", "merchantResponseDeadline": deadline.basic(),
            "statusDetails": {"state": "ActionRequired", "lastUpdatedTimestamp": start()}})
    };
    let charge = json!({"chargeId": "P01-1111111-2222222-C000001", "chargePermissionId": "P01-1111111-2222222",
        "statusDetails": {"state": "Captured", "lastUpdatedTimestamp": start()}});
    let mut story = Story::new(
        ObjectKind::ChargePermission,
        "P01-1111111-2222222",
        &json!({
        "chargePermissionId": "P01-1111111-2222222", "statusDetails": {"state": "Closed", "lastUpdatedTimestamp": start()}}),
    );
    let permission = story.object.clone();
    story.object = ObjectRef {
        kind: ObjectKind::Charge,
        id: ObjectId::parse("P01-1111111-2222222-C000001").unwrap(),
        ..permission.clone()
    };
    story.answer(&charge);
    story.object = ObjectRef {
        kind: ObjectKind::Dispute,
        id: ObjectId::parse("P01-1111111-2222222-B000001").unwrap(),
        ..permission
    };
    story.answer(&body(start()));
    (story.events, story.missed) = (vec![], 0);
    story.run_until(deadline.plus(DAY), body);
    let [(warned, "DisputeDeadlineNear")] = story.events[..] else { panic!("{:?}", story.events) };
    assert!(is_about(warned.since(deadline.minus(3 * DAY)), Duration::ZERO));
    let on_last_day = story.read_times_after(deadline.minus(DAY)).into_iter().filter(|time| *time < DAY).count();
    assert!((17..=28).contains(&on_last_day), "{on_last_day}");
    assert_eq!(story.missed, 0);
}
