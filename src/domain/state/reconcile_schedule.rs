//! When an object that is not in a final state is reconciled: read again without an IPN.
//!
//! Amazon Pay has no list call. A lost IPN is found only by reading each known object again. The period depends on how soon
//! a change is expected and what a late event costs; the reconciler's share of the quota may stretch it.

use std::time::Duration;

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
    /// When the read started.
    pub read_started_at: Timestamp,
}

/// When the object is due for the next read, with the period scaled by `period_factor`. Never for a final state.
pub fn due(last_read: &LastRead<'_>, period_factor: f64) -> Option<Timestamp> {
    if last_read.state.is_final(last_read.kind) {
        return None;
    }
    // An unknown time counts as new: the object is read more often, not less.
    let age = last_read.last_updated.map_or(Duration::ZERO, |updated| last_read.read_started_at.since(updated));
    let period = period(last_read.kind, last_read.state, age).mul_f64(period_factor * jitter(last_read.id));
    Some(last_read.read_started_at.plus(period))
}

/// The period between reads; `age` is how long the object had been in this state at the last read.
fn period(kind: ObjectKind, state: &State, age: Duration) -> Duration {
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
        // The merchant has 7 to 11 days to respond.
        (ObjectKind::Dispute, State::ActionRequired) => 6 * HOUR,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An id whose jitter factor is almost exactly 1.
    fn steady_id() -> String {
        let id = |n: u32| format!("P01-{n:07}-0000000");
        (0..10_000).map(id).find(|id| (jitter(id) - 1.0).abs() < 1e-9).expect("one in a thousand has it")
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
            let last_read = LastRead { kind, id: &id, state: &state, last_updated, read_started_at };
            let expected = period_h.map(|hours| read_started_at.plus(Duration::from_hours(hours)));
            assert_eq!(due(&last_read, 1.0), expected, "{kind} {state} after {age_h} h");
            let twice = period_h.map(|hours| read_started_at.plus(Duration::from_hours(2 * hours)));
            assert_eq!(due(&last_read, 2.0), twice);
        }
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
