//! Dates at which an object changes by itself, and which of them a merchant was warned about.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::pay::{ObjectKind, State};
use crate::domain::timestamp::Timestamp;

/// What is known of an object's future, and what was published about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Upcoming {
    /// The date of [`known_date`] at the last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<Timestamp>,
    /// Dates about which a notice was published, oldest notice first. Past dates are removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noticed_dates: Vec<Timestamp>,
    /// On permissions: the balance is low, and that was published.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_limit_near: bool,
    /// On permissions: how often the balance became low. The number distinguishes the ids of these events.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub limit_crossings: u64,
}

/// When a merchant is warned. A zero switches the notice off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoticeRules {
    /// Time before a permission's `expirationTimestamp`.
    pub expiring_before: Duration,
    /// Percentage of `amountLimit` at which `amountBalance` is low.
    pub limit_near_percent: u32,
    /// Time before a dispute's `merchantResponseDeadline`.
    pub dispute_deadline_before: Duration,
}

impl Upcoming {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes a published notice about this date. Returns false if there was one before.
    pub fn note(&mut self, date: Timestamp) -> bool {
        if self.noticed_dates.contains(&date) {
            return false;
        }
        if self.noticed_dates.len() >= NOTICED_DATES_MAX {
            self.noticed_dates.remove(0);
        }
        self.noticed_dates.push(date);
        true
    }
}

impl NoticeRules {
    /// How long before the known date of an object of this kind the merchant is warned; none for never.
    pub fn window(&self, kind: ObjectKind) -> Option<Duration> {
        let window = match kind {
            ObjectKind::ChargePermission => self.expiring_before,
            ObjectKind::Dispute => self.dispute_deadline_before,
            ObjectKind::Charge | ObjectKind::Refund => Duration::ZERO,
        };
        (!window.is_zero()).then_some(window)
    }
}

/// The date at which an object in this state changes by itself: a permission or an authorized charge expires, or
/// the merchant's time to respond to a dispute ends.
///
/// Amazon closes a OneTime permission after 180 days. A Recurring permission is closed after 13 months without a charge,
/// and each charge moves the date (not documented by Amazon, but reported). An authorization lasts 30 days. The merchant has
/// 11 days to respond to a chargeback and 7 days to respond to an A-to-z claim. Only the date in Amazon's answer counts here.
pub fn known_date(kind: ObjectKind, state: &State, snapshot: &Map<String, Value>) -> Option<Timestamp> {
    let field = match (kind, state) {
        (ObjectKind::ChargePermission, state) if !state.is_final(kind) => "expirationTimestamp",
        (ObjectKind::Charge, State::Authorized) => "expirationTimestamp",
        (ObjectKind::Dispute, State::ActionRequired) => "merchantResponseDeadline",
        _ => return None,
    };
    Timestamp::from_amazon(snapshot.get(field)?)
}

/// More than one date is near only if Amazon moves the date within the window.
const NOTICED_DATES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_open_objects_have_a_known_date() {
        use ObjectKind::{Charge, ChargePermission, Dispute, Refund};
        let snapshot = json!({"expirationTimestamp": "20260701T000000Z", "merchantResponseDeadline": 1_768_176_000});
        for (kind, state, date) in [
            (ChargePermission, "Chargeable", Some("2026-07-01T00:00:00.000Z")),
            (ChargePermission, "NonChargeable", Some("2026-07-01T00:00:00.000Z")),
            (ChargePermission, "Tomorrow", Some("2026-07-01T00:00:00.000Z")),
            (ChargePermission, "Closed", None),
            (Charge, "Authorized", Some("2026-07-01T00:00:00.000Z")),
            (Charge, "AuthorizationInitiated", None),
            (Charge, "Captured", None),
            (Refund, "RefundInitiated", None),
            (Dispute, "ActionRequired", Some("2026-01-12T00:00:00.000Z")),
            (Dispute, "UnderReview", None),
        ] {
            let found = known_date(kind, &State::parse(state), snapshot.as_object().unwrap());
            assert_eq!(found.map(|date| date.to_string()).as_deref(), date, "{kind} {state}");
        }
        assert_eq!(known_date(ChargePermission, &State::Chargeable, &Map::new()), None);
    }

    #[test]
    fn date_is_noted_once_and_few_dates_are_kept() {
        let mut upcoming = Upcoming::default();
        for n in 0..100 {
            let date = Timestamp::from_unix_ms(n);
            assert!(upcoming.note(date) && !upcoming.note(date));
        }
        assert_eq!(upcoming.noticed_dates.len(), NOTICED_DATES_MAX);
    }
}
