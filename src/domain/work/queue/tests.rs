//! Tests of the work queue.

use uuid::Uuid;

use super::*;
use crate::domain::ipn::NotificationType;
use crate::domain::pay::{Environment, MerchantId, ObjectId};
use crate::domain::work::entry::CAUSES_KEPT;
use crate::domain::work::{BreakerChange, BreakerRule, ClaimedPermission, Origin, Quota};

pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn queue() -> WorkQueue {
    WorkQueue::new(RULES, at(0))
}

const WIDE: Quota = Quota { burst: 1000.0, per_second: 1_000_000.0 };
pub(super) const RULES: Rules = Rules {
    live: WIDE,
    sandbox: WIDE,
    reconciliation_share: 0.1,
    breaker: BreakerRule { failures: 3, probe_every: Duration::from_secs(10) },
    aged_after: Duration::from_mins(5),
    reads_in_flight_max: 16,
    records_open_max: 1000,
};

pub(super) fn charge(id: &str) -> ObjectRef {
    let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
    ObjectRef { account, kind: ObjectKind::Charge, id: ObjectId::parse(id).unwrap() }
}

pub(super) fn ipn(offset: i64, sent_ms: i64) -> Cause {
    let (message_id, position) = (Uuid::from_u128(offset as u128), InboxPosition { partition: 0, offset });
    let origin = Origin::Ipn {
        message_id,
        notification_type: NotificationType::StateChange,
        position,
        traceparent: None,
        chargeback: false,
        permission: ClaimedPermission::None,
    };
    Cause { origin, timestamp: at(sent_ms) }
}

fn of_other_merchant(id: &str) -> ObjectRef {
    let account = Account { merchant_id: MerchantId::parse("M2").unwrap(), environment: Environment::Live };
    ObjectRef { account, ..charge(id) }
}

pub(super) fn offsets(positions: &[InboxPosition]) -> Vec<i64> {
    positions.iter().map(|position| position.offset).collect()
}

#[test]
fn ipns_about_one_object_coalesce_into_one_read() {
    let mut queue = queue();
    for offset in 0..20 {
        queue.push(&charge("C1"), ipn(offset, 100 - offset), at(1000));
    }
    assert_eq!(queue.take_due(at(1001)), [charge("C1")]);
    assert!(queue.take_due(at(1002)).is_empty());
    let completed = queue.complete(&charge("C1"), at(1003));
    assert_eq!(offsets(&completed.answered), (0..20).collect::<Vec<_>>());
    assert_eq!((completed.causes.len(), completed.causes[15].timestamp), (CAUSES_KEPT, at(100)));
    assert!(queue.is_empty() && queue.in_flight() == 0);
}

/// A chargeback that a charge's IPN reports, as no read of the charge shows it.
fn chargeback(offset: i64, sent_ms: i64) -> Cause {
    let mut cause = ipn(offset, sent_ms);
    if let Origin::Ipn { chargeback, .. } = &mut cause.origin {
        *chargeback = true;
    }
    cause
}

#[test]
fn chargebacks_are_kept_behind_many_newer_ipns() {
    let mut queue = queue();
    queue.push(&charge("C1"), chargeback(0, 1), at(1000));
    queue.push(&charge("C1"), chargeback(1, 2), at(1000));
    for offset in 2..40 {
        queue.push(&charge("C1"), ipn(offset, 1 + offset), at(1000));
    }
    queue.take_due(at(1001));
    let kept = queue.complete(&charge("C1"), at(1003)).causes;
    assert_eq!((kept.len(), kept.iter().filter(|cause| cause.is_chargeback()).count()), (CAUSES_KEPT, 2));
}

#[test]
fn ipns_during_a_read_cause_exactly_one_more() {
    let mut queue = queue();
    queue.push(&charge("C1"), ipn(1, 1), at(1000));
    assert_eq!(queue.take_due(at(1001)).len(), 1);
    queue.push(&charge("C1"), ipn(2, 2), at(1002));
    queue.push(&charge("C1"), ipn(3, 3), at(1002));
    assert!(queue.take_due(at(1003)).is_empty());
    assert_eq!(offsets(&queue.complete(&charge("C1"), at(1004)).answered), [1]);
    assert_eq!(queue.take_due(at(1005)).len(), 1);
    assert_eq!(offsets(&queue.complete(&charge("C1"), at(1006)).answered), [2, 3]);
    assert!(queue.is_empty());
}

#[test]
fn fresh_ipn_overrides_the_backoff_of_a_requeue() {
    let mut queue = queue();
    queue.push(&charge("C1"), ipn(1, 1), at(1000));
    queue.take_due(at(1001));
    queue.requeue(&charge("C1"), Requeue::ObjectFailed, at(9000), at(1002));
    assert!(queue.take_due(at(8999)).is_empty());
    assert_eq!(queue.attempts_of(&charge("C1")), 1);
    queue.push(&charge("C1"), ipn(2, 2), at(2000));
    assert_eq!(queue.take_due(at(2001)).len(), 1);
    queue.requeue(&charge("C1"), Requeue::Systemic, at(9000), at(2002));
    assert_eq!(queue.attempts_of(&charge("C1")), 1, "a systemic failure is not counted as an attempt");
}

#[test]
fn released_work_is_pending_and_survives_a_restart() {
    let mut queue = queue();
    queue.push(&charge("C1"), ipn(1, 1), at(1000));
    assert_eq!(queue.pending_of(&charge("C1")), None);
    assert!(queue.release(at(10_999), Duration::from_secs(10), 100).is_empty());
    let released = queue.release(at(11_000), Duration::from_secs(10), 100);
    assert_eq!((released.len(), offsets(&released[0].1)), (1, vec![1]));
    assert!(queue.release(at(20_000), Duration::from_secs(10), 100).is_empty(), "work is released once");
    let pending = queue.pending_of(&charge("C1")).expect("released work is pending");
    assert_eq!(pending.first_seen, at(1000));

    let mut next_owner = WorkQueue::new(RULES, at(30_000));
    next_owner.restore(&charge("C1"), pending.clone());
    assert_eq!(next_owner.pending_of(&charge("C1")), Some(pending));
    assert_eq!(next_owner.take_due(at(30_001)).len(), 1);
    let completed = next_owner.complete(&charge("C1"), at(30_002));
    assert_eq!((completed.causes.len(), completed.answered.len(), completed.was_pending), (1, 0, true));
    assert_eq!(next_owner.pending_of(&charge("C1")), None);
}

#[test]
fn ipn_during_a_pending_read_stays_open_on_completion() {
    let mut queue = queue();
    queue.push(&charge("C1"), ipn(1, 1), at(1000));
    queue.take_due(at(1001));
    assert_eq!(offsets(&queue.release_one(&charge("C1"))), [1]);
    queue.push(&charge("C1"), ipn(2, 2), at(1002));
    assert!(queue.complete(&charge("C1"), at(1003)).answered.is_empty());
    assert_eq!(queue.pending_of(&charge("C1")), None, "offset 2 is still open, so nothing needs a state record");
    queue.take_due(at(1004));
    assert_eq!(offsets(&queue.complete(&charge("C1"), at(1005)).answered), [2]);
}

#[test]
fn reads_in_flight_are_limited_and_operations_alternate() {
    let mut queue = queue();
    let refund = ObjectRef { kind: ObjectKind::Refund, ..charge("R1") };
    for n in 0..40 {
        queue.push(&charge(&format!("C{n}")), ipn(n, 1), at(1000));
        queue.push(&of_other_merchant(&format!("C{n}")), ipn(n, 1), at(1000));
    }
    queue.push(&refund, ipn(50, 1), at(1000));
    let (second, first): (Vec<_>, Vec<_>) =
        queue.take_due(at(1001)).into_iter().partition(|object| object.account == of_other_merchant("C1").account);
    assert_eq!((first.len(), second.len()), (16, 16), "each merchant has its own limit");
    assert!(first.contains(&refund), "another operation is not delayed by a backlog of charges");
    assert!(queue.take_due(at(1002)).is_empty());
    assert_eq!(queue.take_hits(), BoundHits { reads_in_flight: 4, records_open: 0 });
    queue.complete(&first[0], at(1003));
    assert_eq!(queue.take_due(at(1004)).len(), 1);
    assert_eq!(queue.in_flight(), 32);
}

#[test]
fn quota_counts_tokens_from_the_assignment() {
    let quotas = Rules { live: Quota { burst: 20.0, per_second: 4.0 }, reads_in_flight_max: 1000, ..RULES };
    for (first_at, at_once) in [(0, 0), (2000, 8), (60_000, 20)] {
        let mut queue = WorkQueue::new(quotas, at(0));
        for n in 0..100 {
            queue.push(&charge(&format!("C{n}")), ipn(n, 1), at(first_at));
        }
        let mut taken = (first_at..=first_at + 5000).step_by(50).map(|ms| queue.take_due(at(ms)).len());
        assert_eq!((taken.next(), taken.sum::<usize>()), (Some(at_once), 20), "{first_at}");
    }
}

#[test]
fn open_breaker_holds_back_its_own_merchant_only() {
    let mut queue = queue();
    let account = charge("C0").account;
    for n in 0..3 {
        queue.push(&charge(&format!("C{n}")), ipn(n, n), at(0));
    }
    for object in queue.take_due(at(1000)) {
        queue.requeue(&object, Requeue::Systemic, at(1000), at(1000));
        queue.failed(&object, Trouble::Connection, at(1000));
        queue.push(&ObjectRef { kind: ObjectKind::Refund, ..object }, ipn(9, 9), at(1000));
    }
    assert_eq!(queue.held_back().collect::<Vec<_>>(), [(&account, None)]);
    queue.push(&of_other_merchant("C9"), ipn(9, 9), at(1000));
    assert_eq!(queue.take_due(at(2000)), [of_other_merchant("C9")], "the other merchant's reads go on");
    queue.answered(&of_other_merchant("C9"));
    let probes = queue.take_due(at(11_000));
    assert_eq!(probes.len(), 1, "one probe, although more reads are due");
    assert!(queue.take_due(at(11_001)).is_empty());
    assert_eq!(queue.answered(&probes[0]), Some(HoldChange { change: BreakerChange::Closed, operation: None }));
    assert_eq!(queue.take_due(at(11_002)).len(), 5, "all other reads follow at once");
}

#[test]
fn open_record_limit_releases_its_own_merchant_only() {
    let mut queue = WorkQueue::new(Rules { records_open_max: 10, ..RULES }, at(0));
    queue.push(&of_other_merchant("C9"), ipn(99, 1), at(1000));
    let released = |queue: &mut WorkQueue, ms| {
        let released = queue.release(at(ms), Duration::from_secs(10), 100);
        released.iter().map(|(_, positions)| positions.len()).sum::<usize>()
    };
    for n in 0..11 {
        assert_eq!(released(&mut queue, 1001), 0);
        queue.push(&charge(&format!("C{}", n % 3)), ipn(n, n), at(1000));
    }
    assert_eq!(released(&mut queue, 1001), 11);
    assert_eq!(queue.take_hits().records_open, 1);
    assert_eq!(released(&mut queue, 1002), 0);
    assert_eq!(released(&mut queue, 11_000), 1, "the record of the other merchant was still open");
    assert_eq!(queue.take_hits().records_open, 0, "released records do not count");
}

#[test]
fn record_received_during_a_read_ages_on_its_own() {
    let mut queue = queue();
    queue.push(&charge("C1"), ipn(1, 1), at(0));
    queue.take_due(at(1));
    queue.push(&charge("C1"), ipn(2, 2), at(5000));
    assert_eq!(offsets(&queue.complete(&charge("C1"), at(6000)).answered), [1]);
    assert!(queue.release(at(10_000), Duration::from_secs(10), 100).is_empty());
    assert_eq!(offsets(&queue.release(at(15_000), Duration::from_secs(10), 100)[0].1), [2]);
}

#[test]
fn release_is_limited_per_call() {
    let mut queue = queue();
    for n in 0..25 {
        queue.push(&charge(&format!("C{n}")), ipn(n, 1), at(0));
        queue.push(&of_other_merchant(&format!("C{n}")), ipn(100 + n, 1), at(0));
    }
    let released = (0..7).map(|_| queue.release(at(10_000), Duration::from_secs(10), 10).len());
    assert_eq!(released.collect::<Vec<_>>(), [10, 10, 10, 10, 10, 0, 0]);
}

#[test]
fn records_during_a_hanging_read_are_released_too() {
    let mut queue = queue();
    queue.push(&charge("C1"), ipn(1, 1), at(0));
    queue.take_due(at(1));
    queue.push(&charge("C1"), ipn(2, 2), at(2));
    let released = queue.release(at(10_002), Duration::from_secs(10), 100);
    assert_eq!(offsets(&released[0].1), [1, 2]);
    assert_eq!(queue.pending_of(&charge("C1")).unwrap().causes_seen, 2);
}

#[test]
fn ipn_during_a_systemic_failure_waits_for_the_retry() {
    let mut queue = queue();
    queue.push(&charge("C1"), ipn(1, 1), at(0));
    queue.take_due(at(1));
    queue.push(&charge("C1"), ipn(2, 2), at(2));
    queue.requeue(&charge("C1"), Requeue::Systemic, at(5000), at(3));
    assert!(queue.take_due(at(4999)).is_empty());
    assert_eq!(queue.take_due(at(5000)).len(), 1);
}

#[test]
fn confirming_read_never_answers_a_newer_ipn() {
    let mut queue = queue();
    queue.push(&charge("C1"), ipn(1, 1), at(0));
    queue.take_due(at(1));
    queue.requeue(&charge("C1"), Requeue::Confirm, at(30_000), at(2));
    assert!(queue.causes_of(&charge("C1")).1);
    queue.take_due(at(30_000));
    queue.push(&charge("C1"), ipn(2, 2), at(30_001));
    queue.requeue(&charge("C1"), Requeue::ObjectFailed, at(60_000), at(30_002));
    assert!(!queue.causes_of(&charge("C1")).1, "the next read is the first one since the second hint");
}

#[test]
fn probes_alternate_between_operations() {
    let mut queue = queue();
    let permission = ObjectRef { kind: ObjectKind::ChargePermission, ..charge("P1") };
    queue.push(&permission, ipn(1, 1), at(0));
    for s in 100..103 {
        assert_eq!(queue.take_due(at(s)), std::slice::from_ref(&permission));
        queue.requeue(&permission, Requeue::Systemic, at(s), at(s));
        queue.failed(&permission, Trouble::Connection, at(s));
    }
    queue.push(&charge("C1"), ipn(2, 2), at(1000));
    let probes: Vec<ObjectRef> = (2..5)
        .flat_map(|n| {
            let probes = queue.take_due(at(n * 10_000));
            probes.iter().for_each(|probe| queue.requeue(probe, Requeue::Systemic, at(0), at(n * 10_000)));
            probes
        })
        .collect();
    assert_eq!(probes.len(), 3, "one probe at a time");
    assert!(probes.contains(&charge("C1")) && probes.contains(&permission), "{probes:?}");
}

#[test]
fn refused_operation_holds_back_no_other_operation() {
    let mut queue = queue();
    let dispute = ObjectRef { kind: ObjectKind::Dispute, ..charge("B1") };
    let only_disputes = Some(ObjectKind::Dispute);
    queue.push(&dispute, ipn(0, 1), at(0));
    let (mut n_probes, mut n_charges) = (0, 0);
    for s in 1..=600 {
        if s % 60 == 0 {
            queue.push(&charge(&format!("C{s}")), ipn(s, 1), at(s * 1000));
        }
        for due in queue.take_due(at(s * 1000)) {
            if due == dispute {
                n_probes += 1;
                queue.requeue(&due, Requeue::Systemic, at(s * 1000), at(s * 1000));
                let change = queue.failed(&due, Trouble::Refusal, at(s * 1000));
                let opened = HoldChange { change: BreakerChange::Opened, operation: only_disputes };
                assert_eq!(change, (n_probes == 3).then_some(opened), "at {s}");
            } else {
                n_charges += 1;
                assert_eq!(due, charge(&format!("C{s}")), "read at once");
                queue.complete(&due, at(s * 1000));
                assert_eq!(queue.answered(&due), None);
            }
        }
    }
    assert_eq!((n_charges, n_probes), (10, 3 + 59), "one probe of the disputes every 10 s");
    assert_eq!(queue.held_back().collect::<Vec<_>>(), [(&dispute.account, only_disputes)]);
    let held = |queue: &WorkQueue| -> Vec<bool> {
        queue.lanes(at(0)).into_iter().map(|(_, _, lane)| lane.is_held_back).collect()
    };
    assert_eq!(held(&queue), [false, true]);
    assert_eq!(queue.answered(&dispute), Some(HoldChange { change: BreakerChange::Closed, operation: only_disputes }));
    assert_eq!(held(&queue), [false, false]);
}

#[test]
fn errors_of_all_operations_hold_back_each() {
    let mut queue = queue();
    let objects = ObjectKind::ALL.map(|kind| ObjectRef { kind, ..charge(&format!("X{kind}")) });
    objects.iter().for_each(|object| queue.push(object, ipn(0, 1), at(0)));
    let mut n_reads = 0;
    for s in 1..=100 {
        for due in queue.take_due(at(s * 1000)) {
            n_reads += 1;
            queue.requeue(&due, Requeue::Systemic, at(s * 1000), at(s * 1000));
            queue.failed(&due, Trouble::Refusal, at(s * 1000));
        }
    }
    assert_eq!((n_reads, queue.held_back().count()), (4 * (3 + 9), 4), "each operation is probed every 10 s");
}

#[test]
fn any_answer_shows_that_the_connection_works() {
    let mut queue = queue();
    let dispute = ObjectRef { kind: ObjectKind::Dispute, ..charge("B1") };
    queue.push(&charge("C1"), ipn(0, 1), at(0));
    queue.push(&dispute, ipn(1, 1), at(0));
    assert_eq!(queue.take_due(at(1)).len(), 2);
    let failed = |queue: &mut WorkQueue, trouble| queue.failed(&dispute, trouble, at(1)).map(|held| held.operation);
    assert_eq!([Trouble::Connection; 2].map(|trouble| failed(&mut queue, trouble)), [None, None]);
    assert_eq!(failed(&mut queue, Trouble::Refusal), Some(Some(ObjectKind::Dispute)), "three failures in a row");
    let now_unreachable = [Trouble::Connection; 3].map(|trouble| failed(&mut queue, trouble));
    assert_eq!(now_unreachable, [None, None, Some(None)]);
    assert_eq!(failed(&mut queue, Trouble::Timeout), None, "proves nothing");
    let refused = queue.failed(&dispute, Trouble::Refusal, at(1));
    assert_eq!(refused, Some(HoldChange { change: BreakerChange::Closed, operation: None }), "a 403 is an answer");
    assert_eq!(queue.held_back().count(), 0, "the next failures decide about the operation");
}
