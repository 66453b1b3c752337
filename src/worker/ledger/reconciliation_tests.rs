//! An outage after which SNS gave up, in virtual time: reconciliation finds the changes within its slice of the quota.

use std::time::Duration;

use super::drain_tests::{Drive, PER_SECOND, Purpose, START_MS, object};
use super::*;
use crate::domain::pay::ObjectKind;

const CHARGES: i64 = 2000;
/// The receiver's share of the quota, and the slice of reconciliation.
const SLICE: f64 = PER_SECOND * 0.8 * 0.1;
/// An Authorized charge is due after an hour instead of a day, so that the slice is the limit.
const FACTOR: f64 = 1.0 / 24.0;

fn drive(enabled: bool) -> Drive {
    let mut drive = Drive::new();
    let now = Timestamp::from_unix_ms(START_MS);
    let schedule = Schedule { period_factor: FACTOR, notices: drive.ledger.notices };
    drive.ledger.reconciler = Reconciler::new(&drive.ledger.settings, enabled.then_some(schedule), now);
    drive
}

#[test]
fn missed_changes_are_found_within_the_period() {
    let mut drive = drive(true);
    for n in 0..CHARGES {
        drive.change(&object(ObjectKind::Charge, n), "Authorized", START_MS - 7_200_000 + n, "STATE_CHANGE");
    }
    drive.drain();
    assert_eq!(drive.found, 0);
    // SNS gave up: the charges change, and no IPN arrives.
    let outage_at = drive.now_ms;
    for n in 0..CHARGES {
        drive.amazon.objects.insert(object(ObjectKind::Charge, n), ("Captured", outage_at));
    }
    let (reads_before, published_before) = (drive.reads.len(), drive.published.len());
    let period_s = CHARGES as f64 / SLICE;
    // Meanwhile fresh IPNs arrive, each about an unknown charge and permission.
    let (mut posted, mut slowest_ms) = (Vec::new(), 0);
    while drive.found < CHARGES as usize {
        assert!(((drive.now_ms - outage_at) as f64) < (period_s + 1.15 * 3600.0) * 1000.0, "{} are found", drive.found);
        let charge = object(ObjectKind::Charge, 100_000 + posted.len() as i64);
        let at_ms = drive.now_ms;
        drive.change(&charge, "Captured", at_ms - 1000, "STATE_CHANGE");
        posted.push((at_ms, charge));
        drive.run_for(Duration::from_secs(10));
    }
    let took_s = (drive.now_ms - outage_at) as f64 / 1000.0;
    for (at_ms, charge) in &posted {
        slowest_ms = slowest_ms.max(drive.published_at(charge).expect("it is published") - at_ms);
    }
    let is_charge = |object: &ObjectRef| object.kind == ObjectKind::Charge;
    let reads =
        drive.reads[reads_before..].iter().filter(|(_, of, purpose)| is_charge(of) && *purpose == Purpose::Reconcile);
    let reads: Vec<i64> = reads.map(|(at, ..)| *at).collect();
    let rate = (reads.len() - 2) as f64 / ((reads[reads.len() - 1] - reads[0]) as f64 / 1000.0);
    println!(
        "{CHARGES} changes found in {took_s:.0} s ({period_s:.0} s at the slice alone) by {} reads, {rate:.3} a second; \
         slowest of {} fresh IPNs: {slowest_ms} ms; {} answered 429",
        reads.len(),
        posted.len(),
        drive.amazon.throttled,
    );
    assert!(rate <= SLICE * 1.01 && slowest_ms <= 3000 && drive.amazon.throttled == 0);
    assert_eq!(reads.len(), CHARGES as usize, "each is read once, as its new state is final");
    assert_eq!(drive.ledger.outgoing.found.len(), CHARGES as usize, "each counts as a missed IPN");
    let published = drive.published[published_before..].iter().filter(|(_, of)| is_charge(of)).count();
    assert_eq!(published, CHARGES as usize + posted.len(), "each is published once");
}

#[test]
fn disabled_reconciliation_reads_nothing() {
    let mut drive = drive(false);
    drive.change(&object(ObjectKind::Charge, 1), "Authorized", START_MS - 1000, "STATE_CHANGE");
    drive.drain();
    drive.amazon.objects.insert(object(ObjectKind::Charge, 1), ("Captured", START_MS));
    let n_reads = drive.reads.len();
    drive.run_for(Duration::from_hours(3));
    assert_eq!((drive.reads.len(), drive.found), (n_reads, 0));
}
