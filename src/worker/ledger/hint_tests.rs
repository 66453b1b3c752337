//! ATTRIBUTE_CHANGE IPNs and answers that lag behind their IPNs, in virtual time.

use serde_json::json;

use super::tests::{account, at, decode, fetched, ledger, object, published, read, record, record_of};
use super::*;
use crate::amazon::pay_api::Disposition;
use crate::domain::events::ActionCode;

fn permission() -> ObjectRef {
    ObjectRef {
        account: account(),
        kind: ObjectKind::ChargePermission,
        id: ObjectId::parse("P01-1111111-2222222").unwrap(),
    }
}

/// Amazon's answer about the permission: its state since `updated_s`, and its balance.
fn answer(state: &str, updated_s: i64, balance: &str) -> Disposition {
    let body = json!({"chargePermissionId": permission().id, "chargePermissionType": "Recurring",
        "limits": {"amountBalance": {"amount": balance}},
        "statusDetails": {"state": state, "lastUpdatedTimestamp": at(updated_s)}});
    Disposition::Fetched(Box::new(decode(&permission(), &body)))
}

/// A ledger that knows the permission with a balance of 100.
fn knowing_balance() -> Ledger {
    let mut ledger = ledger(Settings::default());
    for s in [-8000, -7999] {
        ledger.apply_read(&permission(), answer("Chargeable", -9000, "100"), at(s).into(), at(s));
    }
    published(&mut ledger);
    ledger
}

/// Reads whatever is due in each second of this time. Returns the seconds of the reads and the events with theirs.
fn run(
    ledger: &mut Ledger,
    seconds: std::ops::Range<i64>,
    answer: &Disposition,
) -> (Vec<i64>, Vec<(i64, &'static str)>) {
    let (mut reads, mut events) = (Vec::new(), Vec::new());
    for s in seconds {
        if read(ledger, s, answer.clone()) {
            reads.push(s);
        }
        events.extend(published(ledger).into_iter().map(|name| (s, name)));
    }
    (reads, events)
}

#[test]
fn newer_ipns_do_not_put_off_an_attribute_change() {
    for newer in ["STATE_CHANGE", "ATTRIBUTE_CHANGE"] {
        let mut ledger = knowing_balance();
        ledger.take_in(record_of(&permission(), "ATTRIBUTE_CHANGE", 0, at(0)), at(0));
        let mut events = Vec::new();
        for n in 0..10 {
            events.extend(run(&mut ledger, 25 * n..25 * n + 25, &answer("Chargeable", -9000, "100")).1);
            ledger.take_in(record_of(&permission(), newer, n + 1, at(25 * n + 25)), at(25 * n + 25));
        }
        let (published_s, name) = events[0];
        assert_eq!(name, "PaymentMethodUpdated", "{newer}");
        assert!((30..=60).contains(&published_s), "{newer}: after {published_s} s");
    }
}

#[test]
fn attribute_change_behind_many_newer_causes_is_published() {
    let mut ledger = knowing_balance();
    ledger.take_in(record_of(&permission(), "ATTRIBUTE_CHANGE", 0, at(0)), at(0));
    for offset in 1..40 {
        ledger.take_in(record_of(&permission(), "STATE_CHANGE", offset, at(offset)), at(1));
    }
    let (_, events) = run(&mut ledger, 2..90, &answer("Chargeable", 39, "100"));
    assert_eq!(events.iter().map(|(_, name)| *name).collect::<Vec<_>>(), ["PaymentMethodUpdated"]);
}

#[test]
fn attribute_change_read_late_in_a_backlog_is_published_once() {
    let mut ledger = knowing_balance();
    ledger.take_in(record_of(&permission(), "STATE_CHANGE", 0, at(100)), at(100));
    run(&mut ledger, 101..140, &answer("Chargeable", 99, "100"));
    // It was appended well before that read began, and is consumed only now.
    let hint = || record_of(&permission(), "ATTRIBUTE_CHANGE", 1, at(50));
    ledger.take_in(hint(), at(141));
    let (_, events) = run(&mut ledger, 141..300, &answer("Chargeable", 99, "100"));
    assert_eq!(events.iter().map(|(_, name)| *name).collect::<Vec<_>>(), ["PaymentMethodUpdated"]);
    ledger.take_in(
        InboxRecord { position: crate::domain::work::InboxPosition { partition: 0, offset: 2 }, ..hint() },
        at(301),
    );
    assert_eq!(run(&mut ledger, 301..500, &answer("Chargeable", 99, "100")).1, [], "the same IPN again");
}

#[test]
fn moved_balance_explains_no_attribute_change() {
    let mut ledger = knowing_balance();
    ledger.take_in(record_of(&permission(), "ATTRIBUTE_CHANGE", 0, at(0)), at(0));
    let (_, events) = run(&mut ledger, 1..200, &answer("Chargeable", -9000, "70"));
    let names: Vec<_> = events.iter().map(|(_, name)| *name).collect();
    assert_eq!(names, ["PaymentMethodUpdated", "PermissionUpdated"]);
}

#[test]
fn attribute_change_survives_a_restart_and_is_published_on_time() {
    let mut ledger = knowing_balance();
    ledger.take_in(record_of(&permission(), "ATTRIBUTE_CHANGE", 0, at(0)), at(0));
    run(&mut ledger, 1..10, &answer("Chargeable", -9000, "100"));
    let pending = ledger.queue.pending_of(&permission()).expect("it waits for its confirming read");
    let mut restarted = knowing_balance();
    restarted.queue.restore(&permission(), pending);
    let (_, events) = run(&mut restarted, 20..90, &answer("Chargeable", -9000, "100"));
    assert!(matches!(events[..], [(30..=46, "PaymentMethodUpdated")]), "{events:?}");
}

#[test]
fn lagging_answer_is_read_again_until_an_hour_has_passed() {
    // The API shows the capture so many seconds after its IPN.
    for (lag_s, found) in [(0, true), (20, true), (75, true), (500, true), (3500, true), (20_000, false)] {
        let mut ledger = ledger(Settings::default());
        ledger.apply_read(&object(), fetched("Authorized", -100), at(-50).into(), at(-50));
        published(&mut ledger);
        ledger.take_in(record(0, 1), at(1));
        let mut before = run(&mut ledger, 1..lag_s.max(1), &fetched("Authorized", -100));
        let (reads, events) = run(&mut ledger, lag_s.max(1)..30_000, &fetched("Captured", 0));
        before.0.extend(reads);
        let is_found = matches!(events[..], [(s, "ChargeCaptured")] if s < 5500);
        assert_eq!(is_found, found, "{lag_s}: {events:?}");
        assert!(before.0.len() <= 5 && before.1.is_empty(), "{lag_s}: read at {:?}", before.0);
        assert!(ledger.queue.is_empty());
    }
}

#[test]
fn ever_differing_attribute_is_published_after_three_reads() {
    let mut ledger = knowing_balance();
    ledger.take_in(record_of(&permission(), "STATE_CHANGE", 0, at(0)), at(0));
    let (mut n_reads, mut events) = (0, Vec::new());
    for s in 1..86_400 {
        n_reads += usize::from(read(&mut ledger, s, answer("Chargeable", 0, &s.to_string())));
        events.extend(published(&mut ledger));
    }
    assert_eq!((n_reads, events), (1, vec!["PermissionUpdated"]), "Amazon's time moved, so the first read is certain");
    ledger.take_in(record_of(&permission(), "STATE_CHANGE", 1, at(90_000)), at(90_000));
    let (mut n_reads, mut events) = (0, Vec::new());
    for s in 90_001..176_400 {
        n_reads += usize::from(read(&mut ledger, s, answer("Chargeable", 0, &s.to_string())));
        events.extend(published(&mut ledger));
    }
    // Five reads for the IPN, each with at most two more that must agree with it.
    assert!(n_reads <= 15 && events.len() <= 5, "{n_reads} reads, {events:?}");
    assert!(ledger.queue.is_empty() && !events.is_empty());
}

#[test]
fn decline_is_answered_where_the_permission_was_fixed_unseen() {
    let mut ledger = ledger(Settings::default());
    let hard_declined = json!({"chargeId": object().id, "chargePermissionId": permission().id,
        "statusDetails": {"state": "Declined", "reasonCode": "HardDeclined", "lastUpdatedTimestamp": at(10)}});
    let hard_declined = || Disposition::Fetched(Box::new(decode(&object(), &hard_declined)));
    for decline_first in [true, false] {
        let mut ledger = if decline_first {
            std::mem::replace(&mut ledger, self::ledger(Settings::default()))
        } else {
            self::ledger(Settings::default())
        };
        let reads = [(object(), hard_declined()), (permission(), answer("Chargeable", 60, "100"))];
        let reads: Vec<_> = if decline_first { reads.into() } else { reads.into_iter().rev().collect() };
        let mut codes = Vec::new();
        for (n, (object, disposition)) in reads.into_iter().enumerate() {
            ledger.apply_read(&object, disposition, at(100 + n as i64).into(), at(100 + n as i64));
            codes.extend(ledger.take_batch(vec![]).events.into_iter().map(|(event, _)| event.next_action.code));
        }
        let expected = if decline_first {
            // The balance is a change of its own.
            vec![ActionCode::AskBuyerToUpdatePaymentMethod, ActionCode::RetryCharge, ActionCode::None]
        } else {
            vec![ActionCode::None, ActionCode::RetryChargeAfterPermissionCheck]
        };
        assert_eq!(codes, expected, "the decline first: {decline_first}");
    }
}
