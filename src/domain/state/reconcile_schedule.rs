//! When an object that may still change is looked at although nobody told us anything.
//!
//! Amazon has no list call, so a lost IPN is found by reading the object again, and only objects that are known can be
//! read. How often depends on how soon a change is to be expected and what it costs to hear of it late; the slice of the
//! quota decides how much of that is kept.

use std::time::Duration;

use crate::domain::events::is_final;
use crate::domain::pay::{ObjectKind, State};
use crate::domain::timestamp::Timestamp;

/// What is known of an object as far as its next look depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// What it is.
    pub kind: ObjectKind,
    /// Which; it spreads the looks.
    pub id: &'a str,
    /// Its state.
    pub state: &'a State,
    /// Since when.
    pub last_updated: Timestamp,
    /// When it was read last.
    pub read_started_at: Timestamp,
}

/// When it is to be looked at again, with every period scaled by `period_factor`; never, if its state is final.
pub fn due(look: &Look<'_>, period_factor: f64) -> Option<Timestamp> {
    if is_final(look.kind, look.state) {
        return None;
    }
    let age = look.read_started_at.since(look.last_updated);
    let period = period(look.kind, look.state, age).mul_f64(period_factor * jitter(look.id));
    Some(look.read_started_at.plus(period))
}

/// How often, by the time it had been in this state when it was read last.
fn period(kind: ObjectKind, state: &State, age: Duration) -> Duration {
    let young = |until: Duration, young: Duration, old: Duration| if age < until { young } else { old };
    match (kind, state) {
        // An authorization takes a day at most, a capture a little more: the order waits for it.
        (ObjectKind::Charge, State::AuthorizationInitiated | State::CaptureInitiated) => young(2 * DAY, HOUR, DAY),
        // The buyer mends the payment method or does not; a subscription waits for it, soon after rather than later.
        (ObjectKind::ChargePermission, State::NonChargeable) => young(30 * DAY, 12 * HOUR, DAY),
        // A permission lives for months or for years, and every charge of it is heard of anyway.
        (ObjectKind::ChargePermission, State::Chargeable) => young(30 * DAY, DAY, 7 * DAY),
        // Refunds take hours to days.
        (ObjectKind::Refund, State::RefundInitiated) => young(3 * DAY, 6 * HOUR, DAY),
        // The merchant has 7 to 11 days to answer.
        (ObjectKind::Dispute, State::ActionRequired) => 6 * HOUR,
        // An authorization lasts for 30 days, a dispute for weeks; of words that Amazon added nothing is known.
        _ => DAY,
    }
}

/// From 0.85 to 1.15, always the same for the same object, so that those of one day do not come back in one minute.
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

    /// An id whose jitter is next to nothing.
    fn steady_id() -> String {
        let id = |n: u32| format!("P01-{n:07}-0000000");
        (0..10_000).map(id).find(|id| (jitter(id) - 1.0).abs() < 1e-9).expect("one in a thousand has it")
    }

    #[test]
    fn each_state_has_its_period_by_its_age_and_a_final_one_none() {
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
            let look = Look { kind, id: &id, state: &state, last_updated, read_started_at };
            let expected = period_h.map(|hours| read_started_at.plus(Duration::from_hours(hours)));
            assert_eq!(due(&look, 1.0), expected, "{kind} {state} after {age_h} h");
            let twice = period_h.map(|hours| read_started_at.plus(Duration::from_hours(2 * hours)));
            assert_eq!(due(&look, 2.0), twice);
        }
    }

    #[test]
    fn the_looks_at_ids_in_a_row_are_spread_evenly_over_three_tenths_of_the_period() {
        let mut counts = [0_u32; 10];
        for n in 0..10_000 {
            let factor = jitter(&format!("P01-1234567-{n:07}-C000001"));
            assert!((0.85..=1.15).contains(&factor));
            counts[(((factor - 0.85) / 0.3) * 10.0).min(9.0) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (700..1300).contains(count)), "{counts:?}");
    }
}
