//! The store compared with a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::pay::{Environment, PrivateDigests, Reason, State};
use crate::domain::state::{COUNT_MAX, RetryAwaited, Upcoming};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::{Cause, DroppedRecords, Origin};

/// An operation on the store.
#[derive(Clone, Debug)]
enum Step {
    Apply(Box<KnownState>),
    Tombstone(ObjectRef),
    Read(ObjectRef, i64),
    TakePending,
}

fn object() -> impl Strategy<Value = ObjectRef> {
    let ids = ["P01-1-1", "P01-1-1-C1", "S01-5454037-1929856-C015396", "an-id-of-more-than-thirty-characters"];
    let kinds = ObjectKind::ALL.to_vec();
    let account = (prop::sample::select(vec!["M1", "M2"]), prop::bool::ANY);
    (account, prop::sample::select(kinds), prop::sample::select(ids.to_vec())).prop_map(
        |((merchant, live), kind, id)| {
            let environment = if live { Environment::Live } else { Environment::Sandbox };
            let account = Account { merchant_id: MerchantId::parse(merchant).unwrap(), environment };
            ObjectRef { account, kind, id: ObjectId::parse(id).unwrap() }
        },
    )
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "0123456789abcdef", "0123456789ABCDEF", "+123456789abcdef", "a longer word than any"])
        .prop_map(str::to_owned)
}

fn at() -> impl Strategy<Value = Timestamp> {
    (0..2_000_000_000_000_i64).prop_map(Timestamp::from_unix_ms)
}

prop_compose! {
    fn private()(key_id in word(), digests in prop::collection::vec(prop::option::of(word()), 4)) -> PrivateDigests {
        PrivateDigests {
            key_id,
            payment_descriptor: digests[0].clone(),
            billing_address: digests[1].clone(),
            shipping_address: digests[2].clone(),
            metadata: digests[3].clone(),
        }
    }
}

prop_compose! {
    fn upcoming()(
        date in prop::option::of(at()),
        noticed_dates in prop::collection::vec(at(), 0..3),
        is_limit_near in prop::bool::ANY,
        limit_crossings in 0..2_u64,
    ) -> Upcoming {
        Upcoming { date, noticed_dates, is_limit_near, limit_crossings }
    }
}

prop_compose! {
    fn observed()(
        state in prop::sample::select(vec!["Chargeable", "Captured", "Tomorrow"]),
        codes in prop::collection::vec(word(), 0..3),
        times in (prop::option::of(at()), at(), prop::option::of(at()), prop::option::of(at())),
        repeats in 0..2_u64,
        id in prop::sample::select(vec!["P01-1-1", "another-id-of-more-than-thirty-characters"]),
        words in (word(), prop::option::of(word()), prop::option::of(word()), prop::option::of(word())),
        attribute_revision in 0..3_u64,
        captured in prop::option::of(0..3_u8),
        private in prop::option::of(private()),
        upcoming in prop_oneof![Just(Upcoming::default()), upcoming()],
        last_event_id in prop::option::of(any::<u128>().prop_map(Uuid::from_u128)),
    ) -> Observed {
        Observed {
            state: State::parse(state),
            reasons: codes.into_iter().map(|reason_code| Reason { reason_code, reason_description: None }).collect(),
            last_updated: times.0,
            newest_update: times.3,
            repeats,
            charge_permission_id: ObjectId::parse(id).unwrap(),
            charge_permission_id_source: None,
            charge_permission_type: words.1,
            attributes_digest: words.0,
            attribute_revision,
            unconfirmed_digest: words.2,
            payment_method_reason: words.3,
            captured: captured.and_then(|amount| Amount::parse(&amount.to_string())),
            private,
            hint_settled: times.2,
            hint_explained_at: times.3,
            retry_advised_at: times.3,
            usable_since: times.2,
            unconfirmed_reads: repeats,
            has_moved: repeats == 0,
            stub: repeats == 1,
            upcoming,
            read_started_at: times.1,
            read_after: times.2.map(|appended_at| InboxMark { offset: 41, appended_at }),
            last_event_id,
        }
    }
}

fn pending() -> impl Strategy<Value = Pending> {
    (object(), at()).prop_map(|(read_for, at)| Pending {
        causes: vec![Cause { origin: Origin::parent_read(read_for.id, &[]), timestamp: at }],
        dropped: DroppedRecords::default(),
        causes_seen: 1,
        first_seen: at,
        newest_seen: Some(at),
        evidence_seen: None,
        due: at,
        attempts: 0,
        failing_ms: 0,
        failed_at: None,
        last_error: None,
        confirming: false,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let observed = prop::option::weighted(0.9, observed());
    let awaited = prop::option::weighted(
        0.2,
        prop::option::of(at()).prop_map(|since| RetryAwaited { since, newest: since, may_check: since.is_none() }),
    );
    let parts = (observed, prop::option::of(0..=COUNT_MAX), awaited, prop::option::weighted(0.2, pending()));
    let record = (object(), parts).prop_map(|(object, (observed, sequence, retry_awaited, pending))| KnownState {
        observed,
        sequence,
        retry_awaited,
        pending,
        ..KnownState::blank(object)
    });
    prop_oneof![
        6 => record.prop_map(Box::new).prop_map(Step::Apply),
        2 => object().prop_map(Step::Tombstone),
        1 => (object(), 0..1000_i64).prop_map(|(object, ms)| Step::Read(object, ms)),
        1 => Just(Step::TakePending),
    ]
}

fn check_captured(
    store: &StateStore,
    model: &BTreeMap<String, KnownState>,
    permission_id: &ObjectId,
) -> Result<(), TestCaseError> {
    for account in model.values().map(|state| &state.object.account) {
        let permission =
            ObjectRef { account: account.clone(), kind: ObjectKind::ChargePermission, id: permission_id.clone() };
        let of_it = model.values().filter(|state| state.object.account == *account).filter_map(|state| {
            let observed = state.observed.as_ref()?;
            observed.captured.filter(|_| observed.charge_permission_id == *permission_id)
        });
        prop_assert_eq!(store.captured_of(&permission), of_it.sum());
    }
    Ok(())
}

proptest! {
    #[test]
    fn store_equals_a_plain_map(steps in prop::collection::vec(step(), 1..40)) {
        let mut store = StateStore::default();
        let mut model: BTreeMap<String, KnownState> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Apply(state) => {
                    let key = state.object.state_key();
                    store.apply(3, key.as_bytes(), Some(&serde_json::to_vec(&*state).unwrap())).unwrap();
                    model.insert(key, *state);
                }
                Step::Tombstone(object) => {
                    store.apply(3, object.state_key().as_bytes(), None).unwrap();
                    model.remove(&object.state_key());
                }
                Step::Read(object, ms) => {
                    store.note_read(&object, Timestamp::from_unix_ms(ms), None);
                    if let Some(observed) = model.get_mut(&object.state_key()).and_then(|state| state.observed.as_mut()) {
                        observed.read_started_at = Timestamp::from_unix_ms(ms);
                    }
                }
                Step::TakePending => {
                    let taken: BTreeMap<_, _> = store.take_pending(|_| true).into_iter().collect();
                    let mut expected = BTreeMap::new();
                    model.retain(|_, state| {
                        expected.extend(state.pending.take().map(|pending| (state.object.clone(), pending)));
                        // This program writes no blank record to the topic; one that appears is removed, too.
                        !(expected.contains_key(&state.object) && state.is_blank())
                    });
                    prop_assert_eq!(taken, expected);
                }
            }
            prop_assert_eq!(store.len(), model.len());
            for state in model.values() {
                let held = store.get(&state.object);
                prop_assert_eq!(held.as_ref(), Some(state));
                prop_assert_eq!(store.is_observed(&state.object), state.observed.is_some());
            }
            let all: BTreeMap<_, _> = store.iter().map(|(partition, state)| {
                assert_eq!(partition, 3);
                (state.object.state_key(), state)
            }).collect();
            prop_assert_eq!(&all, &model);
            prop_assert_eq!((0..store.n_slots()).filter_map(|slot| store.view_slot(slot)).count(), model.len());
            for observed in model.values().filter_map(|state| state.observed.as_ref()) {
                check_captured(&store, &model, &observed.charge_permission_id)?;
            }
        }
    }
}

#[test]
fn unusable_record_is_set_aside_until_its_key_is_written_again() {
    let mut store = StateStore::default();
    let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
    let object = ObjectRef { account, kind: ObjectKind::Charge, id: ObjectId::parse("P01-1-1-C1").unwrap() };
    let key = object.state_key();
    let genuine = serde_json::to_vec(&KnownState { sequence: Some(7), ..KnownState::blank(object.clone()) }).unwrap();
    let later = serde_json::json!({"version": 2, "objects": ["another format"]}).to_string();
    let of_account = InCharge::key_of(&object.account);
    assert_eq!(store.apply(0, BARRIER_KEY.as_bytes(), Some(b"nonce")), Ok(()));
    for (key, value, says) in [
        (&b"\xff"[..], &b"{}"[..], "foreign its key is not text"),
        (b"", b"abc", "foreign its key names no object"),
        (b"not/a-state-key", &genuine, "foreign its key names no object"),
        (key.as_bytes(), b"{", "damaged column 1"),
        (key.as_bytes(), later.as_bytes(), "newer version 2 is newer than 1"),
        (of_account.as_bytes(), b"abc", "damaged column 1"),
        (of_account.as_bytes(), later.as_bytes(), "newer version 2 is newer than 1"),
    ] {
        store.apply(0, object.state_key().as_bytes(), Some(&genuine)).unwrap();
        let why = store.apply(0, key, Some(value)).unwrap_err();
        let found = format!("{} {why}", why.as_str());
        assert!(found.starts_with(says), "{found}");
        let is_of_object = key == object.state_key().as_bytes();
        let (is_newer, is_damaged) = (why.as_str() == "newer", why.as_str() == "damaged");
        assert_eq!(store.get(&object).is_none(), is_of_object, "an older record does not count");
        assert_eq!(store.set_aside.holds_back(&object), is_newer);
        assert_eq!(store.set_aside.damaged().len(), usize::from(is_damaged));
        store.apply(0, key, None).ok();
        assert!(!store.set_aside.holds_back(&object) && store.set_aside.damaged().is_empty());
    }
}
