//! Tests of the derivation: what is known, what is read, what is told.

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::ipn::NotificationType;
use crate::domain::pay::{Account, DigestKey, Edge, Environment, MerchantId, ObjectKind};
use crate::domain::work::{InboxPosition, Origin};

const HOUR_MS: i64 = 3_600_000;

fn object(kind: ObjectKind) -> ObjectRef {
    let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
    ObjectRef { account, kind, id: ObjectId::parse("P01-1-2").unwrap() }
}

fn fetched(kind: ObjectKind, state: &str, codes: &[&str], updated_s: i64, balance: &str) -> Fetched {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({"reasonCode": code})).collect();
    let body = json!({kind.id_field(): "P01-1-2", "statusDetails": {"state": state, "lastUpdatedTimestamp": updated_s,
        "reasons": reasons}, "limits": {"amountBalance": balance}, "refundedAmount": balance, "refundAmount": balance});
    decode(kind, &body)
}

fn decode(kind: ObjectKind, body: &Value) -> Fetched {
    let edge = Edge::strict(DigestKey::derive(b"test"));
    Fetched::decode((kind, &object(kind).id), Environment::Live, &edge, body.to_string().as_bytes()).unwrap()
}

fn cause(kind: &str, sent_s: i64) -> Cause {
    let position = InboxPosition { partition: 0, offset: 0 };
    let origin = Origin::Ipn {
        message_id: Uuid::nil(),
        notification_type: NotificationType::parse(kind),
        position,
        traceparent: None,
    };
    Cause { origin, timestamp: Timestamp::from_unix_ms(sent_s * 1000) }
}

/// Feeds the reads in turn and gives the names of the events of each.
fn story(kind: ObjectKind, reads: &[(&str, &[&str], i64, &str)]) -> Vec<Vec<&'static str>> {
    let mut known: Option<Observed> = None;
    let mut told = Vec::new();
    for (state, codes, updated_s, balance) in reads {
        let fetched = fetched(kind, state, codes, *updated_s, balance);
        match derive(known.as_ref(), &reading(&object(kind), &fetched, &[], false)) {
            Derivation::Older => told.push(vec!["older"]),
            Derivation::Told { events, observed, ask_again } => {
                let names = events.iter().map(|event| event.event_type.name);
                told.push(names.chain(ask_again.then_some("ask again")).collect());
                known = Some(*observed);
            }
        }
    }
    told
}

fn reading<'a>(object: &'a ObjectRef, fetched: &'a Fetched, causes: &'a [Cause], believe_older: bool) -> Reading<'a> {
    let at = Timestamp::from_unix_ms(1000 * HOUR_MS);
    Reading {
        object,
        fetched,
        causes,
        believe_older,
        permission: Permission { id: &object.id, permission_type: None, seen: None },
        captured: None,
        update_url: "",
        is_confirming: false,
        read_started_at: at,
        observed_at: at,
    }
}

#[test]
fn a_change_is_told_once_and_no_change_is_silent() {
    let told = story(
        ObjectKind::Charge,
        &[
            ("AuthorizationInitiated", &[], 10, "0"),
            ("AuthorizationInitiated", &[], 10, "0"),
            ("Authorized", &[], 20, "0"),
            ("Captured", &[], 30, "0"),
            ("Captured", &[], 30, "0"),
            ("Authorized", &[], 20, "0"),
        ],
    );
    assert_eq!(
        told,
        [
            vec!["ChargeAuthorizationInitiated"],
            vec![],
            vec!["ChargeAuthorized"],
            vec!["ChargeCaptured"],
            vec![],
            vec!["older"]
        ]
    );
}

#[test]
fn a_payment_method_is_updated_when_the_permission_is_chargeable_again_after_a_payment_method_reason() {
    let kind = ObjectKind::ChargePermission;
    let told = story(
        kind,
        &[
            ("Chargeable", &[], 10, "0"),
            ("NonChargeable", &["PaymentMethodInvalid"], 20, "0"),
            ("NonChargeable", &["ChargeInProgress"], 30, "0"),
            ("Chargeable", &[], 40, "0"),
            ("Chargeable", &[], 40, "0"),
        ],
    );
    assert_eq!(
        told,
        [
            vec!["PermissionChargeable"],
            vec!["PermissionNonChargeable"],
            vec!["PermissionNonChargeable"],
            vec!["PermissionChargeable", "PaymentMethodUpdated"],
            vec![]
        ]
    );
    for (reason, updated) in [
        ("MFAFailed", false),
        ("TransactionAmountExceeded", false),
        ("PaymentMethodExpired", true),
        ("BillingAddressDeleted", true),
        ("Novel", false),
    ] {
        let told = story(kind, &[("NonChargeable", &[reason], 10, "0"), ("Chargeable", &[], 20, "0")]);
        assert_eq!(told[1].contains(&"PaymentMethodUpdated"), updated, "{reason}");
    }
}

#[test]
fn exactly_one_event_says_retry_when_a_permission_is_chargeable_again() {
    let kind = ObjectKind::ChargePermission;
    for (before, codes) in [
        (&[("NonChargeable", "PaymentMethodInvalid")][..], &["RETRY_CHARGE", "NONE"][..]),
        (
            &[("NonChargeable", "PaymentMethodInvalid"), ("NonChargeable", "ChargeInProgress")],
            &["RETRY_CHARGE", "NONE"],
        ),
        (&[("NonChargeable", "MFAFailed")], &["RETRY_CHARGE"]),
        (&[("NonChargeable", "Novel")], &["RETRY_CHARGE"]),
        (&[("NonChargeable", "ChargeInProgress")], &["NONE"]),
        (&[], &["NONE"]),
    ] {
        let mut known: Option<Observed> = None;
        let mut last = Vec::new();
        for (n, (state, code)) in before.iter().copied().chain([("Chargeable", "")]).enumerate() {
            let reasons: &[&str] = if code.is_empty() { &[] } else { &[code] };
            let fetched = fetched(kind, state, reasons, 10 + n as i64, "0");
            let Derivation::Told { events, observed, .. } =
                derive(known.as_ref(), &reading(&object(kind), &fetched, &[], false))
            else {
                panic!()
            };
            last = events;
            known = Some(*observed);
        }
        let told: Vec<&str> = last.iter().map(|event| event.next_action.code.as_str()).collect();
        assert_eq!(told, codes, "{before:?}");
    }
}

#[test]
fn a_closed_permission_forgets_its_payment_trouble() {
    let told = story(
        ObjectKind::ChargePermission,
        &[
            ("NonChargeable", &["PaymentMethodInvalid"], 10, "0"),
            ("Closed", &["BuyerClosed"], 20, "0"),
            ("Chargeable", &[], 30, "0"),
        ],
    );
    assert_eq!(told[2], ["PermissionChargeable"]);
}

#[test]
fn facts_beside_the_state_are_told_when_a_second_read_agrees() {
    for (kind, updated) in [
        (ObjectKind::ChargePermission, vec!["PermissionUpdated"]),
        (ObjectKind::Charge, vec!["ChargeUpdated"]),
        (ObjectKind::Refund, vec![]),
    ] {
        let told = story(
            kind,
            &[
                ("Tomorrow", &[], 10, "1"),
                ("Tomorrow", &[], 10, "2"),
                ("Tomorrow", &[], 10, "1"),
                ("Tomorrow", &[], 10, "2"),
                ("Tomorrow", &[], 10, "2"),
                ("Tomorrow", &[], 10, "2"),
            ],
        );
        assert_eq!(told[1..], [vec!["ask again"], vec![], vec!["ask again"], updated, vec![]], "{kind}");
    }
}

#[test]
fn attribute_events_there_and_back_have_different_ids() {
    let kind = ObjectKind::Charge;
    let mut ids = Vec::new();
    let mut known: Option<Observed> = None;
    for balance in ["1", "2", "2", "1", "1", "2", "2"] {
        let fetched = fetched(kind, "Captured", &[], 10, balance);
        let Derivation::Told { events, observed, .. } =
            derive(known.as_ref(), &reading(&object(kind), &fetched, &[], false))
        else {
            panic!()
        };
        ids.extend(events.iter().map(|event| event.id));
        known = Some(*observed);
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((count, ids.len()), (4, 4));
}

#[test]
fn old_news_at_first_sight_is_told_as_an_update_but_never_a_decline_or_a_closing() {
    for (kind, state, late, name) in [
        (ObjectKind::Charge, "Captured", false, "ChargeCaptured"),
        (ObjectKind::Charge, "Captured", true, "ChargeUpdated"),
        (ObjectKind::Charge, "Declined", true, "ChargeDeclined"),
        (ObjectKind::ChargePermission, "Chargeable", true, "PermissionUpdated"),
        (ObjectKind::ChargePermission, "Closed", true, "PermissionClosed"),
        (ObjectKind::Refund, "Refunded", true, "RefundCompleted"),
    ] {
        let fetched = fetched(kind, state, &[], 1000, "0");
        let sent_s = if late { 1000 + 86_401 } else { 1000 + 86_400 };
        let causes = [cause("STATE_CHANGE", sent_s)];
        let Derivation::Told { events, .. } = derive(None, &reading(&object(kind), &fetched, &causes, false)) else {
            panic!()
        };
        assert_eq!((events[0].event_type.name, &events[0].previous_state), (name, &None), "{kind} {state}");
    }
}

#[test]
fn leaving_a_final_state_or_going_back_in_time_is_told_and_flagged() {
    let kind = ObjectKind::Charge;
    let (captured, later, earlier) = (
        fetched(kind, "Captured", &[], 30, "0"),
        fetched(kind, "Declined", &[], 40, "0"),
        fetched(kind, "Authorized", &[], 20, "0"),
    );
    let Derivation::Told { observed, .. } = derive(None, &reading(&object(kind), &captured, &[], false)) else {
        panic!()
    };
    for (next, believe_older) in [(&later, false), (&earlier, true)] {
        let Derivation::Told { events, .. } =
            derive(Some(&observed), &reading(&object(kind), next, &[], believe_older))
        else {
            panic!()
        };
        assert!(events[0].unexpected_transition && events[0].previous_state == Some(State::Captured));
    }
}

#[test]
fn a_read_that_looks_older_than_the_newest_hint_is_confirmed() {
    let slack = Duration::from_secs(5);
    let updated = Timestamp::from_unix_ms(100_000);
    let needs = |kind: &str, sent_s: i64| {
        needs_confirming_read(&[cause("STATE_CHANGE", 1), cause(kind, sent_s)], updated, slack)
    };
    assert!(
        !needs("STATE_CHANGE", 105)
            && needs("STATE_CHANGE", 106)
            && needs("ATTRIBUTE_CHANGE", 50)
            && needs("NOVEL", 106)
    );
    for origin in [Origin::parent_read(ObjectId::parse("R").unwrap(), &[]), Origin::Reconciliation] {
        let by_ourselves = Cause { origin, ..cause("", 999) };
        assert!(!needs_confirming_read(&[by_ourselves], updated, slack));
    }
}

/// What a read of this means to a stub of what the first one showed.
fn of_stub(kind: ObjectKind, first: &Fetched, then: &Fetched, causes: &[Cause], is_confirming: bool) -> Derivation {
    let Derivation::Told { observed, .. } = derive(None, &reading(&object(kind), first, &[], false)) else { panic!() };
    let stub = observed.stub();
    assert!(stub.is_stub());
    derive(Some(&stub), &Reading { is_confirming, ..reading(&object(kind), then, causes, false) })
}

#[test]
fn to_a_stub_the_state_alone_can_be_news() {
    let kind = ObjectKind::Charge;
    let first = fetched(kind, "Declined", &["HardDeclined"], 30, "0");
    for (state, codes, updated_s, balance, told) in [
        ("Declined", &["HardDeclined"][..], 30, "0", &[][..]),
        ("Declined", &["HardDeclined"], 30, "5", &[]),
        ("Declined", &[], 30, "0", &[]),
        ("Declined", &["Novel"], 40, "5", &[]),
        ("Captured", &[], 40, "0", &["ChargeCaptured"]),
    ] {
        let then = fetched(kind, state, codes, updated_s, balance);
        let Derivation::Told { events, observed, ask_again } = of_stub(kind, &first, &then, &[], false) else {
            panic!()
        };
        let names: Vec<&str> = events.iter().map(|event| event.event_type.name).collect();
        assert_eq!((names, ask_again), (told.to_vec(), false), "{state} {codes:?} {updated_s} {balance}");
        assert!(events.iter().all(|event| event.previous_state == Some(State::Declined)));
        assert_eq!(observed.attributes_digest, then.snapshot_digest, "from here on differences count again");
    }
    let earlier = fetched(kind, "Authorized", &[], 20, "0");
    assert_eq!(of_stub(kind, &first, &earlier, &[], false), Derivation::Older);
}

#[test]
fn what_a_stub_looked_like_nobody_knows_so_a_hint_about_it_tells_nothing() {
    let kind = ObjectKind::ChargePermission;
    let closed = fetched(kind, "Closed", &["BuyerClosed"], 30, "0");
    let hint = [cause("ATTRIBUTE_CHANGE", 5000)];
    let Derivation::Told { events, observed, .. } = of_stub(kind, &closed, &closed, &hint, false) else { panic!() };
    assert!(events.is_empty());
    let object = object(kind);
    let confirming = Reading { is_confirming: true, ..reading(&object, &closed, &hint, false) };
    let Derivation::Told { events, .. } = derive(Some(&observed), &confirming) else { panic!() };
    assert_eq!(events, []);
}

fn recheck(seed: bool) -> Cause {
    let origin = Origin::Recheck { position: InboxPosition { partition: 0, offset: 1 }, seed };
    Cause { origin, timestamp: Timestamp::from_unix_ms(1_000_000) }
}

/// The names of the events and what is known then.
fn derived(known: Option<&Observed>, state: &str, updated_s: i64, causes: &[Cause]) -> (Vec<&'static str>, Observed) {
    let kind = ObjectKind::Charge;
    let (object, fetched) = (object(kind), fetched(kind, state, &[], updated_s, "0"));
    match derive(known, &reading(&object, &fetched, causes, false)) {
        Derivation::Told { events, observed, .. } => {
            (events.iter().map(|event| event.event_type.name).collect(), *observed)
        }
        Derivation::Older => panic!("older"),
    }
}

#[test]
fn a_baseline_tells_nothing_and_what_changes_later_is_told() {
    let (told, known) = derived(None, "Authorized", 10, &[recheck(true), recheck(true)]);
    assert_eq!((told, known.state.as_str(), known.last_event_id), (vec![], "Authorized", None));
    let (told, _) = derived(Some(&known), "Authorized", 10, &[recheck(true)]);
    assert_eq!(told, [""; 0]);
    let (told, known) = derived(Some(&known), "Captured", 20, &[recheck(true)]);
    assert_eq!(told, ["ChargeCaptured"], "something was known, so it is told even to a seeding recheck");
    assert!(known.last_event_id.is_some());
}

#[test]
fn what_nothing_is_known_of_is_told_to_a_recheck_and_to_a_notification_that_came_along() {
    assert_eq!(derived(None, "Authorized", 950, &[recheck(false)]).0, ["ChargeAuthorized"]);
    assert_eq!(derived(None, "Authorized", 950, &[recheck(true), recheck(false)]).0, ["ChargeAuthorized"]);
    assert_eq!(derived(None, "Authorized", 950, &[recheck(true), cause("STATE_CHANGE", 951)]).0, ["ChargeAuthorized"]);
}

#[test]
fn a_change_that_a_baseline_was_faster_to_see_is_told_when_its_notification_comes() {
    let (_, baseline) = derived(None, "Captured", 1000, &[recheck(true)]);
    for (sent_s, told) in [(1001, vec!["ChargeCaptured"]), (999, vec![]), (1000 + 3600, vec![])] {
        let (names, known) = derived(Some(&baseline), "Captured", 1000, &[cause("STATE_CHANGE", sent_s)]);
        assert_eq!(names, told, "{sent_s}");
        let (again, _) = derived(Some(&known), "Captured", 1000, &[cause("STATE_CHANGE", sent_s)]);
        assert_eq!(again, [""; 0], "once");
    }
    assert_eq!(derived(Some(&baseline), "Captured", 1000, &[cause("ATTRIBUTE_CHANGE", 1001)]).0, [""; 0]);
}

#[test]
fn a_recheck_asks_for_no_confirming_read() {
    let slack = Duration::from_secs(5);
    assert!(!needs_confirming_read(&[recheck(false)], Timestamp::from_unix_ms(0), slack));
    assert!(needs_confirming_read(&[recheck(false), cause("STATE_CHANGE", 10)], Timestamp::from_unix_ms(0), slack));
}
