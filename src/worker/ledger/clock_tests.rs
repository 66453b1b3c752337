//! Clocks that are wrong or that jump: offsets decide which IPNs a read answers, and no wait depends on a time in the future.

use super::tests::{at, fetched, ledger, object, published, record, unlimited};
use super::*;
use crate::kafka::state_store::Restored;

/// A ledger of a process whose clock showed `start`.
fn ledger_from(start: Timestamp) -> Ledger {
    let mut ledger = ledger(Settings::default());
    ledger.queue = WorkQueue::new(unlimited(&ledger.settings), start);
    ledger
}

/// Reads the charge at `s`, by a clock that is `ahead_s` ahead of the broker's.
fn read_with_clock(ledger: &mut Ledger, s: i64, ahead_s: i64) {
    let now = at(s + ahead_s);
    let due = ledger.take_due(now);
    assert_eq!(due.len(), 1, "the charge is due at {s}");
    for (object, start) in due {
        ledger.apply_read(&object, fetched("Authorized", 0), start, now);
    }
}

/// The next owner of the partition, which starts from what the former one wrote.
fn restarted(former: &Ledger, now: Timestamp) -> Ledger {
    let mut restored = Restored::default();
    for (partition, KnownState { object, .. }) in former.store.iter() {
        let record = StateRecord { partition, ..former.record(&object) };
        let value = record.value.map(|state| serde_json::to_vec(&state).unwrap());
        restored.store.apply(record.partition, record.key.as_bytes(), value.as_deref()).unwrap();
    }
    let mut next = ledger(former.settings.clone());
    next.store = restored.store;
    for (object, pending) in next.store.take_pending(|_| true) {
        next.queue.restore(&object, pending.not_after(now));
    }
    next
}

#[test]
fn ipn_after_a_read_is_read_whatever_the_clock_of_that_read() {
    const HOUR_S: i64 = 3600;
    const YEAR_S: i64 = 365 * 86_400;
    for ahead_s in [-YEAR_S, -HOUR_S, -30, 0, 30, HOUR_S, YEAR_S] {
        let mut first = ledger_from(at(ahead_s));
        first.take_in(record(0, 100), at(100 + ahead_s));
        read_with_clock(&mut first, 101, ahead_s);
        assert_eq!(published(&mut first), ["ChargeAuthorized"], "{ahead_s}");
        let next = restarted(&first, at(110));
        // The same process, and the next one with a clock that was set right.
        for (mut ledger, now) in [(first, at(115 + ahead_s)), (next, at(115))] {
            ledger.take_in(record(1, 115), now);
            assert_eq!(ledger.queue.take_due(now.plus(Duration::from_secs(1))), [object()], "{ahead_s}");
        }
    }
}

#[test]
fn record_consumed_before_a_read_needs_no_other_read_after_a_restart() {
    let mut first = ledger(Settings::default());
    first.take_in(record(0, 100), at(100));
    first.take_in(record(1, 100), at(100));
    read_with_clock(&mut first, 101, 0);
    first.take_in(record(2, 102), at(102));
    let state = first.take_batch(vec![]).records;
    assert!(state.iter().any(|record| record.key == object().state_key()));
    let read_after = first.store.observed(&object()).unwrap().read_after;
    assert_eq!(read_after, Some(InboxMark { offset: 1, appended_at: at(100) }));
    for (offset, appended_s, is_answered) in [(0, 100, true), (1, 100, true), (2, 102, false), (1, 500, false)] {
        let is_it = first.is_answered(&object(), &record(offset, appended_s));
        assert_eq!(is_it, is_answered, "offset {offset} appended at {appended_s}");
    }
}

#[test]
fn record_of_a_recreated_inbox_is_read() {
    let mut ledger = ledger(Settings::default());
    ledger.take_in(record(7, 100), at(100));
    read_with_clock(&mut ledger, 101, 0);
    assert!(!ledger.is_answered(&object(), &record(0, 200)), "its offset is lower, but it is newer");
    assert!(ledger.is_answered(&object(), &record(6, 90)));
}

#[test]
fn pending_work_of_a_clock_ahead_is_due_within_the_longest_wait() {
    const DAYS_S: i64 = 40 * 86_400;
    let mut first = ledger(Settings::default());
    first.take_in(record(0, 100), at(100 + DAYS_S));
    first.release_overdue(at(200 + DAYS_S));
    read_with_clock(&mut first, 201, DAYS_S);
    assert_eq!(published(&mut first), ["ChargeAuthorized"]);
    // The IPN is newer than the state that was read, so another read is due by the wrong clock.
    let pending = first.queue.pending_of(&object()).expect("a confirming read is pending");
    assert!(pending.due > at(DAYS_S));
    let now = at(210);
    let restored = pending.not_after(now);
    assert!(restored.due <= now.plus(Duration::from_mins(90)) && restored.first_seen <= now, "{restored:?}");
}
