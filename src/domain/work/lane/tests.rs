//! Tests of the order in which the objects of one operation are read.

use uuid::Uuid;

use super::*;
use crate::domain::ipn::NotificationType;
use crate::domain::work::quota::Quota;
use crate::domain::work::{BreakerRule, ClaimedPermission, cause::Origin};

const AGED: Duration = Duration::from_mins(5);

fn at(s: i64) -> Timestamp {
    Timestamp::from_unix_ms(s * 1000)
}

fn lane() -> Lane {
    let [bucket, reconciliation] =
        [(1e6, 1e6), (2.0, 0.5)].map(|(burst, per_second)| TokenBucket::empty(Quota { burst, per_second }, at(-1000)));
    let rule = BreakerRule { failures: 3, probe_every: Duration::from_secs(10) };
    Lane::new(Breaker::new(rule), bucket, reconciliation)
}

fn id(id: &str) -> ObjectId {
    ObjectId::parse(id).unwrap()
}

fn ipn() -> Cause {
    let position = InboxPosition { partition: 0, offset: 0 };
    let origin = Origin::Ipn {
        message_id: Uuid::nil(),
        notification_type: NotificationType::StateChange,
        position,
        traceparent: None,
        chargeback: false,
        permission: ClaimedPermission::None,
    };
    Cause { origin, timestamp: at(0) }
}

fn helper() -> Cause {
    Cause { origin: Origin::parent_read(id("R9"), &[]), timestamp: at(0) }
}

/// Adds an object that is due since second `s`, with this priority, in the way in which the worker does.
fn add(lane: &mut Lane, priority: Priority, name: &str, s: i64) {
    let why = match priority {
        Priority::Fresh => return lane.push(&id(name), ipn(), at(s)),
        Priority::Reconcile => return lane.reconcile(&id(name), at(s)),
        Priority::ParentRead => return lane.read_first(&id(name), helper(), at(s)),
        Priority::Confirming => Requeue::Confirm,
        Priority::Retry => Requeue::ObjectFailed,
        Priority::Recheck => Requeue::Vanished,
    };
    lane.push(&id(name), ipn(), at(s));
    lane.requeue(&id(name), why, at(s), at(s));
}

fn order(lane: &mut Lane, now: Timestamp) -> Vec<String> {
    std::iter::from_fn(|| lane.take_due(now, AGED)).map(|id| id.to_string()).collect()
}

#[test]
fn reads_are_ordered_by_priority() {
    let mut lane = lane();
    for (s, priority, name) in [
        (1, Priority::Reconcile, "N1"),
        (4, Priority::ParentRead, "H1"),
        (1, Priority::Recheck, "V1"),
        (1, Priority::Retry, "R1"),
        (2, Priority::Confirming, "C1"),
        (3, Priority::Fresh, "F2"),
        (2, Priority::Fresh, "F1"),
    ] {
        add(&mut lane, priority, name, s);
    }
    add(&mut lane, Priority::Fresh, "LATER", 100);
    assert_eq!(order(&mut lane, at(50)), ["F1", "H1", "F2", "C1", "R1", "V1", "N1"]);
    assert!(!lane.has_due(at(50)));
    assert_eq!(order(&mut lane, at(100)), ["LATER"]);
}

#[test]
fn parent_read_waits_for_at_most_one_other_read() {
    let mut lane = lane();
    for n in 0..9 {
        add(&mut lane, Priority::Fresh, &format!("F{n}"), n);
    }
    lane.read_first(&id("H1"), helper(), at(20));
    lane.read_first(&id("F8"), helper(), at(20)); // already queued as a fresh IPN
    lane.take_due(at(21), AGED); // F0: its read is now in flight
    lane.read_first(&id("F0"), helper(), at(22));
    assert_eq!(order(&mut lane, at(30)), ["F8", "H1", "F1", "F2", "F3", "F4", "F5", "F6", "F7"]);
    lane.complete(&id("F0"), at(31));
    lane.push(&id("BAD"), ipn(), at(40));
    lane.requeue(&id("BAD"), Requeue::ObjectFailed, at(1000), at(41));
    lane.read_first(&id("BAD"), helper(), at(42));
    assert_eq!(order(&mut lane, at(43)), [""; 0], "a failing object keeps its back-off");
}

#[test]
fn ipn_raises_priority_and_keeps_an_earlier_due_time() {
    for priority in
        [Priority::Reconcile, Priority::Recheck, Priority::Retry, Priority::Confirming, Priority::ParentRead]
    {
        let mut lane = lane();
        add(&mut lane, priority, "OLD", 10);
        add(&mut lane, priority, "LATER", 1000);
        add(&mut lane, Priority::Fresh, "NEW", 20);
        lane.push(&id("LATER"), ipn(), at(25));
        lane.push(&id("OLD"), ipn(), at(30));
        assert_eq!(order(&mut lane, at(40)), ["OLD", "NEW", "LATER"], "{priority:?}");
    }
}

#[test]
fn aged_and_fresh_reads_alternate() {
    let mut lane = lane();
    for n in 0..3 {
        add(&mut lane, Priority::Retry, &format!("OLD{n}"), n);
        add(&mut lane, Priority::Fresh, &format!("NEW{n}"), 1000 + n);
    }
    assert_eq!(order(&mut lane, at(1010)), ["OLD0", "NEW0", "OLD1", "NEW1", "OLD2", "NEW2"]);
}

#[test]
fn reconciliation_never_exceeds_its_quota_share() {
    let mut lane = lane();
    for n in 0..100 {
        lane.reconcile(&id(&format!("N{n}")), at(0));
        add(&mut lane, Priority::Fresh, &format!("F{n}"), 0);
    }
    assert_eq!(order(&mut lane, at(100)).len(), 102, "all fresh IPNs, and a burst of two reconciliation reads");
    assert_eq!(order(&mut lane, at(101)).len(), 0);
    assert_eq!(order(&mut lane, at(1000)).len(), 2);
    assert_eq!((1001..1101).map(|s| order(&mut lane, at(s)).len()).sum::<usize>(), 50, "half a read a second");
}

#[test]
fn completed_backlog_frees_its_memory() {
    let mut lane = lane();
    for n in 0..5000 {
        add(&mut lane, Priority::Fresh, &format!("F{n}"), 0);
    }
    while let Some(id) = lane.take_due(at(1), AGED) {
        lane.complete(&id, at(1)).unwrap();
    }
    assert_eq!((lane.len(), lane.in_flight(), lane.records_open(), lane.has_due(at(100))), (0, 0, 0, false));
    assert_eq!(lane.release_since(at(2), 10), []);
    assert!(lane.entries.capacity() < 5000 && lane.open.capacity() < 5000);
}

fn recheck(seed: bool) -> Cause {
    let origin = Origin::Recheck { position: InboxPosition { partition: 0, offset: 0 }, seed };
    Cause { origin, timestamp: at(0) }
}

#[test]
fn aged_rechecks_never_delay_fresh_ipns() {
    let mut lane = lane();
    for n in 0..10_000 {
        lane.push(&id(&format!("R{n}")), recheck(false), at(0));
    }
    for now in [at(10), at(10_000)] {
        for name in ["A", "B", "C"] {
            lane.push(&id(name), ipn(), now);
            let n_before = (0..9).take_while(|_| lane.take_due(now, AGED) != Some(id(name))).count();
            assert!(n_before <= 2, "{name} at {now}: {n_before} reads before it");
            lane.complete(&id(name), now);
        }
    }
}

#[test]
fn recheck_advances_failed_reads_only() {
    let mut lane = lane();
    lane.push(&id("FAILED"), ipn(), at(0));
    lane.requeue(&id("FAILED"), Requeue::ObjectFailed, at(9000), at(1));
    lane.push(&id("CONFIRM"), ipn(), at(0));
    lane.requeue(&id("CONFIRM"), Requeue::Confirm, at(30), at(1));
    lane.push(&id("FRESH"), ipn(), at(3));
    for name in ["NEW", "FAILED", "CONFIRM", "FRESH"] {
        lane.push(&id(name), recheck(false), at(2));
    }
    assert_eq!(order(&mut lane, at(5)), ["FRESH", "FAILED", "NEW"]);
    assert_eq!(order(&mut lane, at(30)), ["CONFIRM"]);
    assert!(lane.get(&id("CONFIRM")).unwrap().confirming, "the confirming read also answers the recheck");
}

#[test]
fn recheck_during_a_read_causes_one_more_recheck() {
    for why in [None, Some(Requeue::Waiting)] {
        let mut lane = lane();
        lane.push(&id("R1"), recheck(true), at(0));
        assert_eq!(order(&mut lane, at(1)), ["R1"]);
        lane.push(&id("R1"), recheck(true), at(2));
        match why {
            None => drop(lane.complete(&id("R1"), at(3))),
            Some(why) => lane.requeue(&id("R1"), why, at(900), at(3)),
        }
        assert!(!lane.get(&id("R1")).unwrap().waiting, "a read that started before the recheck does not answer it");
        lane.push(&id("FRESH"), ipn(), at(4));
        assert_eq!(order(&mut lane, at(5)), ["FRESH", "R1"]);
    }
}

#[test]
fn parent_is_published_if_any_cause_is_not_a_seed() {
    let mut lane = lane();
    let helper = |seed| Cause {
        origin: Origin::ParentRead { read_for: id("C1"), seed, message_id: None, traceparent: None },
        timestamp: at(0),
    };
    lane.read_first(&id("P1"), helper(true), at(0));
    lane.read_first(&id("P1"), helper(true), at(1));
    assert!(Cause::are_seeds(&lane.get(&id("P1")).unwrap().causes.newest));
    lane.read_first(&id("P1"), helper(false), at(2));
    assert!(!Cause::are_seeds(&lane.get(&id("P1")).unwrap().causes.newest));
    lane.push(&id("P2"), recheck(true), at(0));
    lane.push(&id("P2"), ipn(), at(1));
    assert!(!Cause::are_seeds(&lane.get(&id("P2")).unwrap().causes.newest));
}
