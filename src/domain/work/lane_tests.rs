//! Tests of the order in which one operation is read: names are the claims.

use uuid::Uuid;

use super::super::cause::Origin;
use super::super::quota::Quota;
use super::*;
use crate::domain::ipn::NotificationType;

const AGED: Duration = Duration::from_mins(5);

fn at(s: i64) -> Timestamp {
    Timestamp::from_unix_ms(s * 1000)
}

fn lane() -> Lane {
    let [bucket, reconciliation] =
        [(1e6, 1e6), (2.0, 0.5)].map(|(burst, per_second)| TokenBucket::empty(Quota { burst, per_second }, at(-1000)));
    Lane::new(bucket, reconciliation)
}

fn id(id: &str) -> ObjectId {
    ObjectId::parse(id).unwrap()
}

fn ipn() -> Cause {
    let position = InboxPosition { partition: 0, offset: 0 };
    let origin = Origin::Ipn { message_id: Uuid::nil(), notification_type: NotificationType::StateChange, position };
    Cause { origin, timestamp: at(0) }
}

fn helper() -> Cause {
    Cause { origin: Origin::Helper { read_for: id("R9") }, timestamp: at(0) }
}

/// An object that is due since `s` in this class, put there the way it gets there.
fn add(lane: &mut Lane, class: Class, name: &str, s: i64) {
    let why = match class {
        Class::Fresh => return lane.push(&id(name), ipn(), at(s)),
        Class::Reconcile => return lane.reconcile(&id(name), at(s)),
        Class::Helper => return lane.read_first(&id(name), helper(), at(s)),
        Class::Confirming => PutBack::Confirm,
        Class::Retry => PutBack::ObjectFailed,
        Class::Recheck => PutBack::Vanished,
    };
    lane.push(&id(name), ipn(), at(s));
    lane.put_back(&id(name), why, at(s), at(s));
}

fn order(lane: &mut Lane, now: Timestamp) -> Vec<String> {
    std::iter::from_fn(|| lane.take_due(now, AGED)).map(|id| id.to_string()).collect()
}

#[test]
fn news_goes_first_then_second_looks_then_what_failed_and_last_what_nobody_told_us_of() {
    let mut lane = lane();
    for (s, class, name) in [
        (1, Class::Reconcile, "N1"),
        (4, Class::Helper, "H1"),
        (1, Class::Recheck, "V1"),
        (1, Class::Retry, "R1"),
        (2, Class::Confirming, "C1"),
        (3, Class::Fresh, "F2"),
        (2, Class::Fresh, "F1"),
    ] {
        add(&mut lane, class, name, s);
    }
    add(&mut lane, Class::Fresh, "LATER", 100);
    assert_eq!(order(&mut lane, at(50)), ["F1", "H1", "F2", "C1", "R1", "V1", "N1"]);
    assert!(!lane.has_due(at(50)));
    assert_eq!(order(&mut lane, at(100)), ["LATER"]);
}

#[test]
fn what_another_object_waits_for_is_read_within_four_reads_and_no_more_than_once() {
    let mut lane = lane();
    for n in 0..9 {
        add(&mut lane, Class::Fresh, &format!("F{n}"), n);
    }
    lane.read_first(&id("H1"), helper(), at(20));
    lane.read_first(&id("F8"), helper(), at(20)); // it is among the news
    lane.take_due(at(21), AGED); // F0, and it is under way
    lane.read_first(&id("F0"), helper(), at(22));
    assert_eq!(order(&mut lane, at(30)), ["F8", "F1", "F2", "F3", "H1", "F4", "F5", "F6", "F7"]);
    lane.settle(&id("F0"), at(31));
    lane.push(&id("BAD"), ipn(), at(40));
    lane.put_back(&id("BAD"), PutBack::ObjectFailed, at(1000), at(41));
    lane.read_first(&id("BAD"), helper(), at(42));
    assert_eq!(order(&mut lane, at(43)), [""; 0], "what fails is not hurried");
}

#[test]
fn a_hint_makes_news_of_whatever_waits_and_what_was_due_keeps_its_time() {
    for class in [Class::Reconcile, Class::Recheck, Class::Retry, Class::Confirming, Class::Helper] {
        let mut lane = lane();
        add(&mut lane, class, "OLD", 10);
        add(&mut lane, class, "LATER", 1000);
        add(&mut lane, Class::Fresh, "NEW", 20);
        lane.push(&id("LATER"), ipn(), at(25));
        lane.push(&id("OLD"), ipn(), at(30));
        assert_eq!(order(&mut lane, at(40)), ["OLD", "NEW", "LATER"], "{class:?}");
    }
}

#[test]
fn what_is_due_for_long_and_what_is_new_take_turns() {
    let mut lane = lane();
    for n in 0..3 {
        add(&mut lane, Class::Retry, &format!("OLD{n}"), n);
        add(&mut lane, Class::Fresh, &format!("NEW{n}"), 1000 + n);
    }
    assert_eq!(order(&mut lane, at(1010)), ["OLD0", "NEW0", "OLD1", "NEW1", "OLD2", "NEW2"]);
}

#[test]
fn reconciliation_keeps_to_its_slice_however_long_it_waits() {
    let mut lane = lane();
    for n in 0..100 {
        lane.reconcile(&id(&format!("N{n}")), at(0));
        add(&mut lane, Class::Fresh, &format!("F{n}"), 0);
    }
    assert_eq!(order(&mut lane, at(100)).len(), 102, "all the news, and a burst of two");
    assert_eq!(order(&mut lane, at(101)).len(), 0);
    assert_eq!(order(&mut lane, at(1000)).len(), 2);
    assert_eq!((1001..1101).map(|s| order(&mut lane, at(s)).len()).sum::<usize>(), 50, "half a read a second");
}

#[test]
fn what_is_settled_is_gone_and_a_backlog_that_is_done_gives_its_memory_back() {
    let mut lane = lane();
    for n in 0..5000 {
        add(&mut lane, Class::Fresh, &format!("F{n}"), 0);
    }
    while let Some(id) = lane.take_due(at(1), AGED) {
        lane.settle(&id, at(1)).unwrap();
    }
    assert_eq!((lane.len(), lane.in_flight(), lane.records_open(), lane.has_due(at(100))), (0, 0, 0, false));
    assert_eq!(lane.release_since(at(2), 10), []);
    assert!(lane.entries.capacity() < 5000 && lane.open.capacity() < 5000);
}
