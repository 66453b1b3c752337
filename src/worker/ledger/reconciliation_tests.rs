//! An outage in which SNS gave up, in virtual time: what nobody told us of is found, within the slice of the quota.

use std::time::Duration;

use super::drain_tests::{Drive, PER_SECOND, Purpose, START_MS, object};
use super::*;
use crate::config::Reconciliation;
use crate::domain::pay::ObjectKind;

const CHARGES: i64 = 2000;
/// Our part of the quota, and the slice of that.
const SLICE: f64 = PER_SECOND * 0.8 * 0.1;
/// An Authorized charge is looked at after an hour instead of a day, so that the slice is what holds it up.
const FACTOR: f64 = 1.0 / 24.0;

fn drive(enabled: bool) -> Drive {
    let mut drive = Drive::new();
    let now = Timestamp::from_unix_ms(START_MS);
    let reconciliation = Reconciliation { enabled, period_factor: FACTOR };
    drive.ledger.reconciler = Reconciler::new(&drive.ledger.settings, &reconciliation, now);
    drive
}

#[test]
fn two_thousand_changes_that_nobody_told_of_are_found_within_the_period_and_the_slice() {
    let mut drive = drive(true);
    for n in 0..CHARGES {
        drive.change(&object(ObjectKind::Charge, n), "Authorized", START_MS - 7_200_000 + n, "STATE_CHANGE");
    }
    drive.drain();
    assert_eq!(drive.found, 0);
    // SNS gave up: they change, and no IPN comes.
    let outage_at = drive.now_ms;
    for n in 0..CHARGES {
        drive.amazon.objects.insert(object(ObjectKind::Charge, n), ("Captured", outage_at));
    }
    let (reads_before, told_before) = (drive.reads.len(), drive.told.len());
    let period_s = CHARGES as f64 / SLICE;
    // Beside it the usual IPNs come, each about a charge and a permission not yet known.
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
        slowest_ms = slowest_ms.max(drive.told_at(charge).expect("it is told") - at_ms);
    }
    let is_charge = |object: &ObjectRef| object.kind == ObjectKind::Charge;
    let rechecks =
        drive.reads[reads_before..].iter().filter(|(_, of, purpose)| is_charge(of) && *purpose == Purpose::Recheck);
    let rechecks: Vec<i64> = rechecks.map(|(at, ..)| *at).collect();
    let rate = (rechecks.len() - 2) as f64 / ((rechecks[rechecks.len() - 1] - rechecks[0]) as f64 / 1000.0);
    println!(
        "{CHARGES} changes found in {took_s:.0} s ({period_s:.0} s at the slice alone) by {} reads, {rate:.3} a second; \
         slowest of {} IPNs beside it: {slowest_ms} ms; {} answered 429",
        rechecks.len(),
        posted.len(),
        drive.amazon.throttled,
    );
    assert!(rate <= SLICE * 1.01 && slowest_ms <= 3000 && drive.amazon.throttled == 0);
    assert_eq!(rechecks.len(), CHARGES as usize, "each is read once: what is found is final");
    assert_eq!(drive.ledger.outgoing.found.len(), CHARGES as usize, "each counts as missed");
    let told = drive.told[told_before..].iter().filter(|(_, of)| is_charge(of)).count();
    assert_eq!(told, CHARGES as usize + posted.len(), "and each is told once");
}

#[test]
fn switched_off_nothing_is_looked_at() {
    let mut drive = drive(false);
    drive.change(&object(ObjectKind::Charge, 1), "Authorized", START_MS - 1000, "STATE_CHANGE");
    drive.drain();
    drive.amazon.objects.insert(object(ObjectKind::Charge, 1), ("Captured", START_MS));
    let n_reads = drive.reads.len();
    drive.run_for(Duration::from_hours(3));
    assert_eq!((drive.reads.len(), drive.found), (n_reads, 0));
}
