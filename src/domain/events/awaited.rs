//! What a merchant waits for after an event: the permission can be charged again.

use super::event::Event;
use super::next_action::ActionCode;
use crate::domain::pay::{ObjectKind, State};
use crate::domain::state::RetryAwaited;
use crate::domain::timestamp::Timestamp;

/// What an event says about the next charge of its permission.
pub(super) struct Advice<'a> {
    /// The object of the event and its state.
    pub(super) object: (ObjectKind, &'a State),
    /// Whether it says RETRY_CHARGE.
    pub(super) may_charge: bool,
    /// Whether it says RETRY_CHARGE_AFTER_PERMISSION_CHECK.
    pub(super) may_check: bool,
    /// Whether its text says to wait for RETRY_CHARGE.
    pub(super) advises_to_wait: bool,
    pub(super) last_updated: Option<Timestamp>,
}

/// What merchants wait for after this event of a permission or of one of its objects, when they waited for `before`.
///
/// Each event whose text says "wait until an event has the code RETRY_CHARGE" must be followed by one, as soon as the
/// permission can be charged. `permission_updated` is Amazon's time of the permission's last known state.
pub fn retry_awaited(
    before: Option<RetryAwaited>,
    event: &Event,
    permission_updated: Option<Timestamp>,
) -> Option<RetryAwaited> {
    let action = &event.next_action;
    let advice = Advice {
        object: (event.object.kind, &event.state),
        may_charge: action.code == ActionCode::RetryCharge,
        may_check: action.code == ActionCode::RetryChargeAfterPermissionCheck,
        advises_to_wait: action.advises_to_wait,
        last_updated: event.last_updated,
    };
    after_advice(before, &advice, permission_updated)
}

/// [`retry_awaited`] for an event of which only this is known.
pub(super) fn after_advice(
    before: Option<RetryAwaited>,
    advice: &Advice<'_>,
    permission_updated: Option<Timestamp>,
) -> Option<RetryAwaited> {
    let is_over = match advice.object {
        (ObjectKind::ChargePermission, State::Closed) => true,
        (ObjectKind::ChargePermission, _) => advice.may_charge,
        // A later charge went through, so nothing is due any more.
        (ObjectKind::Charge, State::Authorized | State::CaptureInitiated | State::Captured) => {
            let newest = before.and_then(|before| before.since.and(before.newest.max(before.since)));
            newest.is_some_and(|newest| advice.last_updated.is_some_and(|at| newest < at))
        }
        _ => false,
    };
    if is_over {
        return None;
    }
    if !advice.advises_to_wait {
        return before;
    }
    // A merchant who reads the permission sees its last known state or a newer one.
    let since = advice.last_updated.max(permission_updated.filter(|_| advice.may_check));
    Some(add(before, RetryAwaited { since, newest: None, may_check: advice.may_check }))
}

/// Where the buyer must act after one decline, a later decline that needs no act does not put off the answer.
fn add(before: Option<RetryAwaited>, new: RetryAwaited) -> RetryAwaited {
    let Some(before) = before else { return new };
    let newest = before.newest.max(before.since).max(new.since);
    let since = match (before.may_check, new.may_check) {
        (false, true) => before.since,
        (true, false) => new.since,
        (false, false) | (true, true) => new.since.max(before.since),
    };
    let may_check = before.may_check && new.may_check;
    RetryAwaited { since, newest: newest.filter(|newest| Some(*newest) > since), may_check }
}
