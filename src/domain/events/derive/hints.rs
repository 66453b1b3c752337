//! ATTRIBUTE_CHANGE IPNs of a charge permission. Amazon usually hides the payment method, so such an IPN is itself the
//! evidence of a change: it is kept until a visible change explains it, or it is published.

use std::time::Duration;

use super::Reading;
use crate::domain::pay::{ObjectKind, State};
use crate::domain::state::Observed;
use crate::domain::timestamp::Timestamp;

/// What a read decides about the ATTRIBUTE_CHANGE IPNs that are neither published nor explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HintDecision {
    /// There are none.
    None,
    /// A later read decides.
    Open,
    /// A visible change explains all of them; the newest was sent at this time.
    Explained(Timestamp),
    /// Nothing explains them, so they are published; the newest was sent at this time.
    Unexplained(Timestamp),
}

impl HintDecision {
    /// When the newest IPN was sent that needs no later read.
    pub(super) fn settled(self) -> Option<Timestamp> {
        match self {
            Self::None | Self::Open => None,
            Self::Explained(newest) | Self::Unexplained(newest) => Some(newest),
        }
    }
}

/// Decides; `next` is the known state after the read, and `are_explained` says that the read itself shows a change.
pub(super) fn decide(next: &Observed, are_explained: bool, reading: &Reading<'_>) -> HintDecision {
    let Some(newest) = open_hints(next, reading).max() else { return HintDecision::None };
    let is_explained =
        |hint: Timestamp| next.hint_explained_at.is_some_and(|explained_at| are_near(hint, explained_at));
    // The payment method of a closed permission does not matter any more.
    let is_closed = reading.fetched.state == State::Closed;
    if are_explained || is_closed || open_hints(next, reading).all(is_explained) {
        HintDecision::Explained(newest)
    } else if reading.hint_is_ripe {
        HintDecision::Unexplained(newest)
    } else {
        HintDecision::Open
    }
}

/// Whether an ATTRIBUTE_CHANGE IPN of a permission is neither published nor explained.
pub(super) fn are_open(known: &Observed, reading: &Reading<'_>) -> bool {
    open_hints(known, reading).next().is_some()
}

fn open_hints<'a>(known: &Observed, reading: &'a Reading<'_>) -> impl Iterator<Item = Timestamp> + 'a {
    let settled = known.hint_settled;
    let is_permission = reading.fetched.kind == ObjectKind::ChargePermission;
    hints(reading).filter(move |hint| is_permission && settled.is_none_or(|settled| *hint > settled))
}

/// When the newest ATTRIBUTE_CHANGE IPN among the causes was sent.
pub(super) fn newest(reading: &Reading<'_>) -> Option<Timestamp> {
    hints(reading).max()
}

fn hints<'a>(reading: &'a Reading<'_>) -> impl Iterator<Item = Timestamp> + 'a {
    reading.causes.iter().filter(|cause| cause.is_attribute_change()).map(|cause| cause.timestamp)
}

/// Whether a change and an IPN belong to one act of the buyer.
pub(super) fn are_near(one: Timestamp, other: Timestamp) -> bool {
    one.since(other).max(other.since(one)) <= ONE_ACT_WITHIN
}

/// Amazon sends the IPNs of one act within seconds; a read may see the change minutes later.
const ONE_ACT_WITHIN: Duration = Duration::from_mins(10);
