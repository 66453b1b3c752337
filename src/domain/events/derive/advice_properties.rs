//! Random histories of a permission with its charges, read at random times: no two changes share an id, no advice waits for
//! what cannot come, and no decline is left waiting.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::properties::many_cases;
use super::*;
use crate::domain::events::ActionCode;
use crate::domain::events::{PermissionSeen, retry_awaited};
use crate::domain::pay::{Account, DigestKey, Edge, Environment, MerchantId, ObjectId, ObjectRef};
use crate::domain::state::{KnownState, RetryAwaited};

/// What happens next: a change at Amazon, or a read of the receiver.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The permission becomes this (index in [`PERMISSION_STATES`]) so many seconds later; time may stand still.
    Permission(usize, i64),
    /// A charge becomes this (index in [`CHARGE_STATES`]).
    Charge(usize, usize, i64),
    ReadPermission,
    ReadCharge(usize),
}

const PERMISSION_STATES: [(&str, &[&str]); 6] = [
    ("Chargeable", &[]),
    ("NonChargeable", &["PaymentMethodInvalid"]),
    ("NonChargeable", &["ChargeInProgress"]),
    ("NonChargeable", &["MFAFailed", "PaymentMethodExpired"]),
    ("NonChargeable", &["TransactionAmountExceeded"]),
    ("Closed", &["BuyerClosed"]),
];
const CHARGE_STATES: [(&str, &[&str]); 4] =
    [("Authorized", &[]), ("Declined", &["SoftDeclined"]), ("Declined", &["HardDeclined"]), ("Captured", &[])];
const CHARGES: usize = 3;
/// Amazon's answer for each state; an object's own id and times are set later. Decoding takes most of the time of a read.
fn templates() -> Vec<Template> {
    let permissions = PERMISSION_STATES.iter().map(|state| (permission(), *state));
    let charges = CHARGE_STATES.iter().map(|state| (charge(0), *state));
    permissions.chain(charges).map(|(object, (state, codes))| Template::new(&object, state, codes)).collect()
}

struct Template {
    kind: ObjectKind,
    state: &'static str,
    codes: &'static [&'static str],
    fetched: Fetched,
}

impl Template {
    fn new(object: &ObjectRef, state: &'static str, codes: &'static [&'static str]) -> Self {
        let reasons: Vec<_> = codes.iter().map(|code| json!({"reasonCode": code})).collect();
        let body = json!({object.kind.id_field(): object.id, "statusDetails": {"state": state, "reasons": reasons}});
        let edge = Edge::strict(DigestKey::derive(b"key"));
        let identity = (object.kind, &object.id);
        let fetched = Fetched::decode(identity, Environment::Live, &edge, body.to_string().as_bytes()).unwrap();
        Self { kind: object.kind, state, codes, fetched }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Closed is rare, because nothing happens after it.
    let permission = prop_oneof![19 => 0..5_usize, 1 => Just(5_usize)];
    let step = prop_oneof![
        3 => (permission, 0..3_i64).prop_map(|(state, later_s)| Step::Permission(state, later_s)),
        3 => (0..CHARGES, 0..CHARGE_STATES.len(), 0..3_i64).prop_map(|(n, state, later_s)| Step::Charge(n, state, later_s)),
        3 => Just(Step::ReadPermission),
        3 => (0..CHARGES).prop_map(Step::ReadCharge),
    ];
    prop::collection::vec(step, 1..30)
}

/// Amazon's objects, and what a worker knows of them.
struct World<'a> {
    templates: &'a [Template],
    permission_type: &'static str,
    now_s: i64,
    /// State (index), and Amazon's time of it.
    amazon: HashMap<ObjectRef, (&'static str, &'static [&'static str], i64)>,
    known: HashMap<ObjectRef, KnownState>,
    published: Vec<Event>,
    /// What a merchant who reads the permission after each event finds.
    checks: Vec<Check>,
}

#[derive(Clone, Copy)]
struct Check {
    is_chargeable: bool,
    /// Amazon's time of the permission's last known state: the merchant sees that state or a newer one.
    known_updated: Option<Timestamp>,
}

fn object(kind: ObjectKind, id: &str) -> ObjectRef {
    let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
    ObjectRef { account, kind, id: ObjectId::parse(id).unwrap() }
}

fn permission() -> ObjectRef {
    object(ObjectKind::ChargePermission, "B01-1-1")
}

fn charge(n: usize) -> ObjectRef {
    object(ObjectKind::Charge, &format!("P01-1-{n}-C1"))
}

impl<'a> World<'a> {
    fn new(permission_type: &'static str, templates: &'a [Template]) -> Self {
        let amazon = HashMap::from([(permission(), ("Chargeable", &[][..], 1))]);
        let mut world = Self {
            templates,
            permission_type,
            now_s: 10,
            amazon,
            known: HashMap::new(),
            published: Vec::new(),
            checks: Vec::new(),
        };
        world.read(&permission());
        world
    }

    fn change(&mut self, object: ObjectRef, (state, codes): (&'static str, &'static [&'static str]), later_s: i64) {
        let is_final = |(state, ..): &(&str, &[&str], i64)| State::parse(state).is_final(object.kind);
        if !self.amazon.get(&object).is_some_and(is_final) {
            self.now_s += later_s;
            self.amazon.insert(object, (state, codes, self.now_s));
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Permission(state, later_s) => self.change(permission(), PERMISSION_STATES[state], later_s),
            Step::Charge(n, state, later_s) => self.change(charge(n), CHARGE_STATES[state], later_s),
            Step::ReadPermission => self.read(&permission()),
            Step::ReadCharge(n) => self.read(&charge(n)),
        }
    }

    fn fetch(&self, object: &ObjectRef) -> Option<Fetched> {
        let (state, codes, updated_s) = self.amazon.get(object)?;
        let is_it =
            |template: &&Template| template.kind == object.kind && (template.state, template.codes) == (*state, *codes);
        let mut fetched = self.templates.iter().find(is_it).expect("each state has one").fetched.clone();
        fetched.id = object.id.clone();
        fetched.charge_permission_type = Some(self.permission_type.to_owned());
        fetched.last_updated = Some(Timestamp::from_unix_ms((updated_s + 1_700_000_000) * 1000));
        Some(fetched)
    }

    /// Reads like the worker.
    fn read(&mut self, object: &ObjectRef) {
        let Some(fetched) = self.fetch(object) else { return };
        let blank = KnownState::blank(permission());
        let known_permission = self.known.get(&permission()).cloned().unwrap_or(blank);
        let is_child = object.kind != ObjectKind::ChargePermission;
        let seen = known_permission.observed.as_ref().filter(|_| is_child).map(PermissionSeen::from);
        let permission_id = permission().id;
        // The clock of the worker is far from Amazon's; no two reads are within one act of the buyer.
        let at = Timestamp::from_unix_ms(self.published.len() as i64 * 3_600_000);
        let permission_type = Some(self.permission_type);
        let permission_facts = Permission {
            seen,
            retry_awaited: known_permission.retry_awaited,
            ..Permission::unread(&permission_id, permission_type)
        };
        let reading = Reading::of(object, &fetched, permission_facts, at);
        let known = self.known.get(object).and_then(|known| known.observed.clone());
        let Derivation::Current { events, observed, .. } = derive(known.as_ref(), &reading) else {
            panic!("Amazon's time never goes back here")
        };
        let updated = known_permission.observed.as_ref().and_then(|known| known.last_updated);
        let of_permission = self.known.entry(permission()).or_insert_with(|| KnownState::blank(permission()));
        for event in &events {
            of_permission.retry_awaited = retry_awaited(of_permission.retry_awaited, event, updated);
        }
        self.known.entry(object.clone()).or_insert_with(|| KnownState::blank(object.clone())).observed =
            Some(*observed);
        let is_closed = known_permission.observed.is_some_and(|known| known.state == State::Closed);
        for event in &events {
            let is_useful = !event.next_action.advises_to_wait && event.next_action.code != ActionCode::RetryCharge;
            assert!(
                !is_closed || is_useful,
                "after Closed, {} says {:?}",
                event.event_type.name,
                event.next_action.code
            );
        }
        self.published.extend(events);
        let is_chargeable = self.amazon[&permission()].0 == "Chargeable";
        self.checks.resize(self.published.len(), Check { is_chargeable, known_updated: updated });
    }

    /// The advice that waits, although the permission became Chargeable after everything that is waited for.
    fn left_waiting(&self) -> Vec<&Event> {
        let (state, _, updated_s) = self.amazon[&permission()];
        let updated = Timestamp::from_unix_ms((updated_s + 1_700_000_000) * 1000);
        let is_answer = |event: &Event| event.next_action.code == ActionCode::RetryCharge;
        let answered = self.published.iter().rposition(is_answer).map_or(0, |at| at + 1);
        let published = &self.published[answered..];
        // A charge that went through after a decline paid what was due.
        let is_paid = |n: usize| {
            let went_through = |event: &&Event| {
                event.object.kind == ObjectKind::Charge && matches!(event.state, State::Authorized | State::Captured)
            };
            published[n..].iter().filter(went_through).any(|event| event.last_updated > published[n].last_updated)
        };
        // A merchant who is advised to check creates the charges that are due if the permission is Chargeable.
        let may_check = |event: &Event| event.next_action.code == ActionCode::RetryChargeAfterPermissionCheck;
        let finds_chargeable = |n: usize| {
            (n..published.len()).any(|n| may_check(&published[n]) && self.checks[answered + n].is_chargeable)
        };
        let waits = |(n, event): &(usize, &Event)| {
            let is_answered = may_check(event) && finds_chargeable(*n);
            event.next_action.advises_to_wait && !is_answered && !is_paid(*n)
        };
        let waiting: Vec<(usize, &Event)> = published.iter().enumerate().filter(waits).collect();
        let since = |(n, event): &(usize, &Event)| {
            event.last_updated.max(self.checks[answered + n].known_updated.filter(|_| may_check(event)))
        };
        let is_over = waiting.iter().filter_map(since).max().is_some_and(|since| since < updated);
        if state == "Chargeable" && is_over { waiting.into_iter().map(|(_, event)| event).collect() } else { vec![] }
    }
}

/// Ends each history with a read of every object, in any order.
fn histories() -> impl Strategy<Value = (&'static str, Vec<Step>)> {
    let permission_type = prop::sample::select(vec!["OneTime", "Recurring", "PaymentMethodOnFile"]);
    let last_reads = Just((0..=CHARGES).collect::<Vec<usize>>()).prop_shuffle();
    let read = |n: usize| if n == CHARGES { Step::ReadPermission } else { Step::ReadCharge(n) };
    (permission_type, steps(), last_reads).prop_map(move |(permission_type, steps, last_reads)| {
        (permission_type, steps.into_iter().chain(last_reads.into_iter().map(read)).collect())
    })
}

#[test]
fn no_decline_waits_for_what_has_happened() {
    let templates = templates();
    let mut runner = TestRunner::new(many_cases());
    let outcome = runner.run(&histories(), |(permission_type, steps)| {
        let mut world = World::new(permission_type, &templates);
        steps.into_iter().for_each(|step| world.step(step));
        let waiting: Vec<String> = world.left_waiting().iter().map(|event| format!("{event:?}")).collect();
        prop_assert!(waiting.is_empty(), "{waiting:#?}");
        let mut ids: Vec<Uuid> = world.published.iter().map(|event| event.id).collect();
        let n_published = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), n_published, "two events share an id");
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// A merchant whose check found a charge in progress waits for the code, and nothing but this change can give it.
#[test]
fn chargeable_permission_without_time_answers_a_check() {
    let templates = templates();
    for (may_check, code) in [(true, ActionCode::RetryCharge), (false, ActionCode::None)] {
        let mut world = World::new("Recurring", &templates);
        world.change(permission(), PERMISSION_STATES[2], 1);
        world.read(&permission());
        let since = Some(Timestamp::from_unix_ms((world.now_s + 1_700_000_001) * 1000));
        let (object, id) = (permission(), permission().id);
        let fetched = Fetched { last_updated: None, ..templates[0].fetched.clone() };
        let awaited = Some(RetryAwaited { since, newest: None, may_check });
        let of_permission = Permission { retry_awaited: awaited, ..Permission::unread(&id, Some("Recurring")) };
        let reading = Reading::of(&object, &fetched, of_permission, Timestamp::from_unix_ms(0));
        let known = world.known[&object].observed.as_ref();
        let Derivation::Current { events, .. } = derive(known, &reading) else { panic!("it has no time") };
        let published: Vec<_> = events.iter().map(|event| (event.event_type.name, event.next_action.code)).collect();
        assert_eq!(published, [("PermissionChargeable", code)]);
    }
}
