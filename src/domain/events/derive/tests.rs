//! Tests of the derivation: known state, a read, the events.

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::ipn::NotificationType;
use crate::domain::pay::{Account, DigestKey, Edge, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef};
use crate::domain::work::{ClaimedPermission, InboxPosition, Origin};

const HOUR_MS: i64 = 3_600_000;

fn object(kind: ObjectKind) -> ObjectRef {
    let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
    ObjectRef { account, kind, id: ObjectId::parse("P01-1-2").unwrap() }
}

fn fetched(kind: ObjectKind, state: &str, codes: &[&str], updated_s: i64, balance: &str) -> Fetched {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({"reasonCode": code})).collect();
    let body = json!({kind.id_field(): "P01-1-2", "statusDetails": {"state": state, "lastUpdatedTimestamp": updated_s,
        "reasons": reasons}, "limits": {"amountBalance": balance}, "refundedAmount": balance, "refundAmount": balance});
    // The times of these tests are so near to 1970 that an answer cannot mean them.
    Fetched { last_updated: Some(Timestamp::from_unix_ms(updated_s * 1000)), ..decode(kind, &body) }
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
        chargeback: false,
        permission: ClaimedPermission::None,
    };
    Cause { origin, timestamp: Timestamp::from_unix_ms(sent_s * 1000) }
}

/// Applies the reads in turn and returns the event names of each.
fn published_by(kind: ObjectKind, reads: &[(&str, &[&str], i64, &str)]) -> Vec<Vec<&'static str>> {
    let mut known: Option<Observed> = None;
    let mut published = Vec::new();
    for (state, codes, updated_s, balance) in reads {
        let fetched = fetched(kind, state, codes, *updated_s, balance);
        match derive(known.as_ref(), &reading(&object(kind), &fetched, &[], false)) {
            Derivation::Stale => published.push(vec!["stale"]),
            Derivation::Current { events, observed, attributes } => {
                let names = events.iter().map(|event| event.event_type.name);
                published.push(names.chain((attributes == Attributes::Unconfirmed).then_some("unconfirmed")).collect());
                known = Some(*observed);
            }
        }
    }
    published
}

fn reading<'a>(object: &'a ObjectRef, fetched: &'a Fetched, causes: &'a [Cause], accept_stale: bool) -> Reading<'a> {
    let at = Timestamp::from_unix_ms(1000 * HOUR_MS);
    Reading { causes, accept_stale, ..Reading::of(object, fetched, Permission::unread(&object.id, None), at) }
}

#[test]
fn change_is_published_once() {
    let published = published_by(
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
        published,
        [
            vec!["ChargeAuthorizationInitiated"],
            vec![],
            vec!["ChargeAuthorized"],
            vec!["ChargeCaptured"],
            vec![],
            vec!["stale"]
        ]
    );
}

#[test]
fn chargeable_after_payment_reason_means_method_updated() {
    let kind = ObjectKind::ChargePermission;
    let published = published_by(
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
        published,
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
        let published = published_by(kind, &[("NonChargeable", &[reason], 10, "0"), ("Chargeable", &[], 20, "0")]);
        assert_eq!(published[1].contains(&"PaymentMethodUpdated"), updated, "{reason}");
    }
}

#[test]
fn only_one_event_advises_to_retry() {
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
            let Derivation::Current { events, observed, .. } =
                derive(known.as_ref(), &reading(&object(kind), &fetched, &[], false))
            else {
                panic!()
            };
            last = events;
            known = Some(*observed);
        }
        let published: Vec<&str> = last.iter().map(|event| event.next_action.code.as_str()).collect();
        assert_eq!(published, codes, "{before:?}");
    }
}

#[test]
fn closed_permission_drops_payment_method_reason() {
    let published = published_by(
        ObjectKind::ChargePermission,
        &[
            ("NonChargeable", &["PaymentMethodInvalid"], 10, "0"),
            ("Closed", &["BuyerClosed"], 20, "0"),
            ("Chargeable", &[], 30, "0"),
        ],
    );
    assert_eq!(published[2], ["PermissionChargeable"]);
}

#[test]
fn attribute_change_is_published_when_second_read_agrees() {
    for (kind, updated) in [
        (ObjectKind::ChargePermission, vec!["PermissionUpdated"]),
        (ObjectKind::Charge, vec!["ChargeUpdated"]),
        (ObjectKind::Refund, vec![]),
    ] {
        let published = published_by(
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
        assert_eq!(published[1..], [vec!["unconfirmed"], vec![], vec!["unconfirmed"], updated, vec![]], "{kind}");
    }
}

#[test]
fn reverted_attribute_change_has_new_event_id() {
    let kind = ObjectKind::Charge;
    let mut ids = Vec::new();
    let mut known: Option<Observed> = None;
    for balance in ["1", "2", "2", "1", "1", "2", "2"] {
        let fetched = fetched(kind, "Captured", &[], 10, balance);
        let Derivation::Current { events, observed, .. } =
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
fn old_state_at_first_sight_is_published_as_updated() {
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
        let Derivation::Current { events, .. } = derive(None, &reading(&object(kind), &fetched, &causes, false)) else {
            panic!()
        };
        assert_eq!((events[0].event_type.name, &events[0].previous_state), (name, &None), "{kind} {state}");
    }
}

#[test]
fn unexpected_transition_is_published_and_flagged() {
    let kind = ObjectKind::Charge;
    let (captured, later, earlier) = (
        fetched(kind, "Captured", &[], 30, "0"),
        fetched(kind, "Declined", &[], 40, "0"),
        fetched(kind, "Authorized", &[], 20, "0"),
    );
    let Derivation::Current { observed, .. } = derive(None, &reading(&object(kind), &captured, &[], false)) else {
        panic!()
    };
    for (next, accept_stale) in [(&later, false), (&earlier, true)] {
        let Derivation::Current { events, .. } =
            derive(Some(&observed), &reading(&object(kind), next, &[], accept_stale))
        else {
            panic!()
        };
        assert!(events[0].unexpected_transition && events[0].previous_state == Some(State::Captured));
    }
}

/// Which further reads the causes of a read with this time need.
fn confirms(kind: ObjectKind, causes: &[Cause], updated_s: Option<i64>) -> ConfirmingReads {
    let mut fetched = fetched(kind, "Tomorrow", &[], 0, "0");
    fetched.last_updated = updated_s.map(|s| Timestamp::from_unix_ms(s * 1000));
    let object = object(kind);
    let reading = reading(&object, &fetched, causes, false);
    let Derivation::Current { observed, .. } = derive(None, &reading) else { panic!() };
    confirming_reads(&reading, &observed, Duration::from_secs(5))
}

#[test]
fn read_older_than_newest_ipn_is_confirmed() {
    use ConfirmingReads::{None as No, Once, UntilSettled};
    for (kind, sent_s, updated_s, expected) in [
        ("STATE_CHANGE", 105, Some(100), No),
        ("STATE_CHANGE", 106, Some(100), UntilSettled),
        ("ATTRIBUTE_CHANGE", 50, Some(100), Once),
        ("NOVEL", 106, Some(100), UntilSettled),
        ("STATE_CHANGE", 106, None, Once),
    ] {
        let causes = [cause("STATE_CHANGE", 1), cause(kind, sent_s)];
        assert_eq!(confirms(ObjectKind::Charge, &causes, updated_s), expected, "{kind} {sent_s} {updated_s:?}");
    }
    for origin in [Origin::parent_read(ObjectId::parse("R").unwrap(), &[]), Origin::Reconciliation] {
        let without_ipn = Cause { origin, ..cause("", 999) };
        assert_eq!(confirms(ObjectKind::Charge, &[without_ipn], Some(100)), No);
    }
}

/// Derives the read `then` from a stub of the read `first`.
fn of_stub(kind: ObjectKind, first: &Fetched, then: &Fetched, causes: &[Cause]) -> Derivation {
    let Derivation::Current { observed, .. } = derive(None, &reading(&object(kind), first, &[], false)) else {
        panic!()
    };
    let stub = observed.stub();
    assert!(stub.is_stub());
    derive(Some(&stub), &Reading { hint_is_ripe: true, ..reading(&object(kind), then, causes, false) })
}

#[test]
fn stub_publishes_changed_state_and_attributes() {
    let kind = ObjectKind::Charge;
    let first = fetched(kind, "Declined", &["HardDeclined"], 30, "0");
    for (state, codes, updated_s, balance, published) in [
        ("Declined", &["HardDeclined"][..], 30, "0", &[][..]),
        ("Declined", &[], 30, "0", &[]),
        ("Declined", &["Novel"], 40, "5", &["ChargeUpdated"]),
        ("Captured", &[], 40, "0", &["ChargeCaptured"]),
    ] {
        let then = fetched(kind, state, codes, updated_s, balance);
        let Derivation::Current { events, observed, attributes } = of_stub(kind, &first, &then, &[]) else { panic!() };
        let names: Vec<&str> = events.iter().map(|event| event.event_type.name).collect();
        assert_eq!(
            (names, attributes),
            (published.to_vec(), Attributes::Settled),
            "{state} {codes:?} {updated_s} {balance}"
        );
        assert!(events.iter().all(|event| event.previous_state == Some(State::Declined)));
        assert!(!observed.is_stub() && observed.attributes_digest == then.snapshot_digest);
    }
    let refunded = fetched(kind, "Declined", &["HardDeclined"], 30, "5");
    let Derivation::Current { observed, attributes, .. } = of_stub(kind, &first, &refunded, &[]) else { panic!() };
    assert_eq!(attributes, Attributes::Unconfirmed);
    let Derivation::Current { events, .. } = derive(Some(&observed), &reading(&object(kind), &refunded, &[], false))
    else {
        panic!()
    };
    assert_eq!(events[0].event_type.name, "ChargeUpdated");
    let earlier = fetched(kind, "Authorized", &[], 20, "0");
    assert_eq!(of_stub(kind, &first, &earlier, &[]), Derivation::Stale);
}

#[test]
fn attribute_ipn_for_closed_permission_publishes_nothing() {
    let kind = ObjectKind::ChargePermission;
    let closed = fetched(kind, "Closed", &["BuyerClosed"], 30, "0");
    let hint = [cause("ATTRIBUTE_CHANGE", 5000)];
    let Derivation::Current { events, observed, .. } = of_stub(kind, &closed, &closed, &hint) else { panic!() };
    assert!(events.is_empty() && observed.hint_settled == Some(hint[0].timestamp));
}

fn recheck(seed: bool) -> Cause {
    let origin = Origin::Recheck { position: InboxPosition { partition: 0, offset: 1 }, seed };
    Cause { origin, timestamp: Timestamp::from_unix_ms(1_000_000) }
}

/// The event names and the new known state.
fn derived(known: Option<&Observed>, state: &str, updated_s: i64, causes: &[Cause]) -> (Vec<&'static str>, Observed) {
    let kind = ObjectKind::Charge;
    let (object, fetched) = (object(kind), fetched(kind, state, &[], updated_s, "0"));
    match derive(known, &reading(&object, &fetched, causes, false)) {
        Derivation::Current { events, observed, .. } => {
            (events.iter().map(|event| event.event_type.name).collect(), *observed)
        }
        Derivation::Stale => panic!("stale"),
    }
}

#[test]
fn baseline_publishes_nothing_but_later_changes() {
    let (published, known) = derived(None, "Authorized", 10, &[recheck(true), recheck(true)]);
    assert_eq!((published, known.state.as_str(), known.last_event_id), (vec![], "Authorized", None));
    let (published, _) = derived(Some(&known), "Authorized", 10, &[recheck(true)]);
    assert_eq!(published, [""; 0]);
    let (published, known) = derived(Some(&known), "Captured", 20, &[recheck(true)]);
    assert_eq!(published, ["ChargeCaptured"], "known state existed, so even a seeding recheck publishes");
    assert!(known.last_event_id.is_some());
}

#[test]
fn unknown_object_is_published_unless_all_causes_seed() {
    assert_eq!(derived(None, "Authorized", 950, &[recheck(false)]).0, ["ChargeAuthorized"]);
    assert_eq!(derived(None, "Authorized", 950, &[recheck(true), recheck(false)]).0, ["ChargeAuthorized"]);
    assert_eq!(derived(None, "Authorized", 950, &[recheck(true), cause("STATE_CHANGE", 951)]).0, ["ChargeAuthorized"]);
}

#[test]
fn ipn_after_baseline_of_same_state_publishes_it() {
    let (_, baseline) = derived(None, "Captured", 1000, &[recheck(true)]);
    for (sent_s, published) in [(1001, vec!["ChargeCaptured"]), (999, vec![]), (1000 + 3600, vec![])] {
        let (names, known) = derived(Some(&baseline), "Captured", 1000, &[cause("STATE_CHANGE", sent_s)]);
        assert_eq!(names, published, "{sent_s}");
        let (again, _) = derived(Some(&known), "Captured", 1000, &[cause("STATE_CHANGE", sent_s)]);
        assert_eq!(again, [""; 0], "once");
    }
    assert_eq!(derived(Some(&baseline), "Captured", 1000, &[cause("ATTRIBUTE_CHANGE", 1001)]).0, [""; 0]);
}

#[test]
fn recheck_needs_no_confirming_read() {
    assert_eq!(confirms(ObjectKind::Charge, &[recheck(false)], Some(0)), ConfirmingReads::None);
    let with_ipn = [recheck(false), cause("STATE_CHANGE", 10)];
    assert_eq!(confirms(ObjectKind::Charge, &with_ipn, Some(0)), ConfirmingReads::UntilSettled);
}

mod first_sight;
