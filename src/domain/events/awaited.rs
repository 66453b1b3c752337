//! What a merchant waits for after an event: the permission can be charged again.

use super::event::Event;
use super::next_action::ActionCode;
use crate::domain::pay::{ObjectKind, State};
use crate::domain::state::RetryAwaited;
use crate::domain::timestamp::Timestamp;

/// What merchants wait for after this event of a permission or of one of its objects, when they waited for `before`.
///
/// Each event whose text says "wait until an event has the code RETRY_CHARGE" must be followed by one, as soon as the
/// permission can be charged. `permission_updated` is Amazon's time of the permission's last known state.
pub fn retry_awaited(
    before: Option<RetryAwaited>,
    event: &Event,
    permission_updated: Option<Timestamp>,
) -> Option<RetryAwaited> {
    let is_over = match (event.object.kind, &event.state) {
        (ObjectKind::ChargePermission, State::Closed) => true,
        (ObjectKind::ChargePermission, _) => event.next_action.code == ActionCode::RetryCharge,
        // A later charge went through, so nothing is due any more.
        (ObjectKind::Charge, State::Authorized | State::CaptureInitiated | State::Captured) => {
            let newest = before.and_then(|before| before.since.and(before.newest.max(before.since)));
            newest.is_some_and(|newest| event.last_updated.is_some_and(|at| newest < at))
        }
        _ => false,
    };
    if is_over {
        return None;
    }
    if !event.next_action.advises_to_wait {
        return before;
    }
    let may_check = event.next_action.code == ActionCode::RetryChargeAfterPermissionCheck;
    // A merchant who reads the permission sees its last known state or a newer one.
    let since = event.last_updated.max(permission_updated.filter(|_| may_check));
    Some(add(before, RetryAwaited { since, newest: None, may_check }))
}

/// Where the buyer must act after one decline, a later decline that needs no act does not put off the answer.
pub(super) fn add(before: Option<RetryAwaited>, new: RetryAwaited) -> RetryAwaited {
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
