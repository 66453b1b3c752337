//! Random histories: whatever Amazon does and whenever the object is read, the last state is published, and nothing twice.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use proptest::test_runner::RngAlgorithm;
use serde_json::json;

use super::*;
use crate::domain::events::ActionCode;
use crate::domain::events::event;
use crate::domain::pay::{Account, DigestKey, Edge, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef, digest};

/// One version of an object.
#[derive(Clone, Debug)]
struct Version {
    state: &'static str,
    reason: Option<&'static str>,
    balance: u8,
    updated_s: i64,
}

fn histories() -> impl Strategy<Value = (ObjectKind, Vec<Version>)> {
    let kinds = [
        (ObjectKind::ChargePermission, vec!["Chargeable", "NonChargeable", "Closed", "Tomorrow"]),
        (ObjectKind::Charge, vec!["AuthorizationInitiated", "Authorized", "CaptureInitiated", "Captured", "Declined"]),
        (ObjectKind::Refund, vec!["RefundInitiated", "Refunded", "Declined"]),
        (ObjectKind::Dispute, vec!["UnderReview", "ActionRequired", "Resolved", "Closed"]),
    ];
    prop::sample::select(kinds.to_vec()).prop_flat_map(|(kind, states)| {
        let reason =
            prop::sample::select(vec![None, Some("PaymentMethodInvalid"), Some("ChargeInProgress"), Some("Novel")]);
        let version = (prop::sample::select(states), reason, 0..3_u8, 0..3_i64);
        prop::collection::vec(version, 1..12).prop_map(move |versions| {
            let mut at_s = 1_767_000_000;
            let versions = versions.into_iter().map(|(state, reason, balance, later_s)| {
                at_s += later_s; // two changes in one of Amazon's seconds, now and then
                Version { state, reason, balance, updated_s: at_s }
            });
            (kind, versions.collect())
        })
    })
}

/// A permission; the test sets the state and the times.
fn any_permission() -> Fetched {
    let object = Reader::new(ObjectKind::ChargePermission).object;
    let body = json!({object.kind.id_field(): object.id, "statusDetails": {"state": "Chargeable"}});
    let edge = Edge::strict(DigestKey::derive(b"key"));
    Fetched::decode((object.kind, &object.id), Environment::Live, &edge, body.to_string().as_bytes()).unwrap()
}

/// An answer cannot mean a time near 1970.
const BASE_S: i64 = 1_700_000_000;

/// Reads like the worker: a second time where a confirming read is needed.
struct Reader {
    object: ObjectRef,
    known: Option<Observed>,
    published: Vec<Event>,
}

impl Reader {
    fn new(kind: ObjectKind) -> Self {
        let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
        let object = ObjectRef { account, kind, id: ObjectId::parse("P01-1-2").unwrap() };
        Self { object, known: None, published: Vec::new() }
    }

    fn read(&mut self, version: &Version) {
        let kind = self.object.kind;
        let reasons: Vec<_> = version.reason.iter().map(|code| json!({"reasonCode": code})).collect();
        let amount = version.balance.to_string();
        let body = json!({kind.id_field(): self.object.id, "limits": {"amountBalance": amount}, "refundedAmount": amount, "disputeAmount": amount,
            "statusDetails": {"state": version.state, "reasons": reasons, "lastUpdatedTimestamp": BASE_S + version.updated_s}});
        self.read_body(&body);
    }

    fn read_body(&mut self, body: &serde_json::Value) {
        let identity = (self.object.kind, &self.object.id);
        let edge = Edge::strict(DigestKey::derive(b"key"));
        let fetched = Fetched::decode(identity, Environment::Live, &edge, body.to_string().as_bytes()).unwrap();
        loop {
            let object = self.object.clone();
            let reading = Reading { accept_stale: false, ..reading_of(&object, &fetched) };
            let Derivation::Current { events, observed, attributes } = derive(self.known.as_ref(), &reading) else {
                panic!("Amazon's time never goes back here")
            };
            self.published.extend(events);
            self.known = Some(*observed);
            if attributes != Attributes::Unconfirmed {
                return;
            }
        }
    }
}

/// A read whose answer is accepted even if it is older than known state.
fn reading_of<'a>(object: &'a ObjectRef, fetched: &'a Fetched) -> Reading<'a> {
    let at = Timestamp::from_unix_ms(0);
    Reading { accept_stale: true, ..Reading::of(object, fetched, Permission::unread(&object.id, None), at) }
}

proptest! {
    #[test]
    fn last_state_is_published_and_second_read_publishes_nothing((kind, history) in histories(), seen in any::<[bool; 12]>()) {
        let mut reader = Reader::new(kind);
        for (at, version) in history.iter().enumerate() {
            if seen[at] || at + 1 == history.len() {
                reader.read(version);
                let n_published = reader.published.len();
                reader.read(version);
                prop_assert_eq!(reader.published.len(), n_published, "a duplicate publishes nothing");
            }
        }
        let last = history.last().unwrap();
        let known = reader.known.as_ref().unwrap();
        prop_assert_eq!((known.state.as_str(), known.last_updated.map(Timestamp::unix_ms)), (last.state, Some((BASE_S + last.updated_s) * 1000)));
        let published = reader.published.last().unwrap();
        prop_assert_eq!(published.state.as_str(), last.state);
        let codes: Vec<&str> = published.reasons.iter().map(|reason| reason.reason_code.as_str()).collect();
        prop_assert_eq!(codes, last.reason.into_iter().collect::<Vec<_>>());
        // A refund has no event for attributes.
        if kind == ObjectKind::ChargePermission || kind == ObjectKind::Charge || kind == ObjectKind::Dispute {
            prop_assert_eq!(reader.published.last().map(|event| digest(&event.snapshot)), Some(known.attributes_digest.clone()));
        }
    }

    #[test]
    fn event_ids_depend_on_facts_alone((kind, history) in histories()) {
        let (mut once, mut again) = (Reader::new(kind), Reader::new(kind));
        for version in &history {
            once.read(version);
            again.read(version);
        }
        let ids = |reader: &Reader| reader.published.iter().map(|event| event.id).collect::<Vec<_>>();
        prop_assert_eq!(ids(&once), ids(&again));
        let mut facts: HashMap<_, HashSet<String>> = HashMap::new();
        for event in &once.published {
            let codes: Vec<&String> = event.reasons.iter().map(|reason| &reason.reason_code).collect();
            let fact = format!("{} {} {codes:?} {:?}", event.event_type.name, event.state, event.last_updated);
            facts.entry(event.id).or_default().insert(fact);
        }
        prop_assert!(facts.values().all(|facts| facts.len() == 1), "{:?}", facts);
    }
}

/// As many random histories as CI has time for. In a debug build the default generator takes most of the time.
pub(super) fn many_cases() -> ProptestConfig {
    ProptestConfig {
        rng_algorithm: RngAlgorithm::XorShift,
        failure_persistence: None,
        ..ProptestConfig::with_cases(100_000)
    }
}

/// Amazon's answers with times that stand still, go back or cannot be read, and with reasons in any order.
fn odd_times() -> impl Strategy<Value = Vec<(bool, Vec<&'static str>, Option<i64>)>> {
    let codes = prop::sample::subsequence(vec!["PaymentMethodInvalid", "MFAFailed", "ChargeInProgress"], 0..=3);
    let answer = (any::<bool>(), codes.prop_shuffle(), prop::option::weighted(0.8, 0..4_i64));
    prop::collection::vec(answer, 1..16)
}

proptest! {
    #![proptest_config(many_cases())]

    #[test]
    fn no_two_changes_share_an_id(answers in odd_times()) {
        let (reader, template) = (Reader::new(ObjectKind::ChargePermission), any_permission());
        let (mut known, mut ids): (Option<Observed>, HashMap<Uuid, String>) = (None, HashMap::new());
        for (is_chargeable, codes, updated_s) in answers {
            let state = if is_chargeable { State::Chargeable } else { State::NonChargeable };
            let reason = |code: &&str| Reason { reason_code: (*code).to_owned(), reason_description: None };
            let mut fetched = template.clone();
            fetched.state = state;
            fetched.reasons = codes.iter().map(reason).collect();
            fetched.last_updated = updated_s.map(|s| Timestamp::from_unix_ms(s * 1000));
            let same_facts = known.as_ref().is_some_and(|known| {
                known.state == fetched.state && event::codes(&known.reasons) == event::codes(&fetched.reasons)
            });
            let went_back = known.as_ref().is_some_and(|known| fetched.last_updated < known.newest_update());
            let reading = reading_of(&reader.object, &fetched);
            let Derivation::Current { events, observed, .. } = derive(known.as_ref(), &reading) else { panic!() };
            prop_assert!(!same_facts || went_back || events.is_empty(), "{events:?}");
            for event in events {
                let change = format!("{} of {known:?}", event.event_type.name);
                let earlier = ids.insert(event.id, change.clone());
                prop_assert!(earlier.is_none(), "{} is the id of {earlier:?} and of {change}", event.id);
            }
            known = Some(*observed);
        }
    }
}

#[test]
fn return_to_a_state_within_one_second_has_an_id_of_its_own() {
    let kind = ObjectKind::ChargePermission;
    for updated in [json!("2026-11-28T12:00:00+00:00"), json!("soon"), json!(null)] {
        let mut reader = Reader::new(kind);
        for (state, codes) in [("Chargeable", &[][..]), ("NonChargeable", &["PaymentMethodInvalid"])].repeat(3) {
            let reasons: Vec<_> = codes.iter().map(|code| json!({"reasonCode": code})).collect();
            let body = json!({kind.id_field(): reader.object.id, "creationTimestamp": "20260901T000000Z",
                "statusDetails": {"state": state, "reasons": reasons, "lastUpdatedTimestamp": updated}});
            reader.read_body(&body);
        }
        let retries = reader.published.iter().filter(|event| event.next_action.code == ActionCode::RetryCharge);
        assert_eq!(retries.count(), 2, "{updated}");
        let ids: HashSet<Uuid> = reader.published.iter().map(|event| event.id).collect();
        assert_eq!(ids.len(), reader.published.len(), "{updated}");
        assert_eq!(ids.len(), 6 + 2, "six states and two payment methods: {updated}");
    }
}

#[test]
fn refunded_amount_does_not_change_id_of_capture() {
    let version = |balance| Version { state: "Captured", reason: None, balance, updated_s: 100 };
    let id_of = |version: &Version| {
        let mut reader = Reader::new(ObjectKind::Charge);
        reader.read(version);
        reader.published[0].id
    };
    assert_eq!(id_of(&version(0)), id_of(&version(2)));
}
