//! Random histories: whatever Amazon does and whenever the object is read, the last state is published, and nothing twice.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::pay::{Account, DigestKey, Edge, Environment, MerchantId, ObjectKind, digest};

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
            let mut at_s = 100;
            let versions = versions.into_iter().map(|(state, reason, balance, later_s)| {
                at_s += later_s; // two changes in one of Amazon's seconds, now and then
                Version { state, reason, balance, updated_s: at_s }
            });
            (kind, versions.collect())
        })
    })
}

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
        let body = json!({kind.id_field(): self.object.id, "limits": amount, "refundedAmount": amount, "disputeAmount": amount,
            "statusDetails": {"state": version.state, "reasons": reasons, "lastUpdatedTimestamp": version.updated_s}});
        let identity = (kind, &self.object.id);
        let edge = Edge::strict(DigestKey::derive(b"key"));
        let fetched = Fetched::decode(identity, Environment::Live, &edge, body.to_string().as_bytes()).unwrap();
        loop {
            let reading = Reading {
                object: &self.object,
                fetched: &fetched,
                permission: Permission { id: &self.object.id, permission_type: None, seen: None },
                captured: None,
                update_url: "",
                causes: &[],
                is_confirming: false,
                read_started_at: Timestamp::from_unix_ms(0),
                observed_at: Timestamp::from_unix_ms(0),
                accept_stale: false,
                in_charge_since: None,
            };
            let Derivation::Current { events, observed, is_unconfirmed } = derive(self.known.as_ref(), &reading) else {
                panic!("Amazon's time never goes back here")
            };
            self.published.extend(events);
            self.known = Some(*observed);
            if !is_unconfirmed {
                return;
            }
        }
    }
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
        prop_assert_eq!((known.state.as_str(), known.last_updated.map(Timestamp::unix_ms)), (last.state, Some(last.updated_s * 1000)));
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
