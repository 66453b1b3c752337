//! Tests of the work queue: names are the claims.

use super::*;
use crate::domain::pay::{MerchantId, ObjectId};
use crate::domain::work::Origin;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn queue() -> WorkQueue {
    let quota = Quota { burst: 1000.0, per_second: 1_000_000.0 };
    WorkQueue::new(quota, quota, RULE, AGED)
}

const AGED: Duration = Duration::from_mins(5);
const RULE: BreakerRule = BreakerRule { failures: 3, probe_every: Duration::from_secs(10) };

fn charge(id: &str) -> ObjectRef {
    let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
    ObjectRef { account, kind: ObjectKind::Charge, id: ObjectId::parse(id).unwrap() }
}

fn ipn(offset: i64, sent_ms: i64) -> Cause {
    Cause {
        origin: Origin::Ipn { message_id: offset.to_string(), notification_type: "STATE_CHANGE".into() },
        timestamp: at(sent_ms),
        position: Some(InboxPosition { partition: 0, offset }),
    }
}

fn offsets(positions: &[InboxPosition]) -> Vec<i64> {
    positions.iter().map(|position| position.offset).collect()
}

#[test]
fn many_hints_about_one_object_are_one_read_that_answers_all() {
    let mut queue = queue();
    for offset in 0..20 {
        queue.push(&charge("C1"), ipn(offset, 100 - offset), at(1000));
    }
    assert_eq!(queue.take_due(at(1001), 16), [charge("C1")]);
    assert!(queue.take_due(at(1002), 16).is_empty());
    let settled = queue.settle(&charge("C1"), at(1003));
    assert_eq!(offsets(&settled.answered), (0..20).collect::<Vec<_>>());
    assert_eq!((settled.causes.len(), settled.causes[15].timestamp), (CAUSES_KEPT, at(100)));
    assert!(queue.is_empty() && queue.in_flight() == 0);
}

#[test]
fn a_hint_during_a_read_leads_to_exactly_one_more() {
    let mut queue = queue();
    queue.push(&charge("C1"), ipn(1, 1), at(1000));
    assert_eq!(queue.take_due(at(1001), 16).len(), 1);
    queue.push(&charge("C1"), ipn(2, 2), at(1002));
    queue.push(&charge("C1"), ipn(3, 3), at(1002));
    assert!(queue.take_due(at(1003), 16).is_empty());
    assert_eq!(offsets(&queue.settle(&charge("C1"), at(1004)).answered), [1]);
    assert_eq!(queue.take_due(at(1005), 16).len(), 1);
    assert_eq!(offsets(&queue.settle(&charge("C1"), at(1006)).answered), [2, 3]);
    assert!(queue.is_empty());
}

#[test]
fn a_put_back_waits_and_a_fresh_hint_overtakes_the_wait() {
    let mut queue = queue();
    queue.push(&charge("C1"), ipn(1, 1), at(1000));
    queue.take_due(at(1001), 16);
    queue.put_back(&charge("C1"), PutBack::ObjectFailed, at(9000), at(1002));
    assert!(queue.take_due(at(8999), 16).is_empty());
    assert_eq!(queue.failures_of(&charge("C1")), (1, Some(at(1002))));
    queue.push(&charge("C1"), ipn(2, 2), at(2000));
    assert_eq!(queue.take_due(at(2001), 16).len(), 1);
    queue.put_back(&charge("C1"), PutBack::Systemic, at(9000), at(2002));
    assert_eq!(queue.failures_of(&charge("C1")).0, 1, "systemic trouble counts nothing");
}

#[test]
fn released_work_is_pending_until_it_is_settled_and_survives_a_restart() {
    let mut queue = queue();
    queue.push(&charge("C1"), ipn(1, 1), at(1000));
    assert_eq!(queue.pending_of(&charge("C1")), None);
    assert!(queue.release(at(10_999), Duration::from_secs(10), &[]).is_empty());
    let released = queue.release(at(11_000), Duration::from_secs(10), &[]);
    assert_eq!((released.len(), offsets(&released[0].1)), (1, vec![1]));
    assert!(queue.release(at(20_000), Duration::from_secs(10), &[]).is_empty(), "once is enough");
    let pending = queue.pending_of(&charge("C1")).expect("released work is pending");

    let mut next_owner =
        WorkQueue::new(Quota { burst: 9.0, per_second: 1e6 }, Quota { burst: 9.0, per_second: 1e6 }, RULE, AGED);
    next_owner.restore(&charge("C1"), pending.clone(), at(30_000));
    assert_eq!(next_owner.pending_of(&charge("C1")), Some(pending));
    assert_eq!(next_owner.take_due(at(30_001), 16).len(), 1);
    let settled = next_owner.settle(&charge("C1"), at(30_002));
    assert_eq!((settled.causes.len(), settled.answered.len()), (1, 0));
    assert_eq!(next_owner.pending_of(&charge("C1")), None);
}

#[test]
fn a_hint_during_the_read_of_pending_work_stays_open_when_that_work_is_settled() {
    let mut queue = queue();
    queue.push(&charge("C1"), ipn(1, 1), at(1000));
    queue.take_due(at(1001), 16);
    assert_eq!(offsets(&queue.release_one(&charge("C1"))), [1]);
    queue.push(&charge("C1"), ipn(2, 2), at(1002));
    assert!(queue.settle(&charge("C1"), at(1003)).answered.is_empty());
    assert_eq!(queue.pending_of(&charge("C1")), None, "offset 2 still holds the inbox");
    queue.take_due(at(1004), 16);
    assert_eq!(offsets(&queue.settle(&charge("C1"), at(1005)).answered), [2]);
}

#[test]
fn reads_in_flight_are_bounded_and_lanes_take_turns() {
    let mut queue = queue();
    let refund = ObjectRef { kind: ObjectKind::Refund, ..charge("R1") };
    for n in 0..40 {
        queue.push(&charge(&format!("C{n}")), ipn(n, 1), at(1000));
    }
    queue.push(&refund, ipn(50, 1), at(1000));
    let taken = queue.take_due(at(1001), 16);
    assert_eq!(taken.len(), 16);
    assert!(taken.contains(&refund), "another operation is not delayed by a backlog of charges");
    assert!(queue.take_due(at(1002), 16).is_empty());
    queue.settle(&taken[0], at(1003));
    assert_eq!(queue.take_due(at(1004), 16).len(), 1);
}

#[test]
fn the_quota_paces_each_lane() {
    let mut queue =
        WorkQueue::new(Quota { burst: 20.0, per_second: 4.0 }, Quota { burst: 5.0, per_second: 1.0 }, RULE, AGED);
    for n in 0..100 {
        queue.push(&charge(&format!("C{n}")), ipn(n, 1), at(0));
    }
    let taken: usize = (0..=5000).step_by(50).map(|ms| queue.take_due(at(ms), 1000).len()).sum();
    assert_eq!(taken, 20);
}

#[test]
fn one_merchants_trouble_holds_back_its_own_reads_alone_and_ends_with_one_answer() {
    let mut queue = queue();
    let other = |id: &str| {
        let account = Account { merchant_id: MerchantId::parse("M2").unwrap(), environment: Environment::Live };
        ObjectRef { account, ..charge(id) }
    };
    for n in 0..5 {
        queue.push(&charge(&format!("C{n}")), ipn(n, n), at(0));
    }
    let account = charge("C0").account;
    for object in queue.take_due(at(1000), 3) {
        queue.put_back(&object, PutBack::Systemic, at(1000), at(1000));
        queue.failed(&account, at(1000));
    }
    assert_eq!(queue.held_back().collect::<Vec<_>>(), [&account]);
    queue.push(&other("C9"), ipn(9, 9), at(1000));
    assert_eq!(queue.take_due(at(2000), 16), [other("C9")], "the other merchant's reads go on");
    queue.answered(&other("C9").account);
    let probes = queue.take_due(at(11_000), 16);
    assert_eq!(probes.len(), 1, "one probe, however much is due");
    assert!(queue.take_due(at(11_001), 16).is_empty());
    assert_eq!(queue.answered(&account), Some(BreakerChange::Closed));
    assert_eq!(queue.take_due(at(11_002), 16).len(), 4, "the rest follows at once");
}

#[test]
fn a_merchant_with_too_many_open_records_lets_go_of_its_own_alone() {
    let mut queue = queue();
    let quiet = Account { merchant_id: MerchantId::parse("M2").unwrap(), environment: Environment::Live };
    for n in 0..11 {
        queue.push(&charge(&format!("C{}", n % 3)), ipn(n, n), at(1000));
    }
    queue.push(&ObjectRef { account: quiet, ..charge("C9") }, ipn(99, 1), at(1000));
    let released = |queue: &mut WorkQueue, most| {
        let too_many = queue.with_open_above(most);
        let released = queue.release(at(1001), Duration::from_secs(10), &too_many);
        released.iter().map(|(_, positions)| positions.len()).sum::<usize>()
    };
    assert_eq!(released(&mut queue, 11), 0);
    assert_eq!(released(&mut queue, 10), 11);
    assert_eq!(released(&mut queue, 0), 1, "the other one's were still open");
    assert_eq!(released(&mut queue, 0), 0);
}
