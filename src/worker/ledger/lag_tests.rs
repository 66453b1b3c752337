//! An API that lags behind its IPN, in virtual time: the change is published at the next scheduled read after it is visible,
//! whatever happens in between, and once.

use serde_json::json;

use super::tests::{account, at, decode, fetched, ledger, ledger_with, published, read, record, record_of, unlimited};
use super::*;
use crate::amazon::pay_api::{Blame, Disposition};
use crate::config;
use crate::domain::events::Event;

/// What happens while the API lags.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meanwhile {
    Nothing,
    /// The same object has a newer IPN every 30 s.
    NewerIpns,
    /// The worker restarts, once before and once after most of the lag.
    Restarts,
    /// Amazon Pay answers 503 for an hour, from 20 s on.
    Outage,
    /// All of them.
    All,
}

const MEANWHILE: [Meanwhile; 5] =
    [Meanwhile::Nothing, Meanwhile::NewerIpns, Meanwhile::Restarts, Meanwhile::Outage, Meanwhile::All];
const LAGS_S: [i64; 5] = [31, 119, 121, 9 * 60, 59 * 60];
/// The distances of `worker.confirm_reads_after_ms`; an object's id makes each up to half as much longer.
const READS_S: [i64; 4] = [30, 120, 600, 3600];
const OUTAGE_S: std::ops::Range<i64> = 20..3620;
/// Between newer IPNs.
const NEWER_S: i64 = 30;
/// When the state before the change began.
const KNOWN_S: i64 = -50;
/// How far the model steps when little happens; it divides the times of the newer IPNs and the restarts.
const STEP_S: i64 = 10;
/// Afterwards no read is left that could confirm the change.
const END_S: i64 = 3600 + 3600 / 2 + 60;

/// A worker and a lagging Amazon Pay. The object changes at 0 s; its IPN is there at once.
struct Run {
    ledger: Ledger,
    object: ObjectRef,
    visible_s: i64,
    meanwhile: Meanwhile,
    now_s: i64,
    appended: i64,
    /// Appended inbox records, by their offset.
    inbox: Vec<InboxRecord>,
    /// The state topic.
    state: StateStore,
    published: Vec<(i64, Event)>,
}

impl Run {
    fn new(kind: ObjectKind, visible_s: i64, meanwhile: Meanwhile) -> Self {
        let settings = Settings::default();
        let rules = unlimited(&settings);
        Self {
            ledger: ledger_with(settings, rules, at(-100)),
            object: member(kind),
            visible_s,
            meanwhile,
            now_s: -100,
            appended: 0,
            inbox: Vec::new(),
            state: StateStore::default(),
            published: Vec::new(),
        }
    }

    fn is(&self, meanwhile: Meanwhile) -> bool {
        [meanwhile, Meanwhile::All].contains(&self.meanwhile)
    }

    fn ipn(&mut self) {
        let record = record_of(&self.object.clone(), "STATE_CHANGE", self.appended, at(self.now_s));
        self.appended += 1;
        self.inbox.push(record.clone());
        self.ledger.take_in(record, at(self.now_s));
    }

    fn answer(&self, object: &ObjectRef) -> Disposition {
        if self.is(Meanwhile::Outage) && OUTAGE_S.contains(&self.now_s) {
            return Disposition::Systemic(Blame::Amazon, "Amazon Pay answered 503".to_owned());
        }
        let [before, after] = states(object.kind);
        let is_after = *object == self.object && self.now_s >= self.visible_s;
        let (state, updated_s) = if is_after { (after, 0) } else { (before, KNOWN_S) };
        let mut body = json!({"statusDetails": {"state": state, "lastUpdatedTimestamp": at(updated_s)}});
        match object.kind {
            ObjectKind::ChargePermission | ObjectKind::Charge => {
                body["chargePermissionId"] = json!(member(ObjectKind::ChargePermission).id);
            }
            ObjectKind::Refund | ObjectKind::Dispute => body["chargeId"] = json!(member(ObjectKind::Charge).id),
        }
        body[object.kind.id_field()] = json!(object.id);
        Disposition::Fetched(Box::new(decode(object, &body)))
    }

    /// One second, or a few when little happens.
    fn step(&mut self) {
        self.now_s += if self.now_s < 200 { 1 } else { STEP_S };
        let now = at(self.now_s);
        let newer_s = 1..self.readable_s() + 40;
        let is_newer = self.is(Meanwhile::NewerIpns) && newer_s.contains(&self.now_s) && self.now_s % NEWER_S == 0;
        if self.now_s == 0 || is_newer {
            self.ipn();
        }
        if self.is(Meanwhile::Restarts) && [20, self.visible_s - 10].contains(&self.now_s) {
            self.restart();
        }
        for (object, start) in self.ledger.take_due(now) {
            let answer = self.answer(&object);
            self.ledger.apply_read(&object, answer, start, now);
        }
        self.ledger.maintain(now);
        assert!(self.ledger.take_dead_letters().is_empty());
        let batch = self.ledger.take_batch(vec![]);
        self.published.extend(batch.events.into_iter().map(|(event, _)| (self.now_s, event)));
        for record in batch.records {
            let value = record.value.map(|state| serde_json::to_vec(&state).unwrap());
            self.state.apply(0, record.key.as_bytes(), value.as_deref()).unwrap();
        }
        let positions = self.ledger.inbox.positions();
        self.ledger.inbox.committed(&positions);
    }

    /// The next owner has what the state topic holds, and reads the inbox from the committed offset.
    fn restart(&mut self) {
        let mut store = StateStore::default();
        for (_, state) in self.state.iter() {
            store.apply(0, state.object.state_key().as_bytes(), Some(&serde_json::to_vec(&state).unwrap())).unwrap();
        }
        let settings = self.ledger.settings.clone();
        let config = LedgerConfig {
            rules: unlimited(&settings),
            settings,
            reconciliation: config::Reconciliation::default(),
            notices: self.ledger.notices,
            merchants: self.ledger.merchants.clone(),
            update_urls: UpdateUrls::default(),
            partitions: 1,
        };
        let positions = self.ledger.inbox.positions();
        let now = at(self.now_s);
        self.ledger = Ledger::new(config, Restored { store, ..Restored::default() }, &positions, now);
        for record in &self.inbox[positions[&0] as usize..] {
            self.ledger.take_in(record.clone(), now);
        }
    }

    /// When the change is visible and the API answers.
    fn readable_s(&self) -> i64 {
        if self.is(Meanwhile::Outage) { self.visible_s.max(OUTAGE_S.end) } else { self.visible_s }
    }

    /// When the first read after that is scheduled.
    fn expected_s(&self) -> std::ops::RangeInclusive<i64> {
        let (is_out, from) = (self.is(Meanwhile::Outage), self.readable_s());
        // The probe or the retry after an outage, and the step of this model.
        let slack = if is_out { 15 } else { STEP_S };
        let newer = self.is(Meanwhile::NewerIpns).then(|| from + NEWER_S);
        let spread = |read: i64| read + read / 2;
        let scheduled = READS_S.into_iter().map(spread).find(|read| *read >= from);
        let retried = is_out.then_some(from);
        let last = [newer, retried, scheduled].into_iter().flatten().min().expect("a read follows");
        self.visible_s..=last + slack
    }
}

/// One object of each kind, of one permission.
fn member(kind: ObjectKind) -> ObjectRef {
    let suffix = match kind {
        ObjectKind::ChargePermission => "",
        ObjectKind::Charge => "-C000001",
        ObjectKind::Refund => "-R000002",
        ObjectKind::Dispute => "-B000003",
    };
    let id = ObjectId::parse(&format!("P01-1111111-2222222{suffix}")).unwrap();
    ObjectRef { account: account(), kind, id }
}

/// Before and after the change.
fn states(kind: ObjectKind) -> [&'static str; 2] {
    match kind {
        ObjectKind::ChargePermission => ["Chargeable", "Closed"],
        ObjectKind::Charge => ["Authorized", "Captured"],
        ObjectKind::Refund => ["RefundInitiated", "Refunded"],
        ObjectKind::Dispute => ["ActionRequired", "UnderReview"],
    }
}

/// All for nothing and for everything, and a permission and a child of it for the rest: each run takes its time.
fn kinds(meanwhile: Meanwhile) -> &'static [ObjectKind] {
    match meanwhile {
        Meanwhile::Nothing | Meanwhile::All => &ObjectKind::ALL,
        Meanwhile::NewerIpns | Meanwhile::Restarts | Meanwhile::Outage => {
            &[ObjectKind::ChargePermission, ObjectKind::Charge]
        }
    }
}

fn check(kind: ObjectKind, lag_s: i64, meanwhile: Meanwhile) -> i64 {
    let mut run = Run::new(kind, lag_s, meanwhile);
    // Everything is known and published before the change.
    run.now_s = KNOWN_S;
    run.ipn();
    while run.now_s < END_S {
        run.step();
    }
    let of_it: Vec<(i64, &str)> = run
        .published
        .iter()
        .filter(|(s, event)| event.object == run.object && *s >= 0)
        .map(|(s, event)| (*s, event.event_type.name))
        .collect();
    let name = format!("{kind}, {lag_s} s, {meanwhile:?}");
    assert_eq!(of_it.len(), 1, "{name}: {of_it:?}");
    assert!(run.expected_s().contains(&of_it[0].0), "{name}: {of_it:?} is not in {:?}", run.expected_s());
    let mut ids: Vec<_> = run.published.iter().map(|(_, event)| event.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), run.published.len(), "{name}: something was published twice");
    assert_eq!(run.ledger.inbox.positions()[&0], run.appended, "{name}");
    of_it[0].0 - lag_s
}

#[test]
fn lagging_change_is_published_at_the_next_scheduled_read() {
    for meanwhile in MEANWHILE {
        let mut lines = Vec::new();
        for lag_s in LAGS_S {
            let after: Vec<i64> = kinds(meanwhile).iter().map(|kind| check(*kind, lag_s, meanwhile)).collect();
            lines.push(format!("{lag_s} s: {after:?}"));
        }
        println!("{meanwhile:?}: lag, and seconds from visible to published by kind: {}", lines.join(", "));
    }
}

/// An object that Amazon Pay shows only after its IPNs: each of them leads to a read at once, and none makes a dead letter come
/// sooner.
#[test]
fn ipns_of_an_object_that_is_not_found_yet_hurry_no_dead_letter() {
    const VISIBLE_S: i64 = 3300;
    for newer_s in [1, 30, 300] {
        let mut ledger = ledger(Settings::default());
        let mut events = Vec::new();
        for s in 0..VISIBLE_S + 5 {
            if s % newer_s == 0 {
                ledger.take_in(record(s / newer_s, s), at(s));
            }
            let is_visible = s >= VISIBLE_S;
            let answer = if is_visible { fetched("Captured", VISIBLE_S) } else { Disposition::NotFound("404".into()) };
            read(&mut ledger, s, answer);
            assert!(!ledger.is_giving_up(), "given up {s} s after the first of IPNs every {newer_s} s");
            events.extend(published(&mut ledger));
        }
        assert_eq!(events, ["ChargeCaptured"], "IPNs every {newer_s} s");
    }
}
