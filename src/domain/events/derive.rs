//! Compares the known state of an object with a fresh read, and derives the events to publish.
//!
//! A pure function: the same known state and the same read always give the same events with the same ids.

mod advice;
mod changes;
mod chargeback;
mod confirming;
mod hints;
mod reading;

use std::time::Duration;

use uuid::Uuid;

use self::changes::{Changes, fingerprint};
pub use self::confirming::{ConfirmingReads, confirming_reads};
use self::hints::HintDecision;
pub use self::reading::{Permission, Reading};
use super::catalog::{EventType, PAYMENT_METHOD_REASONS, Trigger, event_type, payment_method_type, updated_type};
use super::event::{AttributeChange, Event, StateFacts, attribute_event_id, codes, state_event_id};
use super::evidence::Evidence;
use super::next_action::next_action;
use super::notices;
use crate::domain::pay::{Fetched, ObjectKind, Reason, State};
use crate::domain::state::{Observed, Upcoming};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::Cause;

/// The result of comparing a read with known state.
#[derive(Clone, Debug, PartialEq)]
pub enum Derivation {
    /// The answer is older than known state; read again.
    Stale,
    /// The answer is current.
    Current {
        /// The events to publish, in order; may be empty.
        events: Vec<Event>,
        /// The new known state.
        observed: Box<Observed>,
        /// Whether the attributes of the object are certain.
        attributes: Attributes,
    },
}

/// Whether a difference of attributes is certain. Amazon's time does not move with attributes, so an answer with other
/// attributes at the same time may also be an older answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attributes {
    /// There is no difference, or two reads agree about it.
    Settled,
    /// Attributes differ although Amazon's time is the same. A second read must agree before an event is published.
    Unconfirmed,
    /// Attributes differed at each of several reads. The last read was taken as the truth.
    Unsettled,
}

/// Compares known state with a read.
pub fn derive(known: Option<&Observed>, reading: &Reading<'_>) -> Derivation {
    let derivation = notices::add(known, reading, compare(known, reading));
    chargeback::with_chargebacks(derivation, known, reading)
}

fn compare(known: Option<&Observed>, reading: &Reading<'_>) -> Derivation {
    let Some(known) = known.filter(|known| !is_notified_of_baseline(known, reading)) else {
        return first_sight(reading);
    };
    let fetched = reading.fetched;
    let went_back = is_before(fetched.last_updated, known.last_updated.or(known.newest_update));
    if went_back && !reading.accept_stale {
        return Derivation::Stale;
    }
    // A stub has no reasons to compare.
    let same_codes = known.is_stub() || codes(&known.reasons) == codes(&fetched.reasons);
    if fetched.state == known.state && same_codes && !went_back {
        same_state(known, reading)
    } else {
        new_state(known, reading, went_back)
    }
}

fn first_sight(reading: &Reading<'_>) -> Derivation {
    let fetched = reading.fetched;
    let reached = event_type(fetched.kind, &fetched.state);
    let may_be_old = matches!(reached.trigger, Trigger::StateReached { updated_when_late: true, .. });
    let published_as = updated_type(fetched.kind).filter(|_| may_be_old && is_history(reading)).unwrap_or(reached);
    let observed = observed(reading, None);
    if Cause::are_seeds(reading.causes) {
        return current(vec![], observed, Attributes::Settled, reading);
    }
    let events = vec![state_event(published_as, None, reading)];
    let (changes, attributes) = (Changes::default(), Attributes::Settled);
    with_attributes(events, Comparison { known: None, next: observed, changes, attributes }, reading)
}

/// Whether the state was reached before the merchant was in our charge, and no cause came within a day of it.
fn is_history(reading: &Reading<'_>) -> bool {
    let Some(reached_at) = reading.fetched.last_updated else { return false };
    let is_prompt = |cause: &Cause| cause.timestamp.since(reached_at) <= LATE_AFTER;
    let is_before = reading.in_charge_since.is_none_or(|since| reached_at < since);
    is_before && !reading.causes.is_empty() && !reading.causes.iter().any(is_prompt)
}

/// Whether an IPN arrived for the very state that was recorded as a baseline without an event. The object changed while the
/// baseline was recorded, so without this event the change would be missing. An old IPN that Amazon sends again is ignored.
fn is_notified_of_baseline(known: &Observed, reading: &Reading<'_>) -> bool {
    let Some(updated) = known.last_updated else { return false };
    let is_recent = |cause: &Cause| cause.timestamp >= updated && cause.timestamp.since(updated) < NOTIFIED_WITHIN;
    let is_unchanged = reading.fetched.state == known.state && reading.fetched.last_updated == known.last_updated;
    let mut ipns = reading.causes.iter().filter(|cause| cause.is_ipn() && !cause.is_evidence());
    known.last_event_id.is_none() && is_unchanged && ipns.any(is_recent)
}

/// A read beside the known state that it is compared with.
struct Comparison<'a> {
    known: Option<&'a Observed>,
    next: Observed,
    changes: Changes,
    attributes: Attributes,
}

fn new_state(known: &Observed, reading: &Reading<'_>, went_back: bool) -> Derivation {
    let reached = event_type(reading.fetched.kind, &reading.fetched.state);
    let event = Event {
        unexpected_transition: went_back || !reached.may_follow(&known.state),
        ..state_event(reached, Some(known), reading)
    };
    // The state event carries the changed snapshot; only a private detail needs an event of its own.
    let changes = Changes { snapshot: false, ..Changes::between(known, reading) };
    let next = with_state_event(known, reading);
    let compared = Comparison { known: Some(known), next, changes, attributes: Attributes::Settled };
    with_attributes(vec![event], compared, reading)
}

/// The state is unchanged; attributes or Amazon's time may have changed.
fn same_state(known: &Observed, reading: &Reading<'_>) -> Derivation {
    let changes = Changes::between(known, reading);
    let is_newer = is_newer(known, reading);
    let seen = fingerprint(&reading.fetched.snapshot_digest, reading.fetched.private.as_ref());
    let attributes = if is_newer || !changes.any() { Attributes::Settled } else { attributes(known, &seen) };
    if attributes == Attributes::Unconfirmed {
        let observed = Observed {
            unconfirmed_digest: Some(seen),
            unconfirmed_reads: known.unconfirmed_reads + 1,
            read_started_at: reading.read_started_at,
            ..known.clone()
        };
        return Derivation::Current { events: vec![], observed: Box::new(observed), attributes };
    }
    let (mut events, mut next) = (Vec::new(), observed(reading, Some(known)));
    if is_newer && advice::answers_wait(Some(known), reading) && changes.evidence().is_empty() {
        // The permission was not chargeable between two reads, and a merchant waits until it is chargeable again. A visible
        // new payment method has an event of its own that says so.
        let reached = event_type(reading.fetched.kind, &reading.fetched.state);
        events.push(state_event(reached, Some(known), reading));
        next = with_state_event(known, reading);
    }
    with_attributes(events, Comparison { known: Some(known), next, changes, attributes }, reading)
}

/// The known state after an event of the object's state.
fn with_state_event(known: &Observed, reading: &Reading<'_>) -> Observed {
    let repeats = known.repeats.max(repeat(Some(known), reading.fetched));
    Observed { repeats, ..observed(reading, Some(known)) }
}

/// Whether a read at the same time of Amazon's, which saw these other attributes, is believed.
fn attributes(known: &Observed, seen: &str) -> Attributes {
    if known.unconfirmed_digest.as_deref() == Some(seen) {
        Attributes::Settled
    } else if known.unconfirmed_reads + 1 < UNCONFIRMED_READS_MAX {
        Attributes::Unconfirmed
    } else {
        Attributes::Unsettled
    }
}

/// Adds the events for a changed payment method and for changed attributes.
fn with_attributes(mut events: Vec<Event>, compared: Comparison<'_>, reading: &Reading<'_>) -> Derivation {
    let Comparison { known, mut next, changes, attributes } = compared;
    let is_chargeable = reading.fetched.state == State::Chargeable;
    let became_chargeable = is_chargeable && known.is_some_and(|known| known.payment_method_reason.is_some());
    if became_chargeable {
        next.hint_explained_at = Some(reading.fetched.last_updated.unwrap_or(reading.read_started_at));
    }
    if changes.explain_hints() {
        next.hint_explained_at = Some(reading.read_started_at);
    }
    let hints = hints::decide(&next, changes.explain_hints(), reading);
    next.hint_settled = hints.settled().max(next.hint_settled);
    let mut evidence = changes.evidence();
    if became_chargeable {
        evidence.insert(0, Evidence::BecameChargeable);
    }
    if matches!(hints, HintDecision::Unexplained(_)) {
        evidence.push(Evidence::AttributeChange);
    }
    next.attribute_revision += u64::from(changes.any() || !evidence.is_empty());
    if !evidence.is_empty() {
        events.push(attribute_event(payment_method_type(), &evidence, known, &next, reading));
    }
    if changes.snapshot || changes.private.shipping_address {
        events.extend(updated_event(known, &next, reading));
    }
    current(events, next, attributes, reading)
}

fn current(events: Vec<Event>, observed: Observed, attributes: Attributes, reading: &Reading<'_>) -> Derivation {
    let last_event_id = events.last().map(|event| event.id).or(observed.last_event_id);
    let observed = advice::with_retry_advice(Observed { last_event_id, ..observed }, &events, reading);
    Derivation::Current { events, observed: Box::new(observed), attributes }
}

fn state_event(event_type: &'static EventType, known: Option<&Observed>, reading: &Reading<'_>) -> Event {
    let id = state_event_id(&StateFacts { repeat: repeat(known, reading.fetched), ..state_facts(event_type, reading) });
    let is_late = reading.fetched.last_updated.is_some_and(|at| reading.observed_at.since(at) > LATE_AFTER);
    Event { is_late, ..event(id, event_type, &[], known, reading) }
}

pub(super) fn event(
    id: Uuid,
    event_type: &'static EventType,
    evidence: &[Evidence],
    known: Option<&Observed>,
    reading: &Reading<'_>,
) -> Event {
    let fetched = reading.fetched;
    Event {
        id,
        event_type,
        object: reading.object.clone(),
        charge_permission_id: reading.permission.id.clone(),
        charge_permission_id_source: None,
        charge_permission_type: reading.permission.permission_type.map(str::to_owned),
        state: fetched.state.clone(),
        previous_state: known.map(|known| known.state.clone()),
        reasons: fetched.reasons.clone(),
        evidence: evidence.to_vec(),
        permission_seen: reading.permission.seen.map(|seen| (seen.state.clone(), seen.read_at)),
        next_action: next_action(event_type, &advice::situation(evidence, known, reading)),
        snapshot: fetched.snapshot.clone(),
        causes: reading.causes.to_vec(),
        last_updated: fetched.last_updated,
        observed_at: reading.observed_at,
        request_id: fetched.request_id.clone(),
        is_late: false,
        unexpected_transition: false,
        published_by: None,
    }
}

/// The event for changed attributes. Refunds have none; a dispute publishes the event of its state again.
fn updated_event(known: Option<&Observed>, next: &Observed, reading: &Reading<'_>) -> Option<Event> {
    let kind = reading.object.kind;
    let of_state = || (kind == ObjectKind::Dispute).then(|| event_type(kind, &reading.fetched.state));
    let published_as = updated_type(kind).or_else(of_state)?;
    Some(attribute_event(published_as, &[], known, next, reading))
}

fn attribute_event(
    event_type: &'static EventType,
    evidence: &[Evidence],
    known: Option<&Observed>,
    next: &Observed,
    reading: &Reading<'_>,
) -> Event {
    let before = known.map_or_else(String::new, |known| fingerprint(&known.attributes_digest, known.private.as_ref()));
    let after = fingerprint(&next.attributes_digest, next.private.as_ref());
    let change = AttributeChange { evidence, before: &before, after: &after, revision: next.attribute_revision };
    let id = attribute_event_id(&state_facts(event_type, reading), &change);
    event(id, event_type, evidence, known, reading)
}

fn state_facts<'a>(event_type: &'a EventType, reading: &Reading<'a>) -> StateFacts<'a> {
    let Fetched { state, reasons, last_updated, .. } = reading.fetched;
    StateFacts { object: reading.object, event_type, state, reasons, last_updated: *last_updated, repeat: 0 }
}

/// Zero for an event whose time is newer than all earlier ones of the object, else a number that no other of its events has.
/// Amazon's time may repeat, go back or be unreadable, so it cannot distinguish two changes.
fn repeat(known: Option<&Observed>, fetched: &Fetched) -> u64 {
    let Some(known) = known else { return 0 };
    let is_newer = fetched.last_updated.is_some() && fetched.last_updated > known.newest_update();
    if is_newer { 0 } else { known.repeats + 1 }
}

/// Whether Amazon's time of the read is newer than that of every earlier read.
fn is_newer(known: &Observed, reading: &Reading<'_>) -> bool {
    is_before(known.newest_update(), reading.fetched.last_updated)
}

/// Whether both times are known and the first is before the second.
fn is_before(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one < other)
}

fn observed(reading: &Reading<'_>, known: Option<&Observed>) -> Observed {
    let fetched = reading.fetched;
    let remembered = known.and_then(|known| known.payment_method_reason.as_deref());
    let private = match (&fetched.private, known.and_then(|known| known.private.as_ref())) {
        (Some(now), Some(then)) => Some(now.over(then)),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    };
    Observed {
        state: fetched.state.clone(),
        reasons: fetched.reasons.clone(),
        last_updated: fetched.last_updated,
        newest_update: known.and_then(Observed::newest_update).filter(|newest| Some(*newest) > fetched.last_updated),
        repeats: known.map_or(0, |known| known.repeats),
        charge_permission_id: reading.permission.id.clone(),
        charge_permission_id_source: None,
        charge_permission_type: fetched
            .charge_permission_type
            .clone()
            .or_else(|| known.and_then(|known| known.charge_permission_type.clone())),
        attributes_digest: fetched.snapshot_digest.clone(),
        attribute_revision: known.map_or(0, |known| known.attribute_revision),
        unconfirmed_digest: None,
        unconfirmed_reads: 0,
        payment_method_reason: payment_method_reason(remembered, &fetched.state, &fetched.reasons),
        captured: (fetched.kind == ObjectKind::Charge).then(|| fetched.captured()).flatten(),
        private,
        hint_settled: known.and_then(|known| known.hint_settled),
        hint_explained_at: known.and_then(|known| known.hint_explained_at),
        retry_advised_at: known.and_then(|known| known.retry_advised_at),
        usable_since: known.and_then(|known| known.usable_since),
        upcoming: Upcoming::default(),
        read_started_at: reading.read_started_at,
        read_after: known.and_then(|known| known.read_after),
        last_event_id: known.and_then(|known| known.last_event_id),
        has_moved: known.is_some_and(|known| {
            known.has_moved || known.state != fetched.state || is_before(known.last_updated, fetched.last_updated)
        }),
        stub: false,
    }
}

/// The payment-method reason of a permission that cannot be charged. It is remembered while other reasons, such as a charge
/// in progress, replace it, until the permission is Chargeable or Closed.
pub(super) fn payment_method_reason(remembered: Option<&str>, state: &State, reasons: &[Reason]) -> Option<String> {
    if matches!(state, State::Chargeable | State::Closed) {
        return None;
    }
    let named =
        reasons.iter().map(|reason| reason.reason_code.as_str()).find(|code| PAYMENT_METHOD_REASONS.contains(code));
    named.or(remembered).map(str::to_owned)
}

/// Amazon's IPNs follow a change within seconds; one hour leaves room for delays.
const NOTIFIED_WITHIN: Duration = Duration::from_hours(1);
const LATE_AFTER: Duration = Duration::from_hours(24);
/// An attribute that differs at each read, such as a counter, is believed at the third read. No object is read for ever.
const UNCONFIRMED_READS_MAX: u64 = 3;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod evidence_tests;

#[cfg(test)]
mod properties;

#[cfg(test)]
mod advice_properties;
