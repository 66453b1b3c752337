//! The facts that decide the next action of an event.

use serde_json::Value;

use super::{Reading, hints, is_before, is_newer};
use crate::domain::events::event::Event;
use crate::domain::events::evidence::Evidence;
use crate::domain::events::next_action::{ActionCode, PermissionType, Situation};
use crate::domain::pay::{ObjectKind, State};
use crate::domain::state::Observed;
use crate::domain::timestamp::Timestamp;

/// The facts of an event.
pub(super) fn situation<'a>(
    evidence: &'a [Evidence],
    known: Option<&Observed>,
    reading: &Reading<'a>,
) -> Situation<'a> {
    let fetched = reading.fetched;
    Situation {
        kind: fetched.kind,
        state: &fetched.state,
        reasons: &fetched.reasons,
        last_updated: fetched.last_updated,
        permission: reading.permission.seen,
        permission_type: PermissionType::of(reading.permission.permission_type),
        is_first_sight: known.is_none(),
        is_chargeable_again: is_chargeable_again(known, reading),
        is_used_up: fetched.is_used_up(reading.captured),
        retry_was_advised: retry_was_advised(evidence, known, reading),
        is_older_than_decline: is_older_than_decline(evidence, reading),
        evidence,
        deadline: fetched.snapshot.get("merchantResponseDeadline").and_then(Value::as_str),
        charge_permission_id: reading.permission.id,
        update_url: reading.update_url,
    }
}

/// Whether a merchant waits for a permission to become chargeable, and this read shows that it did after what the merchant
/// waits for. It may have been unusable between two reads only.
///
/// Amazon's times have whole seconds. Where both happened in one second, the order is unknown: a permission that moved since
/// the last read counts as later, one that is read for the first time does not.
pub(super) fn answers_wait(known: Option<&Observed>, reading: &Reading<'_>) -> bool {
    let is_permission = reading.fetched.kind == ObjectKind::ChargePermission;
    let Some(awaited) = reading.permission.retry_awaited.filter(|_| is_permission) else { return false };
    let is_after = match (awaited.since, reading.fetched.last_updated) {
        (Some(since), Some(updated)) => since < updated || (since == updated && known.is_some()),
        (None, _) => true,
        // A check found that it was not chargeable, and nothing but this change can follow.
        (Some(_), None) => awaited.may_check && known.is_some_and(|known| known.state != State::Chargeable),
    };
    reading.fetched.state == State::Chargeable && is_after
}

/// Whether a permission can be charged after it could not. Not if a decline is newer than this state.
fn is_chargeable_again(known: Option<&Observed>, reading: &Reading<'_>) -> bool {
    let was_unusable = known.is_some_and(|known| {
        known.state == State::NonChargeable
            && (known.payment_method_reason.is_some()
                || known.reasons.iter().any(|reason| reason.reason_code != "ChargeInProgress"))
    });
    let awaited_since = reading.permission.retry_awaited.and_then(|awaited| awaited.since);
    // A time that stands still says nothing about the order.
    let has_moved = known.is_some_and(|known| is_newer(known, reading));
    let is_declined_since = has_moved && is_before(reading.fetched.last_updated, awaited_since);
    answers_wait(known, reading) || (was_unusable && !is_declined_since)
}

/// Remembers what the events of a read say about a retry.
pub(super) fn with_retry_advice(observed: Observed, events: &[Event], reading: &Reading<'_>) -> Observed {
    let advises_retry = |event: &&Event| event.next_action.code == ActionCode::RetryCharge;
    let is_permission = reading.fetched.kind == ObjectKind::ChargePermission;
    let Some(event) = events.iter().find(advises_retry).filter(|_| is_permission) else { return observed };
    let is_chargeable_again = event.evidence.is_empty();
    let usable_since = if is_chargeable_again { event.last_updated } else { hints::newest(reading) };
    // A new descriptor or address is an act of its own, whenever it comes.
    let is_seen = !is_chargeable_again && event.evidence != [Evidence::AttributeChange];
    let retry_advised_at = if is_seen { observed.retry_advised_at } else { Some(reading.read_started_at) };
    Observed { retry_advised_at, usable_since: usable_since.max(observed.usable_since), ..observed }
}

/// Whether an event with RETRY_CHARGE was published for the same act of the buyer. One act needs one retry.
fn retry_was_advised(evidence: &[Evidence], known: Option<&Observed>, reading: &Reading<'_>) -> bool {
    if state_event_advises_retry(evidence, known, reading) {
        return true;
    }
    let Some((known, advised_at)) = known.and_then(|known| Some((known, known.retry_advised_at?))) else {
        return false;
    };
    if reading.permission.retry_awaited.is_some() {
        return false; // the charge was declined again since
    }
    match newest_hint(evidence, reading) {
        Some(hint) => {
            hints::are_near(hint, advised_at) || known.last_updated.is_some_and(|at| hints::are_near(hint, at))
        }
        None => hints::are_near(reading.read_started_at, advised_at),
    }
}

/// Whether the same read publishes a PermissionChargeable that says RETRY_CHARGE.
fn state_event_advises_retry(evidence: &[Evidence], known: Option<&Observed>, reading: &Reading<'_>) -> bool {
    let Some(known) = known.filter(|known| known.state == State::Chargeable) else {
        return reading.fetched.state == State::Chargeable && is_chargeable_again(known, reading);
    };
    is_newer(known, reading) && answers_wait(Some(known), reading) && evidence == [Evidence::AttributeChange]
}

/// Whether the only evidence is an IPN that Amazon sent before the decline that a merchant waits for.
fn is_older_than_decline(evidence: &[Evidence], reading: &Reading<'_>) -> bool {
    let awaited_since = reading.permission.retry_awaited.and_then(|awaited| awaited.since);
    is_before(newest_hint(evidence, reading), awaited_since)
}

/// When the newest ATTRIBUTE_CHANGE IPN was sent, if such IPNs are the only evidence.
fn newest_hint(evidence: &[Evidence], reading: &Reading<'_>) -> Option<Timestamp> {
    hints::newest(reading).filter(|_| evidence == [Evidence::AttributeChange])
}
