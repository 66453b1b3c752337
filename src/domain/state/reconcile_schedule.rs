//! When an object that is not in a final state is reconciled: read again without an IPN.
//!
//! Amazon Pay has no list call. A lost IPN is found only by reading each known object again. The period depends on how soon
//! a change is expected and what a late event costs; the reconciler's share of the quota may stretch it.
//!
//! Some changes have a date that Amazon's answer names: an expiry, or the end of the time to respond to a dispute. The object is
//! read when a merchant is to be warned of the date, and shortly after the date. A Recurring permission that Amazon closes
//! after 13 months without a charge is found that way, too, as far as its `expirationTimestamp` says so; otherwise the period
//! applies.

use std::time::Duration;

use super::NoticeRules;
use crate::domain::pay::{ObjectKind, State};
use crate::domain::timestamp::Timestamp;

/// What is known of an object's last read.
#[derive(Clone, Copy, Debug)]
pub struct LastRead<'a> {
    /// The type of the object.
    pub kind: ObjectKind,
    /// Object id; its hash spreads the reads.
    pub id: &'a str,
    /// The state that was read.
    pub state: &'a State,
    /// Amazon's time of that state, if it could be read.
    pub last_updated: Option<Timestamp>,
    /// The date at which the object changes by itself, if there is one.
    pub known_date: Option<Timestamp>,
    /// When the read started.
    pub read_started_at: Timestamp,
}

/// The rules of the schedule.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Scales every period, but not the reads at known dates.
    pub period_factor: f64,
    /// When a merchant is warned of a date.
    pub notices: NoticeRules,
}

/// When an object is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The end of the period.
    pub periodic: Timestamp,
    /// The next moment that depends on the known date, if there is one.
    pub at_known_date: Option<Timestamp>,
}

/// What is due now. Reads at known dates come before periodic reads: they are few, and they are late after minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DueNow {
    /// A read at a known date, since this time.
    AtKnownDate(Timestamp),
    /// A periodic read, since this time.
    Periodic(Timestamp),
}

/// When the object is due for the next read. Never for a final state.
pub fn due(last_read: &LastRead<'_>, schedule: &Schedule) -> Option<Due> {
    if last_read.state.is_final(last_read.kind) {
        return None;
    }
    let period = period(last_read).mul_f64(schedule.period_factor * jitter(last_read.id));
    let periodic = last_read.read_started_at.plus(period);
    Some(Due { periodic, at_known_date: next_moment(last_read, &schedule.notices) })
}

impl Due {
    /// The earlier of both times.
    #[cfg(test)]
    pub fn at(self) -> Timestamp {
        self.at_known_date.map_or(self.periodic, |moment| moment.min(self.periodic))
    }

    /// What is due at `now`, if anything is.
    pub fn by(self, now: Timestamp) -> Option<DueNow> {
        let at_known_date = self.at_known_date.filter(|moment| *moment <= now).map(DueNow::AtKnownDate);
        at_known_date.or_else(|| (self.periodic <= now).then_some(DueNow::Periodic(self.periodic)))
    }
}

impl DueNow {
    /// Since when it is due.
    pub fn since(self) -> Timestamp {
        match self {
            Self::AtKnownDate(since) | Self::Periodic(since) => since,
        }
    }
}

/// The first moment after the last read at which the known date makes a read useful. There are few such moments, so an object
/// that Amazon does not change at its date is soon read at the usual period again.
fn next_moment(last_read: &LastRead<'_>, notices: &NoticeRules) -> Option<Timestamp> {
    let date = last_read.known_date?;
    let warning = notices.window(last_read.kind).map(|window| date.minus(window));
    let after = READS_AFTER_DATE.map(|wait| date.plus(wait));
    warning.into_iter().chain(after).find(|moment| *moment > last_read.read_started_at)
}

/// The period between reads.
fn period(last_read: &LastRead<'_>) -> Duration {
    let LastRead { kind, state, last_updated, known_date, read_started_at, .. } = *last_read;
    // An unknown time counts as new: the object is read more often, not less.
    let age = last_updated.map_or(Duration::ZERO, |updated| read_started_at.since(updated));
    let young = |until: Duration, young: Duration, old: Duration| if age < until { young } else { old };
    match (kind, state) {
        // Authorization takes up to one day, capture slightly more, and the order waits for it.
        (ObjectKind::Charge, State::AuthorizationInitiated | State::CaptureInitiated) => young(2 * DAY, HOUR, DAY),
        // The subscription waits until the buyer fixes the payment method, usually soon after the decline.
        (ObjectKind::ChargePermission, State::NonChargeable) => young(30 * DAY, 12 * HOUR, DAY),
        // A permission lives for months or years, and each of its charges sends IPNs of its own.
        (ObjectKind::ChargePermission, State::Chargeable) => young(30 * DAY, DAY, 7 * DAY),
        // A refund takes hours to days.
        (ObjectKind::Refund, State::RefundInitiated) => young(3 * DAY, 6 * HOUR, DAY),
        // The merchant has 7 days to respond to an A-to-z claim, 11 days to respond to a chargeback.
        (ObjectKind::Dispute, State::ActionRequired) => {
            let is_near = known_date.is_some_and(|date| date > read_started_at && date.since(read_started_at) <= DAY);
            if is_near { HOUR } else { 6 * HOUR }
        }
        // An authorization lasts 30 days, a dispute weeks. Unknown states also land here.
        _ => DAY,
    }
}

/// Factor from 0.85 to 1.15, constant per object, so that objects of one day are not all due in the same minute.
fn jitter(id: &str) -> f64 {
    let fnv = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let spread = (fnv ^ (fnv >> 32)) % 1001;
    0.85 + 0.3 * spread as f64 / 1000.0
}

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// Soon after the date, and twice more if Amazon changes the object late.
const READS_AFTER_DATE: [Duration; 3] = [Duration::from_mins(5), HOUR, DAY];

#[cfg(test)]
mod tests {
    use super::*;

    /// An id whose jitter factor is almost exactly 1.
    fn steady_id() -> String {
        let id = |n: u32| format!("P01-{n:07}-0000000");
        (0..10_000).map(id).find(|id| (jitter(id) - 1.0).abs() < 1e-9).expect("one in a thousand has it")
    }

    fn schedule(period_factor: f64) -> Schedule {
        let notices = NoticeRules {
            expiring_before: 14 * DAY,
            limit_near_percent: 10,
            dispute_deadline_before: Duration::from_hours(72),
        };
        Schedule { period_factor, notices }
    }

    #[test]
    fn period_depends_on_state_and_age() {
        use ObjectKind::{Charge, ChargePermission, Dispute, Refund};
        let id = steady_id();
        for (kind, state, age_h, period_h) in [
            (Charge, "AuthorizationInitiated", 0, Some(1)),
            (Charge, "AuthorizationInitiated", 47, Some(1)),
            (Charge, "AuthorizationInitiated", 48, Some(24)),
            (Charge, "CaptureInitiated", 5, Some(1)),
            (Charge, "Authorized", 5, Some(24)),
            (Charge, "Captured", 5, None),
            (Charge, "Declined", 5, None),
            (Charge, "Canceled", 5, None),
            (ChargePermission, "Chargeable", 719, Some(24)),
            (ChargePermission, "Chargeable", 720, Some(168)),
            (ChargePermission, "NonChargeable", 1, Some(12)),
            (ChargePermission, "NonChargeable", 720, Some(24)),
            (ChargePermission, "Closed", 1, None),
            (Refund, "RefundInitiated", 71, Some(6)),
            (Refund, "RefundInitiated", 72, Some(24)),
            (Refund, "Refunded", 1, None),
            (Refund, "Declined", 1, None),
            (Dispute, "UnderReview", 1, Some(24)),
            (Dispute, "ActionRequired", 100, Some(6)),
            (Dispute, "Resolved", 1, None),
            (Dispute, "Closed", 1, None),
            (Charge, "Tomorrow", 1, Some(24)),
        ] {
            let last_updated = Timestamp::from_unix_ms(1_767_000_000_000);
            let read_started_at = last_updated.plus(Duration::from_hours(age_h));
            let state = State::parse(state);
            let last_updated = Some(last_updated);
            let last_read = LastRead { kind, id: &id, state: &state, last_updated, known_date: None, read_started_at };
            let of = |factor| due(&last_read, &schedule(factor)).map(Due::at);
            let expected = period_h.map(|hours| read_started_at.plus(Duration::from_hours(hours)));
            assert_eq!(of(1.0), expected, "{kind} {state} after {age_h} h");
            let twice = period_h.map(|hours| read_started_at.plus(Duration::from_hours(2 * hours)));
            assert_eq!(of(2.0), twice);
        }
    }

    /// All reads of an object that never changes, from one to the next, in minutes before (-) and after its date.
    fn reads(kind: ObjectKind, state: &State, schedule: &Schedule, from_min: i64) -> Vec<i64> {
        let date = Timestamp::from_unix_ms(1_767_000_000_000);
        let at = |min: i64| Timestamp::from_unix_ms(date.unix_ms() + min * 60_000);
        let id = steady_id();
        let mut read_started_at = at(from_min);
        let mut minutes = Vec::new();
        while read_started_at < at(3 * 24 * 60) {
            let last_updated = Some(date.minus(60 * DAY));
            let last_read = LastRead { kind, id: &id, state, last_updated, known_date: Some(date), read_started_at };
            let next = due(&last_read, schedule).unwrap().at();
            assert!(next > read_started_at, "no read is due at once");
            read_started_at = next;
            minutes.push((next.unix_ms() - date.unix_ms()) / 60_000);
        }
        minutes
    }

    #[test]
    fn permission_is_read_when_its_date_comes_near_and_passes() {
        let days = |days: i64| days * 24 * 60;
        let seven_days_after = |min| min + days(7);
        assert_eq!(
            reads(ObjectKind::ChargePermission, &State::Chargeable, &schedule(1.0), -days(20)),
            [-days(14), -days(7), 0, 5, 60, days(1), seven_days_after(days(1))]
        );
        let off = Schedule { notices: NoticeRules::default(), ..schedule(1.0) };
        assert_eq!(
            reads(ObjectKind::ChargePermission, &State::Chargeable, &off, -days(6)),
            [5, 60, days(1), seven_days_after(days(1))]
        );
        // The factor stretches periods only.
        assert_eq!(
            reads(ObjectKind::ChargePermission, &State::Chargeable, &schedule(10.0), -days(20))[..3],
            [-days(14), 5, 60]
        );
        assert_eq!(reads(ObjectKind::Charge, &State::Authorized, &schedule(1.0), -90)[..2], [5, 60]);
    }

    #[test]
    fn deadline_of_a_dispute_shortens_its_period() {
        let hours = |list: &[i64]| list.iter().map(|hours| hours * 60).collect::<Vec<_>>();
        let read = reads(ObjectKind::Dispute, &State::ActionRequired, &schedule(1.0), -74 * 60);
        assert_eq!(read[..3], hours(&[-72, -66, -60]));
        let hourly = read.iter().filter(|min| (-24 * 60..0).contains(*min)).count();
        assert_eq!(hourly, 24);
        let after: Vec<i64> = read.into_iter().filter(|min| (0..24 * 60).contains(min)).collect();
        assert_eq!(after, [0, 5, 60, 7 * 60, 13 * 60, 19 * 60]);
    }

    #[test]
    fn known_date_that_is_due_precedes_an_overdue_period() {
        let at = Timestamp::from_unix_ms;
        let due = Due { periodic: at(10), at_known_date: Some(at(500)) };
        assert_eq!(due.by(at(9)), None);
        assert_eq!(due.by(at(499)), Some(DueNow::Periodic(at(10))));
        assert_eq!(due.by(at(500)), Some(DueNow::AtKnownDate(at(500))));
        assert!(DueNow::AtKnownDate(at(500)) < DueNow::Periodic(at(10)));
    }

    #[test]
    fn reads_of_consecutive_ids_are_spread_evenly() {
        let mut counts = [0_u32; 10];
        for n in 0..10_000 {
            let factor = jitter(&format!("P01-1234567-{n:07}-C000001"));
            assert!((0.85..=1.15).contains(&factor));
            counts[(((factor - 0.85) / 0.3) * 10.0).min(9.0) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (700..1300).contains(count)), "{counts:?}");
    }
}
