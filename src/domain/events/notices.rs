//! Events that warn a merchant before money stops: a date comes near, or little is left of a limit.
//!
//! Each is published once: for each date, or each time that the balance becomes low. What was published stands in
//! [`Upcoming`], so that a replay or a restart publishes nothing twice. A notice never changes what the other events say.

use super::catalog::{EventType, Notice, notice_type};
use super::derive::{Attributes, Derivation, Reading, event};
use super::event::{Event, notice_event_id};
use super::next_action::{NextAction, PermissionType};
use crate::domain::pay::{Amount, ObjectKind, State};
use crate::domain::state::{Observed, Upcoming, known_date};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::Cause;

/// Adds the notices of a read to what was derived from it.
///
/// The read of a baseline publishes none; the next read does. Neither does a read whose attributes a second read must confirm.
pub(super) fn add(known: Option<&Observed>, reading: &Reading<'_>, derivation: Derivation) -> Derivation {
    let (mut events, mut observed, attributes) = match derivation {
        Derivation::Current { events, observed, attributes } if attributes != Attributes::Unconfirmed => {
            (events, observed, attributes)
        }
        other => return other,
    };
    let before = known.map(|known| known.upcoming.clone()).unwrap_or_default();
    let (notices, upcoming) = if known.is_none() && Cause::are_seeds(reading.causes) {
        (vec![], before)
    } else {
        notices(known, reading, before)
    };
    // An object without an event stays a baseline: an IPN about its state is still published.
    if observed.last_event_id.is_some() {
        observed.last_event_id = notices.last().map(|event| event.id).or(observed.last_event_id);
    }
    let date = known_date(reading.fetched.kind, &reading.fetched.state, &reading.fetched.snapshot);
    observed.upcoming = Upcoming { date, ..upcoming };
    events.extend(notices);
    Derivation::Current { events, observed, attributes }
}

fn notices(known: Option<&Observed>, reading: &Reading<'_>, before: Upcoming) -> (Vec<Event>, Upcoming) {
    let mut upcoming = before;
    upcoming.noticed_dates.retain(|date| *date > reading.read_started_at);
    let mut events = Vec::new();
    if let Some((notice, date)) = near_date(reading).filter(|(_, date)| upcoming.note(*date)) {
        let event_type = notice_type(notice);
        let event = notice_event(event_type, &date, known, reading);
        let next_action = NextAction { deadline: Some(date.basic()), ..event.next_action };
        events.push(Event { next_action, ..event });
    }
    if let Some(is_near) = is_limit_near(reading) {
        if is_near && !upcoming.is_limit_near {
            upcoming.limit_crossings += 1;
            let fact = (upcoming.limit_crossings, &reading.fetched.snapshot_digest);
            events.push(notice_event(notice_type(Notice::LimitNear), &fact, known, reading));
        }
        upcoming.is_limit_near = is_near;
    }
    (events, upcoming)
}

/// The known date of the object, if the merchant is to be warned of it now. A past date is not near.
fn near_date(reading: &Reading<'_>) -> Option<(Notice, Timestamp)> {
    let fetched = reading.fetched;
    let notice = match fetched.kind {
        ObjectKind::ChargePermission if is_worth_renewing(reading) => Notice::Expiring,
        ObjectKind::Dispute => Notice::DeadlineNear,
        ObjectKind::ChargePermission | ObjectKind::Charge | ObjectKind::Refund => return None,
    };
    let date = known_date(fetched.kind, &fetched.state, &fetched.snapshot)?;
    let window = reading.notices.window(fetched.kind)?;
    let is_near = date > reading.read_started_at && date.minus(window) <= reading.read_started_at;
    is_near.then_some((notice, date))
}

/// Whether money may stop when the permission expires: always for a subscription and a saved wallet, but only while an order
/// can still be charged.
fn is_worth_renewing(reading: &Reading<'_>) -> bool {
    match PermissionType::of(reading.permission.permission_type) {
        PermissionType::Recurring | PermissionType::PaymentMethodOnFile => true,
        PermissionType::OneTime | PermissionType::Unknown => {
            reading.fetched.state == State::Chargeable && !reading.fetched.is_used_up(reading.captured)
        }
    }
}

/// Whether little is left of a permission's limit; none if that is unknown or of no interest.
fn is_limit_near(reading: &Reading<'_>) -> Option<bool> {
    let fetched = reading.fetched;
    let has_limit = matches!(
        PermissionType::of(reading.permission.permission_type),
        PermissionType::Recurring | PermissionType::PaymentMethodOnFile
    );
    let percent = reading.notices.limit_near_percent;
    if fetched.kind != ObjectKind::ChargePermission || fetched.state == State::Closed || !has_limit || percent == 0 {
        return None;
    }
    let limits = fetched.snapshot.get("limits")?;
    let (balance, limit) = (limits.get("amountBalance")?, limits.get("amountLimit")?);
    let (left, whole) = (Amount::of_price(balance)?, Amount::of_price(limit)?);
    let is_comparable = balance.get("currencyCode") == limit.get("currencyCode") && !whole.is_zero();
    is_comparable.then(|| left.is_at_most_percent(percent, whole))
}

fn notice_event(
    event_type: &'static EventType,
    fact: &impl serde::Serialize,
    known: Option<&Observed>,
    reading: &Reading<'_>,
) -> Event {
    event(notice_event_id(reading.object, event_type, fact), event_type, &[], known, reading)
}

#[cfg(test)]
mod tests;
