//! One operation that Amazon refuses, and the quota after a storm of 429s, in virtual time.

use std::time::Duration;

use super::drain_tests::{Drive, PER_SECOND, START_MS, object};
use super::tests::{at, fetched, ledger, object as charge, record, record_of};
use super::*;
use crate::amazon::pay_api::{Blame, Disposition};

#[test]
fn refused_disputes_delay_no_charge() {
    let mut ledger = ledger(Settings::default());
    let dispute = ObjectRef {
        kind: ObjectKind::Dispute,
        id: ObjectId::parse("P01-1111111-2222222-B000001").unwrap(),
        ..charge()
    };
    ledger.take_in(record_of(&dispute, "STATE_CHANGE", 0, at(0)), at(0));
    let (mut n_refused, mut slowest_s) = (0, 0);
    for s in 1..1200 {
        if s % 101 == 0 {
            ledger.take_in(record(s, s), at(s));
        }
        for (due, start) in ledger.take_due(at(s)) {
            let refused = due == dispute;
            n_refused += i32::from(refused);
            slowest_s = slowest_s.max(if refused { 0 } else { s % 101 });
            let answer = if refused {
                Disposition::Systemic(Blame::Credentials, "Amazon Pay answered 403".to_owned())
            } else {
                fetched("Captured", s)
            };
            ledger.apply_read(&due, answer, start, at(s));
        }
        ledger.maintain(at(s));
        ledger.take_batch(vec![]);
    }
    let held: Vec<_> = ledger.queue.held_back().map(|(_, operation)| operation).collect();
    assert_eq!(held, [Some(ObjectKind::Dispute)]);
    assert_eq!(slowest_s, 0, "each charge is read at once");
    assert!((100..=130).contains(&n_refused), "{n_refused} reads of the dispute in 1,200 s");
}

#[test]
fn rate_comes_back_within_30_s_after_a_storm_of_429s() {
    let mut drive = Drive::new();
    for n in 0..4000 {
        drive.change(&object(ObjectKind::Charge, n), "Captured", START_MS - 60_000 + n, "STATE_CHANGE");
    }
    drive.run_for(Duration::from_secs(30));
    // For a minute another program takes everything.
    drive.amazon.used_by_the_shop = 1e6;
    drive.run_for(Duration::from_mins(1));
    drive.amazon.used_by_the_shop = 0.0;
    let (ended_at, throttled) = (drive.now_ms, drive.amazon.throttled);
    assert!(throttled >= 4, "{throttled}");
    drive.run_for(Duration::from_mins(3));
    let reads: Vec<i64> =
        drive.reads.iter().filter(|(_, of, _)| of.kind == ObjectKind::Charge).map(|(at, ..)| *at - ended_at).collect();
    let rate = |from_s: i64| {
        reads.iter().filter(|at| (from_s * 1000..(from_s + 10) * 1000).contains(*at)).count() as f64 / 10.0
    };
    let rates: Vec<f64> = (0..12).map(|n| rate(n * 10)).collect();
    println!("reads a second in each 10 s after the storm: {rates:?}; share {}", PER_SECOND * 0.8);
    assert!(rate(30) >= 0.8 * PER_SECOND * 0.8, "{rates:?}");
    assert_eq!(drive.amazon.throttled, throttled, "and Amazon throttles no more");
}
